-- How a column becomes JSON inside the application's transactions: decided from the catalog, so that no code of the application's runs there.

-- The settings that the text of some type depends on: the value that the log and snapshots are written with, and what else prints the same.
CREATE OR REPLACE FUNCTION sseapp.pinned_settings() RETURNS TABLE (name text, value text, alike text[])
LANGUAGE sql IMMUTABLE
AS $body$
    VALUES ('TimeZone', 'UTC', ARRAY['UTC', 'Etc/UTC']),
           ('DateStyle', 'ISO, MDY', ARRAY['ISO, MDY', 'ISO, DMY', 'ISO, YMD']),
           ('IntervalStyle', 'postgres', ARRAY['postgres']),
           ('bytea_output', 'hex', ARRAY['hex']),
           ('extra_float_digits', '1', ARRAY['1', '2', '3']),
           ('lc_monetary', 'C', ARRAY['C']),
           ('quote_all_identifiers', 'off', ARRAY['off']),
           ('search_path', 'pg_catalog, pg_temp', ARRAY['pg_catalog, pg_temp']),
           ('jit', 'off', ARRAY['off'])
$body$;

-- A type and all that its values are made of: below domains, in arrays, composites and ranges. "as_text" says that the part is printed by its
-- output function as part of a text, as the bounds of a range are; "is_leaf" that JSON has one value for it.
CREATE OR REPLACE FUNCTION sseapp.type_parts(type oid)
RETURNS TABLE (part oid, kind "char", relation oid, as_text boolean, is_leaf boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH RECURSIVE part(type, as_text) AS (
        SELECT type, false
        UNION
        SELECT i.type, p.as_text OR i.as_text
        FROM part p JOIN pg_type t ON t.oid = p.type, LATERAL (
            SELECT t.typbasetype, false WHERE t.typtype = 'd'
            UNION ALL SELECT t.typelem, false WHERE t.typcategory = 'A' AND t.typelem <> 0
            UNION ALL SELECT a.atttypid, false FROM pg_attribute a
                      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL SELECT r.rngsubtype, true FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)) i(type, as_text))
    SELECT t.oid, CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN 'a' ELSE t.typtype END, t.typrelid, p.as_text,
           NOT p.as_text AND t.typtype NOT IN ('d', 'c') AND NOT (t.typcategory = 'A' AND t.typelem <> 0)
    FROM part p JOIN pg_type t ON t.oid = p.type
$body$;

-- The types of somebody else's that a value of this type has in JSON. The cast of the extension hstore cannot fail.
CREATE OR REPLACE FUNCTION sseapp.foreign_leaves(type oid) RETURNS oid[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT ARRAY(
        SELECT p.part FROM sseapp.type_parts(type) p
        -- below it are PostgreSQL's own (FirstNormalObjectId)
        WHERE p.is_leaf AND p.part >= 16384 AND NOT EXISTS (
            SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
            WHERE d.classid = 'pg_type'::regclass AND d.objid = p.part AND d.refclassid = 'pg_extension'::regclass
              AND d.deptype = 'e' AND e.extname = 'hstore'))
$body$;

-- Whether row_to_json() would call a function of somebody else's for such a value.
CREATE OR REPLACE FUNCTION sseapp.has_json_cast(type oid) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN type >= 16384 AND EXISTS (
        SELECT FROM pg_cast c
        WHERE c.castsource = ANY (sseapp.foreign_leaves(type)) AND c.casttarget = 'json'::regtype AND c.castmethod = 'f');
END
$body$;

-- Whether the type is an enum of which PostgreSQL makes another type unasked: then its operators would be ambiguous, or those of that type.
CREATE OR REPLACE FUNCTION sseapp.has_implicit_cast(type oid) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN type >= 16384 AND EXISTS (
        SELECT FROM pg_cast c JOIN pg_type t ON t.oid = c.castsource
        WHERE c.castsource = sseapp.base_type(type) AND t.typtype = 'e' AND c.castcontext = 'i');
END
$body$;

-- How a value of the type becomes JSON:
-- r  as row_to_json() prints it: made of PostgreSQL's own types alone, whose output cannot fail;
-- t  by its output function, as a string. A type of somebody else's may have a cast to json, now or in a moment, and row_to_json() would
--    call it: a function of the application's, which may fail, or expect another search_path;
-- j  as row_to_json() prints it, but guarded: an array or composite of such types, none of which has a cast to json so far.
CREATE OR REPLACE FUNCTION sseapp.form(type oid) RETURNS "char"
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    leaves oid[] := CASE WHEN type < 16384 THEN '{}' ELSE sseapp.foreign_leaves(type) END;
BEGIN
    RETURN CASE
        WHEN leaves = '{}' THEN 'r'
        WHEN sseapp.base_type(type) = ANY (leaves) OR sseapp.has_json_cast(type) THEN 't'
        ELSE 'j'
    END;
END
$body$;

-- The settings that the JSON of the type depends on. A base type that is not PostgreSQL's own may depend on any of them.
CREATE OR REPLACE FUNCTION sseapp.settings(type oid) RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    form "char" := sseapp.form(type);
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT s.name
        FROM (SELECT p.part, p.kind, p.as_text OR form = 't' AS as_text FROM sseapp.type_parts(type) p) p, LATERAL (
            SELECT unnest(CASE
                WHEN p.part >= 16384 AND p.kind = 'b'
                    THEN ARRAY(SELECT t.name FROM sseapp.pinned_settings() t WHERE t.name NOT IN ('search_path', 'jit'))
                WHEN p.part = 'timestamptz'::regtype THEN ARRAY['TimeZone'] || CASE WHEN p.as_text THEN ARRAY['DateStyle'] END
                WHEN p.part IN ('date'::regtype, 'timestamp'::regtype) AND p.as_text THEN ARRAY['DateStyle']
                WHEN p.part = 'interval'::regtype THEN ARRAY['IntervalStyle']
                WHEN p.part = 'bytea'::regtype THEN ARRAY['bytea_output']
                WHEN p.part = 'money'::regtype THEN ARRAY['lc_monetary']
                WHEN p.part IN ('float4'::regtype, 'float8'::regtype, 'point'::regtype, 'lseg'::regtype, 'path'::regtype,
                                'box'::regtype, 'polygon'::regtype, 'line'::regtype, 'circle'::regtype)
                    THEN ARRAY['extra_float_digits']
                WHEN p.part < 16384 AND format_type(p.part, NULL) LIKE 'reg%' THEN ARRAY['search_path', 'quote_all_identifiers']
                END)) s(name)
        ORDER BY s.name);
