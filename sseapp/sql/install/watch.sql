-- What people call: watch, unwatch, watched; and what these are made of.

-- Takes the locks on all of the tables, or on none of them while it waits: a lock that waits behind an open transaction makes
-- every writer wait behind it. Gives up after the setting sseapp.patience (10 s).
CREATE OR REPLACE FUNCTION sseapp.lock_tables(relations regclass[], mode text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms'
AS $body$
DECLARE
    patience interval := coalesce(nullif(current_setting('sseapp.patience', true), ''), '10s');
    deadline timestamptz := clock_timestamp() + patience;
    names text := (SELECT string_agg(CASE relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || oid::regclass::text, ', ' ORDER BY oid)
                   FROM pg_class WHERE oid = ANY (relations));
BEGIN
    WHILE names IS NOT NULL LOOP
        BEGIN
            EXECUTE format('LOCK TABLE %s IN %s MODE', names, mode);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF clock_timestamp() > deadline THEN
                RAISE lock_not_available USING
                    MESSAGE = format('No lock on %s within %s: other transactions hold it.', names, patience),
                    DETAIL = (SELECT 'Sessions: ' || coalesce(string_agg(DISTINCT l.pid::text, ', '), 'none any more')
                              FROM pg_locks l
                              WHERE l.relation = ANY (relations::oid[]) AND l.granted AND l.pid <> pg_backend_pid()),
                    HINT = 'Try again when they have ended, or SET sseapp.patience to a longer time.';
            END IF;
        END;
        PERFORM pg_sleep(0.2 + random() * 0.2);
    END LOOP;
END
$body$;

-- Why the table cannot be watched; null if it can.
CREATE OR REPLACE FUNCTION sseapp.refusal(relation regclass, see_all boolean) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN (SELECT CASE
        WHEN c.relkind NOT IN ('r', 'p') THEN format('%s is %s; only tables can be watched.', relation, CASE c.relkind
            WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table' ELSE 'no table' END)
        WHEN n.nspname = 'sseapp' THEN format('%s belongs to sseapp itself.', relation)
        WHEN n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') THEN format('%s is a system table.', relation)
        WHEN c.relpersistence = 't' THEN format('%s is a temporary table, which only its own session can read.', relation)
        WHEN NOT pg_has_role(c.relowner, 'USAGE')
            THEN format('%s belongs to %s, and only its owner can have it watched.', relation, c.relowner::regrole)
        WHEN c.relrowsecurity AND see_all IS NOT TRUE THEN format('%s has row-level security, which subscribers would bypass. '
            'If they may see all rows, say so: subscribers_see_all_rows => true.', relation)
        WHEN c.relkind = 'p' AND EXISTS (SELECT FROM jsonb_object_keys(sseapp.partitions(c.oid, 0)) p
                                         JOIN pg_class f ON f.oid = p::oid WHERE f.relkind = 'f')
            THEN format('%s has a partition that is a foreign table, whose changes cannot be seen.', relation)
        END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation);
END
$body$;

-- The numbers of named columns, ascending. "role" says in the message what they were named for.
CREATE OR REPLACE FUNCTION sseapp.numbers(relation regclass, names name[], role text) RETURNS smallint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    missing text := (
        SELECT string_agg(coalesce(quote_ident(n.name), 'NULL'), ', ' ORDER BY n.place) FROM unnest(names) WITH ORDINALITY n(name, place)
        WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = n.name AND a.attnum > 0));
BEGIN
    IF missing IS NOT NULL THEN
        RAISE undefined_column USING MESSAGE = format('%s has no column %s (%s).', relation, missing, role);
    END IF;
    RETURN ARRAY(SELECT a.attnum FROM pg_attribute a
                 WHERE a.attrelid = relation AND a.attname = ANY (names) AND a.attnum > 0 ORDER BY a.attnum);
END
$body$;

-- Watches a table, or changes how it is watched; again with the same arguments it changes nothing. Returns the watch's number.
CREATE OR REPLACE FUNCTION sseapp.watch(
    "table" regclass, range_column name DEFAULT NULL, hide name[] DEFAULT '{}', only_columns name[] DEFAULT NULL,
    subscribers_see_all_rows boolean DEFAULT false
) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    wanted sseapp.watched_table := sseapp.wanted("table", range_column, coalesce(hide, '{}'), only_columns,
                                                 subscribers_see_all_rows);
BEGIN
    IF NOT sseapp.is_in_force(wanted) THEN
        PERFORM sseapp.warn_of_owner("table");
        PERFORM sseapp.warn_of_neighbours("table");
        -- no change may be under way that the triggers do not see
        PERFORM sseapp.lock_tables(ARRAY["table"], CASE WHEN sseapp.leftovers(wanted) = '{}' THEN 'SHARE ROW EXCLUSIVE'
                                                        ELSE 'ACCESS EXCLUSIVE' END);
        -- another caller may have been first
        IF NOT sseapp.is_in_force(wanted) THEN
            PERFORM sseapp.put_in_force(wanted);
        END IF;
    END IF;
    PERFORM sseapp.warn_of_names("table");
    RETURN (SELECT w.id FROM sseapp.watched_table w WHERE w.relation = "table");
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.put_in_force(wanted sseapp.watched_table) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    present sseapp.watched_table;
BEGIN
    PERFORM sseapp.drop_triggers(wanted.relation, sseapp.leftovers(wanted));
    INSERT INTO sseapp.watched_table AS w
        (relation, range_attnum, range_name, hidden, hidden_names, shown, see_all, trigger)
    VALUES (wanted.relation, wanted.range_attnum, wanted.range_name, wanted.hidden, wanted.hidden_names,
            wanted.shown, wanted.see_all, wanted.trigger)
    ON CONFLICT ON CONSTRAINT watched_table_relation_key DO UPDATE SET
        range_attnum = EXCLUDED.range_attnum, range_name = EXCLUDED.range_name, hidden = EXCLUDED.hidden,
        hidden_names = EXCLUDED.hidden_names, shown = EXCLUDED.shown,
        see_all = EXCLUDED.see_all, trigger = EXCLUDED.trigger, failure = NULL
    RETURNING * INTO present;
    PERFORM sseapp.check_columns(present);
    PERFORM sseapp.create_triggers(present);
    PERFORM sseapp.mark_crash();
    -- for as long as the log is kept by default, until a listener comes
    PERFORM sseapp.keep_logging(3600000);
    PERFORM sseapp.tell_reset(present.id, CASE WHEN present.shape IS NULL THEN 'the table is watched' ELSE 'the watch was changed' END);
    UPDATE sseapp.watched_table w SET shape = s.shape FROM sseapp.shapes(present.id) s WHERE w.id = present.id;
END
$body$;

-- Of the names to hide, those of columns that were hidden so far and have been dropped: a column that is created again under such a name must
-- stay hidden. The name of one that was renamed is none, unless its new name is to be hidden too. (The numbers stand first, as their names do.)
CREATE OR REPLACE FUNCTION sseapp.gone_names(relation regclass, hide name[]) RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT ARRAY(
        SELECT h.name FROM sseapp.watched_table w, unnest(w.hidden_names) WITH ORDINALITY h(name, place)
        WHERE w.relation = gone_names.relation AND h.name = ANY (hide)
          AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = w.relation AND a.attnum > 0 AND a.attname = h.name)
          AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = w.relation AND a.attnum = w.hidden[h.place]
                          AND NOT a.attisdropped AND a.attname <> ALL (hide))
        ORDER BY h.name)
