-- What runs inside the application's transactions. Nothing here may fail for what the application does to its tables:
-- no column is named, so that columns can come, go and change.
--
-- Arguments: 0 the watch; 1 the watched table's oid; and where columns are left out, 2 'hide' or 'show', 3 their numbers,
-- 4 their names at the time of the watch, 5 the binding.

-- The settings that a row's text depends on are pinned: the writer's session must not leak into it.
CREATE OR REPLACE FUNCTION sseapp.log_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, MDY'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
AS $body$
DECLARE
    old_text json;
    new_text json;
BEGIN
    IF NOT sseapp.is_bound(TG_RELID, TG_ARGV[1]::oid) THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO sseapp.change (watch, kind, new) VALUES (TG_ARGV[0]::int, 'i', row_to_json(NEW));
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO sseapp.change (watch, kind, old) VALUES (TG_ARGV[0]::int, 'd', row_to_json(OLD));
    ELSE
        IF NOT (OLD *<> NEW) THEN
            RETURN NULL;
        END IF;
        old_text := row_to_json(OLD);
        new_text := row_to_json(NEW);
        IF old_text::text = new_text::text THEN
            RETURN NULL;
        END IF;
        INSERT INTO sseapp.change (watch, kind, old, new) VALUES (TG_ARGV[0]::int, 'u', old_text, new_text);
    END IF;
    PERFORM pg_notify('sseapp', '');
    RETURN NULL;
END
$body$;

-- Whether a trigger that fires for table "fired" belongs to the watch of table "watched": that is the table itself, or
-- one it is a partition of. A trigger that came out of a dump names a table of another database.
CREATE OR REPLACE FUNCTION sseapp.is_bound(fired oid, watched oid) RETURNS boolean
LANGUAGE sql STABLE
AS $body$
    SELECT fired = watched OR watched IN (SELECT pg_catalog.pg_partition_ancestors(fired))
$body$;

-- The members of a row's text that are named ("shown"), or those that are not, in their order, each as it is written.
CREATE OR REPLACE FUNCTION sseapp.members(row_text json, names text[], shown boolean) RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    coded boolean := strpos(row_text::text, '\u') > 0;
    result text;
BEGIN
    -- json_each() decodes every string, and \u0000 has no decoded form
    IF coded THEN
        row_text := replace(replace(replace(replace(row_text::text, '\\', E'\x01'), '\u', E'\x02'), E'\x01', '\\a'), E'\x02', '\\b');
        names := ARRAY(SELECT replace(replace(replace(replace(to_json(n.name)::text, '\\', E'\x01'), '\u', E'\x02'), E'\x01', '\\a'), E'\x02', '\\b')::json #>> '{}' FROM unnest(names) n(name));
    END IF;
    SELECT '{' || coalesce(string_agg(to_json(m.key)::text || ':' || m.value::text, ',' ORDER BY m.place), '') || '}'
    INTO result
    FROM json_each(row_text) WITH ORDINALITY AS m(key, value, place)
    WHERE (m.key = ANY (names)) = shown;
    IF coded THEN
        result := replace(replace(result, '\\b', '\u'), '\\a', '\\');
    END IF;
    RETURN result;
END
$body$;

-- What the columns are called now. From the catalog's cache, not by a query: a REPEATABLE READ transaction that is older
-- than a RENAME would be told the old name, and a hidden column would be seen under its new one.
CREATE OR REPLACE FUNCTION sseapp.current_names(relation oid, attnums smallint[]) RETURNS text[]
LANGUAGE sql VOLATILE
AS $body$
    SELECT ARRAY(SELECT (pg_catalog.pg_identify_object_as_address('pg_catalog.pg_class'::regclass, relation, n)).object_names[3]
                 FROM unnest(attnums) n)
$body$;

-- Whether column numbers were noted here, and not before a dump.
CREATE OR REPLACE FUNCTION sseapp.is_binding(mark text) RETURNS boolean
LANGUAGE sql VOLATILE
AS $body$
    SELECT coalesce(sseapp.current_names('sseapp.binding'::regclass, '{2}') = ARRAY[mark], false)
$body$;

-- The same where some columns are left out.
CREATE OR REPLACE FUNCTION sseapp.log_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, MDY'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
AS $body$
DECLARE
    watched oid := TG_ARGV[1];
    shown boolean := TG_ARGV[2] = 'show';
    names text[];
    old_text json;
    new_text json;
BEGIN
    IF NOT sseapp.is_bound(TG_RELID, watched) OR NOT sseapp.is_binding(TG_ARGV[5]) THEN
        RETURN NULL;
    END IF;
    names := sseapp.current_names(watched, TG_ARGV[3]::smallint[]);
    IF NOT shown THEN
        -- a column that was dropped and made again under its name is still not to be seen
        names := names || TG_ARGV[4]::text[];
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        old_text := sseapp.members(row_to_json(OLD), names, shown);
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        new_text := sseapp.members(row_to_json(NEW), names, shown);
    END IF;
    IF old_text::text = new_text::text THEN
        RETURN NULL;
    END IF;
    INSERT INTO sseapp.change (watch, kind, old, new) VALUES (TG_ARGV[0]::int, lower(left(TG_OP, 1))::"char", old_text, new_text);
    PERFORM pg_notify('sseapp', '');
    RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.log_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF TG_RELID = TG_ARGV[1]::oid THEN
        -- the reason lets check_shapes() know the partitions' new storage as this TRUNCATE's work
        INSERT INTO sseapp.change (watch, kind, reason)
        VALUES (TG_ARGV[0]::int, 't', md5(sseapp.storage(TG_RELID)::text));
        PERFORM pg_notify('sseapp', '');
    END IF;
    RETURN NULL;
END
$body$;
