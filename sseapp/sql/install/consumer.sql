-- Consumers: functions of the application that get each change of a table once, over all processes. See sseapp/live/consumer.py.

-- How far each consumer has come: {after, upto, number} are the parts of a cursor (sseapp/log/cursor.py). A transaction moves it by counting
-- "moves" up, together with what the consumer's function writes. Pruning does not look here: a consumer that is dead holds nothing back.
CREATE TABLE IF NOT EXISTS sseapp.consumer (
    name text PRIMARY KEY,
    "table" text NOT NULL,  -- for people; "watch" counts
    watch integer NOT NULL,
    epoch text NOT NULL,  -- of the log that the cursor belongs to
    upto pg_snapshot NOT NULL,
    number bigint,
    after pg_snapshot,
    moves bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    failing_since timestamptz,
    error text  -- of the last call of its function; null once that has succeeded
-- each change updates the row: room for its versions on the same page, and no index on what changes, so that no index grows
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Whose session holds this lock runs the consumer.
CREATE OR REPLACE FUNCTION sseapp.consumer_lock(name text) RETURNS bigint
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT hashtextextended('sseapp consumer ' || name, 0)
$body$;

-- The age, in seconds, of the oldest change that a consumer has not consumed; 0 where there is none. Found by the index on (xid, id), in its
-- order: what a consumer has not read begins where its cursor ends.
CREATE OR REPLACE FUNCTION sseapp.consumer_lag(of sseapp.consumer) RETURNS double precision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $body$
DECLARE
    known pg_snapshot := coalesce(of.after, of.upto);
    beyond xid8 := pg_snapshot_xmax(known);
    in_flight xid8[] := ARRAY(SELECT pg_snapshot_xip(known));
BEGIN
    RETURN (
        SELECT coalesce(GREATEST(extract(epoch FROM clock_timestamp() - min(f.at)), 0), 0)
        FROM (
            (SELECT c.at FROM sseapp.change c
             WHERE c.xid >= beyond AND c.watch = of.watch
               AND (of.number IS NULL OR c.id + c.changes - 1 > of.number / 2 OR NOT pg_visible_in_snapshot(c.xid, of.upto))
             ORDER BY c.xid, c.id LIMIT 1)
            UNION ALL
            (SELECT c.at FROM sseapp.change c
             WHERE c.xid = ANY (in_flight) AND c.watch = of.watch
               AND (of.number IS NULL OR c.id + c.changes - 1 > of.number / 2 OR NOT pg_visible_in_snapshot(c.xid, of.upto))
             ORDER BY c.xid, c.id LIMIT 1)) f);
END
$body$;
