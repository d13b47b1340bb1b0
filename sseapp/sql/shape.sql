-- What a watched table looks like: its visible columns, key, partitions. What triggers cannot see is found by comparing.

CREATE OR REPLACE VIEW sseapp.visible_column AS
    SELECT w.id AS watch, a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull
    FROM sseapp.watched_table w JOIN pg_attribute a ON a.attrelid = w.relation
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
      AND CASE WHEN w.shown IS NULL THEN a.attnum <> ALL (w.hidden) AND a.attname <> ALL (w.hidden_names)
               ELSE a.attnum = ANY (w.shown) END;

-- The type below a domain.
CREATE OR REPLACE FUNCTION sseapp.base_type(type oid) RETURNS regtype
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    below oid := type;
BEGIN
    WHILE below <> 0 LOOP
        type := below;
        SELECT t.typbasetype INTO below FROM pg_type t WHERE t.oid = type;
    END LOOP;
    RETURN type;
END
$body$;

-- The partitions of a partitioned table, at every level. pg_partition_tree() would lock them all.
CREATE OR REPLACE FUNCTION sseapp.partitions(root oid) RETURNS TABLE (relation oid, detaching boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH RECURSIVE tree AS (
        SELECT c.oid AS relation, false AS detaching FROM pg_class c WHERE c.oid = root AND c.relkind = 'p'
        UNION ALL
        SELECT i.inhrelid, t.detaching OR i.inhdetachpending FROM tree t JOIN pg_inherits i ON i.inhparent = t.relation)
    SELECT * FROM tree WHERE tree.relation <> root
$body$;

-- Where the partitions' rows are stored, by partition; null for a plain table, whose TRUNCATE a trigger sees.
CREATE OR REPLACE FUNCTION sseapp.storage(root oid) RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT jsonb_object_agg(p.relation, c.relfilenode::text || CASE WHEN p.detaching THEN ' detaching' ELSE '' END)
    FROM sseapp.partitions(root) p JOIN pg_class c ON c.oid = p.relation
$body$;

CREATE OR REPLACE FUNCTION sseapp.primary_key(root oid) RETURNS smallint[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT i.indkey::smallint[] FROM pg_index i WHERE i.indrelid = root AND i.indisprimary
$body$;

-- The columns that tell the rows apart, in the index's order: the primary key, or a unique index over columns that are never
-- null. Null if there is none, or none whose columns are all visible, or only one that may be violated until the commit.
CREATE OR REPLACE FUNCTION sseapp.key(watch integer) RETURNS smallint[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT k.columns
    FROM sseapp.watched_table w JOIN pg_index i ON i.indrelid = w.relation JOIN pg_class c ON c.oid = i.indexrelid,
         LATERAL (SELECT (i.indkey::smallint[])[0:i.indnkeyatts - 1]) k(columns)
    WHERE w.id = watch AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
      AND i.indnkeyatts = (SELECT count(*) FROM sseapp.visible_column v
                           WHERE v.watch = w.id AND v.attnotnull AND v.attnum = ANY (k.columns))
      AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.conrelid = w.relation AND n.contype = 'n' AND NOT n.convalidated
                      AND n.conkey[1] = ANY (k.columns))
    ORDER BY i.indisprimary DESC, i.indisreplident DESC, i.indnkeyatts, c.relname LIMIT 1
$body$;

-- The state of our triggers on the table and on its partitions, by table; its first letter is pg_trigger.tgenabled, '-' if missing.
CREATE OR REPLACE FUNCTION sseapp.triggers(watch integer) RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT jsonb_object_agg(e.relation || e.suffix, coalesce(t.tgenabled::text || t.xmin::text, '-'))
    FROM sseapp.watched_table w,
         LATERAL (SELECT w.relation::oid, '' UNION ALL SELECT w.relation, '_truncate'
                  UNION ALL SELECT p.relation, '' FROM sseapp.partitions(w.relation) p) e(relation, suffix)
         LEFT JOIN pg_trigger t ON t.tgrelid = e.relation AND t.tgname = format('!sseapp_%s%s', watch, e.suffix)
    WHERE w.id = watch
$body$;

-- What a type's name does not tell: an enum's labels, a composite's columns; null for others.
CREATE OR REPLACE FUNCTION sseapp.type_detail(type oid) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    inner_type pg_type;
BEGIN
    LOOP
        SELECT t.* INTO inner_type FROM pg_type t WHERE t.oid = type;
        type := CASE WHEN inner_type.typtype = 'd' THEN inner_type.typbasetype
                     WHEN inner_type.typcategory = 'A' THEN inner_type.typelem END;
        EXIT WHEN coalesce(type, 0) = 0;
    END LOOP;
    RETURN CASE inner_type.typtype
        WHEN 'e' THEN (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = inner_type.oid)
        WHEN 'c' THEN (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
                       FROM pg_attribute a WHERE a.attrelid = inner_type.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
    END;
END
$body$;

-- All of it; null when the table is gone.
CREATE OR REPLACE FUNCTION sseapp.shape(watch integer) RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT jsonb_build_object(
        'name', jsonb_build_array(n.nspname, c.relname),
        'columns', (SELECT jsonb_agg(jsonb_build_array(v.attnum, v.attname, format_type(v.atttypid, v.atttypmod),
                                                       CASE WHEN v.atttypid >= 16384 THEN sseapp.type_detail(v.atttypid) END) ORDER BY v.attnum)
                    FROM sseapp.visible_column v WHERE v.watch = w.id),
        'numbers', (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attname) ORDER BY a.attnum) FROM pg_attribute a
                   WHERE a.attrelid = w.relation AND a.attnum > 0 AND NOT a.attisdropped),
        'key', sseapp.key(w.id),
        'range', (SELECT v.attnum FROM sseapp.visible_column v WHERE v.watch = w.id AND v.attnum = w.range_attnum),
        'storage', sseapp.storage(w.relation),
        'triggers', sseapp.triggers(w.id),
        'security', c.relrowsecurity,
        'persistence', c.relpersistence,
        'mark', (SELECT m.mark FROM sseapp.crash_mark m WHERE c.relpersistence = 'u'))
    FROM sseapp.watched_table w JOIN pg_class c ON c.oid = w.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE w.id = watch
$body$;

-- Compares each watched table with what subscribers were told last, tells them of a difference once, whoever calls first.
-- Returns how many tables differed.
CREATE OR REPLACE FUNCTION sseapp.check_shapes() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    watched sseapp.watched_table;
    current_shape jsonb;
    reason text;
    found_differences integer := 0;
BEGIN
    INSERT INTO sseapp.crash_mark SELECT gen_random_uuid() WHERE NOT EXISTS (SELECT FROM sseapp.crash_mark);
    FOR watched IN SELECT w.* FROM sseapp.watched_table w WHERE w.shape IS DISTINCT FROM sseapp.shape(w.id) LOOP
        -- another listener that is at it, or a watch under way, will tell
        SELECT w.* INTO watched FROM sseapp.watched_table w WHERE w.id = watched.id FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        current_shape := sseapp.shape(watched.id);
        CONTINUE WHEN watched.shape IS NOT DISTINCT FROM current_shape;
        reason := sseapp.difference(watched.id, watched.shape, current_shape);
        IF current_shape IS NULL THEN
            DELETE FROM sseapp.watched_table w WHERE w.id = watched.id;
        ELSE
            UPDATE sseapp.watched_table w SET shape = current_shape WHERE w.id = watched.id;
        END IF;
        IF reason IS NOT NULL THEN
            PERFORM sseapp.tell_reset(watched.id, reason);
            found_differences := found_differences + 1;
        END IF;
    END LOOP;
    RETURN found_differences;
END
$body$;

-- What differs, for people; null where it is nothing to subscribers.
CREATE OR REPLACE FUNCTION sseapp.difference(watch integer, before jsonb, now jsonb) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE
        WHEN now IS NULL THEN 'the table was dropped'
        ELSE (SELECT string_agg(d.text, '; ' ORDER BY d.place) FROM (VALUES
            (1, CASE WHEN before -> 'name' <> now -> 'name' THEN 'the table was renamed' END),
            (2, CASE WHEN before -> 'columns' <> now -> 'columns' THEN 'its columns have changed' END),
            (3, CASE WHEN before -> 'key' <> now -> 'key' OR before -> 'range' <> now -> 'range' THEN 'its key has changed' END),
            (4, CASE WHEN before -> 'storage' <> now -> 'storage' THEN 'its partitions have changed' END),
            (5, CASE WHEN before -> 'triggers' <> now -> 'triggers' THEN 'its triggers were altered' END),
            (6, CASE WHEN before -> 'security' <> now -> 'security' THEN 'its row-level security has changed' END),
            (7, CASE WHEN before -> 'persistence' <> now -> 'persistence' OR before -> 'mark' <> now -> 'mark'
                THEN 'its storage was changed, or emptied by a crash' END)
        ) d(place, text))
    END
$body$;
