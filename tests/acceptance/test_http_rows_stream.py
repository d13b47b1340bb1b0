"""The event stream of /rows: the whole result, at once and when a row in it changed, by as few queries as can be."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager

import pytest
from harness.clusters import wait_until


class Queries:
    """Counts the statements that read a table, by the server's own log."""

    def __init__(self, site, table):
        self._log = site.server.log
        self._mark = f'"public"."{table}" t WHERE'
        self._before = self._total()

    def _total(self):
        return self._log.read_text(errors="replace").count(self._mark)

    @property
    def count(self):
        return self._total() - self._before


@pytest.fixture
def queries(newest):
    """Have every statement logged, in sessions that begin from now on; the pool is made to begin anew."""
    database = newest.sql("SELECT current_database()")[0][0]

    @contextmanager
    def counting(table):
        newest.sql(f"ALTER DATABASE {database} SET log_statement = 'all'")
        newest.renew_pool()
        try:
            yield Queries(newest, table)
        finally:
            newest.sql(f"ALTER DATABASE {database} RESET log_statement")
            newest.renew_pool()

    return counting


def test_at_once_and_again_when_a_row_changed(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, "rows", every="100ms") as stream:
        assert stream.event("rows").json == {
            "table": f"public.{table}",
            "key": ["id"],
            "rows": [{"id": 1, "a": "x"}],
            "more": False,
        }
        for statement, rows in (
            (f"INSERT INTO {table} VALUES (2, 'y')", [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}]),
            (f"UPDATE {table} SET a = 'z' WHERE id = 1", [{"id": 1, "a": "z"}, {"id": 2, "a": "y"}]),
            (f"DELETE FROM {table} WHERE id = 2", [{"id": 1, "a": "z"}]),
            (f"TRUNCATE {table}", []),
        ):
            site.sql(statement)
            assert stream.event("rows").json["rows"] == rows


def test_columns_order_and_limit(site):
    table = site.table("id int PRIMARY KEY, a text, b text", rows="(1, 'x', 'p'), (2, 'y', 'q'), (3, 'z', 'r')")
    with site.follow(table, "rows", columns="b", order="id.desc", limit=2, every="100ms") as stream:
        data = stream.event("rows").json
        assert (data["rows"], data["more"]) == ([{"id": 3, "b": "r"}, {"id": 2, "b": "q"}], True)
        site.sql(f"UPDATE {table} SET a = 'unseen'")
        site.sql(f"DELETE FROM {table} WHERE id = 3")
        data = stream.event("rows").json
        assert (data["rows"], data["more"]) == ([{"id": 2, "b": "q"}, {"id": 1, "b": "p"}], False)


def test_a_column_that_is_only_ordered_by_counts(site):
    table = site.table("id int PRIMARY KEY, a text, b int", rows="(1, 'x', 1), (2, 'y', 2)")
    with site.follow(table, "rows", columns="a", order="b.desc", limit=1, every="100ms") as stream:
        assert stream.event("rows").json["rows"] == [{"id": 2, "a": "y"}]
        site.sql(f"UPDATE {table} SET b = 9 WHERE id = 1")
        assert stream.event("rows").json["rows"] == [{"id": 1, "a": "x"}]
    # its cursors are those of the query, whatever it hears besides
    with site.follow(table, columns="a", last_id=stream.last_id) as changes:
        site.sql(f"UPDATE {table} SET a = 'z' WHERE id = 1")
        assert changes.event().name == "update"


def test_only_a_change_in_the_range_sends_the_result_again(site):
    table = site.table("id int PRIMARY KEY, n int", watch="range_column => 'n'", rows="(1, 5), (2, 50)")
    with site.follow(table, "rows", start=10, every="100ms") as stream:
        assert stream.event("rows").json["rows"] == [{"id": 2, "n": 50}]
        site.sql(f"INSERT INTO {table} VALUES (3, 9)")
        site.sql(f"UPDATE {table} SET n = 6 WHERE id = 1")
        site.sql(f"DELETE FROM {table} WHERE id = 3")
        site.sql(f"UPDATE {table} SET n = 10 WHERE id = 1")
        # one result, and it is that of the last statement: the three before sent none
        assert stream.event("rows").json["rows"] == [{"id": 1, "n": 10}, {"id": 2, "n": 50}]
        site.sql(f"UPDATE {table} SET n = 9 WHERE id = 2")
        assert stream.event("rows").json["rows"] == [{"id": 1, "n": 10}]


def test_a_change_that_the_result_does_not_show_sends_nothing(site):
    table = site.table("id int PRIMARY KEY, a text", rows="(1, 'x'), (2, 'y')")
    with site.follow(table, "rows", columns="id", limit=1, every="100ms") as stream:
        first = stream.event("rows").json
        assert (first["rows"], first["more"]) == ([{"id": 1}], True)
        for number in range(3, 6):
            site.sql(f"INSERT INTO {table} VALUES ({number})")
            site.caught_up()
        site.sql(f"INSERT INTO {table} VALUES (0)")
        assert stream.event("rows").json["rows"] == [{"id": 0}]


