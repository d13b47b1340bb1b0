"""A client's event stream within the process: what many share, and who is too slow for it."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

import pytest
from harness.clusters import wait_until
from harness.running import Running, prepare
from harness.sse import Parser

from sseapp import concurrency
from sseapp.delivery import subscription
from sseapp.delivery.changes_stream import ChangesStream
from sseapp.errors import ConnectionLostError, ShapeChangedError, UnavailableError
from sseapp.live import replay
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

    def __init__(self, monkeypatch, read, ask):
        (reader, name), (asked, asks) = read, ask
        self._read, self._ask = getattr(reader, name), getattr(asked, asks)
        self._asked = threading.Semaphore(0)
        self.reads = 0
        monkeypatch.setattr(reader, name, self._reads)
        monkeypatch.setattr(asked, asks, lambda *args: self._asks(*args))  # noqa: PLW0108  # of a class it takes the instance

    def _asks(self, *args):
        self._asked.release()
        return self._ask(*args)

    def _reads(self, *args, **options):
        self.reads += 1
        for _ in range(COUNT):
            assert self._asked.acquire(timeout=10)
        return self._read(*args, **options)


# the read, and what each one asks it by
SHARED = {
    "replay": lambda services: ((replay, "missed"), (services.replays, "next")),
    "now": lambda _: ((change_log, "log_end"), (ChangesStream, "_from_now")),
}


@pytest.mark.parametrize("kind", ["replay", "now"])
def test_who_asks_the_same_at_once_is_served_by_one_read(running, follow, monkeypatch, kind):
    """After an outage all come back at once, most of them with the very same cursor."""
    last_id = cursor(running) if kind == "replay" else None
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    arguments = [("snapshot", "no")] if kind == "now" else []
    gathering = Gathering(monkeypatch, *SHARED[kind](running.runtime.services))
    told = []

    def first():
        body = follow(*arguments, last_id=last_id).body()
        head = next(body)  # the time to wait before a retry
        told.append(head if kind == "now" else next(body))

    _at_once(first)
    assert gathering.reads == 1
    assert len(told) == COUNT
    assert len(set(told)) == 1


def test_who_comes_while_a_snapshot_is_read_gets_that_one(running, follow, monkeypatch):
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    joined, reads, told = threading.Semaphore(0), [], []
    opened, join = snapshot_rows.opened, running.runtime.snapshots.join

    def gathered(*args, **options):
        reads.append(args)
        for _ in range(COUNT):
            assert joined.acquire(timeout=10)
        return opened(*args, **options)

    def joins(*args):
        found = join(*args)
        joined.release()
        return found

    def first():
        body = follow().body()
        next(body)
        told.append(next(body))

    monkeypatch.setattr(snapshot_rows, "opened", gathered)
    monkeypatch.setattr(running.runtime.snapshots, "join", joins)
    _at_once(first)
    assert len(reads) == 1
    assert len(told) == COUNT
    assert len(set(told)) == 1
    assert b'"rows":[{"id":1,"a":"x"}]' in told[0]


def _at_once(run):
    threads = [threading.Thread(target=run) for _ in range(COUNT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_client_that_is_too_slow_for_the_ring_reads_the_log(running, follow):
    """A gap may not be passed over, and nothing that the log has needs a reset."""
    changes = follow()
    body, parser = changes.body(), Parser()
    told = [*parser.feed(next(body) + next(body))]
    for number in range(4):
        running.sql(f"INSERT INTO orders VALUES ({number}, repeat('x', 200000))")
    wait_until(lambda: changes.channel.ring.start > 0, what="a ring that has lost its first frame")
    while len([block for block in told if block.name == "insert"]) < 4:
        told += parser.feed(next(body))
    assert [block.json["row"]["id"] for block in told if block.name == "insert"] == [0, 1, 2, 3]
    assert "reset" not in {block.name for block in told}
    assert running.runtime.stream_limit.cut == 0


def test_a_log_that_was_exchanged_unnoticed_is_a_reset(running, follow):
    """A pool's connection may lead to the new primary before the listener has lost the old one."""
    last_id = cursor(running)
    running.sql("UPDATE sseapp.state SET born = gen_random_uuid()")
    frames = follow(last_id=last_id).body()
    told = next(frames) + next(frames)
    assert b"event: reset" in told
    assert b"another log" in told
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
    body = follow().body()
    next(body)
    monkeypatch.setattr(snapshot_rows, "opened", _raising(UnavailableError("not now")))
    (refused_stream,) = body
    assert refused_stream.startswith(b": not now")
    assert b"\nretry: " in refused_stream


def test_what_the_database_says_is_not_told(follow, monkeypatch):
    """It names hosts, roles and databases."""
    body = follow().body()
    next(body)
    monkeypatch.setattr(snapshot_rows, "opened", _raising(ConnectionLostError(cause='role "secret" is not there')))
    assert next(body).startswith(b": The database cannot be reached.")


def test_a_shape_that_never_fits_ends_the_stream_for_now(follow, monkeypatch):
    reads = []

    def read(*_, **__):
        reads.append(1)
        raise ShapeChangedError

    monkeypatch.setattr(snapshot_rows, "opened", read)
    _, *told = follow().body()
    assert len(reads) == subscription.TRIES + 1
    assert b"keeps changing" in told[-1]


def _raising(error):
    def fail(*_, **__):
        raise error

    return fail
