-- Takes everything away: the triggers on watched tables, then the schema.

DO $body$
DECLARE
    found_trigger record;
BEGIN
    IF to_regnamespace('sseapp') IS NULL THEN
        RETURN;
    END IF;
    PERFORM sseapp.lock_tables(ARRAY(
        SELECT t.tgrelid::regclass FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE p.pronamespace = 'sseapp'::regnamespace
        UNION
        SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'sseapp'::regnamespace AND c.relkind = 'r'
    ), 'ACCESS EXCLUSIVE');
    FOR found_trigger IN
        SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE p.pronamespace = 'sseapp'::regnamespace AND t.tgparentid = 0
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', found_trigger.tgname, found_trigger.relation);
    END LOOP;
    DROP SCHEMA sseapp CASCADE;
END
$body$;
