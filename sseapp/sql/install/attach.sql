-- The triggers of a watch: which they are, and how they come onto a table and off it.

-- The names of a watch's triggers; "function" is what logs its rows.
CREATE OR REPLACE FUNCTION sseapp.trigger_names(watch integer, function text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    -- sorts before the application's own triggers, so that a change is logged before those it causes
    name text := '!sseapp_' || watch;
BEGIN
    RETURN ARRAY[name, name || '_truncate'] || CASE WHEN function = 'log_rows' THEN ARRAY[name || '_update', name || '_delete']
                                                    ELSE '{}' END;
END
$body$;

-- The triggers on the table that its watch would no longer have.
CREATE OR REPLACE FUNCTION sseapp.leftovers(wanted sseapp.watched_table) RETURNS name[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN ARRAY(SELECT t.tgname FROM pg_trigger t JOIN sseapp.watched_table w ON w.relation = t.tgrelid
                 WHERE t.tgrelid = wanted.relation AND t.tgname = ANY (sseapp.trigger_names(w.id, w.trigger[1]))
                   AND t.tgname <> ALL (sseapp.trigger_names(w.id, wanted.trigger[1])));
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.create_triggers(present sseapp.watched_table) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    names text[] := sseapp.trigger_names(present.id, present.trigger[1]);
    events text[] := ARRAY['INSERT OR UPDATE OR DELETE', 'TRUNCATE'];
    scopes text[] := ARRAY['FOR EACH ROW', 'FOR EACH STATEMENT'];
    functions text[] := ARRAY[format('log_%s()', present.id), format('log_truncate(%L, %L)', present.id, present.relation::oid)];
BEGIN
    IF cardinality(names) = 4 THEN
        events := ARRAY['INSERT', 'TRUNCATE', 'UPDATE', 'DELETE'];
        scopes := ARRAY['REFERENCING NEW TABLE AS touched', '', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows',
                        'REFERENCING OLD TABLE AS touched'];
        functions := functions || ARRAY[format('log_%s_update()', present.id), format('log_%s_delete()', present.id)];
    END IF;
    PERFORM sseapp.write_functions(present.id);
    FOR place IN 1 .. cardinality(names) LOOP
        PERFORM sseapp.run(format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s EXECUTE FUNCTION sseapp.%s', names[place], events[place],
                                  present.relation, scopes[place], functions[place]));
        -- session_replication_role = replica must not hide changes
        PERFORM sseapp.run(format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', present.relation, names[place]));
    END LOOP;
    PERFORM sseapp.drop_functions(present.id, ARRAY(SELECT t.name FROM sseapp.function_texts(present.id) t));
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.drop_triggers(relation regclass, names name[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $body$
DECLARE
    name name;
BEGIN
    FOREACH name IN ARRAY names LOOP
        PERFORM sseapp.run(format('DROP TRIGGER IF EXISTS %I ON %s', name, relation));
    END LOOP;
END
$body$;

-- Goes over to the triggers of rows where a table is no longer plain: that of the next watch above a number, which it returns,
-- null after the last. One a transaction, so that no table's writers wait while the next lock is waited for. What went wrong in
-- the meantime is told by the reset that follows. The next round tries again where the lock cannot be had.
CREATE OR REPLACE FUNCTION sseapp.go_by_row_after(number integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- for so long writers may wait behind it
SET lock_timeout = '20ms'
AS $body$
DECLARE
    known sseapp.watched_table;
    hint text;
BEGIN
    SELECT w.* INTO known FROM sseapp.watched_table w JOIN pg_class c ON c.oid = w.relation
    WHERE w.id > number AND w.trigger[1] = 'log_rows' AND NOT sseapp.is_plain(w.relation)
    ORDER BY w.id LIMIT 1 FOR UPDATE OF w SKIP LOCKED;
    IF FOUND THEN
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', known.relation);
            known.trigger[1] := 'log_row';
            PERFORM sseapp.drop_triggers(known.relation, sseapp.leftovers(known));
            UPDATE sseapp.watched_table w SET trigger = known.trigger WHERE w.id = known.id;
            PERFORM sseapp.create_triggers(known);
        EXCEPTION WHEN lock_not_available OR deadlock_detected OR insufficient_privilege THEN
            RAISE LOG 'sseapp: % goes over to triggers of rows later: %', known.relation, SQLERRM;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
            PERFORM sseapp.note_failure(known.id, SQLSTATE, concat_ws(' ', SQLERRM, nullif(hint, '')));
        END;
    END IF;
    RETURN known.id;
END
$body$;
