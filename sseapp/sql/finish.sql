-- Last step of an install: no one else may use any of it, and what a dump brought back is put right.

REVOKE ALL ON ALL TABLES IN SCHEMA sseapp FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sseapp FROM PUBLIC;

-- Makes a watch that a dump brought back work again, under its old number. Column numbers are found by name: as the last
-- check noted them, and for hidden ones as the watch did too.
CREATE OR REPLACE FUNCTION sseapp.rewatch(restored sseapp.watched_table) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    names jsonb := restored.shape -> 'names';
    hide name[] := ARRAY(
        SELECT names ->> n::text FROM unnest(restored.hidden) n
        UNION SELECT a.attname FROM pg_attribute a WHERE a.attrelid = restored.relation AND a.attname = ANY (restored.hidden_names));
    only_columns name[] := ARRAY(SELECT names ->> n::text FROM unnest(restored.shown) n) WHERE restored.shown IS NOT NULL;
BEGIN
    PERFORM sseapp.watch(restored.relation, names ->> restored.range_attnum::text, hide, only_columns, restored.see_all);
EXCEPTION WHEN undefined_column OR wrong_object_type OR invalid_parameter_value THEN
    RAISE WARNING '% is no longer watched: %', restored.relation, SQLERRM USING HINT = 'Call sseapp.watch() for it again.';
    DELETE FROM sseapp.watched_table w WHERE w.id = restored.id;
END
$body$;

DO $body$
DECLARE
    restored sseapp.watched_table;
BEGIN
    IF sseapp.binding() IS NULL THEN
        PERFORM sseapp.bind();
        -- transaction ids of another cluster say nothing here
        DELETE FROM sseapp.change;
        DELETE FROM sseapp.mark;
        UPDATE sseapp.state SET born = gen_random_uuid(), horizon = '1:1:', horizon_id = 0, horizon_xid = '0';
        FOR restored IN SELECT * FROM sseapp.watched_table LOOP
            PERFORM sseapp.rewatch(restored);
        END LOOP;
    END IF;
END
$body$;