END
$body$;

-- Sets these settings to their pinned values for the rest of the transaction; what they were, for unpin(). A function's own SET clause would do
-- so for all of them at every call.
CREATE OR REPLACE FUNCTION sseapp.pin(names text[]) RETURNS text[]
LANGUAGE plpgsql
AS $body$
DECLARE
    saved pg_catalog.text[] := '{}';
    setting pg_catalog.record;
BEGIN
    FOR setting IN SELECT s.name, s.value FROM sseapp.pinned_settings() s WHERE s.name OPERATOR(pg_catalog.=) ANY (names) LOOP
        saved := saved OPERATOR(pg_catalog.||) ARRAY[setting.name, pg_catalog.current_setting(setting.name)];
        PERFORM pg_catalog.set_config(setting.name, setting.value, true);
    END LOOP;
    RETURN saved;
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.unpin(saved text[]) RETURNS void
LANGUAGE plpgsql
AS $body$
BEGIN
    FOR place IN 1 .. pg_catalog.cardinality(saved) BY 2 LOOP
        PERFORM pg_catalog.set_config(saved[place], saved[place OPERATOR(pg_catalog.+) 1], true);
    END LOOP;
END
$body$;

-- A value as JSON where that may fail: then it is told as null, and its watch is reset.
CREATE OR REPLACE FUNCTION sseapp.guarded_json(watch integer, value anyelement) RETURNS json
LANGUAGE plpgsql
AS $body$
BEGIN
    RETURN pg_catalog.to_json(value);
EXCEPTION WHEN OTHERS THEN
    PERFORM sseapp.log_loss(watch, SQLSTATE, SQLERRM);
    RETURN NULL;
END
$body$;

-- A value as its output function prints it, where that is not PostgreSQL's own.
CREATE OR REPLACE FUNCTION sseapp.guarded_text(watch integer, value anyelement) RETURNS text
LANGUAGE plpgsql STRICT
AS $body$
BEGIN
    RETURN pg_catalog.format('%s', value);
EXCEPTION WHEN OTHERS THEN
    PERFORM sseapp.log_loss(watch, SQLSTATE, SQLERRM);
    RETURN NULL;
END
$body$;

-- How many bytes a value's text takes; more than any row may have where that cannot be told.
CREATE OR REPLACE FUNCTION sseapp.text_size(value anyelement) RETURNS integer
LANGUAGE plpgsql STRICT
AS $body$
BEGIN
    RETURN pg_catalog.octet_length(pg_catalog.format('%s', value));
EXCEPTION WHEN OTHERS THEN
    RETURN 1000000000;
END
$body$;
