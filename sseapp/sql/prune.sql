-- Pruning: by a snapshot, never by the age of rows, so that a transaction open longer than the retention loses nothing at its commit.

-- The log is insert and delete only: space that was pruned must come back before the table grows.
ALTER TABLE sseapp.change SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 1);

-- The same set of log rows, shorter, and proved by the log: see sseapp/cursor.py, Snapshot.cut.
CREATE OR REPLACE FUNCTION sseapp.cut(snapshot pg_snapshot, top xid8) RETURNS pg_snapshot
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('%s:%s:%s', coalesce((array_agg(x.xid ORDER BY x.xid))[1]::text, e.above), e.above, string_agg(x.xid::text, ',' ORDER BY x.xid))::pg_snapshot
    FROM (SELECT (top::text::numeric + 1)::text AS above) e
    LEFT JOIN LATERAL (SELECT xid FROM pg_snapshot_xip(snapshot) i(xid) WHERE i.xid < top) x ON true
    GROUP BY e.above
$body$;

-- Notes where the log stands now, at most once in "apart".
CREATE OR REPLACE FUNCTION sseapp.mark_position(apart interval) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $body$
    INSERT INTO sseapp.mark (at, snapshot, id)
    SELECT clock_timestamp(), sseapp.cut(pg_current_snapshot(), g.xid), g.id
    FROM (SELECT sseapp.greatest_xid() AS xid,
                 GREATEST((SELECT c.id + c.changes - 1 FROM sseapp.change c ORDER BY c.id DESC LIMIT 1), s.horizon_id) AS id
          FROM sseapp.state s) g
    WHERE NOT EXISTS (SELECT FROM sseapp.mark m WHERE m.at > clock_timestamp() - apart)
$body$;

-- Which mark to prune to: the newest one older than the retention, or a later one where the log is larger than "most" bytes.
CREATE OR REPLACE FUNCTION sseapp.prunable(retention interval, most bigint) RETURNS sseapp.mark
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    -- ids have few gaps: their span times the width of a hundred rows from all over the log is near enough to the size, and costs nothing
    WITH span AS MATERIALIZED (SELECT min(c.id) AS least, max(c.id) AS greatest FROM sseapp.change c),
    room AS (
        SELECT s.greatest - 32.0 * most / GREATEST(avg(w.bytes), 1) AS least_id
        FROM span s, generate_series(1, 100) part, LATERAL (
            SELECT pg_column_size(c.*) AS bytes FROM sseapp.change c
            WHERE c.id >= s.least + (s.greatest - s.least) / 100 * part ORDER BY c.id LIMIT 1) w
        GROUP BY s.greatest)
    SELECT m.* FROM sseapp.mark m
    WHERE m.at <= GREATEST(
        clock_timestamp() - retention,
        (SELECT min(n.at) FROM sseapp.mark n, room r
         WHERE n.id >= r.least_id AND EXISTS (SELECT FROM sseapp.change c WHERE c.id < r.least_id)))
    ORDER BY m.at DESC LIMIT 1
$body$;

-- Deletes up to "step" rows of the log that are older than the retention or beyond its size; how many there were, 0 when done
-- or when another session prunes.
CREATE OR REPLACE FUNCTION sseapp.prune(
    retention interval DEFAULT '1 hour', most bigint DEFAULT 1073741824, step integer DEFAULT 10000
) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    horizon sseapp.mark;
    deleted integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sseapp prune', 0)) THEN
        RETURN 0;
    END IF;
    PERFORM sseapp.mark_position(LEAST(retention / 60, '10 s'::interval));
    horizon := sseapp.prunable(retention, most);
    IF horizon.at IS NULL THEN
        RETURN 0;
    END IF;
    -- before the first row goes: a cursor that does not contain the horizon must not be served a part of the log
    UPDATE sseapp.state s
    SET horizon = horizon.snapshot, horizon_id = horizon.id,
        horizon_xid = (pg_snapshot_xmax(horizon.snapshot)::text::numeric - 1)::text::xid8
    WHERE s.horizon_id <= horizon.id AND s.horizon::text <> horizon.snapshot::text;
    WITH old AS (
        SELECT c.id FROM sseapp.change c
        WHERE c.id <= horizon.id AND pg_visible_in_snapshot(c.xid, horizon.snapshot)
        ORDER BY c.id LIMIT step)
    DELETE FROM sseapp.change c USING old WHERE c.id = old.id;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM sseapp.mark m WHERE m.at < horizon.at;
    RETURN deleted;
END
$body$;
