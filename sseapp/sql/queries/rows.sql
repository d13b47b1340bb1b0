-- Reads of watched tables.

-- name: rows
-- The rows that match a filter, their snapshot, and the generation of the watch, in one statement. It names the log for the same
-- reason as read_first in log.sql. Rows come until {size} bytes are there, and an empty text where one more was left out. The search_path decides how a regclass is printed: it is the one that the triggers use. With
-- row_security = off the statement fails where a policy would leave rows out. lock_timeout: a session of the pool that waits for
-- one table's lock is missing to the readers of all others.
SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL lock_timeout = '1s'; SET LOCAL row_security = off;
WITH seen AS MATERIALIZED (
    SELECT pg_current_snapshot()::text AS snapshot,
           sseapp.greatest_xid()::text AS greatest,
           sseapp.generation({watch}) AS generation
    FROM sseapp.state s WHERE NOT EXISTS (SELECT FROM sseapp.change WHERE false))
SELECT seen.generation, seen.snapshot, seen.greatest, r.row
FROM seen LEFT JOIN LATERAL (
    SELECT CASE WHEN s.before < {size} THEN s.row ELSE '' END AS row
    FROM (SELECT y.row, y.before, lag(y.before, 1, 0::bigint) OVER () AS before_last
          FROM (SELECT x.row, sum(octet_length(x.row)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(x.row) AS before
                FROM (SELECT sseapp.sendable(row_to_json(x.*)::text) AS row
                      FROM (SELECT {columns} FROM {table} t WHERE {where} {order} LIMIT {limit}) x OFFSET 0) x) y) s
    WHERE s.before_last < {size}) r ON true;

-- name: open_rows
-- The same through a cursor, which keeps the snapshot that it was opened with. Its first row is the head, a JSON array. {lock}
-- locks a table's partitions first: after a rewrite, an older snapshot would find them empty.
BEGIN READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL lock_timeout = '1s'; SET LOCAL row_security = off;
SET LOCAL statement_timeout = {timeout}; {lock}
DECLARE sseapp_rows NO SCROLL CURSOR FOR
(SELECT json_build_array(sseapp.generation({watch}),
                         pg_current_snapshot()::text, sseapp.greatest_xid()::text)::text
 FROM sseapp.state s WHERE NOT EXISTS (SELECT FROM sseapp.change WHERE false))
UNION ALL
SELECT sseapp.sendable(row_to_json(x.*)::text) FROM (SELECT {columns} FROM {table} t WHERE {where} {order} {limit}) x;

-- name: fetch_rows
-- The next rows of that cursor.
SELECT r.* FROM sseapp.fetch_rows(%(rows)s, %(bytes)s) r;

-- name: close_rows
ROLLBACK;

-- name: try_filter
-- Reads no row. It fails if a value of the filter cannot be converted to its column's type.
SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL row_security = off; SELECT FROM {table} t WHERE {where} LIMIT 0;

