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
        AND NOT EXISTS (SELECT FROM sseapp.entangled_table e WHERE e.relation = is_plain.relation)
        AND NOT EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = relation)
        AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname IN ('pglogical', 'spock', 'bdr', 'timescaledb', 'citus'));
END
$body$;

-- Notes how deep in triggers a plain table is written. Where a statement is logged after a deeper one, that one may have been fired by it, from
-- another table, and may have changed its rows again: then the order in the log is wrong. From the next check on such a table goes by row.
CREATE OR REPLACE FUNCTION sseapp.note_depth(relation oid, depth integer) RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
    noted jsonb := coalesce(nullif(current_setting('sseapp.depths', true), ''), '{}');
    deepest integer := coalesce((noted ->> relation::text)::integer, 1);
BEGIN
    IF deepest > depth THEN
        INSERT INTO sseapp.entangled_table SELECT relation
        WHERE NOT EXISTS (SELECT FROM sseapp.entangled_table e WHERE e.relation = note_depth.relation);
    ELSIF depth > deepest THEN
        PERFORM set_config('sseapp.depths', (noted || jsonb_build_object(relation, depth))::text, true);
    END IF;
END
$body$;

-- Of a row what subscribers may see; "names" as of chosen(), null where they see all. An expression, so that it becomes part of the caller's.
CREATE OR REPLACE FUNCTION sseapp.seen(whole json, names text[], shown boolean) RETURNS text
LANGUAGE sql VOLATILE
AS $body$
    SELECT CASE WHEN names IS NULL THEN whole::text ELSE sseapp.members(whole::text, names, shown) END
$body$;

-- Logs the rows of a statement, without the columns that subscribers may not see. The settings as in log_row(); and one plan for all, which
-- is not made anew for each statement of one row once there was one of many.
--
-- Many rows are logged in packs of up to 32 of them. With rows of up to some 400 bytes a pack stays below 2 kB, beyond which PostgreSQL
-- compresses.
CREATE OR REPLACE FUNCTION sseapp.log_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, MDY'
SET IntervalStyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET lc_monetary = 'C'
SET quote_all_identifiers = off
SET plan_cache_mode = force_generic_plan
-- a plan that was made for a million rows would be compiled anew for each two
SET jit = off
AS $body$
#variable_conflict use_variable
DECLARE
    names text[];
    shown boolean;
    logged bigint;
    versions refcursor;  -- no name of its own, which a cursor of the writer's may have
    before text;
    after text;
    befores text;
    afters text;
    packed integer := 0;
BEGIN
    -- each expression that a single row comes by takes half a microsecond, so there are few
    IF TG_NARGS > 2 OR TG_RELID <> TG_ARGV[1]::oid OR pg_trigger_depth() > 1 OR current_setting('sseapp.depths', true) <> '' THEN
        IF TG_NARGS > 2 THEN
            names := sseapp.chosen(TG_ARGV);
            shown := TG_ARGV[2] = 'show';
        END IF;
        IF TG_RELID <> TG_ARGV[1]::oid OR TG_NARGS > 2 AND names IS NULL THEN
            RETURN NULL;
        END IF;
        PERFORM sseapp.note_depth(TG_RELID, pg_trigger_depth());
    END IF;
    -- the first ones one by one: to look whether there are many would take a tenth of the time
    IF TG_OP = 'INSERT' THEN
        INSERT INTO sseapp.change (watch, kind, new)
        SELECT TG_ARGV[0]::integer, 'i', sseapp.seen(row_to_json(r.*), names, shown) FROM touched r LIMIT 32;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO sseapp.change (watch, kind, old)
        SELECT TG_ARGV[0]::integer, 'd', sseapp.seen(row_to_json(r.*), names, shown) FROM touched r LIMIT 32;
    ELSIF NOT EXISTS (SELECT FROM new_rows OFFSET 1) THEN
        INSERT INTO sseapp.change (watch, kind, old, new)
        SELECT TG_ARGV[0]::integer, 'u', t.before, t.after
        FROM (SELECT sseapp.seen(row_to_json(o.*), names, shown) AS before, sseapp.seen(row_to_json(n.*), names, shown) AS after
              FROM old_rows o, new_rows n OFFSET 0) t
        WHERE t.before <> t.after;
    ELSE
        -- both tables are filled side by side, so that a row's two versions have the same place
        OPEN versions NO SCROLL FOR SELECT sseapp.seen(row_to_json(o.*), names, shown) FROM old_rows o;
        FOR after IN SELECT sseapp.seen(row_to_json(n.*), names, shown) FROM new_rows n LOOP
            FETCH versions INTO before;
            CONTINUE WHEN before = after;
            IF packed BETWEEN 1 AND 31
               AND octet_length(befores) + octet_length(afters) + octet_length(before) + octet_length(after) < 1900 THEN
                befores := befores || E'\x1e' || before;
                afters := afters || E'\x1e' || after;
                packed := packed + 1;
                CONTINUE;
            ELSIF packed > 0 THEN
                INSERT INTO sseapp.change (watch, kind, changes, old, new) VALUES (TG_ARGV[0]::integer, 'u', packed, befores, afters);
            END IF;
            befores := before;
            afters := after;
            packed := 1;
        END LOOP;
        CLOSE versions;
        INSERT INTO sseapp.change (watch, kind, changes, old, new) SELECT TG_ARGV[0]::integer, 'u', packed, befores, afters WHERE packed > 0;
    END IF;
    GET DIAGNOSTICS logged = ROW_COUNT;
    IF logged = 32 THEN
        -- a row belongs to the pack that its end lies in: "upto" counts bytes, 47 for a row at the least, so that 1,500 are 32 rows at the most
        INSERT INTO sseapp.change (watch, kind, changes, old, new)
        SELECT TG_ARGV[0]::integer, lower(TG_OP)::"char", p.changes,
               CASE TG_OP WHEN 'DELETE' THEN p.rows END, CASE TG_OP WHEN 'INSERT' THEN p.rows END
        FROM (SELECT count(*) AS changes, string_agg(t.row, E'\x1e' ORDER BY t.upto) AS rows
              FROM (SELECT t.row, sum(GREATEST(octet_length(t.row), 47)) OVER (ROWS UNBOUNDED PRECEDING) AS upto
                    FROM (SELECT sseapp.seen(row_to_json(r.*), names, shown) AS row FROM (SELECT r.* FROM touched r OFFSET 32) r) t) t
              GROUP BY t.upto / 1500 ORDER BY t.upto / 1500) p;
    END IF;
    IF logged > 0 AND sseapp.is_quiet() THEN
        PERFORM pg_notify('sseapp', '');
    END IF;
    RETURN NULL;
END
$body$;
