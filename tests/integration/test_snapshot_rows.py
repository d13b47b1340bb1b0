"""Rows, and the snapshot they stand at, from one statement."""

from __future__ import annotations

import json
import threading
from contextlib import closing

import pytest

from sseapp.errors import LockedError, MissingRightError, UndefinedError
from sseapp.events.ring import FRAME_SIZE
from sseapp.log.cursor import Cursor
from sseapp.postgres import catalog, change_log, snapshot_rows
from sseapp.postgres.database import Connection, Database
from sseapp.query.query import parse as parse_query


@pytest.fixture
def database(site):
    found = Database(site.dsn)
    yield found
    found.close()


def _table(site, name="t"):
    with closing(Connection(site.dsn)) as connection:
        return next(t for t in catalog.load(connection).values() if (t.schema, t.name) == (site.name, name))


def _read(database, table, *arguments):
    asked = parse_query(table, arguments)
    return snapshot_rows.read(database, table, asked, asked.filter)


def _ids(rows):
    return [json.loads(row)["id"] for row in rows.rows]


@pytest.fixture
def table(site):
    site.run('CREATE TABLE t (id int PRIMARY KEY, a text, "%s ""{}" numeric)')
    site.run("INSERT INTO t VALUES (3, 'c', 1.50), (1, 'a', NULL), (2, 'b', 2)")
    site.watch("t")
    return _table(site)


def test_all_columns_in_their_order_by_the_key(database, table):
    assert _read(database, table).rows == (
        '{"id":1,"a":"a","%s \\"{}":null}',
        '{"id":2,"a":"b","%s \\"{}":2}',
        '{"id":3,"a":"c","%s \\"{}":1.50}',
    )


@pytest.mark.parametrize(("rows", "shown", "more"), [(40, 17, True), (16, 16, False), (17, 17, False), (18, 17, True)])
def test_a_result_is_bounded_in_bytes(site, database, rows, shown, more):
    """A row here has just above 1,000,000 bytes, and 16 MiB are 16,777,216."""
    site.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
    site.run(f"INSERT INTO t SELECT n, repeat('x', 1000000) FROM generate_series(1, {rows}) n")
    site.watch("t")
    found = _read(database, _table(site))
    assert (_ids(found), found.more) == ([*range(1, shown + 1)], more)


def test_a_row_above_the_bound_comes_alone(site, database):
    site.run("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, repeat('x', 17 << 20))")
    site.watch("t")
    assert _read(database, _table(site)).more is False
    site.run("INSERT INTO t VALUES (2, ''), (3, '')")
    found = _read(database, _table(site))
    assert (_ids(found), found.more) == ([1], True)


def test_a_filter_an_order_columns_and_a_limit(database, table):
    rows = _read(database, table, ("a", "neq.b"), ("columns", "id"), ("order", "a.desc"), ("limit", "1"))
    assert (rows.rows, rows.more) == (('{"id":3}',), True)
    assert _ids(_read(database, table, ('"%s ""{}"', "gte.1.5"))) == [2, 3]
    assert _ids(_read(database, table, ("a", "eq.100%s{}'; --"))) == []


def test_the_text_is_that_of_the_log(site, database, table):
    site.run("UPDATE t SET a = a || '!'")
    logged = [new for _, _, new in site.log()]
    assert sorted(_read(database, table).rows) == sorted(logged)


def test_an_empty_result_has_a_snapshot(site, database, table):
    rows = _read(database, table, ("id", "eq.99"))
    assert (rows.rows, rows.more) == ((), False)
    with closing(Connection(site.dsn)) as connection:
        assert rows.upto == change_log.log_end(connection).upto


def test_children_by_inheritance_are_not_the_tables_rows(site, database, table):
    site.run("CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (9, 'child')")
    assert _ids(_read(database, table)) == [1, 2, 3]


@pytest.mark.parametrize("change", ["ALTER TABLE t RENAME COLUMN a TO b", "DROP TABLE t"])
def test_a_column_or_table_that_is_gone_is_an_error(site, database, table, change):
    """Whether that is a change of shape, see test_row_reader."""
    site.run(change)
    with pytest.raises(UndefinedError):
        _read(database, table)


def _pages(site, table, *arguments, whole=True):
    asked = parse_query(table, arguments)
    with (
        closing(Connection(site.dsn)) as connection,
        snapshot_rows.opened(connection, table, asked, asked.filter, whole=whole, deadline=10) as pages,
    ):
        return pages.upto, list(pages)


