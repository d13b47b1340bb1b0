-- What runs inside the application's transactions. Nothing here may fail for what the application does to its tables: no
-- column is named, so that columns can come, go and change.
--
-- The triggers' arguments: 0 the watch; 1 the watched table's oid; and where columns are left out, 2 'hide' or 'show',
-- 3 their numbers, 4 their names at the time of the watch, 5 the binding.

-- Whether a trigger that fires for one table belongs to the watch of another, because it is a partition of it. Else it came
-- out of a dump, where the oid was another's.
CREATE OR REPLACE FUNCTION sseapp.is_partition(fired oid, watched oid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $body$
BEGIN
    -- mostly it is the topmost, and an expression without a query takes a tenth of the time
    IF pg_catalog.pg_partition_root(fired) = watched THEN
        RETURN true;
    END IF;
    RETURN watched IN (SELECT pg_catalog.pg_partition_ancestors(fired));
END
$body$;

-- A statement that changes several rows fires their triggers when it has changed them all. Where one of the application's
-- triggers changes a further row of the same statement, that change is logged before the row's own: [2: b -> c] before
-- [2: a -> b]. This puts the first into the second, [2: a -> c], and says whether it did.
CREATE OR REPLACE FUNCTION sseapp.is_merged(watch integer, before text, after text) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_column
DECLARE
    nested bigint := nullif(current_setting('sseapp.nested', true), '');
    later sseapp.change;
BEGIN
    IF nested IS NULL THEN
        RETURN false;
    END IF;
    SELECT c.* INTO later FROM sseapp.change c
    WHERE c.id > nested AND c.xid = pg_current_xact_id() AND c.watch = is_merged.watch AND c.old = after
    ORDER BY c.id DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF before IS NOT DISTINCT FROM later.new THEN
        DELETE FROM sseapp.change c WHERE c.id = later.id;
    ELSE
        UPDATE sseapp.change c SET old = before, kind = CASE WHEN before IS NULL THEN 'i' ELSE later.kind END
        WHERE c.id = later.id;
    END IF;
    RETURN true;
END
$body$;

-- Notes, until the transaction ends, above which id there are changes that triggers have caused.
CREATE OR REPLACE FUNCTION sseapp.note_nested() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF coalesce(current_setting('sseapp.nested', true), '') = '' THEN
        PERFORM set_config('sseapp.nested', s.last_value::text, true) FROM sseapp.change_id_seq s;
    END IF;
END
$body$;

-- What columns are called now. From the catalog's cache, not by a query: a REPEATABLE READ transaction that is older
-- than a RENAME would be told the old name, and a hidden column would be seen under its new one.
CREATE OR REPLACE FUNCTION sseapp.current_names(relation oid, numbers smallint[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE
AS $body$
DECLARE
    number smallint;
    names text[] = '{}';
BEGIN
    FOREACH number IN ARRAY numbers LOOP
        names := names || (pg_catalog.pg_identify_object_as_address('pg_catalog.pg_class'::regclass, relation, number)).object_names[3];
    END LOOP;
    RETURN names;
END
$body$;

-- The text with every \u and \\ written so that nothing is left for a parser to decode, and back. Inside JSON, backslashes
-- pair from the left, as replace() takes them; a control character is never there to be mistaken. (Backslashes stand in E'' here: what
-- they mean in '' is a setting of the writer's.)
CREATE OR REPLACE FUNCTION sseapp.masked(json_text text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $body$
    SELECT replace(replace(replace(replace(json_text, E'\\\\', E'\x01'), E'\\u', E'\x02'), E'\x01', E'\\\\a'), E'\x02', E'\\\\b')
$body$;
CREATE OR REPLACE FUNCTION sseapp.unmasked(json_text text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $body$
    SELECT replace(replace(json_text, E'\\\\b', E'\\u'), E'\\\\a', E'\\\\')
$body$;

-- Of a row's text the members with these names, in the names' order.
CREATE OR REPLACE FUNCTION sseapp.members_shown(row_text text, names text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $body$
DECLARE
    members json := row_text;
    name text;
    result text := '';
BEGIN
    FOREACH name IN ARRAY names LOOP
        result := result || coalesce(',' || to_json(name)::text || ':' || (members -> name)::text, '');
    END LOOP;
    RETURN '{' || substr(result, 2) || '}';
END
$body$;

-- Of a row's text the members without these names. A member is cut out where its text is in the row's just once; where a
-- nested one looks the same, the row is put together anew, which takes five times as long.
CREATE OR REPLACE FUNCTION sseapp.members_not_hidden(row_text text, names text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $body$
DECLARE
    result text := row_text;
    rest text;
    name text;
    member text;
BEGIN
    FOREACH name IN ARRAY names LOOP
        member := to_json(name)::text || ':' || (result::json -> name)::text;
        CONTINUE WHEN member IS NULL;
        IF starts_with(result, '{' || member || ',') THEN
            result := '{' || substr(result, length(member) + 3);
            CONTINUE;
        END IF;
        rest := replace(result, ',' || member, '');
        IF octet_length(result) - octet_length(rest) <> octet_length(member) + 1 THEN
            RETURN (SELECT '{' || coalesce(string_agg(to_json(m.key)::text || ':' || m.value::text, ',' ORDER BY m.place), '') || '}'
                    FROM json_each(row_text::json) WITH ORDINALITY m(key, value, place) WHERE m.key <> ALL (array_remove(names, NULL)));
        END IF;
        result := rest;
    END LOOP;
    RETURN result;
END
$body$;

-- Of a row's text what subscribers may see.
CREATE OR REPLACE FUNCTION sseapp.members(row_text text, names text[], shown boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT
AS $body$
DECLARE
    -- JSON's readers decode every string, and \u0000 has no decoded form
    masking boolean := strpos(row_text, E'\\u') > 0;
BEGIN
    IF masking THEN
        row_text := sseapp.masked(row_text);
        names := ARRAY(SELECT sseapp.masked(to_json(n.name)::text)::json #>> '{}' FROM unnest(names) n(name));
    END IF;
    row_text := CASE WHEN shown THEN sseapp.members_shown(row_text, names) ELSE sseapp.members_not_hidden(row_text, names) END;
    RETURN CASE WHEN masking THEN sseapp.unmasked(row_text) ELSE row_text END;
END
$body$;

-- The names, as they are now, of the columns that these arguments of a trigger hide or show; null where they came out of a dump, whose
-- numbers are another table's.
CREATE OR REPLACE FUNCTION sseapp.chosen(arguments text[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE
AS $body$
BEGIN
    IF (pg_catalog.pg_identify_object_as_address('pg_catalog.pg_class'::regclass, 'sseapp.binding'::regclass, 2)).object_names[3]
       IS DISTINCT FROM arguments[5] THEN
        RETURN NULL;
    END IF;
    RETURN sseapp.current_names(arguments[1]::oid, arguments[3]::smallint[])
        || CASE arguments[2] WHEN 'hide' THEN arguments[4]::text[] END;
END
$body$;

-- Logs a row, without the columns that subscribers may not see. The settings that its text depends on are pinned: the writer's session
-- must not leak into it.
CREATE OR REPLACE FUNCTION sseapp.log_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, MDY'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
SET quote_all_identifiers = off
AS $body$
DECLARE
    names text[];
    before text;
    after text;
BEGIN
    IF TG_RELID <> TG_ARGV[1]::oid AND NOT sseapp.is_partition(TG_RELID, TG_ARGV[1]::oid) THEN
        RETURN NULL;
    ELSIF pg_trigger_depth() > 1 THEN
        PERFORM sseapp.note_nested();
    END IF;
    -- the images first, which costs less than their text
    IF TG_OP = 'UPDATE' AND NOT OLD *<> NEW THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        before := row_to_json(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        after := row_to_json(NEW);
    END IF;
    IF TG_NARGS > 2 THEN
        names := sseapp.chosen(TG_ARGV);
        IF names IS NULL THEN
            RETURN NULL;
        END IF;
        before := sseapp.members(before, names, TG_ARGV[2] = 'show');
        after := sseapp.members(after, names, TG_ARGV[2] = 'show');
    END IF;
    IF TG_OP <> 'DELETE'
       AND (before = after OR NEW.xmax <> 0 AND sseapp.is_merged(TG_ARGV[0]::integer, before, after)) THEN
        RETURN NULL;
    END IF;
    INSERT INTO sseapp.change (watch, kind, old, new) VALUES (TG_ARGV[0]::integer, lower(TG_OP)::"char", before, after);
    IF sseapp.is_quiet() THEN
        PERFORM pg_notify('sseapp', '');
    END IF;
    RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.log_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF TG_RELID = TG_ARGV[1]::oid THEN
        -- the reason lets check_shapes() know the partitions' new storage for the work of this TRUNCATE
        INSERT INTO sseapp.change (watch, kind, reason)
        VALUES (TG_ARGV[0]::integer, 't', md5(nullif(sseapp.partitions(TG_RELID, TG_ARGV[0]::integer), '{}')::text));
        IF sseapp.is_quiet() THEN
            PERFORM pg_notify('sseapp', '');
        END IF;
    END IF;
    RETURN NULL;
END
$body$;