$body$;

-- What watched_table will hold for these arguments. Refuses what cannot be.
CREATE OR REPLACE FUNCTION sseapp.wanted(
    relation regclass, range_column name, hide name[], only_columns name[], see_all boolean
) RETURNS sseapp.watched_table
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    refusal text := sseapp.refusal(relation, see_all);
    gone name[] := sseapp.gone_names(relation, hide);
    result sseapp.watched_table;
BEGIN
    IF relation IS NULL OR refusal IS NOT NULL THEN
        RAISE wrong_object_type USING MESSAGE = coalesce(refusal, 'Which table? It is NULL.');
    ELSIF only_columns IS NOT NULL AND cardinality(hide) > 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'Give hide or only_columns, not both.';
    END IF;
    result.relation := relation;
    result.see_all := coalesce(see_all, false);
    result.range_name := range_column;
    result.range_attnum := CASE WHEN range_column IS NOT NULL
                                THEN (sseapp.numbers(relation, ARRAY[range_column], 'range column'))[1] END;
    result.shown := CASE WHEN only_columns IS NOT NULL THEN sseapp.numbers(relation, only_columns, 'only_columns') END;
    -- triggers do not see the value of a virtual generated column
    result.hidden := sseapp.numbers(relation, ARRAY(
        SELECT h.name FROM unnest(hide) h(name) WHERE h.name IS NULL OR h.name <> ALL (gone) UNION ALL
        SELECT a.attname FROM pg_attribute a
        WHERE a.attrelid = relation AND a.attgenerated = 'v' AND NOT a.attisdropped AND only_columns IS NULL), 'hide');
    result.hidden_names := ARRAY(SELECT a.attname FROM pg_attribute a
                                 WHERE a.attrelid = relation AND a.attnum = ANY (result.hidden) ORDER BY a.attnum) || gone;
    result.trigger := ARRAY[CASE WHEN sseapp.is_plain(relation) THEN 'log_rows' ELSE 'log_row' END, relation::oid::text];
    IF result.shown IS NOT NULL OR result.hidden_names <> '{}' THEN
        result.trigger := result.trigger || ARRAY[CASE WHEN result.shown IS NULL THEN 'hide' ELSE 'show' END,
            coalesce(result.shown, result.hidden)::text, result.hidden_names::text, sseapp.binding()];
    END IF;
    RETURN result;
