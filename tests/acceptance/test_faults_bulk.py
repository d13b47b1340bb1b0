"""Bulk changes: memory stays bounded, other tables are told in time, subscribers get all changes."""

from __future__ import annotations

import os
import threading
import time

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.site import site as serve_site

ROWS = int(os.environ.get("BULK_ROWS", "100000"))
"""How many rows change at once."""
MIB = 1 << 20
BOUND = 160 * MIB
"""What a worker may grow by, whatever the number of rows: pieces of the log and rings."""
DELAY = 2.5
"""Seconds, on a machine that is busy with other tests; on a quiet one it is to be below 1."""


@pytest.fixture
def site(pg18):
    with serve_site(pg18, deadline="60s") as found:
        yield found


class Bystander(threading.Thread):
    """Writes to another table during a bulk change, and measures how long each row takes to its stream."""

    def __init__(self, site, table):
        super().__init__()
        self._site, self._table = site, table
        self._over = threading.Event()
        self.delays = []
        self.most = 0

    def run(self):
        worker = self._site.host.worker
        connection = psycopg2.connect(self._site.dsn)
        connection.autocommit = True
        with self._site.follow(self._table, snapshot="no") as stream, connection.cursor() as cursor:
            stream.until(lambda block: block.id is not None)
            while not self._over.wait(0.02):
                cursor.execute(f"INSERT INTO {self._table} DEFAULT VALUES")
                committed = time.monotonic()
                stream.event("insert")
                self.delays.append(time.monotonic() - committed)
                self.most = max(self.most, worker.memory_full_info().uss)
        connection.close()

    def __enter__(self):
        self.before = self._site.host.worker.memory_full_info().uss
        self.start()
        wait_until(lambda: len(self.delays) > 10, what="the bystander")
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()


def update(site, table):
    site.sql(f"UPDATE {table} SET a = a || '!'")


def truncate(site, table):
    site.sql(f"TRUNCATE {table}")


def copy(site, table):
    """Insert rows by COPY ... FROM STDIN."""
    read, write = os.pipe()

    def feed():
        with os.fdopen(write, "w") as out:
            for number in range(ROWS // 2):
                out.write(f"{ROWS + number + 1}\tcopied\n")

    feeder = threading.Thread(target=feed)
    feeder.start()
    connection = psycopg2.connect(site.dsn)
    with os.fdopen(read) as source, connection, connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} FROM STDIN", source)
    connection.close()
    feeder.join()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("change", [update, truncate, copy])
def test_a_bulk_change(site, change, capsys):
    table, other = site.table("id bigint PRIMARY KEY, a text"), site.table("id serial PRIMARY KEY")
    site.sql(f"INSERT INTO {table} SELECT n, 'some text' FROM generate_series(1, {ROWS}) n")
    site.caught_up()
    name, events = {update: ("update", ROWS), truncate: ("truncate", 1), copy: ("insert", ROWS // 2)}[change]
    with site.follow(table, order="id.desc", limit=1) as stream:
        stream.event("snapshot")
        with Bystander(site, other) as bystander:
            change(site, table)
            committed = time.monotonic()
            told = [stream.event(name, patience=60) for _ in range(events)]
            seconds = time.monotonic() - committed
        ids = [block.json["row"]["id"] for block in told if name != "truncate"]
        assert len(set(ids)) == len(ids)
        # and then goes on
        site.sql(f"INSERT INTO {table} VALUES (0, 'after')")
        assert stream.event("insert").json["row"] == {"id": 0, "a": "after"}
    grown, worst = bystander.most - bystander.before, max(bystander.delays)
    with capsys.disabled():
        print(  # noqa: T201  # the figures of the documentation
            f"\n{change.__name__} {ROWS:,}: told after {seconds:.2f} s, {grown / MIB:.0f} MiB more,"
            f" another table's events after {worst:.2f} s at worst"
        )
    assert grown < BOUND
    assert worst < DELAY
