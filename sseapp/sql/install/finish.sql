-- Last step of an install: what a dump brought back is put right, and no one else may use any of it.

-- Makes a watch that a dump brought back work again, under its old number. Columns are found by name: as the last check noted
-- them, and hidden ones as the watch did too.
CREATE OR REPLACE FUNCTION sseapp.rewatch(restored sseapp.watched_table) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    names jsonb := restored.shape -> 'names';
    hide name[] := ARRAY(
        SELECT names ->> n::text FROM unnest(restored.hidden) n WHERE names ? n::text
        UNION SELECT a.attname FROM pg_attribute a WHERE a.attrelid = restored.relation AND a.attname = ANY (restored.hidden_names));
    only_columns name[] := CASE WHEN restored.shown IS NOT NULL THEN ARRAY(
        SELECT names ->> n::text FROM unnest(restored.shown) n WHERE names ? n::text) END;
BEGIN
    PERFORM sseapp.watch(restored.relation, names ->> restored.range_attnum::text, hide, only_columns, restored.see_all);
EXCEPTION WHEN undefined_column OR wrong_object_type OR invalid_parameter_value THEN
    RAISE WARNING '% is no longer watched: %', restored.relation, SQLERRM USING HINT = 'Call sseapp.watch() for it again.';
    PERFORM sseapp.unwatch(restored.relation);
END
$body$;

DO $body$
DECLARE
    restored sseapp.watched_table;
BEGIN
    IF sseapp.binding() IS NULL THEN
        PERFORM sseapp.bind();
        -- one that prunes now would write over this how far it has come
        PERFORM pg_advisory_xact_lock(hashtextextended('sseapp prune', 0));
        -- transaction ids of another cluster say nothing here
        DELETE FROM sseapp.change;
        DELETE FROM sseapp.mark;
        DELETE FROM sseapp.entangled_table;
        UPDATE sseapp.state SET born = gen_random_uuid(), horizon = '1:1:', horizon_id = 0, horizon_xid = '0';
        UPDATE sseapp.pruned SET snapshot = '1:1:', xid = '0', id = 0;
        FOR restored IN SELECT * FROM sseapp.watched_table LOOP
            PERFORM sseapp.rewatch(restored);
        END LOOP;
    END IF;
END
$body$;

REVOKE ALL ON ALL TABLES IN SCHEMA sseapp FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA sseapp FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sseapp FROM PUBLIC;
