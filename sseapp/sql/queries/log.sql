-- The statements about the change log. Every read of the log returns the snapshot of its own statement, and the greatest
-- transaction id of a log row that this snapshot sees. Together they are the cursor at which the read ends.

-- name: log_end
-- Where the log ends now, without reading a change.
SELECT sseapp.epoch(), pg_current_snapshot()::text, sseapp.greatest_xid()::text,
       GREATEST((SELECT c.id + c.changes - 1 FROM sseapp.change c WHERE c.id > s.horizon_id ORDER BY c.id DESC LIMIT 1), s.horizon_id),
       s.horizon::text, s.horizon_id
FROM sseapp.state s;

-- name: mark_crash
SELECT sseapp.mark_crash();

-- name: read_first
-- The rows that the statement sees and the snapshot %(xmax)s, %(xip)s does not: see sseapp/sql/install/read.sql. The statement
-- itself names the log, so that PostgreSQL locks it before it takes the snapshot: after an ALTER TABLE that rewrites the log,
-- an older snapshot would find it empty.
SELECT r.* FROM sseapp.read(%(xmax)s, %(xip)s, %(batch)s, %(bytes)s) r WHERE NOT EXISTS (SELECT FROM sseapp.change WHERE false);

-- name: read_next
-- The next rows above id %(above)s that %(upto)s sees and %(after)s does not: see sseapp/sql/install/read.sql. Of the watches
-- %(without)s only the resets are read: they tell that a table's shape has changed.
SELECT s.horizon::text, s.horizon_id, r.id, r.xid::text, r.watch, r.kind::text, r.changes::integer,
       sseapp.sendable(r.old), sseapp.sendable(r.new), to_json(r.at) #>> '{}', sseapp.sendable(r.reason)
FROM sseapp.state s LEFT JOIN LATERAL sseapp.read_on(
    %(above)s, %(after)s::pg_snapshot, %(upto)s::pg_snapshot, %(without)s::int[], %(batch)s, %(bytes)s) r ON true;

-- name: last_ids
-- The last id of each of these transactions.
SELECT x.xid::text, (SELECT c.id + c.changes - 1 FROM sseapp.change c WHERE c.xid = x.xid ORDER BY c.id DESC LIMIT 1)
FROM unnest(%(xids)s::xid8[]) x(xid);

-- name: rest
-- How many changes of each watch read_next has not returned yet, and the greatest of their ids.
SELECT c.watch, sum(c.changes)::bigint, max(c.id + c.changes - 1)
FROM sseapp.change c
WHERE c.id > %(above)s
  AND NOT pg_visible_in_snapshot(c.xid, %(after)s::pg_snapshot)
  AND pg_visible_in_snapshot(c.xid, %(upto)s::pg_snapshot)
GROUP BY c.watch;

-- name: pass_over
-- The next row that read_next would return, without its old and new row.
SELECT c.id, c.xid::text, c.watch, c.changes::integer, to_json(c.at) #>> '{}'
FROM sseapp.change c
WHERE c.id > %(above)s
  AND NOT pg_visible_in_snapshot(c.xid, %(after)s::pg_snapshot)
  AND pg_visible_in_snapshot(c.xid, %(upto)s::pg_snapshot)
ORDER BY c.id LIMIT 1;

-- name: resume
-- What a subscriber of one watch has not seen: see sseapp/sql/install/read.sql. It names the log for the same reason as read_first.
SELECT r.* FROM sseapp.resume(%(watch)s, %(last)s::xid8, %(after)s::pg_snapshot, %(upto)s::pg_snapshot, %(rest)s, %(batch)s, %(bytes)s) r
WHERE NOT EXISTS (SELECT FROM sseapp.change WHERE false);

-- name: read_lease
-- The part of read_first that the pace needs, at a tenth of the cost.
SELECT pg_current_snapshot()::text, p.last_value, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM sseapp.pace p;

-- name: fence
-- A transaction id above all that were assigned before.
SELECT pg_current_xact_id()::text;

-- name: extend_lease
-- Does not wait for the disk: if a crash loses the lease, writers send NOTIFY.
SET LOCAL synchronous_commit = off; SELECT sseapp.quicken(%(milliseconds)s);

-- name: attend
-- Does not wait for the disk: if a crash loses the promise, the next tick makes it again.
SET LOCAL synchronous_commit = off; SELECT sseapp.attend(%(presence)s, %(retention)s);

-- name: prune
SELECT sseapp.prune(%(retention)s * interval '1 second', %(size)s);

-- name: size
-- The size of the log without what is due for pruning: rows (estimated from the ids), bytes on disk, age of the oldest row in seconds.
SELECT coalesce((l.id - f.id) / 32 + 1, 0), pg_total_relation_size('sseapp.change'),
       coalesce(extract(epoch FROM clock_timestamp() - f.at), 0)::float8
FROM sseapp.state s
LEFT JOIN LATERAL (SELECT c.id, c.at FROM sseapp.change c WHERE c.id > s.horizon_id ORDER BY c.id LIMIT 1) f ON true
LEFT JOIN LATERAL (SELECT c.id FROM sseapp.change c WHERE c.id > s.horizon_id ORDER BY c.id DESC LIMIT 1) l ON true;

