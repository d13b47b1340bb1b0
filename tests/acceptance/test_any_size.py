"""Tables and changes of any size reach every client whole, at its own pace, while the worker stays small."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from contextlib import ExitStack, closing, suppress
from itertools import count

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.site import site as serve_site

ROWS = int(os.environ.get("ANY_SIZE_ROWS", "30000"))
"""Rows of the table, and of each statement that changes them all."""
MIB = 1 << 20
BOUND = 100 * MIB
"""What a worker may grow by, whatever the number of rows and the pace of the clients."""
PATIENCE = 60 + ROWS / 2000
"""Seconds."""


class Collector(threading.Thread):
    """A client that takes ``rate`` bytes a second, as many as there are without. It keeps sums, not rows.

    ``rows`` is the number of rows that it holds, ``sum`` that of their hashes: a row that is lost or told twice shows.
    """

    def __init__(self, site, table, rate=None):
        super().__init__(daemon=True)
        self._site, self._table, self._rate = site, table, rate
        self._over = False
        self.rows = self.sum = self.changes = self.resets = 0
        self.is_whole = False
        self.parts = []

    def run(self):
        # at its end the server may go while it reads
        with suppress(OSError, http.client.HTTPException):
            self._follow()

    def _follow(self):
        connection = http.client.HTTPConnection(*self._site.host.address, timeout=PATIENCE)
        with closing(connection):
            connection.request("GET", f"/tables/{self._table}/changes", headers={"Accept": "text/event-stream"})
            answer, buffer = connection.getresponse(), b""
            began, taken = time.monotonic(), 0
            while not self._over and (data := answer.read1(1 << 16)):
                taken += len(data)
                if self._rate and not self.is_whole:
                    time.sleep(max(0.0, began + taken / self._rate - time.monotonic()))
                *blocks, buffer = (buffer + data).split(b"\n\n")
                for block in blocks:
                    self._take(block)

    def close(self):
        self._over = True

    def _take(self, block):
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and line[:1] != b":")
        name = fields.get(b"event")
        if name == b"snapshot":
            part = json.loads(fields[b"data"])
            self.parts.append(part["part"])
            for row in part["rows"]:
                self._add(row, 1)
            self.is_whole = not part["more"]
        elif name in (b"insert", b"update", b"delete"):
            change = json.loads(fields[b"data"])
            self.changes += 1
            self._add(change.get("old"), -1)
            self._add(change.get("row"), 1)
        elif name == b"reset":
            self.resets += 1

    def _add(self, row, sign):
        if row is not None:
            self.rows += sign
            self.sum += sign * hash((row["id"], row["v"]))


class Writer(threading.Thread):
    """Changes 200 rows a second: as many at once as are due, since the clients of this process leave it few turns."""

    RATE = 200

    def __init__(self, site, table):
        super().__init__(daemon=True)
        self._dsn, self._table = site.dsn, table
        self._over = threading.Event()
        self.written = 0

    def run(self):
        connection = psycopg2.connect(self._dsn)
        connection.autocommit = True
        began, done = time.monotonic(), 0
        with closing(connection), connection.cursor() as cursor:
            for number in count():
                if self._over.wait(0.005):
                    return
                due = int(self.RATE * (time.monotonic() - began))
                places = [place * 7919 % ROWS + 1 for place in range(done, due)]
                statement = [
                    f"UPDATE {self._table} SET v = v + 1 WHERE id = ANY (%s::bigint[])",
                    f"DELETE FROM {self._table} WHERE id = ANY (%s::bigint[])",
                    f"INSERT INTO {self._table} SELECT {ROWS * (number + 1)} + p, 0, 'new' FROM unnest(%s::bigint[]) p",
                ][number % 3]
                cursor.execute(statement, (places,))
                self.written += cursor.rowcount
                done = due

    def end(self):
        self._over.set()
        self.join()


class Memory(threading.Thread):
    """The most that a worker has grown by."""

    def __init__(self, worker):
        super().__init__(daemon=True)
        self._worker, self._over = worker, threading.Event()
        self.before = self.most = worker.memory_full_info().uss

    def run(self):
        while not self._over.wait(0.05):
            self.most = max(self.most, self._worker.memory_full_info().uss)

    def end(self):
        self._over.set()
        self.join()
        return self.most - self.before


@pytest.fixture
def site(pg18):
    with serve_site(pg18, deadline="60s", heartbeat="15s") as found:
        yield found


def _filled(site, rows=ROWS):
    table = site.table("id bigint PRIMARY KEY, v int NOT NULL, a text NOT NULL")
    site.sql(f"INSERT INTO {table} SELECT n, 0, repeat('x', 140) FROM generate_series(1, {rows}) n")
    site.sql(f"ANALYZE {table}")
    site.caught_up()
    with site.follow(table, limit=1) as stream:  # what everything takes once is not counted
        stream.event("snapshot")
    return table


def _held(site, table):
    """What SELECT shows, as a collector holds it."""
    connection = psycopg2.connect(site.dsn)
    with closing(connection), connection.cursor("held") as cursor:
        cursor.itersize = 50_000
        cursor.execute(f"SELECT id, v FROM {table}")
        rows = total = 0
        for row in cursor:
            rows, total = rows + 1, total + hash(row)
    return rows, total


def _settled(site, table, clients):
    wanted = _held(site, table)
    wait_until(
        lambda: all((client.rows, client.sum) == wanted for client in clients),
        PATIENCE,
        f"{wanted}, not {[(client.rows, client.changes) for client in clients]}",
    )


@pytest.mark.timeout(2 * PATIENCE + 60)
def test_a_table_of_any_size_reaches_slow_and_fast_clients(site, capsys):
    table = _filled(site)
    memory, writer = Memory(site.host.worker), Writer(site, table)
    size = 200 * ROWS
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(Collector(site, table, rate))) for rate in [None, size / 20] * 3]
        began = time.monotonic()
        for thread in (memory, writer, *clients):
            thread.start()
        wait_until(lambda: all(client.is_whole for client in clients[::2]), PATIENCE, "the fast clients' snapshots")
        fast = time.monotonic() - began
        wait_until(lambda: all(client.is_whole for client in clients), PATIENCE, "the slow clients' snapshots")
        slow = time.monotonic() - began
        writer.end()
        _settled(site, table, clients)
        grown = memory.end()
    with capsys.disabled():
        print(  # noqa: T201  # the figures of the documentation
            f"\n{ROWS:,} rows: {fast:.1f} s to three fast clients, {slow:.1f} s to three slow ones,"
            f" {writer.written} changes meanwhile, {grown / MIB:.0f} MiB more"
        )
    for client in clients:
        assert client.resets == 0
        assert client.parts == list(range(1, len(client.parts) + 1))
        assert client.changes <= writer.written
    assert writer.written > 100
    assert grown < BOUND


@pytest.mark.timeout(6 * PATIENCE)
def test_changes_of_any_size_arrive_without_a_reset(site, capsys):
    table = _filled(site, rows=1)
    memory = Memory(site.host.worker)
    statements = {
        "INSERT": f"INSERT INTO {table} SELECT n, 0, repeat('x', 140) FROM generate_series(2, {ROWS}) n",
        "UPDATE": f"UPDATE {table} SET v = v + 1",
        "DELETE": f"DELETE FROM {table}",
    }
    taken = {}
    with closing(Collector(site, table)) as client:
        memory.start()
        client.start()
        wait_until(lambda: client.is_whole, what="the snapshot")
        for name, statement in statements.items():
            site.sql(statement)
            began = time.monotonic()
            _settled(site, table, [client])
            taken[name] = time.monotonic() - began
        grown = memory.end()
    with capsys.disabled():
        figures = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in taken.items())
        print(f"\n{ROWS:,} rows in one statement: {figures}, {grown / MIB:.0f} MiB more")  # noqa: T201
    assert client.resets == 0
    assert client.changes == 3 * ROWS - 1
    assert grown < BOUND
