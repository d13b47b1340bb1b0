-- The log and what belongs to it. Every statement here may run again and then changes nothing.

DO $body$
BEGIN
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'sseapp needs PostgreSQL 14 or later, this is %', current_setting('server_version');
    END IF;
    -- two installs at once would both find nothing there
    PERFORM pg_advisory_xact_lock(hashtextextended('sseapp install', 0));
    IF to_regnamespace('sseapp') IS NULL THEN
        CREATE SCHEMA sseapp;
        COMMENT ON SCHEMA sseapp IS 'Live tables: the change log, and the functions that watch tables.';
    END IF;
END
$body$;

-- Runs a statement that changes the catalog. Event triggers of the application's fire on it: they expect the search_path that sessions begin
-- with, and where one fails it is named. The caller has the path of all functions here.
CREATE OR REPLACE FUNCTION sseapp.run(statement text) RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
    firing text;
    details text;
BEGIN
    SET LOCAL search_path TO DEFAULT;
    EXECUTE statement;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
EXCEPTION WHEN OTHERS THEN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    GET STACKED DIAGNOSTICS details = PG_EXCEPTION_DETAIL;
    SELECT string_agg(quote_ident(e.evtname), ', ' ORDER BY e.evtname) INTO firing FROM pg_event_trigger e WHERE e.evtenabled <> 'D';
    IF firing IS NULL OR SQLSTATE IN ('55P03', '40P01', '42501') THEN
        RAISE;
    END IF;
    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, DETAIL = details,
        HINT = format('It may come from an event trigger, which fires on what sseapp does: %s. Statement: %s', firing, left(statement, 100));
END
$body$;

-- One row for each change, or for up to 32 of one statement: a pack. A transaction is seen whole or not at all by its xid, ids give the
-- order within; those of a pack's changes are the row's and those above it. What subscribers get is written as text, once: jsonb would refuse
-- \u0000, and the application's write would fail. In a pack the rows are separated by U+001E, which is nowhere in JSON (as in RFC 7464).
CREATE TABLE IF NOT EXISTS sseapp.change (
    id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT BY 32) PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    watch integer NOT NULL,
    kind "char" NOT NULL,  -- i, u, d: rows; t: TRUNCATE; r: subscribers must discard their rows, reason says why
    changes smallint NOT NULL DEFAULT 1,
    old text,
    new text,
    reason text,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
DO $body$
BEGIN
    -- not IF NOT EXISTS: that locks the log against writers until the install ends, who may hold what it waits for
    IF to_regclass('sseapp.change_xid') IS NULL THEN
        CREATE INDEX change_xid ON sseapp.change (xid, id);
    END IF;
END
$body$;

-- What is watched. Columns are kept by number, so that a renamed one stays what it was; the names are those at the time of the watch.
CREATE TABLE IF NOT EXISTS sseapp.watched_table (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation regclass NOT NULL UNIQUE,
    range_attnum smallint,
    range_name name,
    hidden smallint[] NOT NULL,
    hidden_names name[] NOT NULL,
    shown smallint[],  -- the allow-list; null: all that is not hidden
    see_all boolean NOT NULL,  -- subscribers may see all rows, in spite of row-level security
    since timestamptz NOT NULL DEFAULT now(),
    trigger text[] NOT NULL,  -- the function and the arguments of the triggers
    shape jsonb,  -- as last told to subscribers
    generation integer NOT NULL DEFAULT 0,  -- counts the resets: a stream of an older one has ended
    reason text,  -- of the last reset
    failure text  -- why the last check of the table failed
);

-- Tables that a trigger has changed in the midst of a statement of theirs: they are not plain, see note_depth().
-- Each of our tables has a key, so that a publication FOR ALL TABLES does not forbid to write to it; here not the relation: a writer would wait
-- for another who notes the same.
CREATE TABLE IF NOT EXISTS sseapp.entangled_table (relation oid NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);

-- Resets that writers have told, because a change could not be logged. They count as generations of the watch, see generation(); a writer never
-- writes to the watch itself, where the next one would wait for it.
CREATE TABLE IF NOT EXISTS sseapp.loss (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    watch integer NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    reason text NOT NULL
);

-- Positions of the log by age: what a snapshot saw is as old as its mark, at least.
CREATE TABLE IF NOT EXISTS sseapp.mark (
    at timestamptz PRIMARY KEY,
    snapshot pg_snapshot NOT NULL,
    id bigint NOT NULL
);

