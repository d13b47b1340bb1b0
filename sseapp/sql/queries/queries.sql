-- What the application reads. Every read of the log brings the snapshot of its own statement with it, and the greatest
-- transaction id of a log row that this snapshot sees: together they are the cursor the read ends at.

-- name: log_end
-- Where the log ends now, without reading a change.
SELECT sseapp.epoch(), pg_current_snapshot()::text, sseapp.greatest_xid()::text,
       GREATEST((SELECT c.id + c.changes - 1 FROM sseapp.change c WHERE c.id > s.horizon_id ORDER BY c.id DESC LIMIT 1), s.horizon_id),
       s.horizon::text, s.horizon_id
FROM sseapp.state s;

-- name: mark_crash
SELECT sseapp.mark_crash();

-- name: read_first
-- What the statement sees and the snapshot %(xmax)s, %(xip)s does not: see sseapp/sql/install/read.sql. The log is named here, too, so that it is locked
-- before the snapshot is taken: to a snapshot older than an ALTER TABLE that rewrote it, it is empty.
SELECT r.* FROM sseapp.read(%(xmax)s, %(xip)s, %(batch)s, %(bytes)s) r WHERE NOT EXISTS (SELECT FROM sseapp.change WHERE false);

-- name: read_next
-- A piece of what %(upto)s sees and %(after)s does not, above id %(above)s: see sseapp/sql/install/read.sql. Without the watches %(without)s but for their resets,
-- which tell that a table is another now.
SELECT s.horizon::text, s.horizon_id, r.id, r.xid::text, r.watch, r.kind::text, r.changes::integer,
       sseapp.sendable(r.old), sseapp.sendable(r.new), to_json(r.at) #>> '{}', sseapp.sendable(r.reason)
FROM sseapp.state s LEFT JOIN LATERAL sseapp.read_on(
    %(above)s, %(after)s::pg_snapshot, %(upto)s::pg_snapshot, %(without)s::int[], %(batch)s, %(bytes)s) r ON true;

-- name: last_ids
-- The last id of each of these transactions.
SELECT x.xid::text, (SELECT c.id + c.changes - 1 FROM sseapp.change c WHERE c.xid = x.xid ORDER BY c.id DESC LIMIT 1)
FROM unnest(%(xids)s::xid8[]) x(xid);

-- name: rest
-- How many changes of each watch such further pieces would bring, and the greatest id of them.
SELECT c.watch, sum(c.changes)::bigint, max(c.id + c.changes - 1)
FROM sseapp.change c
WHERE c.id > %(above)s
  AND NOT pg_visible_in_snapshot(c.xid, %(after)s::pg_snapshot)
  AND pg_visible_in_snapshot(c.xid, %(upto)s::pg_snapshot)
GROUP BY c.watch;

-- name: resume
-- What a subscriber of one watch has not seen: see sseapp/sql/install/read.sql. It names the log for the reason that read_first does.
SELECT r.* FROM sseapp.resume(%(watch)s, %(last)s::xid8, %(after)s::pg_snapshot, %(upto)s::pg_snapshot, %(rest)s, %(batch)s, %(bytes)s) r
WHERE NOT EXISTS (SELECT FROM sseapp.change WHERE false);

-- name: rows
-- The rows of a table that a filter takes, the snapshot that they are of, and the generation of the watch, in one statement. It names the
-- log for the reason that read_first does. A regclass is printed by the search path: the triggers pin it so too. With row_security = off a policy that
-- would leave rows out makes the statement fail.
-- Who waits for a lock holds a connection of the pool, and other tables are read by these.
SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL lock_timeout = '1s'; SET LOCAL row_security = off;
WITH seen AS MATERIALIZED (
    SELECT pg_current_snapshot()::text AS snapshot,
           sseapp.greatest_xid()::text AS greatest,
           sseapp.generation({watch}) AS generation
    FROM sseapp.state s WHERE NOT EXISTS (SELECT FROM sseapp.change WHERE false))
SELECT seen.generation, seen.snapshot, seen.greatest, r.row
FROM seen LEFT JOIN LATERAL (
    SELECT sseapp.sendable(row_to_json(x.*)::text) AS row
    FROM (SELECT {columns} FROM {table} t WHERE {where} {order} LIMIT {limit}) x) r ON true;

