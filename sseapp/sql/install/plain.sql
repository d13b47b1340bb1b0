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
