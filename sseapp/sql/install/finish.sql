-- Last step of an install: what a dump brought back is put right, and no one else may use any of it.

-- Makes a watch that a dump brought back work again, under its old number. Columns are found by name: as the last check noted
-- them, and hidden ones as the watch did too.
CREATE OR REPLACE FUNCTION sseapp.rewatch(restored sseapp.watched_table) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    names jsonb := restored.shape -> 'names';
    gone name[] := ARRAY(SELECT h.name FROM unnest(restored.hidden_names) WITH ORDINALITY h(name, place)
                         WHERE (names ? restored.hidden[h.place]::text) IS NOT TRUE);
    hide name[] := ARRAY(
        SELECT names ->> n::text FROM unnest(restored.hidden) n WHERE names ? n::text
        UNION SELECT a.attname FROM pg_attribute a WHERE a.attrelid = restored.relation AND a.attname = ANY (restored.hidden_names)
        UNION SELECT unnest(gone));
    only_columns name[] := CASE WHEN restored.shown IS NOT NULL THEN ARRAY(
        SELECT names ->> n::text FROM unnest(restored.shown) n WHERE names ? n::text) END;
BEGIN
    -- numbers of another database, which would be taken for other columns
    UPDATE sseapp.watched_table w SET hidden = '{}', hidden_names = gone WHERE w.id = restored.id;
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
        DELETE FROM sseapp.loss;
        DELETE FROM sseapp.gap;
        UPDATE sseapp.state SET born = gen_random_uuid(), horizon = '1:1:', horizon_id = 0, horizon_xid = '0';
        UPDATE sseapp.pruned SET snapshot = '1:1:', xid = '0', id = 0;
        FOR restored IN SELECT * FROM sseapp.watched_table LOOP
            PERFORM sseapp.rewatch(restored);
        END LOOP;
    END IF;
END
$body$;

-- Writes the functions of a watch anew where another version of this program wrote them, and has its triggers call them. Changes between
-- the two are not missed: the table is locked. What the check finds is told before the triggers, too, are others.
CREATE OR REPLACE FUNCTION sseapp.renew(present sseapp.watched_table) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    is_called boolean := (SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                          WHERE t.tgrelid = present.relation AND p.proname = ANY (sseapp.function_names(present.id))) > 0;
BEGIN
    IF is_called THEN
        PERFORM sseapp.write_functions(present.id);
        RETURN;
    END IF;
    PERFORM sseapp.lock_tables(ARRAY[present.relation], 'SHARE ROW EXCLUSIVE');
    PERFORM sseapp.check_shape(present.id);
    PERFORM sseapp.create_triggers(present);
    UPDATE sseapp.watched_table w SET shape = s.shape FROM sseapp.shapes(present.id) s WHERE w.id = present.id;
END
$body$;

DO $body$
BEGIN
    -- until a listener of this version comes
    PERFORM sseapp.keep_logging(3600000);
    PERFORM sseapp.renew(w) FROM sseapp.watched_table w JOIN pg_class c ON c.oid = w.relation ORDER BY w.id;
END
$body$;

-- What earlier versions had.
DROP FUNCTION IF EXISTS sseapp.has_readable_names(oid), sseapp.row_security(oid, boolean);
DROP FUNCTION IF EXISTS sseapp.log_row(), sseapp.log_rows(), sseapp.current_names(oid, smallint[]), sseapp.masked(text), sseapp.unmasked(text),
    sseapp.members_shown(text, text[]), sseapp.members_not_hidden(text, text[]), sseapp.members(text, text[], boolean), sseapp.chosen(text[]),
    sseapp.seen(json, text[], boolean);

REVOKE ALL ON ALL TABLES IN SCHEMA sseapp FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA sseapp FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sseapp FROM PUBLIC;