END
$body$;

-- Whether the table is watched just so, and the triggers are in place.
CREATE OR REPLACE FUNCTION sseapp.is_in_force(wanted sseapp.watched_table) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN EXISTS (
        SELECT FROM sseapp.watched_table w, sseapp.shapes(w.id) s
        WHERE w.relation = wanted.relation AND sseapp.trouble(s.shape) IS NULL
          AND (w.range_attnum, w.range_name, w.see_all, w.trigger)
              IS NOT DISTINCT FROM (wanted.range_attnum, wanted.range_name, wanted.see_all, wanted.trigger));
END
$body$;

-- Refuses to leave out what tells rows apart or places them in time, and a range column that has no ranges.
CREATE OR REPLACE FUNCTION sseapp.check_columns(present sseapp.watched_table) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    seen smallint[] := ARRAY(SELECT v.attnum FROM sseapp.visible_column v WHERE v.watch = present.id);
    every smallint[] := ARRAY(SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = present.relation AND a.attnum > 0);
    -- without its key the next best may still do, but not in place of a primary one
    needed smallint[] := present.range_attnum || present.shown || ARRAY(
        SELECT unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) FROM pg_index i
        WHERE i.indrelid = present.relation AND i.indisprimary AND i.indimmediate)
        || CASE WHEN sseapp.key(present.relation, seen) IS NULL THEN sseapp.key(present.relation, every) END;
    lost record;
    range_type regtype := (SELECT sseapp.base_type(a.atttypid) FROM pg_attribute a
                           WHERE a.attrelid = present.relation AND a.attnum = present.range_attnum);
BEGIN
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS names, bool_or(a.attgenerated = 'v') AS virtual INTO lost
    FROM pg_attribute a WHERE a.attrelid = present.relation AND a.attnum = ANY (needed)
      AND a.attnum <> ALL (seen);
    IF lost.virtual THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            '%s: triggers do not see the values of virtual generated columns (%s).', present.relation, lost.names);
    ELSIF lost.names IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('%s: subscribers need the key and the range column, so they cannot be left out (%s).',
                             present.relation, lost.names),
            HINT = CASE WHEN present.shown IS NULL THEN 'Do not hide them.' ELSE 'Name them in only_columns too.' END;
    ELSIF seen = '{}' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s: no column is left to see.', present.relation);
    ELSIF range_type NOT IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'int2'::regtype, 'int4'::regtype,
                             'int8'::regtype, 'numeric'::regtype, 'float4'::regtype, 'float8'::regtype) THEN
        RAISE wrong_object_type USING MESSAGE = format(
            '%s: a range column is a date, a timestamp or a number; %I is of type %s.', present.relation, present.range_name, range_type);
    END IF;
END
$body$;

-- Ends a watch; whether there was one.
CREATE OR REPLACE FUNCTION sseapp.unwatch("table" regclass) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    watch integer := (SELECT w.id FROM sseapp.watched_table w WHERE w.relation = "table");
BEGIN
    IF watch IS NULL THEN
        RETURN false;
    END IF;
    PERFORM sseapp.lock_tables(ARRAY["table"], 'ACCESS EXCLUSIVE');
    PERFORM sseapp.drop_triggers("table", sseapp.trigger_names(watch, 'log_rows')::name[]);
    PERFORM sseapp.drop_functions(watch);
    PERFORM sseapp.count_losses(watch);
    PERFORM sseapp.tell_reset(watch, 'the table is no longer watched');
    DELETE FROM sseapp.watched_table w WHERE w.id = watch;
    DELETE FROM sseapp.entangled_table e WHERE e.relation = "table";
    RETURN true;
END
$body$;

-- What is watched, for people.
CREATE OR REPLACE VIEW sseapp.watched AS
    SELECT n.nspname AS schema, c.relname AS "table",
           (SELECT array_agg(a.attname ORDER BY k.place)
            FROM jsonb_array_elements_text(nullif(s.shape -> 'key', 'null')) WITH ORDINALITY k(number, place)
            JOIN pg_attribute a ON a.attrelid = w.relation AND a.attnum = k.number::smallint) AS key,
           (SELECT a.attname FROM pg_attribute a
            WHERE a.attrelid = w.relation AND a.attnum = w.range_attnum AND NOT a.attisdropped) AS range_column,
           (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = w.relation AND NOT a.attisdropped
              AND (a.attnum = ANY (w.hidden) OR a.attname = ANY (w.hidden_names))) AS hidden,
           (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = w.relation AND NOT a.attisdropped AND a.attnum = ANY (w.shown)) AS only_columns,
           w.since, coalesce('the table could not be checked: ' || w.failure,
                             sseapp.unserved(w.relation, w.see_all), sseapp.trouble(s.shape),
                             sseapp.row_security(w.relation)) AS trouble
    FROM sseapp.watched_table w JOIN pg_class c ON c.oid = w.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN sseapp.shapes() s ON s.watch = w.id;
