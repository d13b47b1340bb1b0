"""The snapshots of a process: shared while they are read, bounded in number, and none is left behind."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

import pytest
from harness.clusters import wait_until
from harness.running import Running, prepare

from sseapp.delivery.changes_stream import ChangesStream
from sseapp.errors import OverloadedError
from sseapp.events.ring import FRAME_SIZE
from sseapp.live.row_reader import RowReader
from sseapp.live.snapshots import Snapshots
from sseapp.postgres import snapshot_rows


@pytest.fixture
def running(pg18, pg18_dsn):
    prepare(pg18_dsn)
    with closing(Running(pg18, pg18_dsn, threads="20")) as found:
        yield found


@pytest.fixture
def large(running):
    """A table of more pages than a short snapshot has."""
    running.sql(f"INSERT INTO orders SELECT n, repeat('x', {FRAME_SIZE // 4}) FROM generate_series(1, 80) n")
    return running


OPEN = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'sseapp' AND state LIKE 'idle in transaction%'
"""


class Slow:
    """Pages go on when the test says so."""

    def __init__(self, monkeypatch):
        self.go_on = threading.Event()
        self.reads = 0
        pages = snapshot_rows.Pages.__iter__

        def slow(found):
            self.reads += 1
            for number, page in enumerate(pages(found)):
                yield page
                if number == 17:
                    assert self.go_on.wait(20)

        monkeypatch.setattr(snapshot_rows.Pages, "__iter__", slow)


def _read(snapshots, stream, spool):
    offset, is_last = 0, False
    try:
        while not is_last:
            chunk, is_last = spool.read(offset, 20)
            offset += len(chunk)
    finally:
        snapshots.leave(stream, stream.query, spool)
    return offset


def test_who_comes_while_it_is_read_shares_it_and_who_comes_later_does_not(large, monkeypatch):
    slow, stream, snapshots = Slow(monkeypatch), large.join("orders"), large.runtime.snapshots
    one = snapshots.join(stream, stream.query)
    wait_until(lambda: slow.reads == 1, what="the read")
    assert snapshots.join(stream, stream.query) is one
    slow.go_on.set()
    assert _read(snapshots, stream, one) == _read(snapshots, stream, one)
    late = snapshots.join(stream, stream.query)
    assert late is not one
    _read(snapshots, stream, late)
    assert slow.reads == 2
    assert snapshots._open == {}


def test_so_many_long_ones_are_read_at_once(large, monkeypatch):
    slow, stream = Slow(monkeypatch), large.join("orders")
    reader = RowReader(large.runtime.database, large.runtime.registry, deadline=10)
    snapshots = Snapshots(reader, most_long=1)
    others = [large.join("orders", ("id", f"gte.{number}")) for number in range(2)]
    one = snapshots.join(stream, stream.query)
    wait_until(lambda: slow.reads == 1, what="the first")
    wait_until(lambda: not snapshots._long._value, what="the place of the first")
    refused = snapshots.join(others[0], others[0].query)
    with pytest.raises(OverloadedError):
        _read(snapshots, others[0], refused)
    slow.go_on.set()
    _read(snapshots, stream, one)
    wait_until(lambda: snapshots._long._value, what="the place to be free")
    assert _read(snapshots, others[1], snapshots.join(others[1], others[1].query)) > 16 * FRAME_SIZE


def test_with_its_last_reader_gone_a_read_ends(large, monkeypatch):
    slow, stream, snapshots = Slow(monkeypatch), large.join("orders"), large.runtime.snapshots
    spool = snapshots.join(stream, stream.query)
    wait_until(lambda: slow.reads == 1, what="the read")
    snapshots.leave(stream, stream.query, spool)
    slow.go_on.set()
    open_ = (
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    )
    wait_until(lambda: large.sql(open_) == [(0,)], what="the end of its transaction")
    assert snapshots._open == {}


def test_a_slow_client_holds_no_transaction_open(large):
    with ExitStack() as stack:
        bodies = [
            stack.enter_context(closing(ChangesStream(large.runtime.services, "orders", []))).body() for _ in "ab"
        ]
        for body in bodies:
            next(body), next(body)
        wait_until(lambda: large.sql(OPEN) == [(0,)], what="the end of its transaction")
        assert large.sql("SELECT count(*) FROM orders") == [(80,)]
        data = b"".join(next(body) for body in bodies for _ in range(3))
        assert data


def test_a_read_that_ends_before_its_reader_goes_on_is_whole(running):
    """So it is where the database answers at once: green threads go on as long as they need not wait."""
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    reader = RowReader(running.runtime.database, running.runtime.registry, deadline=10)
    snapshots, stream = Snapshots(reader, most_long=1, start=lambda _, read: read()), running.join("orders")
    spool = snapshots.join(stream, stream.query)
    chunk, is_last = spool.read(0)
    snapshots.leave(stream, stream.query, spool)
    assert is_last
    assert b'"rows":[{"id":1,"a":"x"}]' in chunk