-- How far the log was pruned: in order of xid and id, what the snapshot sees is gone up to the row "xid", "id"; what is due is found from there.
-- No part of sseapp.state, which a column more would lock against all who read it.
CREATE TABLE IF NOT EXISTS sseapp.pruned (
    snapshot pg_snapshot NOT NULL,
    xid xid8 NOT NULL,
    id bigint NOT NULL,
    one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
INSERT INTO sseapp.pruned (snapshot, xid, id) VALUES ('1:1:', '0', 0) ON CONFLICT DO NOTHING;

-- Empty after a crash, as every unlogged table is: then watched ones of that kind are empty too.
CREATE UNLOGGED TABLE IF NOT EXISTS sseapp.crash_mark (mark uuid NOT NULL, one boolean PRIMARY KEY DEFAULT true CHECK (one));

CREATE TABLE IF NOT EXISTS sseapp.state (
    version integer NOT NULL,
    digest text,  -- of the text that was installed
    born uuid NOT NULL,  -- of this log: a cursor of another log is no cursor here
    horizon pg_snapshot NOT NULL,  -- what it sees may have been pruned
    horizon_id bigint NOT NULL,  -- the greatest id that was pruned
    horizon_xid xid8 NOT NULL,  -- the greatest xid that was pruned
    one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
DO $body$
BEGIN
    IF NOT EXISTS (SELECT FROM sseapp.state) THEN
        INSERT INTO sseapp.state (version, born, horizon, horizon_id, horizon_xid)
        VALUES (4, gen_random_uuid(), '1:1:', 0, '0');
    ELSIF (SELECT version FROM sseapp.state) > 4 THEN
        RAISE EXCEPTION 'The schema sseapp is of a later version than this program: update the program.';
    ELSIF (SELECT version FROM sseapp.state) < 3 THEN
        RAISE EXCEPTION 'The schema sseapp is of an earlier version, with another log.'
            USING HINT = 'Note what SELECT * FROM sseapp.watched shows, uninstall it (python -m sseapp uninstall), and watch the tables again.';
    END IF;
END
$body$;

-- The greatest transaction id that the log proves: of the rows of others that the caller sees, or of those pruned. Looked for
-- between the transactions in flight: by plain order, each call would walk over all that a large one has logged so far. Nor over
-- what was pruned, which stays there as long as any transaction might see it.
CREATE OR REPLACE FUNCTION sseapp.greatest_xid() RETURNS xid8
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    pruned xid8 := (SELECT s.horizon_xid FROM sseapp.state s);
    below xid8 := pg_snapshot_xmax(pg_current_snapshot());
    above xid8;
    found xid8;
BEGIN
    FOR above IN SELECT f.xid FROM pg_snapshot_xip(pg_current_snapshot()) f(xid) WHERE f.xid > pruned UNION ALL SELECT pruned ORDER BY 1 DESC LOOP
        SELECT c.xid INTO found FROM sseapp.change c WHERE c.xid > above AND c.xid < below ORDER BY c.xid DESC LIMIT 1;
        EXIT WHEN found IS NOT NULL;
        below := above;
    END LOOP;
    RETURN coalesce(found, pruned);
END
$body$;

-- A dump renumbers columns, so numbers of columns count only where they were noted. That is told by the one column of this
-- table: it has number 2 and a random name, and before it was a dropped column, which no dump brings back.
CREATE OR REPLACE FUNCTION sseapp.binding() RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT a.attname FROM pg_attribute a WHERE a.attrelid = to_regclass('sseapp.binding') AND a.attnum = 2
$body$;
CREATE OR REPLACE FUNCTION sseapp.bind() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM sseapp.run('DROP TABLE IF EXISTS sseapp.binding');
    PERFORM sseapp.run(format('CREATE TABLE sseapp.binding (gap integer, %I integer)', gen_random_uuid()));
    PERFORM sseapp.run('ALTER TABLE sseapp.binding DROP COLUMN gap, REPLICA IDENTITY FULL');
END
$body$;
DO $body$
BEGIN
    IF to_regclass('sseapp.binding') IS NULL THEN
        PERFORM sseapp.bind();
    END IF;
END
$body$;

-- Which log this is: cluster, timeline, database, birth; of an unlogged one also its last crash, and null while a crash is not marked
-- (see mark_crash). Only for the primary.
CREATE OR REPLACE FUNCTION sseapp.epoch() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT CASE WHEN c.relpersistence = 'p' OR m.mark IS NOT NULL THEN
        concat_ws('-', (pg_control_system()).system_identifier,
                  -- the checkpoint's timeline is still the old one right after a promotion
                  substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
                  (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), s.born,
                  CASE c.relpersistence WHEN 'u' THEN m.mark END)
        END
    FROM sseapp.state s JOIN pg_class c ON c.oid = 'sseapp.change'::regclass LEFT JOIN sseapp.crash_mark m ON true
$body$;
