-- What a consumer asks, and what people are shown of it.

-- name: lock
-- Whether this session may run the consumer: one may at a time, and PostgreSQL lets go of the lock when the session ends.
SELECT pg_try_advisory_lock(sseapp.consumer_lock(%(name)s));

-- name: register
-- A new consumer begins at the log's end. The role's default may be to read only.
SET LOCAL transaction_read_only = off;
INSERT INTO sseapp.consumer (name, "table", watch, epoch, upto) VALUES (%(name)s, %(table)s, %(watch)s, %(epoch)s, %(upto)s)
ON CONFLICT DO NOTHING;

-- name: load
SELECT c.watch, c.epoch, c.upto::text, c.number, c.after::text, c.moves FROM sseapp.consumer c WHERE c.name = %(name)s;

-- name: move
-- Moves the cursor, unless another session has moved it since it was loaded or is about to; the transaction's id.
WITH mine AS (
    SELECT c.name FROM sseapp.consumer c WHERE c.name = %(name)s AND c.moves = %(moves)s FOR UPDATE SKIP LOCKED)
UPDATE sseapp.consumer c
SET "table" = %(table)s, watch = %(watch)s, epoch = %(epoch)s, upto = %(upto)s, number = %(number)s, after = %(after)s,
    moves = c.moves + 1, moved_at = clock_timestamp(), failing_since = NULL, error = NULL
FROM mine WHERE c.name = mine.name
RETURNING pg_current_xact_id()::text;

-- name: is_same_transaction
-- Whether the transaction that moved the cursor is still open: a COMMIT or ROLLBACK in the function has ended it.
SELECT pg_current_xact_id_if_assigned()::text IS NOT DISTINCT FROM %(xid)s;

-- name: log_end
-- As what the transaction reads sees it.
SELECT sseapp.epoch(), pg_current_snapshot()::text, sseapp.greatest_xid()::text, to_json(clock_timestamp()) #>> '{}';

-- name: failed
SET LOCAL transaction_read_only = off;
UPDATE sseapp.consumer c SET failing_since = coalesce(c.failing_since, clock_timestamp()), error = %(error)s
WHERE c.name = %(name)s AND c.moves = %(moves)s;

-- name: status
-- Each consumer, how far it is behind, and the server process of the session that runs it.
SELECT c.name, c."table", sseapp.consumer_lag(c), (
           SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
           WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND d.datname = current_database()
             AND (l.classid::bigint << 32 | l.objid::bigint) = sseapp.consumer_lock(c.name) LIMIT 1),
       to_json(c.failing_since) #>> '{}', c.error
FROM sseapp.consumer c ORDER BY c.name;

-- name: forget
SET LOCAL transaction_read_only = off;
DELETE FROM sseapp.consumer c WHERE c.name = %(name)s RETURNING true;
