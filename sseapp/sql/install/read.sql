-- The listener's read of the log. A function, so that its plans are kept: planning took more than a third of a read's time.

-- The log's rows that the caller sees and the snapshot (beyond: its xmax, xip) does not, in no order. "ended" are those of xip that have
-- ended since: a large one's rows that goes on are not walked over by each read.
CREATE OR REPLACE FUNCTION sseapp.unseen(beyond xid8, ended xid8[]) RETURNS SETOF sseapp.change
LANGUAGE sql STABLE
AS $body$
    SELECT c.* FROM sseapp.change c WHERE c.xid >= beyond
    UNION ALL SELECT c.* FROM sseapp.change c WHERE c.xid = ANY (ended)
$body$;

-- The least id of these rows, at the price of one look for each transaction, however large.
CREATE OR REPLACE FUNCTION sseapp.least_unseen_id(beyond xid8, ended xid8[]) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
BEGIN
    RETURN (
        WITH RECURSIVE first AS (
            (SELECT c.xid, c.id FROM sseapp.change c WHERE c.xid >= beyond ORDER BY c.xid, c.id LIMIT 1)
            UNION ALL
            SELECT n.xid, n.id FROM first f, LATERAL (
                SELECT c.xid, c.id FROM sseapp.change c WHERE c.xid > f.xid ORDER BY c.xid, c.id LIMIT 1) n)
        SELECT LEAST(min(f.id), (SELECT min(n.id) FROM unnest(ended) e(xid), LATERAL (
            SELECT c.id FROM sseapp.change c WHERE c.xid = e.xid ORDER BY c.id LIMIT 1) n))
        FROM first f);
END
$body$;

-- What the caller's statement sees and the snapshot (beyond: its xmax, xip) does not. The first row tells where the log stands, with the lease
-- and the clock that the pace goes by; rounded down, the clock tells an end as writers do. The log's rows follow in order of id where their
-- changes are no more than "piece" and "bytes"; else there are none, and "above" is an id that all of them are above.
CREATE OR REPLACE FUNCTION sseapp.read(beyond xid8, xip xid8[], piece integer, bytes bigint)
RETURNS TABLE (horizon text, horizon_id bigint, snapshot text, top text, lease bigint, clock bigint, above bigint,
               id bigint, xid text, watch integer, kind text, count integer, old text, new text, at text, reason text)
-- STABLE: all that it does is of the snapshot of the caller's statement
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- by a plan for any parameters, walking the whole log would look cheap
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $body$
#variable_conflict use_variable
DECLARE
    ended xid8[] := CASE WHEN xip = '{}' THEN xip
                         ELSE ARRAY(SELECT unnest(xip) EXCEPT SELECT pg_snapshot_xip(pg_current_snapshot())) END;
    is_all boolean;
BEGIN
    SELECT s.horizon::text, s.horizon_id, pg_current_snapshot()::text, sseapp.greatest_xid()::text, p.last_value,
           floor(extract(epoch FROM clock_timestamp()) * 1000)
    INTO horizon, horizon_id, snapshot, top, lease, clock
    FROM sseapp.state s, sseapp.pace p;
    SELECT coalesce(sum(u.changes) <= piece AND sum(u.size) <= bytes, true) INTO is_all
    FROM (SELECT c.changes, coalesce(pg_column_size(c.old), 0) + coalesce(pg_column_size(c.new), 0) AS size
          FROM sseapp.unseen(beyond, ended) c LIMIT piece + 1) u;
    IF NOT is_all THEN
        above := sseapp.least_unseen_id(beyond, ended) - 1;
    END IF;
    RETURN NEXT;
    IF is_all THEN
        RETURN QUERY
        SELECT NULL, NULL::bigint, NULL, NULL, NULL::bigint, NULL::bigint, NULL::bigint, c.id, c.xid::text, c.watch, c.kind::text,
               c.changes::integer, c.old, c.new, to_json(c.at) #>> '{}', c.reason
        FROM sseapp.unseen(beyond, ended) c ORDER BY c.id;
    END IF;
END
$body$;

-- Rows of the log above id "above" that "upto" sees and "after" does not, in order of id, until "piece" changes or "bytes" are there; then a row of
-- nulls where there are more. Of the watches "without" only resets. A loop, so that no more is read than that.
CREATE OR REPLACE FUNCTION sseapp.read_on(above bigint, after pg_snapshot, upto pg_snapshot, without integer[], piece integer, bytes bigint)
RETURNS SETOF sseapp.change
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- by functions and not by comparing xids, so that the primary key is the one index there is to walk: it finds the next where the last ones ended
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $body$
#variable_conflict use_variable
DECLARE
    one sseapp.change;
BEGIN
    FOR one IN
        SELECT c.* FROM sseapp.change c
        WHERE c.id > above AND (c.watch <> ALL (without) OR c.kind = 'r')
          AND NOT pg_visible_in_snapshot(c.xid, after) AND pg_visible_in_snapshot(c.xid, upto)
        ORDER BY c.id
    LOOP
        IF piece <= 0 OR bytes <= 0 THEN
            RETURN NEXT NULL;
            RETURN;
        END IF;
        RETURN NEXT one;
        piece := piece - one.changes;
        bytes := bytes - coalesce(pg_column_size(one.old), 0) - coalesce(pg_column_size(one.new), 0);
    END LOOP;
END
$body$;
