-- The queries of `status`.

-- name: watched
-- Each watched table, and how it is watched.
SELECT sseapp.sendable(w.schema), sseapp.sendable(w."table"),
       CASE WHEN w.key IS NOT NULL THEN ARRAY(SELECT sseapp.sendable(k) FROM unnest(w.key) k) END,
       sseapp.sendable(w.range_column),
       ARRAY(SELECT sseapp.sendable(h) FROM unnest(w.hidden) h),
       CASE WHEN w.only_columns IS NOT NULL THEN ARRAY(SELECT sseapp.sendable(o) FROM unnest(w.only_columns) o) END,
       sseapp.sendable(w.trouble), w.since, t.id, t.generation, t.see_all,
       sseapp.sendable(sseapp.children(t.relation))
FROM sseapp.watched w JOIN sseapp.watched_table t ON t.relation = format('%I.%I', w.schema, w."table")::regclass
ORDER BY 1, 2;

-- name: shares
-- How many changes of each watch a sample of the log's pages holds: about 16 MB of them, however large the log is.
SELECT c.watch, sum(c.changes)::bigint
FROM sseapp.change c TABLESAMPLE SYSTEM ((SELECT LEAST(100, 100 * 16e6 / GREATEST(pg_relation_size('sseapp.change'), 1))::real))
GROUP BY c.watch;

-- name: lease
-- For how many milliseconds the log is polled yet, instead of waiting for NOTIFY: none where NOTIFY is in use.
SELECT GREATEST(0, p.last_value - floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), p.last_value = 9223372036854775807
FROM sseapp.pace p;

-- name: sessions
-- The sessions of all servers of sseapp on this database, by client; this one is left out.
SELECT coalesce(host(a.client_addr), 'local'), count(*), max(extract(epoch FROM clock_timestamp() - a.state_change))::float8
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.application_name = 'sseapp' AND a.pid <> pg_backend_pid()
GROUP BY 1 ORDER BY 1;

-- name: horizon
-- How far the log has been pruned, and the age in seconds of the oldest transaction that is still open: it keeps rows from being pruned.
SELECT s.horizon::text,
       (SELECT max(extract(epoch FROM clock_timestamp() - a.xact_start))::float8 FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.xact_start IS NOT NULL AND a.pid <> pg_backend_pid())
FROM sseapp.state s;

-- name: watched_as
-- How a table is watched so far; no row if it is not. A hidden column that was dropped counts: under its name it would be hidden again.
SELECT w.range_column, ARRAY(SELECT unnest(w.hidden) UNION SELECT unnest(t.hidden_names) ORDER BY 1), w.only_columns, t.see_all
FROM sseapp.watched w JOIN sseapp.watched_table t ON t.relation = format('%%I.%%I', w.schema, w."table")::regclass
WHERE t.relation = %(table)s::regclass;

-- name: firing
-- What fires on a watched table: the functions of its watch, then its triggers, as they are in the database.
WITH firing AS (
    SELECT t.oid, t.tgname, t.tgrelid, t.tgfoid, p.proname
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = %(table)s::regclass AND p.pronamespace = 'sseapp'::regnamespace),
texts AS (
    SELECT DISTINCT 1 AS part, f.proname AS name, pg_get_functiondef(f.tgfoid) || ';' AS text FROM firing f
    UNION ALL
    SELECT 2, f.tgname, pg_get_triggerdef(f.oid) || E';\n'
        || format('ALTER TABLE %%s ENABLE ALWAYS TRIGGER %%I;', f.tgrelid::regclass, f.tgname) FROM firing f)
SELECT sseapp.sendable(t.text) FROM texts t ORDER BY t.part, t.name;
