-- Pruning: by a snapshot, never by the age of rows, so that a transaction open longer than the retention loses nothing at its commit.
-- Deleted rows stay where they are while any transaction might see them: nothing here begins at the log's beginning, nor at its end.

-- The log is insert and delete only: space that was pruned must come back before the table grows.
ALTER TABLE sseapp.change SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 1);

-- The same set of log rows, shorter, and proved by the log: see sseapp/log/cursor.py, Snapshot.cut.
CREATE OR REPLACE FUNCTION sseapp.cut(snapshot pg_snapshot, top xid8) RETURNS pg_snapshot
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('%s:%s:%s', coalesce((array_agg(x.xid ORDER BY x.xid))[1]::text, e.above), e.above, string_agg(x.xid::text, ',' ORDER BY x.xid))::pg_snapshot
    FROM (SELECT (top::text::numeric + 1)::text AS above) e
    LEFT JOIN LATERAL (SELECT xid FROM pg_snapshot_xip(snapshot) i(xid) WHERE i.xid < top) x ON true
    GROUP BY e.above
$body$;

-- Notes where the log stands now, at most once in "apart". Marks that lie in the future go first: the clock was set back, and until it
-- had caught up no mark would be made, nor anything be pruned.
CREATE OR REPLACE FUNCTION sseapp.mark_position(apart interval) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $body$
    DELETE FROM sseapp.mark m WHERE m.at > clock_timestamp();
    INSERT INTO sseapp.mark (at, snapshot, id)
    SELECT clock_timestamp(), sseapp.cut(pg_current_snapshot(), g.xid), g.id
    FROM (SELECT sseapp.greatest_xid() AS xid,
                 GREATEST((SELECT c.id + c.changes - 1 FROM sseapp.change c WHERE c.id > s.horizon_id ORDER BY c.id DESC LIMIT 1),
                          s.horizon_id) AS id
          FROM sseapp.state s) g
    WHERE NOT EXISTS (SELECT FROM sseapp.mark m WHERE m.at > clock_timestamp() - apart)
$body$;

-- Which mark to prune to: the newest one older than the retention, or a later one where the log is larger than "most" bytes.
CREATE OR REPLACE FUNCTION sseapp.prunable(retention interval, most bigint) RETURNS sseapp.mark
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    -- ids have few gaps: their span times the width of a hundred rows from all over the log is near enough to the size, and costs nothing
    WITH span AS MATERIALIZED (
        SELECT (SELECT min(c.id) FROM sseapp.change c WHERE c.id > s.horizon_id) AS least,
               (SELECT max(c.id) FROM sseapp.change c WHERE c.id > s.horizon_id) AS greatest
        FROM sseapp.state s),
    room AS (
        SELECT s.least, s.greatest - 32.0 * most / GREATEST(avg(w.bytes), 1) AS least_id
        FROM span s, generate_series(1, 100) part, LATERAL (
            SELECT pg_column_size(c.*) AS bytes FROM sseapp.change c
            WHERE c.id >= s.least + (s.greatest - s.least) / 100 * part ORDER BY c.id LIMIT 1) w
        GROUP BY s.least, s.greatest)
    SELECT m.* FROM sseapp.mark m
    WHERE m.at <= GREATEST(
        clock_timestamp() - retention,
        (SELECT min(n.at) FROM sseapp.mark n, room r
         WHERE n.id >= r.least_id AND r.least < r.least_id))
    ORDER BY m.at DESC LIMIT 1
$body$;

-- Deletes up to "step" rows of the log that are older than the retention or beyond its size; how many there were, 0 when done
-- or when another session prunes.
CREATE OR REPLACE FUNCTION sseapp.prune(
    retention interval DEFAULT '1 hour', most bigint DEFAULT 1073741824, step integer DEFAULT 10000
) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- what is due is found by the index on (xid, id), in its order: without statistics, sorting half the log would look cheap
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $body$
DECLARE
    aged sseapp.mark;
    until sseapp.state;
    done sseapp.pruned;
    ended xid8[];
    last record;
    deleted integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sseapp prune', 0)) THEN
        RETURN 0;
    END IF;
    PERFORM sseapp.mark_position(LEAST(retention / 60, '10 s'::interval));
    aged := sseapp.prunable(retention, most);
    -- before the first row goes: a cursor that does not contain the horizon must not be served a part of the log
    UPDATE sseapp.state s
    SET horizon = aged.snapshot, horizon_id = aged.id, horizon_xid = (pg_snapshot_xmax(aged.snapshot)::text::numeric - 1)::text::xid8
    WHERE s.horizon_id <= aged.id AND s.horizon::text <> aged.snapshot::text;
    DELETE FROM sseapp.mark m WHERE m.at < aged.at;
    -- where there is no such mark too: another's steps to this horizon may have been cut short
    SELECT s.* INTO until FROM sseapp.state s;
    SELECT p.* INTO done FROM sseapp.pruned p;
    ended := ARRAY(SELECT f.xid FROM pg_snapshot_xip(done.snapshot) f(xid)
                   WHERE f.xid < done.xid AND pg_visible_in_snapshot(f.xid, until.horizon));
    WITH due AS MATERIALIZED (
        SELECT d.* FROM (
            (SELECT c.ctid AS place, c.xid, c.id FROM sseapp.change c WHERE c.xid = ANY (ended) ORDER BY c.xid, c.id LIMIT step)
            UNION ALL
            (SELECT c.ctid, c.xid, c.id FROM sseapp.change c
             WHERE (c.xid, c.id) > (done.xid, done.id) AND c.xid <= until.horizon_xid AND pg_visible_in_snapshot(c.xid, until.horizon)
             ORDER BY c.xid, c.id LIMIT step)) d
        ORDER BY d.xid, d.id LIMIT step),
    gone AS (DELETE FROM sseapp.change c WHERE c.ctid = ANY (ARRAY(SELECT d.place FROM due d)))
    SELECT d.xid, d.id, count(*) OVER () AS found INTO last FROM due d ORDER BY d.xid DESC, d.id DESC LIMIT 1;
    deleted := coalesce(last.found, 0);
    IF deleted < step THEN
        SELECT until.horizon_xid AS xid, until.horizon_id AS id INTO last;
    END IF;
    UPDATE sseapp.pruned p SET snapshot = until.horizon, xid = last.xid, id = last.id
    WHERE (p.snapshot::text, p.xid, p.id) <> (until.horizon::text, last.xid, last.id);
    RETURN deleted;
END
$body$;
