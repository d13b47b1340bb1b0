"""A client's event stream within the process: what many share, and who is too slow for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import ExitStack, closing

import pytest
from harness.clusters import wait_until
from harness.running import Running, prepare

from sseapp import concurrency
from sseapp.delivery import subscription
from sseapp.delivery.subscription import ChangesStream
from sseapp.errors import ShapeChangedError, UnavailableError
from sseapp.log.cursor import Cursor, encode
from sseapp.postgres import change_log, snapshot_rows

COUNT = 4


@pytest.fixture
def running(pg18, pg18_dsn):
    prepare(pg18_dsn)
    with closing(Running(pg18, pg18_dsn, ring="256k", threads="20")) as found:
        yield found


@pytest.fixture
def follow(running):
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(
            closing(ChangesStream(running.runtime.services, "orders", args, options.get("last_id")))
        )


def cursor(running):
    """Where the log stands now."""
    stream = running.join("orders")
    with running.session() as session:
        found = encode(Cursor(change_log.log_end(session).upto), stream.scope)
    running.runtime.hub.leave(stream)
    return found


class Gathering:
    """Stands for a read: it goes on when all have asked, whether they share it or make one of their own."""

    def __init__(self, monkeypatch, module, name):
        self._read, result = getattr(module, name), Future.result
        self._asked = threading.Semaphore(0)
        self._all = threading.Event()
        self._lock = threading.Lock()
        self.reads = self.asked = 0
        monkeypatch.setattr(module, name, self._reads)

        def waits(flight):
            self._arrive()
            return result(flight)

        monkeypatch.setattr(Future, "result", waits)

    def _arrive(self):
        with self._lock:
            self.asked += 1
            if self.asked == COUNT:
                self._all.set()

    def _reads(self, *args, **options):
        self.reads += 1
        self._arrive()
        assert self._all.wait(10)
        return self._read(*args, **options)


@pytest.mark.parametrize("kind", ["replay", "snapshot", "now"])
def test_who_asks_the_same_at_once_is_served_by_one_read(running, follow, monkeypatch, kind):
    """After an outage all come back at once, most of them with the very same cursor."""
    last_id = cursor(running) if kind == "replay" else None
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    arguments = [("snapshot", "no")] if kind == "now" else []
    read = {"replay": (subscription, "missed"), "snapshot": (snapshot_rows, "read"), "now": (change_log, "log_end")}[
        kind
    ]
    streams = [follow(*arguments, last_id=last_id).body() for _ in range(COUNT)]
    told = []

    def first(frames):
        next(frames)  # the time to wait before a retry
        told.append(next(frames))

    gathering = Gathering(monkeypatch, *read)
    threads = [threading.Thread(target=first, args=(frames,)) for frames in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gathering.reads == 1
    assert len(told) == COUNT
    assert len(set(told)) == 1


def test_a_client_that_is_too_slow_for_the_ring_is_cut(running, follow):
    """It ends without a word, and its cursor brings it back: a gap may not be passed over."""
    changes = follow()
    frames = changes.body()
    assert b"event: snapshot" in next(frames) + next(frames)
    for number in range(4):
        running.sql(f"INSERT INTO orders VALUES ({number}, repeat('x', 200000))")
    wait_until(lambda: changes.channel.ring.start > 0, what="a ring that has lost its first frame")
    assert list(frames) == []
    assert running.runtime.stream_limit.cut == 1


def test_a_log_that_was_exchanged_unnoticed_is_a_reset(running, follow):
    """A pool's connection may lead to the new primary before the listener has lost the old one."""
    last_id = cursor(running)
    running.sql("UPDATE sseapp.state SET born = gen_random_uuid()")
    frames = follow(last_id=last_id).body()
    told = next(frames) + next(frames)
    assert b"event: reset" in told
    assert b"another database" in told
    assert b"event: snapshot" in told


def test_a_long_replay_lets_others_have_their_turn(running, follow, monkeypatch):
    """On one thread nobody else is served while a replay is worked out."""
    last_id, turns = cursor(running), []
    running.sql("INSERT INTO orders SELECT n FROM generate_series(1, 1000) n")
    monkeypatch.setattr(concurrency, "give_way", lambda: turns.append(None))
    frames = follow(last_id=last_id).body()
    next(frames)
    assert next(frames).count(b"event: insert") == 1000
    assert len(turns) == 5


def test_a_read_that_fails_ends_the_stream_with_a_time_to_come_again(follow, monkeypatch):
    """The answer has begun: it can no longer be another status."""
    frames = follow().body()
    next(frames)

    def fail(*_):
        raise UnavailableError("not now")

    monkeypatch.setattr(snapshot_rows, "read", fail)
    (refused_stream,) = frames
    assert refused_stream.startswith(b": not now")
    assert b"\nretry: " in refused_stream


def test_a_shape_that_never_fits_ends_the_stream_for_now(follow, monkeypatch):
    reads = []

    def read(*_):
        reads.append(1)
        raise ShapeChangedError

    monkeypatch.setattr(snapshot_rows, "read", read)
    _, *frames = follow().body()
    assert b"".join(frames).startswith(b": The table keeps changing; try again.\n")
    assert 1 < len(reads) < 10
