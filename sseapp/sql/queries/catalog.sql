-- What the application reads about watched tables.

-- name: go_by_row
SELECT sseapp.go_by_row_after(%(after)s);

-- name: check_shapes
SELECT sseapp.check_shapes();

-- name: relation
-- The table of a name: first literally, as it may be without a schema and with one, then as SQL reads it. An unknown name is an error.
SELECT coalesce(
    to_regclass(quote_ident(%(name)s)),
    (SELECT c.oid::regclass
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname || '.' || c.relname = %(name)s
     ORDER BY array_position(current_schemas(false), n.nspname), n.nspname LIMIT 1),
    -- a constant would be looked up while the statement is planned, so always
    (SELECT %(name)s::text)::regclass)::oid::bigint;

-- name: load
-- To be read after check_shapes, which counts the generation up where the catalog differs from what it was.
-- A row for each visible column of each watched table, in the table's order. Tables whose row-level security was
-- switched on after the watch are left out, and those with names that cannot be sent.
SELECT w.id, w.relation::oid::bigint, n.nspname, c.relname,
       (SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM jsonb_array_elements_text(nullif(s.shape -> 'key', 'null')) WITH ORDINALITY k(number, place)
        JOIN pg_attribute a ON a.attrelid = w.relation AND a.attnum = k.number::smallint),
       (SELECT r.attname FROM sseapp.visible_column r WHERE r.watch = w.id AND r.attnum = w.range_attnum),
       sseapp.generation(w.id), sseapp.sendable(w.reason), c.relkind <> 'p',
       array_position(current_schemas(false), n.nspname), getdatabaseencoding(),
       v.attname, format_type(v.atttypid, v.atttypmod), sseapp.sendable(b.typname::text),
       CASE WHEN b.typcategory = 'A' THEN 'a' ELSE b.typtype::text END,
       ARRAY(SELECT sseapp.sendable(e.enumlabel::text) FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder),
       sseapp.form(v.atttypid) = 't',
       CASE b.typtype WHEN 'e' THEN sseapp.sendable((SELECT t.nspname FROM pg_namespace t WHERE t.oid = b.typnamespace)::text) ELSE '' END,
       sseapp.has_implicit_cast(v.atttypid)
FROM sseapp.watched_table w
JOIN sseapp.shapes() s ON s.watch = w.id
JOIN pg_class c ON c.oid = w.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN sseapp.visible_column v ON v.watch = w.id
JOIN pg_type b ON b.oid = sseapp.base_type(v.atttypid)
WHERE (w.see_all OR NOT c.relrowsecurity) AND sseapp.unreadable_names(w.relation) IS NULL
ORDER BY w.id, v.attnum;

-- name: unserved
-- The watched tables that are left out there, and why.
SELECT w.id, w.relation::oid::bigint, sseapp.sendable(n.nspname), sseapp.sendable(c.relname), array_position(current_schemas(false), n.nspname), u.why
FROM sseapp.watched_table w JOIN pg_class c ON c.oid = w.relation JOIN pg_namespace n ON n.oid = c.relnamespace,
     LATERAL (SELECT sseapp.unserved(w.relation, w.see_all) OFFSET 0) u(why)
WHERE u.why IS NOT NULL ORDER BY w.id;
