"""An older schema is brought up to date with all that is watched, hidden and logged; it is then as a fresh one."""

from __future__ import annotations

import gzip
from contextlib import closing
from pathlib import Path

import pytest
from harness.watching import execute, make_keeper, open_session

from sseapp.log.cursor import Cursor, Snapshot
from sseapp.postgres import catalog, schema
from sseapp.postgres.change_log import ChangeLog
from sseapp.postgres.database import Connection

OLDER = {"3": gzip.decompress((Path(__file__).parent / "data" / "schema_3.sql.gz").read_bytes()).decode()}
TABLES = """CREATE SCHEMA shop; SET search_path = shop; CREATE TYPE mood AS ENUM ('sad');
    CREATE TABLE plain (id int PRIMARY KEY, at date, secret text, m mood); CREATE TABLE bag (n int);
    CREATE TABLE parted (id int, secret text) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parted DEFAULT;
    CREATE TABLE child () INHERITS (bag); SELECT sseapp.watch('plain', 'at', hide => '{secret}');
    SELECT sseapp.watch('bag'); SELECT sseapp.watch('parted', only_columns => '{id}');"""
WRITES = """INSERT INTO shop.plain VALUES (1, '2026-01-31', 'xyzzy', 'sad');
    INSERT INTO shop.bag SELECT generate_series(1, 99);
    INSERT INTO shop.parted VALUES (1, 'xyzzy'); UPDATE shop.bag SET n = 0; DELETE FROM shop.plain"""
OBJECTS = """
SELECT 'function', p.oid::regprocedure::text,
    concat_ws(' ', p.prosrc, p.proconfig, p.prosecdef, p.provolatile, p.proacl)
FROM pg_proc p WHERE pronamespace = 'sseapp'::regnamespace AND proname !~ '^log_[0-9]+'
UNION ALL SELECT 'table', c.oid::regclass::text, concat(c.relkind, c.relpersistence, c.relacl, c.reloptions)
FROM pg_class c WHERE relnamespace = 'sseapp'::regnamespace
UNION ALL SELECT 'column', a.attrelid::regclass || '.' || a.attname,
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnum, a.attnotnull, a.attidentity,
              pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
WHERE relnamespace = 'sseapp'::regnamespace AND attnum > 0 AND NOT attisdropped AND c.relname <> 'binding'
UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'sseapp'::regnamespace
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'sseapp'::regnamespace
UNION ALL SELECT 'view', c.oid::regclass::text, pg_get_viewdef(c.oid)
FROM pg_class c WHERE relnamespace = 'sseapp'::regnamespace AND relkind = 'v'
UNION ALL SELECT 'version', version::text, '' FROM sseapp.state
ORDER BY 1, 2, 3"""


@pytest.fixture(params=OLDER)
def older(request, dsn):
    """A session on a database where an older version runs."""
    with closing(open_session(make_keeper(dsn))) as session:
        execute(session, OLDER[request.param])
        execute(session, TABLES)
        execute(session, WRITES)
        yield session


def objects(session):
    return execute(session, OBJECTS)


def test_it_is_then_as_a_fresh_one(older, server):
    with closing(Connection(older.dsn)) as connection:
        assert not schema.is_current(connection)
        assert schema.install(connection)
        assert schema.is_current(connection)
        assert not schema.install(connection)
    with server.database() as fresh, closing(open_session(make_keeper(fresh))) as session:
        execute(session, schema.printable())
        assert objects(older) == objects(session)


def test_what_was_watched_goes_on_and_cursors_serve(older):
    with closing(Connection(older.dsn)) as connection:
        ((snapshot,),) = execute(older, "SELECT pg_current_snapshot()::text")
        before = execute(older, "SELECT * FROM sseapp.change ORDER BY id")
        schema.install(connection)
        assert execute(older, "SELECT * FROM sseapp.change ORDER BY id") == before, "and no reset"
        assert connection.query("SELECT sseapp.check_shapes()") == [(0,)]
        assert connection.query("SELECT count(trouble) FROM sseapp.watched") == [(0,)]
        execute(older, WRITES)
        after = ChangeLog(connection).read(Cursor(Snapshot.parse(snapshot)), batch=1000, sent=0)
        assert [change.kind for change in after.changes] == [*"i" * 100, *"i", *"u" * 99, "d"]
        assert "xyzzy" not in str(after.changes)
        assert {str(table): table.range for table in catalog.load(connection).values()} == {
            "shop.plain": "at", "shop.bag": None, "shop.parted": None,
        }  # fmt: skip


def test_what_changed_meanwhile_is_told(older):
    execute(older, "ALTER TABLE shop.plain ADD fresh int")
    with closing(Connection(older.dsn)) as connection:
        schema.install(connection)
    assert execute(older, "SELECT reason FROM sseapp.change WHERE kind = 'r' ORDER BY id DESC LIMIT 1") == [
        ("columns have changed: fresh",)
    ]


def test_uninstalled_it_leaves_nothing(older):
    with closing(Connection(older.dsn)) as connection:
        schema.install(connection)
        schema.uninstall(connection)
    assert execute(older, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '!sseapp%'") == [(0,)]
    assert execute(older, "SELECT to_regnamespace('sseapp')") == [(None,)]
