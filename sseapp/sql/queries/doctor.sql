-- The queries of the doctor.

-- name: server
SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(),
       current_user::text;

-- name: entrance
SELECT CASE WHEN n.oid IS NULL THEN true ELSE has_schema_privilege(n.oid, 'USAGE') END FROM (SELECT to_regnamespace('sseapp')::oid) n(oid);

-- name: rights
SELECT has_schema_privilege('sseapp', 'USAGE') AND has_table_privilege('sseapp.change', 'SELECT')
   AND has_table_privilege('sseapp.state', 'SELECT') AND has_table_privilege('sseapp.watched_table', 'SELECT')
   AND has_sequence_privilege('sseapp.pace', 'SELECT') AND has_function_privilege('sseapp.quicken(bigint)', 'EXECUTE')
   AND has_function_privilege('sseapp.check_shapes()', 'EXECUTE') AND has_function_privilege('sseapp.go_by_row_after(integer)', 'EXECUTE')
   AND has_function_privilege('sseapp.epoch()', 'EXECUTE') AND has_function_privilege('sseapp.attend(bigint, bigint)', 'EXECUTE');

-- name: tables
-- Each watched table: may this role read it, are our triggers in place, does it have a key, the range column, does
-- that have an index, and which tables inherit from it.
SELECT sseapp.sendable(w.schema || '.' || w."table"), has_table_privilege(t.relation, 'SELECT'),
       sseapp.sendable(w.trouble),
       w.key IS NOT NULL,
       sseapp.sendable(w.range_column),
       w.range_column IS NULL OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.relation AND i.indkey[0] = t.range_attnum),
       sseapp.sendable(sseapp.children(t.relation))
FROM sseapp.watched w JOIN sseapp.watched_table t ON t.relation = format('%I.%I', w.schema, w."table")::regclass
ORDER BY 1;

-- name: damaged
-- The tables with changes in the log whose bytes are not what the database's encoding says, and how many. A look at the newest ones: all
-- may be a gigabyte. None in a database of UTF-8.
SELECT sseapp.sendable(n.nspname || '.' || c.relname), count(*)
FROM (SELECT l.* FROM sseapp.change l ORDER BY l.id DESC LIMIT CASE getdatabaseencoding() WHEN 'UTF8' THEN 0 ELSE 10000 END) l
JOIN sseapp.watched_table w ON w.id = l.watch JOIN pg_class c ON c.oid = w.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE sseapp.sendable(l.old) <> l.old OR sseapp.sendable(l.new) <> l.new
GROUP BY 1 ORDER BY 1;

-- name: create_canary
CREATE SCHEMA sseapp_doctor;
CREATE TABLE sseapp_doctor.canary (id integer PRIMARY KEY, note text NOT NULL);

-- name: insert_canary
INSERT INTO sseapp_doctor.canary VALUES (1, %(text)s);

-- name: drop_canary
DROP SCHEMA IF EXISTS sseapp_doctor CASCADE;

-- name: publications
-- The publications of others that carry the change log; null where there are none.
SELECT sseapp.publications();
