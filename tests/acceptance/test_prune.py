"""The log stays small, by age and by size, under load; no subscriber loses a change by it."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.site import site as serve_site

MIB = 1 << 20
NOISE = "(SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 31) i)"  # 1 kB that does not compress


@pytest.fixture
def site(pg18, request):
    with serve_site(pg18, **getattr(request, "param", {"retention": "3s"})) as found:
        yield found


class Writer:
    """Writes ``rate`` rows a second until the end of the block, in batches of a hundred."""

    def __init__(self, site, table, rate):
        self._site, self._table, self._rate = site, table, rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rows = 0
        self.seconds = 0.0

    def _run(self):
        insert = f"INSERT INTO {self._table} SELECT n, 'x' FROM generate_series(%s + 1, %s + 100) n"
        began = time.monotonic()
        with closing(psycopg2.connect(self._site.dsn)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while not self._stop.wait(max(0.0, began + self.rows / self._rate - time.monotonic())):
                cursor.execute(insert, (self.rows, self.rows))
                self.rows += 100
        self.seconds = time.monotonic() - began

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def log_changes(site):
    return site.sql("SELECT coalesce(sum(changes), 0) FROM sseapp.change")[0][0]


def log_size(site):
    """The log's size in bytes, including the space of deleted rows."""
    return site.sql("SELECT pg_total_relation_size('sseapp.change')")[0][0]


@pytest.mark.slow
def test_the_log_is_bounded_under_a_steady_load(site, capsys):
    """2,000 rows a second, each kept for 3 s: some 6,000 rows and what a pruner's round leaves, not all of them."""
    table = site.table("id bigint PRIMARY KEY, a text")
    most, size = 0, 0
    with site.follow(table, snapshot="no") as stream, Writer(site, table, 2000) as writer:
        while writer.rows < 24_000:
            most, size = max(most, log_changes(site)), max(size, log_size(site))
            stream.event("insert")
        rows = writer.rows
    rate = writer.rows / writer.seconds
    with capsys.disabled():
        print(f"\n{rate:.0f} rows/s, {rows} written: at most {most} in the log, {size / MIB:.1f} MiB")  # noqa: T201
    assert rate > 1000, "too slow to prove anything"
    assert most < 6 * rate
    wait_until(lambda: log_changes(site) == 0, 15, "an empty log")


@pytest.mark.parametrize("site", [{"log_size": "1m", "retention": "1m"}], indirect=True)
def test_the_log_is_pruned_by_its_size(site):
    """10 MB, all younger than the retention: the log is cut to a megabyte, and who is up to date does not notice."""
    table = site.table("id bigint PRIMARY KEY, a text")
    with site.follow(table, columns="id", snapshot="no") as stream:
        stream.until(lambda block: block.id is not None)
        for begin in range(0, 10_000, 500):
            site.sql(f"INSERT INTO {table} SELECT {begin} + n, {NOISE} FROM generate_series(1, 500) n")
            stream.events(500)
        wait_until(lambda: log_changes(site) < 1500, 20, "a smaller log")
        with site.follow(table, columns="id", last_id=stream.last_id) as again:
            assert again.until(lambda block: block.is_heartbeat or block.fires).is_heartbeat


def test_a_transaction_that_outlasts_the_retention_is_told(site):
    table = site.table()
    with site.follow(table) as stream, site.session() as session:
        last_id = stream.event("snapshot").id
        session.execute(f"INSERT INTO {table} VALUES (1, 'slow')")
        site.sql(f"INSERT INTO {table} VALUES (2, 'quick')")
        assert stream.event("insert").json["row"]["id"] == 2
        wait_until(lambda: log_changes(site) == 0, 20, "the end of the quick one in the log")
        before = stream.last_id
        session.execute("COMMIT")
        assert stream.event("insert").json["row"]["id"] == 1
        # its id is below those that were pruned, but it is young
        site.sql("SELECT sseapp.prune('3 s')")
        with site.follow(table, last_id=before) as again:
            assert again.event().json["row"]["id"] == 1
        with site.follow(table, last_id=last_id) as late:
            assert "pruned" in late.event("reset").json["reason"]
            assert [row["id"] for row in late.event("snapshot").json["rows"]] == [1, 2]


def test_two_pruners_at_once_do_not_wait_for_each_other(site):
    table = site.table()
    site.sql(f"INSERT INTO {table} SELECT n, 'x' FROM generate_series(1, 100) n")
    site.caught_up()
    with site.session() as first, site.session() as second:
        first.execute("SELECT sseapp.prune('0 s')")
        assert first.fetchall()[0][0] >= 0
        second.execute("SET statement_timeout = '2s'")
        second.execute("SELECT sseapp.prune('0 s')")
        assert second.fetchall() == [(0,)]
        # nor does a writer
        second.execute(f"INSERT INTO {table} VALUES (1000, 'y')")
        second.execute("COMMIT")
        first.execute("COMMIT")
    with site.follow(table) as stream:
        assert len(stream.event("snapshot").json["rows"]) == 101
