-- Tells subscribers of what triggers cannot see: a change of the table's shape, lost triggers, emptied storage.

-- Ends what subscribers hold of a watch.
CREATE OR REPLACE FUNCTION sseapp.tell_reset(watch integer, reason text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    UPDATE sseapp.watched_table w SET generation = w.generation + 1, reason = tell_reset.reason WHERE w.id = tell_reset.watch;
    INSERT INTO sseapp.change (watch, kind, reason) VALUES (tell_reset.watch, 'r', tell_reset.reason);
    IF sseapp.is_quiet() THEN
        PERFORM pg_notify('sseapp', '');
    END IF;
END
$body$;

-- Sees to it that there is a mark for the next crash to take away.
CREATE OR REPLACE FUNCTION sseapp.mark_crash() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM sseapp.crash_mark) THEN
        INSERT INTO sseapp.crash_mark VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            -- where the log is emptied too: its first row, which proves what was committed before; no watch has number 0
            INSERT INTO sseapp.change (watch, kind, reason)
            SELECT 0, 'r', 'a crash has emptied the log, which is unlogged' FROM pg_class c
            WHERE c.oid = 'sseapp.change'::regclass AND c.relpersistence = 'u';
        END IF;
    END IF;
END
$body$;

-- Makes the log unlogged, which costs writers less, or logged again. A crash empties an unlogged one, and its epoch tells so.
CREATE OR REPLACE FUNCTION sseapp.set_unlogged(unlogged boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM sseapp.lock_tables(ARRAY['sseapp.change'::regclass], 'ACCESS EXCLUSIVE');
    PERFORM sseapp.mark_crash();
    IF NOT unlogged THEN
        ALTER TABLE sseapp.change SET LOGGED;
        RETURN;
    END IF;
    ALTER TABLE sseapp.change SET UNLOGGED;
    IF current_setting('server_version_num')::int >= 150000 THEN
        -- an id must not be given out again
        EXECUTE 'ALTER SEQUENCE sseapp.change_id_seq SET LOGGED';
    END IF;
END
$body$;

-- What keeps a watch from seeing all changes; null if nothing does.
CREATE OR REPLACE FUNCTION sseapp.trouble(shape jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    states text[] := ARRAY(SELECT coalesce(p.value ->> 2, '-') FROM jsonb_each(nullif(shape -> 'partitions', 'null')) p
                           UNION ALL SELECT t.value FROM jsonb_each_text(nullif(shape -> 'triggers', 'null')) t);
BEGIN
    RETURN CASE
        WHEN shape IS NULL THEN 'the table was dropped'
        WHEN '-' = ANY (states)
            THEN 'a trigger is missing, so changes are missed: call sseapp.watch() again'
        WHEN EXISTS (SELECT FROM unnest(states) s WHERE s LIKE 'D%')
            THEN 'a trigger is disabled, so changes are missed: call sseapp.watch() again'
        WHEN EXISTS (SELECT FROM unnest(states) s WHERE s NOT LIKE 'A%')
            THEN 'a trigger is not ENABLE ALWAYS, so changes by replication are missed: call sseapp.watch() again'
    END;
END
$body$;

-- What differs for subscribers, in words; null if nothing does. "truncated" is what the last TRUNCATE left of the partitions.
CREATE OR REPLACE FUNCTION sseapp.difference(before jsonb, now jsonb, truncated text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    columns text := (
        SELECT string_agg(DISTINCT coalesce(n.value, b.value) ->> 0, ', ')
        FROM jsonb_each(nullif(before -> 'columns', 'null')) b FULL JOIN jsonb_each(nullif(now -> 'columns', 'null')) n USING (key)
        WHERE b.value IS DISTINCT FROM n.value);
    reasons text[];
BEGIN
    IF now IS NULL THEN
        RETURN 'the table was dropped';
    END IF;
    reasons := ARRAY[
        CASE WHEN before -> 'name' <> now -> 'name' THEN 'the table was renamed' END,
        'columns have changed: ' || columns,
        CASE WHEN before -> 'key' <> now -> 'key' THEN 'the key has changed' END,
        CASE WHEN before -> 'range' <> now -> 'range' THEN 'the range column was dropped' END,
        CASE WHEN md5((now -> 'partitions')::text) IS DISTINCT FROM truncated
             THEN sseapp.partition_difference(before -> 'partitions', now -> 'partitions') END,
        CASE WHEN before -> 'triggers' <> now -> 'triggers'
             THEN coalesce(sseapp.trouble(now), 'a trigger was altered, changes may have been missed') END,
        CASE WHEN before -> 'security' <> now -> 'security' OR before -> 'forced' <> now -> 'forced' THEN 'row-level security was switched' END,
        CASE WHEN before -> 'persistence' <> now -> 'persistence' THEN 'the table was made logged or unlogged' END,
        CASE WHEN before ->> 'crash' <> now ->> 'crash' THEN 'a crash has emptied the table, which is unlogged' END];
    RETURN nullif(array_to_string(reasons, '; '), '');
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.partition_difference(before jsonb, now jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN CASE
        WHEN before = now THEN NULL
        WHEN before IS DISTINCT FROM nullif(before, 'null') OR now IS DISTINCT FROM nullif(now, 'null') THEN 'partitions have changed'
        WHEN NOT before ?& ARRAY(SELECT jsonb_object_keys(now)) THEN 'a partition was attached'
        WHEN NOT now ?& ARRAY(SELECT jsonb_object_keys(before)) THEN 'a partition was detached or dropped'
        WHEN EXISTS (SELECT FROM jsonb_each(before) b JOIN jsonb_each(now) n USING (key) WHERE b.value -> 0 <> n.value -> 0)
            THEN 'a partition was truncated or rewritten'
        WHEN EXISTS (SELECT FROM jsonb_each(before) b JOIN jsonb_each(now) n USING (key) WHERE b.value -> 1 <> n.value -> 1)
            THEN 'a partition is being detached'
        WHEN EXISTS (SELECT FROM jsonb_each(before) b JOIN jsonb_each(now) n USING (key) WHERE b.value ->> 3 <> n.value ->> 3)
            THEN 'a crash has emptied a partition, which is unlogged'
        ELSE 'a trigger of a partition was altered, changes may have been missed'
    END;
END
$body$;

-- Compares each watched table with what subscribers were told last, and tells them what differs: once, whoever calls first.
-- Returns how many were told. Each by itself: where one fails the others are looked at all the same.
CREATE OR REPLACE FUNCTION sseapp.check_shapes() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    candidates integer[];
    candidate integer;
    hint text;
    told integer := 0;
BEGIN
    PERFORM sseapp.mark_crash();
    BEGIN
        candidates := ARRAY(
            SELECT w.id FROM sseapp.watched_table w LEFT JOIN sseapp.shapes() s ON s.watch = w.id
            WHERE w.shape IS DISTINCT FROM s.shape OR w.failure IS NOT NULL
               OR EXISTS (SELECT FROM sseapp.loss l WHERE l.watch = w.id) ORDER BY w.id);
    EXCEPTION WHEN OTHERS THEN
        candidates := ARRAY(SELECT w.id FROM sseapp.watched_table w ORDER BY w.id);
    END;
    FOREACH candidate IN ARRAY candidates LOOP
        BEGIN
            told := told + sseapp.check_shape(candidate)::integer;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
            told := told + sseapp.note_failure(candidate, SQLSTATE, concat_ws(' ', SQLERRM, nullif(hint, '')))::integer;
        END;
    END LOOP;
    RETURN told;
END
$body$;

-- Notes why a table could not be looked at, and tells it once; whether it did. What a new try may cure is not noted.
CREATE OR REPLACE FUNCTION sseapp.note_failure(watch integer, state text, message text) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_variable
BEGIN
    RAISE LOG 'sseapp: watch % could not be checked: %', watch, message;
    PERFORM FROM sseapp.watched_table w WHERE w.id = watch AND w.failure IS DISTINCT FROM message FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR left(state, 2) IN ('40', '53', '55', '57', '58') THEN
        RETURN false;
    END IF;
    UPDATE sseapp.watched_table w SET failure = message WHERE w.id = watch;
    PERFORM sseapp.tell_reset(watch, 'the table could not be checked: ' || message);
    RETURN true;
END
$body$;

-- Takes what writers have told into the watch's own count.
CREATE OR REPLACE FUNCTION sseapp.count_losses(watch integer) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH counted AS (DELETE FROM sseapp.loss l WHERE l.watch = count_losses.watch RETURNING l.id, l.reason)
    UPDATE sseapp.watched_table w SET generation = w.generation + c.count, reason = c.reason
    FROM (SELECT count(*) AS count, (array_agg(c.reason ORDER BY c.id DESC))[1] AS reason FROM counted c) c
    WHERE w.id = count_losses.watch AND c.count > 0
$body$;

CREATE OR REPLACE FUNCTION sseapp.check_shape(watch integer) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    known sseapp.watched_table;
    now jsonb;
    reason text;
BEGIN
    -- another listener is at it, or a watch under way, and will tell
    SELECT w.* INTO known FROM sseapp.watched_table w WHERE w.id = check_shape.watch FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    now := (SELECT s.shape FROM sseapp.shapes(known.id) s);
    reason := sseapp.difference(known.shape, now, (
        SELECT c.reason FROM sseapp.change c WHERE c.watch = known.id AND c.kind = 't' AND now -> 'partitions' <> 'null'
        ORDER BY c.id DESC LIMIT 1));
    IF now IS NULL THEN
        DELETE FROM sseapp.watched_table w WHERE w.id = known.id;
        DELETE FROM sseapp.entangled_table e WHERE e.relation = known.relation;
        PERFORM sseapp.drop_functions(known.id);
    ELSE
        -- one that could not go over to triggers of rows has failed until it can
        UPDATE sseapp.watched_table w
        SET shape = now, failure = CASE WHEN w.trigger[1] = 'log_rows' AND NOT sseapp.is_plain(w.relation) THEN w.failure END
        WHERE w.id = known.id;
        PERFORM sseapp.count_losses(known.id);
        IF known.shape -> 'stamp' IS DISTINCT FROM now -> 'stamp' THEN
            PERFORM sseapp.write_functions(known.id);
        END IF;
    END IF;
    IF reason IS NOT NULL THEN
        PERFORM sseapp.tell_reset(known.id, reason);
    END IF;
    RETURN reason IS NOT NULL;
END
$body$;
