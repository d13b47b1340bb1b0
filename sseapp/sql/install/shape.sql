-- What a watched table looks like. What triggers cannot see is found by comparing that with what subscribers were told last.

-- The columns that subscribers may see. Triggers do not see the value of a virtual generated column.
CREATE OR REPLACE VIEW sseapp.visible_column AS
    SELECT w.id AS watch, a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull
    FROM sseapp.watched_table w JOIN pg_attribute a ON a.attrelid = w.relation
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
      AND CASE WHEN w.shown IS NULL THEN a.attnum <> ALL (w.hidden) AND a.attname <> ALL (w.hidden_names)
               ELSE a.attnum = ANY (w.shown) END;

-- How often subscribers of a watch were reset: by the watch, its checks, or a writer.
CREATE OR REPLACE FUNCTION sseapp.generation(watch integer) RETURNS integer
LANGUAGE sql STABLE
AS $body$
    SELECT w.generation + (SELECT count(*)::integer FROM sseapp.loss l WHERE l.watch = w.id) FROM sseapp.watched_table w WHERE w.id = watch
$body$;

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

-- What a type's name does not tell: an enum's labels, a composite's columns, also below a domain, an array, a range, a composite; else null.
CREATE OR REPLACE FUNCTION sseapp.type_detail(type oid) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    kind "char";
    columns_of oid;
    inner_type oid := type;
BEGIN
    WHILE inner_type <> 0 LOOP
        type := inner_type;
        SELECT t.typtype, t.typrelid, CASE WHEN t.typtype = 'd' THEN t.typbasetype WHEN t.typcategory = 'A' THEN t.typelem ELSE coalesce(
            (SELECT r.rngsubtype FROM pg_range r WHERE type IN (r.rngtypid, r.rngmultitypid)), 0) END
        INTO kind, columns_of, inner_type FROM pg_type t WHERE t.oid = type;
    END LOOP;
    IF kind = 'e' THEN
        RETURN (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = type);
    ELSIF kind = 'c' THEN
        RETURN (SELECT jsonb_object_agg(a.attname, sseapp.type_told(a.atttypid, a.atttypmod)) FROM pg_attribute a
                WHERE a.attrelid = columns_of AND a.attnum > 0 AND NOT a.attisdropped);
    END IF;
    RETURN NULL;
END
$body$;

-- A type by its name and what that does not tell, which no type of PostgreSQL's own has.
CREATE OR REPLACE FUNCTION sseapp.type_told(type oid, modifier integer) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN jsonb_build_array(format_type(type, modifier), CASE WHEN type >= 16384 THEN sseapp.type_detail(type) END);
END
$body$;

-- The columns of an index that always tells rows apart, by columns that are "seen": unique, over all rows and columns that are
-- never null, and not only at the commit. Null where there is none.
CREATE OR REPLACE FUNCTION sseapp.key(relation oid, seen smallint[]) RETURNS smallint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN (
        SELECT k.columns FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid,
             LATERAL (SELECT (i.indkey::smallint[])[0:i.indnkeyatts - 1]) k(columns)
        WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indpred IS NULL AND i.indexprs IS NULL
          AND i.indnkeyatts = (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = relation AND a.attnotnull
                               AND a.attnum = ANY (k.columns) AND a.attnum = ANY (seen))
          -- from PostgreSQL 18 on NOT NULL may be promised for new rows only
          AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.conrelid = relation AND n.contype = 'n'
                          AND NOT n.convalidated AND n.conkey[1] = ANY (k.columns))
        ORDER BY i.indisprimary DESC, i.indisreplident DESC, i.indnkeyatts, x.relname LIMIT 1);
END
$body$;

-- The partitions of a table, at every level; null for a table that is not partitioned. For each: where it is stored, the state
-- of the row trigger (pg_trigger.tgenabled, when it was set), for an unlogged one the mark of its last crash.
-- pg_partition_tree() would lock them all.
CREATE OR REPLACE FUNCTION sseapp.partitions(root oid, watch integer) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN (
        WITH RECURSIVE tree AS (
            SELECT root AS relation, false AS detaching
            UNION ALL
            SELECT i.inhrelid, t.detaching OR i.inhdetachpending FROM tree t JOIN pg_inherits i ON i.inhparent = t.relation)
        SELECT coalesce(jsonb_object_agg(c.oid, jsonb_build_array(
            c.relfilenode, t.detaching, r.tgenabled::text || ' ' || r.xmin,
            CASE c.relpersistence WHEN 'u' THEN (SELECT m.mark FROM sseapp.crash_mark m) END)), '{}')
        FROM tree t JOIN pg_class c ON c.oid = t.relation
        LEFT JOIN pg_trigger r ON r.tgrelid = c.oid AND r.tgname = '!sseapp_' || watch
        WHERE c.oid <> root);
