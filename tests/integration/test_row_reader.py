"""Why rows cannot be read: the table has changed, a value of the filter is at fault, or something else is."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest
from harness.running import Running, prepare

from sseapp.errors import LockedError, ShapeChangedError, UnreadableError
from sseapp.live.row_reader import RowReader
from sseapp.query.query import parse as parse_query


@pytest.fixture
def make(pg18):
    with ExitStack() as stack:

        def make(options=""):
            dsn = stack.enter_context(pg18.database(options))
            prepare(dsn)
            return stack.enter_context(closing(Running(pg18, dsn)))

        yield make


@pytest.fixture
def running(make):
    return make()


@pytest.fixture(params=["read", "pages"])
def read(request):
    """Reads the rows of a query, in either way."""

    def read(running, table, *arguments):
        reader = RowReader(running.runtime.database, running.runtime.registry, deadline=10)
        asked = parse_query(table, arguments)
        if request.param == "read":
            return [*reader.read(table, asked, asked.filter).rows]
        with reader.pages(table, asked, asked.filter, whole=True) as pages:
            return [row for page in pages for row in page]

    return read


def test_a_change_of_shape(running, read):
    table = running.table("orders")
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    assert read(running, table) == ['{"id":1,"a":"x"}']
    running.sql("ALTER TABLE orders RENAME COLUMN a TO b")
    with pytest.raises(ShapeChangedError):
        read(running, table)
    assert read(running, running.table("orders")) == ['{"id":1,"b":"x"}']


POLICIES = {
    "a value": "(id / 0) > 0",
    "a type": "a::int > 0",
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_an_error_of_a_row_keeps_its_cause(running, read, policy, caplog):
    """It was taken for a table that keeps changing."""
    table = running.table("orders")
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    running.sql(f"CREATE VIEW failing AS SELECT * FROM orders WHERE {policy}")
    running.sql("ALTER TABLE orders RENAME TO real; ALTER VIEW failing RENAME TO orders")
    with pytest.raises(UnreadableError) as raised:
        _unchanged(running, lambda: read(running, table))
    assert "division" not in raised.value.detail
    assert "integer" not in raised.value.detail
    assert "The rows of public.orders cannot be read: " in caplog.text


def _unchanged(running, run):
    """As if the catalog showed the same table still."""
    refresh = running.runtime.registry.refresh
    running.runtime.registry.refresh = lambda: tables
    tables = dict(running.runtime.registry.tables)
    try:
        return run()
    finally:
        running.runtime.registry.refresh = refresh


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_value_that_the_database_s_encoding_lacks(make, read, encoding):
    running = make(f"ENCODING '{encoding}' LOCALE 'C'")
    table = running.table("orders")
    assert read(running, table, ("a", "eq.€")) == []


def test_a_lock_is_told_as_such(running, read):
    table = running.table("orders")
    with running.session() as session:
        session.query("BEGIN; LOCK TABLE orders")
        with pytest.raises(LockedError):
            read(running, table)
