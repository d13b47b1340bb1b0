-- A plain table is logged by the statement: one call for all its rows. All others are logged by the row, see triggers.sql.

-- Whether a table is plain. A statement's changes are logged when it ends, so none of its rows may be changed again before that,
-- as triggers of the application and cascades do; and all who write must name the table itself, in SQL: not a parent of it,
-- nor as logical replication does, which fires the triggers of rows only. The setting sseapp.triggers = 'row' takes no table for plain.
CREATE OR REPLACE FUNCTION sseapp.is_plain(relation oid) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    RETURN current_setting('sseapp.triggers', true) IS DISTINCT FROM 'row'
        -- whoever runs check_shapes() must be able to change the triggers when this is no longer so
        AND EXISTS (SELECT FROM pg_class c, pg_namespace n
                    WHERE c.oid = relation AND c.relkind = 'r' AND n.nspname = 'sseapp' AND pg_has_role(n.nspowner, c.relowner, 'USAGE'))
        AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = relation OR i.inhparent = relation)
        AND NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                        WHERE t.tgrelid = relation AND p.pronamespace <> 'sseapp'::regnamespace
                          -- these only look
                          AND NOT (t.tgisinternal AND p.proname IN ('RI_FKey_check_ins', 'RI_FKey_check_upd', 'RI_FKey_noaction_del',
                                   'RI_FKey_noaction_upd', 'RI_FKey_restrict_del', 'RI_FKey_restrict_upd')))
        -- cascades from other tables: those of one statement there count as one statement here, so they must be of one kind
        AND (SELECT count(*) FILTER (WHERE k.confdeltype = 'c') = 0
                 OR count(*) FILTER (WHERE k.confdeltype IN ('n', 'd') OR k.confupdtype IN ('c', 'n', 'd')) = 0
             FROM pg_constraint k WHERE k.conrelid = relation AND k.contype = 'f')
        AND NOT EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = relation)
        AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname IN ('pglogical', 'spock', 'bdr', 'timescaledb', 'citus'));
END
$body$;

-- Logs the rows of a statement as they are. The settings as in log_row(); and one plan for all, which is not made anew for each
-- statement of one row once there was one of many.
CREATE OR REPLACE FUNCTION sseapp.log_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, MDY'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict use_variable
BEGIN
    IF TG_RELID <> TG_ARGV[1]::oid THEN
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO sseapp.change (watch, kind, new) SELECT TG_ARGV[0]::integer, 'i', row_to_json(n.*) FROM new_rows n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO sseapp.change (watch, kind, old) SELECT TG_ARGV[0]::integer, 'd', row_to_json(o.*) FROM old_rows o;
    ELSE
        -- both tables are filled side by side, so that a row's two versions have the same place. A FULL JOIN, as the plan is kept
        -- from a statement of one row to one of a million, and there is no nested loop for it; OFFSET 0 lets it stay one.
        INSERT INTO sseapp.change (watch, kind, old, new)
        SELECT TG_ARGV[0]::integer, 'u', t.before, t.after
        FROM (SELECT place, o.before, n.after
              FROM (SELECT row_number() OVER () AS place, row_to_json(o.*) AS before FROM old_rows o) o
              FULL JOIN (SELECT row_number() OVER () AS place, row_to_json(n.*) AS after FROM new_rows n) n USING (place)
              OFFSET 0) t
        WHERE t.before::text <> t.after::text ORDER BY t.place;
    END IF;
    IF FOUND AND sseapp.is_quiet() THEN
        PERFORM pg_notify('sseapp', '');
    END IF;
    RETURN NULL;
END
$body$;

-- Logs the rows of a statement without the columns that subscribers may not see.
CREATE OR REPLACE FUNCTION sseapp.log_rows_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, MDY'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict use_variable
DECLARE
    shown boolean := TG_ARGV[2] = 'show';
    names text[];
BEGIN
    IF TG_RELID <> TG_ARGV[1]::oid
       OR (pg_identify_object_as_address('pg_class'::regclass, 'sseapp.binding'::regclass, 2)).object_names[3]
          IS DISTINCT FROM TG_ARGV[5] THEN
        RETURN NULL;
    END IF;
    names := sseapp.current_names(TG_ARGV[1]::oid, TG_ARGV[3]::smallint[]);
    IF NOT shown THEN
        names := names || TG_ARGV[4]::text[];
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO sseapp.change (watch, kind, new)
        SELECT TG_ARGV[0]::integer, 'i', sseapp.members(row_to_json(n.*)::text, names, shown) FROM new_rows n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO sseapp.change (watch, kind, old)
        SELECT TG_ARGV[0]::integer, 'd', sseapp.members(row_to_json(o.*)::text, names, shown) FROM old_rows o;
    ELSE
        INSERT INTO sseapp.change (watch, kind, old, new)
        SELECT TG_ARGV[0]::integer, 'u', t.before, t.after
        FROM (SELECT place, o.before, n.after
              FROM (SELECT row_number() OVER () AS place, sseapp.members(row_to_json(o.*)::text, names, shown) AS before
                    FROM old_rows o) o
              FULL JOIN (SELECT row_number() OVER () AS place, sseapp.members(row_to_json(n.*)::text, names, shown) AS after
                         FROM new_rows n) n USING (place)
              OFFSET 0) t
        WHERE t.before::text <> t.after::text ORDER BY t.place;
    END IF;
    IF FOUND AND sseapp.is_quiet() THEN
        PERFORM pg_notify('sseapp', '');
    END IF;
    RETURN NULL;
END
$body$;