-- name: open_rows
-- The same, read through a cursor: its first row is the head, an array of JSON. The cursor keeps the snapshot that it was opened with. The partitions of a
-- table are locked before that: to a snapshot older than a rewrite, they would be empty.
BEGIN READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL lock_timeout = '1s'; SET LOCAL row_security = off;
SET LOCAL statement_timeout = {timeout}; {lock}
DECLARE sseapp_rows NO SCROLL CURSOR FOR
(SELECT json_build_array(sseapp.generation({watch}),
                         pg_current_snapshot()::text, sseapp.greatest_xid()::text)::text
 FROM sseapp.state s WHERE NOT EXISTS (SELECT FROM sseapp.change WHERE false))
UNION ALL
SELECT sseapp.sendable(row_to_json(x.*)::text) FROM (SELECT {columns} FROM {table} t WHERE {where} {order} {limit}) x;

-- name: fetch_rows
-- What comes next of them.
SELECT r.* FROM sseapp.fetch_rows(%(rows)s, %(bytes)s) r;

-- name: close_rows
ROLLBACK;

-- name: try_filter
-- Reads no row: it fails where a value of the filter cannot be one of its column's.
SET LOCAL row_security = off; SELECT FROM {table} t WHERE {where} LIMIT 0;

-- name: pass_over
-- The next row of what read_next would bring, without what it holds.
SELECT c.id, c.xid::text, c.watch, c.changes::integer, to_json(c.at) #>> '{}'
FROM sseapp.change c
WHERE c.id > %(above)s
  AND NOT pg_visible_in_snapshot(c.xid, %(after)s::pg_snapshot)
  AND pg_visible_in_snapshot(c.xid, %(upto)s::pg_snapshot)
ORDER BY c.id LIMIT 1;

-- name: prune
SELECT sseapp.prune(%(retention)s * interval '1 second', %(size)s);

-- name: read_lease
-- What read_first tells of the pace, at a tenth of its price.
SELECT pg_current_snapshot()::text, p.last_value, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM sseapp.pace p;

-- name: fence
-- A transaction id that is above all given out before.
SELECT pg_current_xact_id()::text;

-- name: extend_lease
-- Should the lease be lost in a crash, then the writers ring: nobody need wait for the disk.
SET LOCAL synchronous_commit = off; SELECT sseapp.quicken(%(milliseconds)s);

-- name: attend
-- Should a promise be lost in a crash, the next tick makes it again: nobody need wait for the disk.
SET LOCAL synchronous_commit = off; SELECT sseapp.attend(%(presence)s, %(retention)s);

-- name: size
-- How much the log holds beyond what is due: rows (by their ids, which have few gaps), bytes on disk, and the age of the oldest in seconds.
SELECT coalesce((l.id - f.id) / 32 + 1, 0), pg_total_relation_size('sseapp.change'),
       coalesce(extract(epoch FROM clock_timestamp() - f.at), 0)::float8
FROM sseapp.state s
LEFT JOIN LATERAL (SELECT c.id, c.at FROM sseapp.change c WHERE c.id > s.horizon_id ORDER BY c.id LIMIT 1) f ON true
LEFT JOIN LATERAL (SELECT c.id FROM sseapp.change c WHERE c.id > s.horizon_id ORDER BY c.id DESC LIMIT 1) l ON true;

-- name: current
-- How a table is watched: its range column, the columns that are hidden because the watch was told to, those that alone are shown (null: all others),
-- and whether subscribers see all rows. By the names that they have now.
SELECT (SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = w.relation AND a.attnum = w.range_attnum AND NOT a.attisdropped),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = w.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
               AND w.shown IS NULL AND (a.attnum = ANY (w.hidden) OR a.attname = ANY (w.hidden_names)) ORDER BY a.attnum),
       CASE WHEN w.shown IS NOT NULL THEN ARRAY(
            SELECT a.attname::text FROM pg_attribute a
            WHERE a.attrelid = w.relation AND NOT a.attisdropped AND a.attnum = ANY (w.shown) ORDER BY a.attnum) END,
       w.see_all
FROM sseapp.watched_table w WHERE w.relation = %(table)s::regclass;

-- name: watched
SELECT w.schema, w."table", coalesce(array_to_string(w.key, ', '), 'the whole row'), coalesce(w.range_column, 'none'),
       coalesce('all but ' || array_to_string(w.only_columns, ', '), nullif(array_to_string(w.hidden, ', '), ''), 'none')
FROM sseapp.watched w ORDER BY 1, 2;
