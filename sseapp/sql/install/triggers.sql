-- What the functions of the watches use, which run inside the application's transactions: see functions.sql. Nothing here may fail for what the
-- application does to its tables. JIT is off where there is a query: with settings such as enable_seqscan = off each would be compiled.

-- Whether a trigger that fires for one table belongs to the watch of another, because it is a partition of it. Else it came
-- out of a dump, where the oid was another's.
CREATE OR REPLACE FUNCTION sseapp.is_partition(fired oid, watched oid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $body$
BEGIN
    -- mostly it is the topmost, and an expression without a query takes a tenth of the time
    IF pg_catalog.pg_partition_root(fired) OPERATOR(pg_catalog.=) watched THEN
        RETURN true;
    END IF;
    RETURN watched OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT pg_catalog.pg_partition_ancestors(fired)::pg_catalog.oid));
END
$body$;

-- A statement that changes several rows fires their triggers when it has changed them all. Where one of the application's
-- triggers changes a further row of the same statement, that change is logged before the row's own: [2: b -> c] before
-- [2: a -> b]. This puts the first into the second, [2: a -> c], and says whether it did.
CREATE OR REPLACE FUNCTION sseapp.is_merged(watch integer, before text, after text) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    -- anybody may set it to anything
    nested bigint := substring(current_setting('sseapp.nested', true) FROM '^\d{1,18}$');
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
SET jit = off
AS $body$
BEGIN
    IF coalesce(current_setting('sseapp.nested', true), '') = '' THEN
        PERFORM set_config('sseapp.nested', s.last_value::text, true) FROM sseapp.change_id_seq s;
    END IF;
END
$body$;

-- What a column is called now, null where it was dropped. From the catalog's cache, not by a query: a REPEATABLE READ transaction that is older
-- than a RENAME would be told the old name, and a hidden column would be seen under its new one.
CREATE OR REPLACE FUNCTION sseapp.current_name(relation oid, number smallint) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $body$
BEGIN
    RETURN (pg_catalog.pg_identify_object_as_address('pg_catalog.pg_class'::pg_catalog.regclass, relation, number)).object_names[3];
END
$body$;

-- Notes how deep in triggers a plain table is written. Where a statement is logged after a deeper one, that one may have been fired by it, from
-- another table, and may have changed its rows again: then the order in the log is wrong. From the next check on such a table goes by row.
CREATE OR REPLACE FUNCTION sseapp.note_depth(relation oid, depth integer) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $body$
DECLARE
    -- "relation=depth", the newest first; anybody may set it to anything
    noted text := coalesce(current_setting('sseapp.depths', true), '');
    deepest integer := coalesce(substring(noted FROM format('(?:^| )%s=(\d{1,6})(?: |$)', relation))::integer, 1);
BEGIN
    IF deepest > depth THEN
        INSERT INTO sseapp.entangled_table (relation) SELECT note_depth.relation
        WHERE NOT EXISTS (SELECT FROM sseapp.entangled_table e WHERE e.relation = note_depth.relation);
    ELSIF depth > deepest THEN
        PERFORM set_config('sseapp.depths', concat_ws(' ', format('%s=%s', relation, depth), nullif(noted, '')), true);
    END IF;
END
$body$;

-- Tells that a change could not be logged, by a reset instead. Errors that are the application's own, and those that a new try may cure, it
-- raises again: a serialization failure, no resources, a shutdown, a broken disk. Always false.
CREATE OR REPLACE FUNCTION sseapp.log_loss(watch integer, state text, message text) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $body$
#variable_conflict use_variable
DECLARE
    reason text := 'a change could not be logged: ' || message;
BEGIN
    IF left(state, 2) IN ('40', '53', '57', '58') THEN
        RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message;
    END IF;
    -- the first of a transaction ends all that subscribers hold; no row that others may wait for is written
    IF NOT EXISTS (SELECT FROM sseapp.loss l WHERE l.xid = pg_current_xact_id() AND l.watch = watch) THEN
        INSERT INTO sseapp.loss (watch, reason) VALUES (watch, reason);
        INSERT INTO sseapp.change (watch, kind, reason) VALUES (watch, 'r', reason);
        IF sseapp.is_quiet() THEN
            PERFORM pg_notify('sseapp', '');
        END IF;
    END IF;
    RETURN false;
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.log_large(watch integer) RETURNS boolean
LANGUAGE plpgsql
AS $body$
BEGIN
    RETURN sseapp.log_loss(watch, '54000', 'a row is too large');
END
$body$;

-- A row with the type of a table, which a record has not.
CREATE OR REPLACE FUNCTION sseapp.as_row(example anyelement, whole record) RETURNS anyelement
LANGUAGE plpgsql
AS $body$
BEGIN
    example := whole;
    RETURN example;
END
$body$;

-- Logs a row of a table whose columns have changed since its watch's function was written: by what the catalog says now.
CREATE OR REPLACE FUNCTION sseapp.log_row_anew(watch integer, fired regclass, op text, before record, after record) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, MDY'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
SET quote_all_identifiers = off
SET jit = off
AS $body$
#variable_conflict use_variable
DECLARE
    query text := format('SELECT row_to_json(x.*)::text FROM (SELECT %s FROM (SELECT sseapp.as_row(NULL::%s, $1) AS row OFFSET 0) y) x',
                         sseapp.column_list(watch, '(y.row)'), fired);
    old text;
    new text;
BEGIN
    IF op <> 'INSERT' THEN
        EXECUTE query INTO old USING before;
    END IF;
    IF op <> 'DELETE' THEN
        EXECUTE query INTO new USING after;
    END IF;
    IF old = new OR op <> 'DELETE' AND sseapp.is_merged(watch, old, new) THEN
        RETURN;
    END IF;
    INSERT INTO sseapp.change (watch, kind, old, new) VALUES (watch, lower(op)::"char", old, new);
    IF sseapp.is_quiet() THEN
        PERFORM pg_notify('sseapp', '');
    END IF;
END
$body$;

-- The rows of a statement, for a table whose columns have changed since its watch's functions were written: a query that brings "before" and
-- "after" of each, by what the catalog says now.
CREATE OR REPLACE FUNCTION sseapp.rows_anew(watch integer, op text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $body$
DECLARE
    columns text := replace(sseapp.column_list(watch, 'r'), '%', '%%');
    json text := '(SELECT pg_catalog.row_to_json(x.*)::pg_catalog.text AS row, pg_catalog.row_number() OVER () AS place FROM (SELECT '
        || columns || ' FROM %s r) x) ';
BEGIN
    RETURN CASE op
        WHEN 'INSERT' THEN format('SELECT NULL::pg_catalog.text, a.row FROM ' || json || 'a', 'touched')
        WHEN 'DELETE' THEN format('SELECT b.row, NULL::pg_catalog.text FROM ' || json || 'b', 'touched')
        ELSE format('SELECT b.row, a.row FROM ' || json || 'b JOIN ' || json || 'a ON b.place OPERATOR(pg_catalog.=) a.place '
                    'WHERE b.row OPERATOR(pg_catalog.<>) a.row ORDER BY a.place', 'old_rows', 'new_rows')
    END;
END
$body$;

CREATE OR REPLACE FUNCTION sseapp.log_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF TG_RELID = TG_ARGV[1]::oid AND pg_sequence_last_value('sseapp.logging'::regclass) > sseapp.clock() THEN
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