END
$body$;

-- The names of the table that clients cannot be told, with their bytes in octal (caf\351); null where there are none. A database of SQL_ASCII,
-- for one, takes names that are not UTF-8.
CREATE OR REPLACE FUNCTION sseapp.unreadable_names(relation oid) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF getdatabaseencoding() = 'UTF8' THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT string_agg(DISTINCT encode(convert_to(t.name, getdatabaseencoding()), 'escape'), ', ')
        FROM (SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation
              UNION ALL SELECT c.relname::text FROM pg_class c WHERE c.oid = relation
              UNION ALL SELECT v.attname::text FROM sseapp.visible_column v WHERE v.attrelid = relation
              UNION ALL SELECT format_type(v.atttypid, v.atttypmod) FROM sseapp.visible_column v WHERE v.attrelid = relation) t(name)
        WHERE sseapp.sendable(t.name) <> t.name);
END
$body$;

-- Why no client is served a watched table; null if it is served.
CREATE OR REPLACE FUNCTION sseapp.unserved(relation oid, see_all boolean) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN CASE
        WHEN sseapp.unreadable_names(relation) IS NOT NULL
            THEN format('a name of the table, of a column or of a type is not UTF-8 (%s), so the table is not served', sseapp.unreadable_names(relation))
        WHEN NOT see_all AND (SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = relation)
            THEN 'row-level security was switched on, so the table is not served: call sseapp.watch() with subscribers_see_all_rows => true'
        WHEN NOT EXISTS (SELECT FROM sseapp.visible_column v WHERE v.attrelid = relation)
            THEN 'no column is left that may be shown, so the table is not served'
        END;
END
$body$;

-- The shape of each watched table that is there (or of one).
CREATE OR REPLACE FUNCTION sseapp.shapes(one integer DEFAULT NULL) RETURNS TABLE (watch integer, shape jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN QUERY SELECT w.id, jsonb_build_object(
        'name', jsonb_build_array(n.nspname, c.relname),
        'columns', (SELECT jsonb_object_agg(v.attnum, jsonb_build_array(v.attname) || sseapp.type_told(v.atttypid, v.atttypmod)
                                              || CASE WHEN sseapp.has_json_cast(v.atttypid) THEN '["as text"]' ELSE '[]' END::jsonb
                                              || CASE WHEN sseapp.has_implicit_cast(v.atttypid) THEN '["implicit cast"]' ELSE '[]' END::jsonb)
                    FROM sseapp.visible_column v WHERE v.watch = w.id),
        'names', (SELECT jsonb_object_agg(a.attnum, a.attname) FROM pg_attribute a
                  WHERE a.attrelid = w.relation AND a.attnum > 0 AND NOT a.attisdropped),
        'range', (SELECT v.attnum FROM sseapp.visible_column v WHERE v.watch = w.id AND v.attnum = w.range_attnum),
        'key', sseapp.key(c.oid, ARRAY(SELECT v.attnum FROM sseapp.visible_column v WHERE v.watch = w.id)),
        'partitions', CASE c.relkind WHEN 'p' THEN sseapp.partitions(c.oid, w.id) END,
        'triggers', (SELECT jsonb_object_agg(e.name, coalesce(r.tgenabled::text || ' ' || r.xmin, '-'))
                     FROM unnest(sseapp.trigger_names(w.id, w.trigger[1])) e(name)
                     LEFT JOIN pg_trigger r ON r.tgrelid = c.oid AND r.tgname = e.name),
        'security', c.relrowsecurity, 'forced', c.relforcerowsecurity,
        'persistence', c.relpersistence,
        'crash', CASE c.relpersistence WHEN 'u' THEN (SELECT m.mark FROM sseapp.crash_mark m) END,
        'stamp', sseapp.stamp(c.oid))
    FROM sseapp.watched_table w JOIN pg_class c ON c.oid = w.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE one IS NULL OR w.id = one;
END
$body$;
