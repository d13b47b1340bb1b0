-- Writes the functions of each watch, from the catalog: at the watch, and again at each change of the table's columns. They hold literals only, so
-- that a single row comes by few expressions; every name and operator is qualified, so that the writer's search_path means nothing to them;
-- and settings are looked at only where the text of a column depends on them. What they are like: SELECT sseapp.functions(number of the watch).

-- What the functions of a table are written by: its columns by number, name and type, and how these print. Columns are renumbered by a dump, which the
-- binding tells.
CREATE OR REPLACE FUNCTION sseapp.stamp(relation oid) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $body$
DECLARE
    told text := sseapp.current_name('sseapp.binding'::regclass, 2::smallint);
    one record;
BEGIN
    FOR one IN SELECT a.attnum, a.atttypid, a.atttypmod FROM pg_attribute a
               WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum LOOP
        told := told || format('/%s %s %s %s', one.attnum, sseapp.current_name(relation, one.attnum), one.atttypid, one.atttypmod)
            || CASE WHEN one.atttypid >= 16384 THEN concat(sseapp.form(one.atttypid), sseapp.settings(one.atttypid)) ELSE '' END;
        EXIT WHEN told IS NULL;
    END LOOP;
    RETURN md5(told);
END
$body$;

-- Whether the table is still what its functions were written by. Called IMMUTABLE, though it is not, so that its result becomes a part of the
-- caller's plan, and costs nothing: a plan that names a relation by a constant is made anew when that relation changes, and then this is asked again.
-- "others" are such constants, too: of composite types.
CREATE OR REPLACE FUNCTION sseapp.is_unchanged(relation regclass, others regclass[], stamp text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN coalesce(sseapp.stamp(relation) = stamp, false);
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END
$body$;

-- The columns that subscribers may see, as they are called now, each as it becomes JSON: "prefix" is what the row goes by.
CREATE OR REPLACE FUNCTION sseapp.column_list(watch integer, prefix text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $body$
#variable_conflict use_variable
BEGIN
    RETURN (
        SELECT string_agg(
            replace(CASE sseapp.form(v.atttypid)
                WHEN 'r' THEN '@'
                WHEN 'j' THEN format('sseapp.guarded_json(%s, @)', watch)
                ELSE CASE WHEN sseapp.has_own_output(v.atttypid) THEN format('sseapp.guarded_text(%s, @)', watch)
                          ELSE 'CASE WHEN pg_catalog.num_nulls(@) OPERATOR(pg_catalog.=) 0 THEN pg_catalog.format(''%s'', @) END' END
            END, '@', prefix || '.' || quote_ident(v.name)) || ' AS ' || quote_ident(v.name), ', ' ORDER BY v.attnum)
        FROM sseapp.seen_columns(watch) v);
END
$body$;

-- The columns that subscribers may see, by the names that they have now, also for a transaction whose snapshot is older.
CREATE OR REPLACE FUNCTION sseapp.seen_columns(watch integer) RETURNS TABLE (attnum smallint, name text, atttypid oid, atttypmod integer)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT a.attnum, c.name, a.atttypid, a.atttypmod
    FROM sseapp.watched_table w JOIN pg_attribute a ON a.attrelid = w.relation,
         LATERAL (SELECT sseapp.current_name(w.relation, a.attnum) OFFSET 0) c(name)
    WHERE w.id = seen_columns.watch AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v' AND c.name IS NOT NULL
      AND CASE WHEN w.shown IS NULL THEN a.attnum <> ALL (w.hidden) AND c.name <> ALL (w.hidden_names::text[])
               ELSE a.attnum = ANY (w.shown) END
    ORDER BY a.attnum;
END
$body$;

-- Whether a type is printed by a function that is not PostgreSQL's own.
CREATE OR REPLACE FUNCTION sseapp.has_own_output(type oid) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT EXISTS (SELECT FROM sseapp.type_parts(type) p JOIN pg_type t ON t.oid = p.part JOIN pg_proc f ON f.oid = t.typoutput
                   JOIN pg_language l ON l.oid = f.prolang WHERE l.lanname <> 'internal')
$body$;

-- How many bytes the text of a row has that goes by "prefix", about: of the columns that have no bound. Null where all have one. Of a text that lies
-- outside of the row the length is known without reading it.
CREATE OR REPLACE FUNCTION sseapp.row_size(watch integer, prefix text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $body$
BEGIN
    RETURN (
        SELECT '0::pg_catalog.int8' || string_agg(' OPERATOR(pg_catalog.+) ' || replace(
            CASE WHEN b.type IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'bytea'::regtype)
                THEN 'COALESCE(pg_catalog.octet_length(@), 0)'
                ELSE 'CASE WHEN pg_catalog.pg_column_size(@) OPERATOR(pg_catalog.>) 100000 THEN sseapp.text_size(@) ELSE 0 END' END,
            '@', prefix || '.' || quote_ident(v.name)), '' ORDER BY v.attnum)
        FROM sseapp.seen_columns(watch) v, LATERAL (SELECT sseapp.base_type(v.atttypid)) b(type) JOIN pg_type t ON t.oid = b.type
        WHERE t.typlen = -1 AND b.type NOT IN ('numeric'::regtype, 'inet'::regtype, 'cidr'::regtype)
          AND NOT (v.atttypmod BETWEEN 0 AND 100000
                   AND b.type IN ('varchar'::regtype, 'bpchar'::regtype, 'bit'::regtype, 'varbit'::regtype)));
END
$body$;

-- What the functions of a watch are made of.
CREATE OR REPLACE FUNCTION sseapp.function_parts(watch integer) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $body$
#variable_conflict use_variable
DECLARE
    known sseapp.watched_table;
    is_parent boolean;
    is_whole boolean;
    settings text[];
    others text;
BEGIN
    SELECT w.* INTO known FROM sseapp.watched_table w WHERE w.id = watch;
    is_parent := (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = known.relation);
    -- the row as it is, where nothing is left out and every column prints itself; a partition's columns have an order of their own
    is_whole := NOT is_parent AND NOT EXISTS (
        SELECT FROM pg_attribute a LEFT JOIN sseapp.seen_columns(watch) v ON v.attnum = a.attnum
        WHERE a.attrelid = known.relation AND a.attnum > 0 AND NOT a.attisdropped AND (v.attnum IS NULL OR sseapp.form(a.atttypid) <> 'r'));
    settings := ARRAY(SELECT DISTINCT s FROM sseapp.seen_columns(watch) v, unnest(sseapp.settings(v.atttypid)) s ORDER BY s);
    SELECT string_agg(DISTINCT format('%L::pg_catalog.regclass', p.relation), ', ') INTO others
    FROM sseapp.seen_columns(watch) v, sseapp.type_parts(v.atttypid) p WHERE p.kind = 'c';
    RETURN jsonb_build_object(
        'watch', watch, 'relation', known.relation::oid, 'is_whole', is_whole,
        'is_ours', CASE WHEN is_parent THEN replace(
            '(pg_catalog.pg_partition_root(TG_RELID) OPERATOR(pg_catalog.=) @ OR sseapp.is_partition(TG_RELID, @))', '@', known.relation::oid::text)
            ELSE 'TG_RELID OPERATOR(pg_catalog.=) ' || known.relation::oid END,
        'is_unchanged', format('sseapp.is_unchanged(''%s''::pg_catalog.regclass, ARRAY[%s]::pg_catalog.regclass[], %L)',
                               known.relation::oid, others, sseapp.stamp(known.relation)),
        'is_bound', format('sseapp.current_name(''sseapp.binding''::pg_catalog.regclass, 2::pg_catalog.int2) OPERATOR(pg_catalog.=) %L',
                           sseapp.binding()),
        'settings', settings,
        'is_pinned', (SELECT string_agg(format('pg_catalog.current_setting(%L) OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.text[])', p.name, p.alike),
                                        ' AND ' ORDER BY p.name)
                      FROM sseapp.pinned_settings() p WHERE p.name = ANY (settings)));
END
$body$;

-- Writes the functions of a watch. They run with the rights of the role that installed sseapp, whoever has the table watched.
CREATE OR REPLACE FUNCTION sseapp.write_functions(watch integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT * FROM sseapp.function_texts(watch) LOOP
        PERFORM sseapp.run(format('CREATE OR REPLACE FUNCTION sseapp.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS %L', one.name, one.body));
        PERFORM sseapp.run(format('REVOKE ALL ON FUNCTION sseapp.%I() FROM PUBLIC', one.name));
    END LOOP;
END
$body$;

-- The names of a watch's functions, whether they are there or not.
CREATE OR REPLACE FUNCTION sseapp.function_names(watch integer) RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $body$
    SELECT ARRAY['log_' || watch, 'log_' || watch || '_update', 'log_' || watch || '_delete']
$body$;

CREATE OR REPLACE FUNCTION sseapp.drop_functions(watch integer, besides text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'sseapp'::regnamespace
                AND p.proname = ANY (sseapp.function_names(watch)) AND p.proname <> ALL (besides)
                -- of a table that was dropped, and that a dump has brought back
                AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid) LOOP
        PERFORM sseapp.run(format('DROP FUNCTION sseapp.%I()', name));
    END LOOP;
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.function_texts(watch integer) RETURNS TABLE (name text, body text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_variable
DECLARE
    parts jsonb := sseapp.function_parts(watch);
BEGIN
    IF (SELECT w.trigger[1] FROM sseapp.watched_table w WHERE w.id = watch) = 'log_row' THEN
        RETURN QUERY SELECT 'log_' || watch, sseapp.row_function(parts);
        RETURN;
    END IF;
    RETURN QUERY SELECT 'log_' || watch, sseapp.rows_function(parts, 'INSERT')
        UNION ALL SELECT 'log_' || watch || '_update', sseapp.rows_function(parts, 'UPDATE')
        UNION ALL SELECT 'log_' || watch || '_delete', sseapp.rows_function(parts, 'DELETE');
END
$body$;

-- The text of a watch's functions, to be read.
CREATE OR REPLACE FUNCTION sseapp.functions(watch integer) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT string_agg(format(E'-- sseapp.%s()\n%s', t.name, t.body), E'\n\n' ORDER BY t.name) FROM sseapp.function_texts(watch) t
$body$;
