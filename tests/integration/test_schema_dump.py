"""A dump renumbers tables and columns: until the next install a restored watch is silent, after it works as before."""

from __future__ import annotations

import subprocess
from contextlib import closing

import pytest
from harness.versions import program
from harness.watching import KEEPER, as_user, execute, make_keeper, open_session

from sseapp.postgres import catalog, schema
from sseapp.postgres.database import Connection

TABLES = """
CREATE SCHEMA shop; SET search_path = shop;
CREATE TABLE t (gone int, id int PRIMARY KEY, at date, secret text, name text);
ALTER TABLE t DROP gone;
CREATE TABLE only_some (gone int, gone2 int, a int, b text, secret text);
ALTER TABLE only_some DROP gone, DROP gone2;
CREATE TABLE p (gone int, id int, secret text) PARTITION BY RANGE (id);
ALTER TABLE p DROP gone;
CREATE TABLE p1 PARTITION OF p DEFAULT;
CREATE TABLE q (id int) PARTITION BY RANGE (id);
CREATE TABLE q1 PARTITION OF q DEFAULT;
CREATE TABLE plain (id int);
"""
WRITES = """
INSERT INTO shop.t (id, {}, name) VALUES (1, 'xyzzy', 'n');
INSERT INTO shop.only_some (a, b, secret) VALUES (1, 'b', 'xyzzy');
INSERT INTO shop.p (id, secret) VALUES (1, 'xyzzy');
INSERT INTO shop.p1 (id, secret) VALUES (2, 'xyzzy');
INSERT INTO shop.q VALUES (1);
INSERT INTO shop.plain VALUES (1);
"""


@pytest.fixture
def original(dsn):
    keeper = make_keeper(dsn)
    with closing(Connection(keeper)) as connection:
        schema.install(connection)
        connection.query(TABLES)
        schema.watch(connection, "shop.plain")
        schema.unwatch(connection, "shop.plain")
        schema.watch(connection, "shop.t", range_column="at", hide=["secret"])
        schema.watch(connection, "shop.only_some", only_columns=["a", "b"])
        schema.watch(connection, "shop.p", hide=["secret"])
        schema.watch(connection, "shop.q")
        schema.watch(connection, "shop.plain")
        yield connection


@pytest.fixture
def restore(server, dsn, original):  # noqa: ARG001 - it must be there to be dumped
    """Dump the original and restore it elsewhere; yields a session there."""
    with server.database() as other:
        make_keeper(other)

        def restored(*options, stop=1):
            dump = subprocess.run(
                [program(server.version, "pg_dump"), "--dbname", dsn, *options], check=True, capture_output=True
            ).stdout
            psql = [
                program(server.version, "psql"),
                "-d",
                other,
                "--no-psqlrc",
                "--quiet",
                "--set",
                f"ON_ERROR_STOP={stop}",
            ]
            subprocess.run(psql, check=True, capture_output=True, input=dump)
            return as_user(other, KEEPER)

        yield restored


def log(session):
    return execute(session, "SELECT watch, kind::text, new::text FROM sseapp.change WHERE kind <> 'r' ORDER BY id")


def test_works_again_after_an_install_under_the_same_numbers(original, restore):
    original.query(WRITES.format("secret"))
    before = catalog.load(original)
    with closing(open_session(restore())) as session, closing(Connection(session.dsn)) as connection:
        execute(session, "TRUNCATE shop.t, shop.only_some, shop.p, shop.q, shop.plain; DELETE FROM sseapp.change")
        execute(session, WRITES.format("secret"))
        assert log(session) == []  # numbers of another database count for nothing
        assert not schema.is_current(connection)
        assert schema.install(connection)
        execute(session, "DELETE FROM shop.t; " + WRITES.format("secret"))
        numbers = {table.name: watch for watch, table in before.items()}
        assert log(session)[1:] == [
            (numbers["t"], "i", '{"id":1,"at":null,"name":"n"}'),
            (numbers["only_some"], "i", '{"a":1,"b":"b"}'),
            (numbers["p"], "i", '{"id":1}'),
            (numbers["p"], "i", '{"id":2}'),
            (numbers["q"], "i", '{"id":1}'),
            (numbers["plain"], "i", '{"id":1}'),
        ]
        after = catalog.load(connection)
        assert [(n, str(t), t.key, t.range, t.columns) for n, t in after.items()] == [
            (n, str(t), t.key, t.range, t.columns) for n, t in before.items()
        ]
        assert connection.query("SELECT count(trouble) FROM sseapp.watched") == [(0,)]
        assert connection.query("SELECT sseapp.check_shapes()") == [(0,)]
        assert connection.query("SELECT sseapp.epoch()") != original.query("SELECT sseapp.epoch()")