def test_pages_hold_all_rows_in_order(site, database, table):
    site.run("INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(4, 5000) n")
    upto, pages = _pages(site, table)
    assert len(pages) > 2
    assert all(0 < len(page) <= 2000 for page in pages)
    whole = _read(database, table)
    assert ([row for page in pages for row in page], upto) == ([*whole.rows], whole.upto)
    assert [len(page) for page in _pages(site, table, ("limit", "2"), whole=False)[1]] == [3], "one more than the limit"


def test_a_page_is_bounded_by_the_bytes_of_its_rows(site, table):
    """However well they are compressed."""
    site.run("INSERT INTO t SELECT n, repeat('x', 100000) FROM generate_series(4, 40) n")
    _, pages = _pages(site, table)
    assert max(sum(map(len, page)) for page in pages) < FRAME_SIZE + 101_000


def test_pages_are_of_one_moment_and_leave_no_transaction_behind(site, table):
    site.run("INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(4, 5000) n")
    asked = parse_query(table, [])
    with closing(Connection(site.dsn)) as connection:
        with snapshot_rows.opened(connection, table, asked, asked.filter, whole=True, deadline=10) as pages:
            rows = iter(pages)
            found = [*next(rows)]
            site.run("DELETE FROM t")
            found += [row for page in rows for row in page]
        assert len(found) == 5000
        assert connection.query("SELECT now() = statement_timestamp()") == [(True,)]
        with (
            pytest.raises(ZeroDivisionError),
            snapshot_rows.opened(connection, table, asked, asked.filter, whole=True, deadline=10),
        ):
            raise ZeroDivisionError
        assert connection.query("SELECT now() = statement_timestamp()") == [(True,)]


def test_a_policy_that_would_leave_rows_out_is_an_error(site, database, table):
    """A snapshot is complete or is none."""
    site.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY")
    with pytest.raises(MissingRightError, match=r"(?i)row-level security"):
        _read(database, table)


def test_rows_and_snapshot_are_of_one_moment(site, database, table):
    """Rows, plus the changes that their snapshot does not see, are the table: with writers at work, at every moment."""
    stop = threading.Event()

    def work(number):
        session = site.session()
        session.autocommit = False
        with session.cursor() as cursor:
            while not stop.is_set():
                for step in range(4):
                    cursor.execute(
                        "INSERT INTO t VALUES (%s) ON CONFLICT (id) DO UPDATE SET a = t.a || '.'", [100 * number + step]
                    )
                session.rollback() if number % 3 == 0 else session.commit()

    writers = [threading.Thread(target=work, args=[number]) for number in range(1, 5)]
    for writer in writers:
        writer.start()
    try:
        reads = [_read(database, table) for _ in range(25)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    final = {json.loads(row)["id"]: row for row in site.rows("t")}
    for rows in reads:
        state = {json.loads(row)["id"]: row for row in rows.rows}
        for change in change_log.resume(database, table.watch, Cursor(rows.upto), limit=100_000).changes:
            before = json.loads(change.new)["id"]
            assert state.get(before) == change.old
            state[before] = change.new
        assert state == final


@pytest.mark.usefixtures("table")
def test_the_search_path_shows_in_no_row(site):
    """It decides how a ``regclass`` is printed: as in a change, and so that a filter takes the same of both."""
    site.run(
        "CREATE TABLE r (id int PRIMARY KEY, x regclass); SET quote_all_identifiers = on; SET search_path = public"
    )
    try:
        number = site.watch(f"{site.name}.r")
        site.run(f"INSERT INTO {site.name}.r VALUES (1, '{site.name}.t'), (2, 'pg_class')")
    finally:
        site.run(f"RESET quote_all_identifiers; SET search_path = {site.name}")
    with closing(
        Database(f"{site.dsn}?options=-csearch_path%3D{site.name}%20-cquote_all_identifiers%3Don")
    ) as database:
        watched = _table(site, "r")
        told = [new for (new,) in site.log("new", watch=number)]
        assert [json.loads(row) for row in _read(database, watched).rows] == told
        assert [new["x"] for new in told] == [f"{site.name}.t", "pg_class"]
        assert _ids(_read(database, watched, ("x", f"eq.{site.name}.t"))) == [1]


def test_a_table_that_is_locked_is_not_waited_for_with_a_connection_of_the_pool(site, database, table):
    """A few that ask of it would take them all, and other tables would not be read."""
    locker = site.session(setup="BEGIN; LOCK TABLE t")
    with pytest.raises(LockedError, match="t is locked by another transaction"):
        _read(database, table)
    locker.close()
    assert _ids(_read(database, table)) == [1, 2, 3]
