-- What else is in the database that a watch has to do with: roles, publications, tables that inherit, policies.

-- A column may be of a type whose functions are another role's: they run with the rights of the role that installed sseapp.
CREATE OR REPLACE FUNCTION sseapp.warn_of_owner(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    keeper oid := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'sseapp');
    owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
BEGIN
    IF NOT pg_has_role(owner, keeper, 'USAGE') AND (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = keeper) THEN
        RAISE WARNING 'sseapp was installed by %, a superuser: % could run code with its rights, by a column of a type of its own.',
            keeper::regrole, owner::regrole USING HINT = 'Have sseapp installed by the role that owns the tables.';
    END IF;
END
$body$;

-- What others in the database do that the watch does not bring with it.
CREATE OR REPLACE FUNCTION sseapp.warn_of_neighbours(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    publications text := sseapp.publications();
    children text := sseapp.children(relation);
BEGIN
    IF publications IS NOT NULL THEN
        RAISE WARNING 'The change log of sseapp is published by %: a subscriber that has no schema sseapp stops at the next change.', publications
            USING HINT = 'Publish your tables by name or by schema instead of FOR ALL TABLES, or install sseapp on the subscriber too.';
    END IF;
    IF children IS NOT NULL THEN
        RAISE NOTICE '% has tables that inherit from it, whose rows are not included: %.', relation, children
            USING HINT = 'Watch each of them, or make the table a partitioned one.';
    END IF;
END
$body$;

-- The tables that inherit from a table, at every level, and are not watched themselves: its watch includes none of their rows. Null where there
-- are none, and for one with partitions.
CREATE OR REPLACE FUNCTION sseapp.children(relation oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    WITH RECURSIVE tree AS (
        SELECT i.inhrelid AS child FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
        WHERE c.oid = children.relation AND c.relkind <> 'p'
        UNION SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.child)
    SELECT string_agg(t.child::regclass::text, ', ' ORDER BY t.child)
    FROM tree t WHERE NOT EXISTS (SELECT FROM sseapp.watched_table w WHERE w.relation = t.child)
$body$;

-- Names that no client can be told keep a table from being served, see unserved(). The watch itself is in order: it logs.
CREATE OR REPLACE FUNCTION sseapp.warn_of_names(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    names text := sseapp.unreadable_names(relation);
BEGIN
    IF names IS NOT NULL THEN
        RAISE WARNING 'The table is watched, but it is not served: a name of it, of a column or of a type is not UTF-8 (%).', names
            USING HINT = 'Rename it in UTF-8. A column may also be hidden.';
    END IF;
END
$body$;

-- The publications that carry our log; null where there are none.
CREATE OR REPLACE FUNCTION sseapp.publications() RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT string_agg(DISTINCT quote_ident(p.pubname), ', ') FROM pg_publication_tables p WHERE p.schemaname = 'sseapp'
$body$;

-- Why the caller cannot read all rows of a table; null if it can.
CREATE OR REPLACE FUNCTION sseapp.row_security(relation oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE
        WHEN row_security_active(c.oid) THEN format(
            'row-level security keeps rows from the role %I, so no snapshot can be read: it wants BYPASSRLS, or to own the table without FORCE',
            current_user)
        END
    FROM pg_class c WHERE c.oid = relation
$body$;