def test_the_name_of_a_hidden_column_that_was_dropped_is_kept(original, restore):
    original.query("ALTER TABLE shop.t DROP secret; SELECT sseapp.check_shapes()")
    with closing(open_session(restore())) as session, closing(Connection(session.dsn)) as connection:
        assert schema.install(connection)
        execute(session, "ALTER TABLE shop.t ADD secret text")
        assert [column.name for column in catalog.load(connection)[2].columns] == ["id", "at", "name"]


def test_how_far_the_dumped_log_was_pruned_counts_for_nothing(original, restore):
    original.query("UPDATE sseapp.pruned SET snapshot = '900000000:900000000:', xid = '899999999'")
    with closing(open_session(restore())) as session, closing(Connection(session.dsn)) as connection:
        schema.install(connection)
        execute(session, WRITES.format("secret"))
        while execute(session, "SELECT sseapp.prune('0 s')") != [(0,)]:
            pass
        assert log(session) == []


def test_a_column_renamed_since_the_watch_does_not_leak(original, restore):
    original.query("ALTER TABLE shop.t RENAME secret TO open; SELECT sseapp.check_shapes()")
    with closing(open_session(restore())) as session, closing(Connection(session.dsn)) as connection:
        execute(session, WRITES.format("open"))
        schema.install(connection)
        execute(session, "DELETE FROM shop.t; " + WRITES.format("open"))
        assert "xyzzy" not in str(execute(session, "SELECT old, new FROM sseapp.change"))
        assert connection.query("SELECT hidden FROM sseapp.watched WHERE \"table\" = 't'") == [(["open"],)]


def test_a_column_renamed_since_the_last_check_ends_the_watch(original, restore):
    original.query("ALTER TABLE shop.t RENAME secret TO open")
    with closing(open_session(restore())) as session, closing(Connection(session.dsn)) as connection:
        schema.install(connection)
        execute(session, WRITES.format("open"))
        assert "xyzzy" not in str(execute(session, "SELECT old, new FROM sseapp.change"))
        assert sorted(table.name for table in catalog.load(connection).values()) == ["only_some", "p", "plain", "q"]
        assert execute(session, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'shop.t'::regclass") == [(0,)]


def test_the_tables_alone_restored_beside_another_installation(restore):
    """Their triggers call functions that are not there, or another table's: the rest of the dump is as it was."""
    dsn = restore("--schema-only", "--schema", "sseapp")
    with closing(open_session(dsn)) as session, closing(Connection(dsn)) as connection:
        schema.install(connection)
        execute(session, "CREATE SCHEMA mine; CREATE TABLE mine.t (id int)")
        for _ in range(4):
            execute(session, "SELECT sseapp.watch('mine.t'), sseapp.unwatch('mine.t')")
        execute(session, "SELECT sseapp.watch('mine.t')")
        restore("--schema", "shop", stop=0)
        execute(session, WRITES.format("secret"))
        assert log(session) == []
        assert execute(session, "SELECT count(*) FROM shop.p") == [(2,)]


def test_the_tables_alone_restored_in_the_same_database(server, dsn, original):
    """Their triggers name tables that are gone."""
    dump = subprocess.run(
        [program(server.version, "pg_dump"), "--dbname", dsn, "--schema", "shop"], check=True, capture_output=True
    ).stdout
    original.query("DROP SCHEMA shop CASCADE")
    psql = [program(server.version, "psql"), "-d", dsn, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]
    subprocess.run(psql, check=True, capture_output=True, input=dump)
    original.query(WRITES.format("secret"))
    assert original.query("SELECT count(*) FROM sseapp.change WHERE kind <> 'r'") == [(0,)]


@pytest.mark.parametrize("triggers", ["row", "statement"])
def test_numbers_that_were_noted_elsewhere_count_for_nothing_even_under_the_same_oids(dsn, triggers):
    with closing(Connection(make_keeper(dsn))) as connection:
        schema.install(connection)
        connection.query(
            f"SET sseapp.triggers = {triggers}; CREATE SCHEMA shop; CREATE TABLE shop.t (id int, secret text)"
        )
        schema.watch(connection, "shop.t", hide=["secret"])
        connection.query("SELECT sseapp.bind(); INSERT INTO shop.t VALUES (1, 'xyzzy')")
        assert connection.query("SELECT count(*) FROM sseapp.change WHERE kind <> 'r'") == [(0,)]