def test_at_most_once_in_every(newest):
    table = newest.table()
    with newest.follow(table, "rows", every="600ms") as stream:
        stream.event("rows")
        began = time.monotonic()
        for number in range(20):
            newest.sql(f"INSERT INTO {table} VALUES ({number})")
        found = [len(stream.event("rows").json["rows"])]
        assert time.monotonic() - began >= 0.5
        while found[-1] < 20:
            found.append(len(stream.event("rows").json["rows"]))
        assert len(found) <= 1 + (time.monotonic() - began) / 0.6


def test_one_query_for_all_who_ask_the_same(newest, queries):
    table = newest.table(rows="(1, 'x')")
    with queries(table) as read, ExitStack() as stack:
        streams = [stack.enter_context(newest.follow(table, "rows", every="200ms", a="neq.no")) for _ in range(10)]
        # spelt otherwise, asked alike
        streams.append(stack.enter_context(newest.follow(table.upper(), "rows", a="neq.no", every="0.2s", limit=10000)))
        for stream in streams:
            assert stream.event("rows").json["rows"] == [{"id": 1, "a": "x"}]
        assert read.count == 1
        newest.sql(f"UPDATE {table} SET a = 'y'")
        for stream in streams:
            assert stream.event("rows").json["rows"] == [{"id": 1, "a": "y"}]
        assert read.count == 2
        other = stack.enter_context(newest.follow(table, "rows", every="200ms", a="neq.other"))
        other.event("rows")
        assert read.count == 3


def test_no_query_while_nothing_in_the_range_changes(newest, queries):
    table = newest.table("id int PRIMARY KEY, n int", rows="(1, 1), (2, 20)")
    with queries(table) as read, newest.follow(table, "rows", n="gte.10", every="100ms") as stream:
        stream.event("rows")
        with newest.follow(table, snapshot="no") as changes:
            changes.until(lambda block: block.id)
            for number in range(5):
                newest.sql(f"UPDATE {table} SET n = {number} WHERE id = 1")
            # the changes have gone through the listener, and heartbeats show that the stream has had its time
            changes.told(4)
            for _ in range(3):
                assert not stream.until(lambda block: block.comments).fires
        assert read.count == 1
        newest.sql(f"UPDATE {table} SET n = 10 WHERE id = 1")
        stream.event("rows")
        assert read.count == 2


def test_a_window_that_moves_and_leaves_all_as_it_was_sends_nothing(newest, queries):
    table = newest.table("id int PRIMARY KEY, a text, at timestamptz", watch="range_column => 'at'")
    newest.sql(f"INSERT INTO {table} VALUES (1, 'x', now() + interval '1 day')")
    with queries(table) as read, newest.follow(table, "rows", last="2s", columns="a", every="100ms") as stream:
        assert stream.event("rows").json["rows"] == [{"id": 1, "a": "x"}]
        # it does not see the dates, so it has to look
        wait_until(lambda: read.count >= 3, what="looks at a window that has moved")
        newest.sql(f"INSERT INTO {table} VALUES (2, 'y', now() + interval '1 day')")
        assert stream.event("rows").json["rows"] == [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}]


def test_a_later_subscriber_gets_the_newest_result_without_a_query(newest, queries):
    table = newest.table(rows="(1, 'x')")
    with queries(table) as read, newest.follow(table, "rows", every="100ms") as first:
        first.event("rows")
        newest.sql(f"UPDATE {table} SET a = 'y'")
        first.event("rows")
        with newest.follow(table, "rows", every="100ms") as second:
            assert second.event("rows").json["rows"] == [{"id": 1, "a": "y"}]
        assert read.count == 2


def test_a_result_follows_the_tables_shape(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, "rows", every="100ms") as stream:
        stream.event("rows")
        site.sql(f"ALTER TABLE {table} ADD COLUMN b int DEFAULT 7")
        assert stream.event("rows").json["rows"] == [{"id": 1, "a": "x", "b": 7}]
        site.sql(f"UPDATE {table} SET b = 8")
        assert stream.event("rows").json["rows"] == [{"id": 1, "a": "x", "b": 8}]


def test_an_unwatched_table_ends_the_stream(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, "rows", every="100ms") as stream:
        stream.event("rows")
        site.sql(f"SELECT sseapp.unwatch('{table}')")
        assert [block.name for block in stream.rest() if block.fires] == ["bye"]


def test_with_the_last_subscriber_it_ends(newest):
    newest.settled()
    wait_until(lambda: newest.metric("channels") == 0, what="no stream")
    table = newest.table(rows="(1, 'x')")
    with newest.follow(table, "rows") as stream:
        stream.event("rows")
        assert newest.metric("channels") == 1
    wait_until(lambda: newest.metric("channels") == 0, what="the end of its stream")
