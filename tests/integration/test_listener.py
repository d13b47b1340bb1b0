"""The listener: one a process, from its cursor on, whatever happens to its connection."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import ExitStack, closing

import pytest
from harness.clusters import wait_until
from harness.running import Running, prepare
from harness.sse import Parser

from sseapp.backoff import Backoff
from sseapp.config import Settings
from sseapp.delivery.changes_stream import ChangesStream
from sseapp.errors import NotInstalledError, OverrunError, ResetError
from sseapp.process import Process, Runtime
from sseapp.signals import changed


@pytest.fixture
def run(pg18, pg18_dsn):
    """Starts a runtime with settings of the test's own."""
    prepare(pg18_dsn)
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(closing(Running(pg18, pg18_dsn, **settings)))


@pytest.fixture
def running(run):
    return run()


@pytest.fixture
def each(server, dsn):
    """On each version."""
    prepare(dsn)
    with closing(Running(server, dsn)) as found:
        yield found


def _ids(running, stream, count, frame_number=0):
    return [int(row.split(":")[1].split(",")[0]) for row in running.rows(stream, count, frame_number)]


def test_changes_reach_the_streams(each):
    stream = each.join("orders")
    each.sql("INSERT INTO orders VALUES (1, 'x')")
    assert each.rows(stream, 1) == ['{"id":1,"a":"x"}']
    listener = each.runtime.listener
    assert (listener.error, listener.reconnects) == (None, 0)
    assert listener.changes >= 1
    assert listener.batches >= 1


def test_it_is_woken_by_the_bell_and_does_not_wait_for_its_tick(run):
    running = run(tick="1h")
    stream = running.join("orders")
    for number in range(3):
        running.sql(f"INSERT INTO orders VALUES ({number})")
        assert _ids(running, stream, number + 1)[-1] == number


def test_a_writer_that_does_not_ring_is_found_on_the_tick(running):
    stream = running.join("orders")
    running.sql(
        "INSERT INTO sseapp.change (watch, kind, new) SELECT id, 'i', '{\"id\":5,\"a\":null}'"
        " FROM sseapp.watched_table WHERE relation = 'orders'::regclass"
    )
    assert running.rows(stream, 1) == ['{"id":5,"a":null}']


def test_after_a_cut_it_goes_on_from_its_cursor(each):
    stream = each.join("orders")
    expected = []
    with each.session() as slow:
        slow.query("BEGIN; INSERT INTO orders VALUES (0)")
        for number in range(1, 4):
            each.cut()
            each.sql(f"INSERT INTO orders VALUES ({number})")
            expected.append(number)
            assert _ids(each, stream, number) == expected
        each.cut()
        slow.query("COMMIT")
        assert _ids(each, stream, 4) == [1, 2, 3, 0]
    assert each.runtime.listener.reconnects >= 4
    assert stream.reason is None


def _reset(stream):
    wait_until(lambda: stream.reason, what="the reset")
    with pytest.raises(ResetError) as reset:
        stream.read(stream.ring.end)
    return reset.value.reason


def test_pruned_past_while_it_was_away_it_resets_every_stream(running):
    streams = [running.join("orders"), running.join("customers")]
    with running.away():
        running.sql("INSERT INTO orders VALUES (1)")
        while running.sql("SELECT sseapp.prune('0 s')") != [(0,)]:
            pass
    assert all("pruned" in _reset(stream) for stream in streams)
    stream = running.join("orders")
    running.sql("INSERT INTO orders VALUES (2)")
    assert _ids(running, stream, 1) == [2]


def test_on_another_database_it_begins_anew(running):
    stream = running.join("orders")
    epoch = running.runtime.hub.epoch
    with running.away():
        running.sql("UPDATE sseapp.state SET born = gen_random_uuid()")
    assert "another log" in _reset(stream)
    assert running.runtime.hub.epoch != epoch
    assert running.join("orders").scope != stream.scope


@pytest.mark.parametrize("unlogged", [True, False])
def test_a_log_made_unlogged_or_logged_is_another_log(each, unlogged):
    each.sql(f"SELECT sseapp.set_unlogged({not unlogged})")
    wait_until(lambda: each.runtime.hub.epoch == each.sql("SELECT sseapp.epoch()")[0][0], what="the epoch of now")
    stream = each.join("orders")
    each.sql(f"SELECT sseapp.set_unlogged({unlogged})")
    assert "another log" in _reset(stream)
    stream = each.join("orders")
    each.sql("INSERT INTO orders VALUES (1)")
    assert _ids(each, stream, 1) == [1]
    kinds = "SELECT relname::text, relpersistence::text FROM pg_class WHERE relname IN ('change', 'change_id_seq')"
    # with an unlogged sequence the ids would begin anew
    assert dict(each.sql(kinds)) == {"change": "u" if unlogged else "p", "change_id_seq": "p"}


def test_a_change_of_shape_is_found_on_the_tick(running):
    stream, other = running.join("orders"), running.join("customers")
    running.sql("ALTER TABLE orders ADD COLUMN b int")
    assert "columns" in _reset(stream)
    assert other.reason is None
    assert [column.name for column in running.table("orders").columns] == ["id", "a", "b"]


def test_a_change_of_shape_that_a_request_meets_first_is_told_once(run):
    """It is in the log before anyone has a stream of the new shape: who has one is not reset for it."""
    running = run(tick="1h")
    stream = running.join("orders")
    running.sql("ALTER TABLE orders ADD COLUMN b int")
    fresh = running.join("orders")
    assert "columns" in _reset(stream)
    assert running.sql("SELECT sseapp.check_shapes()") == [(0,)]
    running.sql("INSERT INTO orders VALUES (1)")
    assert _ids(running, fresh, 1) == [1]
    assert fresh.reason is None


def test_after_a_success_it_is_quick_again(running, monkeypatch):
    """Outages far apart do not add up."""
    pauses, delay = [], Backoff.delay
    monkeypatch.setattr(Backoff, "delay", lambda backoff: pauses.append(delay(backoff)) or pauses[-1])
    for number in range(6):
        running.cut()
        wait_until(lambda: running.runtime.listener.reconnects > number, what="the loss")  # noqa: B023
        wait_until(lambda: running.runtime.listener.error is None, what="the listener")
    assert len(pauses) >= 6
    assert max(pauses) < 0.5


def test_a_fault_of_ours_is_logged_and_resets_every_stream(running, monkeypatch, caplog):
    """Nothing may be lost without a word."""
    stream = running.join("orders")
    hub = running.runtime.hub
    dispatch = hub.dispatch

    def fail(*_):
        monkeypatch.setattr(hub, "dispatch", dispatch)
        raise ZeroDivisionError

    monkeypatch.setattr(hub, "dispatch", fail)
    with caplog.at_level(logging.ERROR, "sseapp.live.listener"):
        running.sql("INSERT INTO orders VALUES (1)")
        assert _reset(stream)
    assert "every stream is reset" in caplog.text
    stream = running.join("orders")
    running.sql("INSERT INTO orders VALUES (2)")
    assert _ids(running, stream, 1) == [2]


def test_a_large_transaction_comes_in_pieces_and_whole(run):
    running = run(batch="7")
    stream = running.join("orders")
    running.sql("INSERT INTO orders SELECT n FROM generate_series(1, 100) n")
    assert _ids(running, stream, 100) == list(range(1, 101))
    frames, _ = stream.read(0)
    assert [frame.complete for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert len(frames) > 32 / 7, "packs follow, which are not cut"


def test_a_change_too_large_for_the_rings_is_left_to_its_subscribers(run):
    """They read it from the log; no other table is kept waiting, and nobody is reset."""
    running = run(batch="10", limit="50", threads="9")
    other = running.join("customers")
    with closing(ChangesStream(running.runtime.services, "orders", [])) as subscription:
        body, parser = subscription.body(), Parser()
        told = [*parser.feed(next(body) + next(body))]
        running.sql("INSERT INTO orders SELECT n FROM generate_series(1, 200) n; INSERT INTO customers VALUES (7)")
        assert _ids(running, other, 1) == [7]
        running.sql("INSERT INTO orders VALUES (201)")
        while told[-1].name != "insert" or told[-1].json["row"]["id"] < 201:
            told += parser.feed(next(body))
        assert [block.json["row"]["id"] for block in told if block.name == "insert"] == [*range(1, 202)]
        assert "reset" not in {block.name for block in told}
        read = sum(len(frame.events) for frame in subscription.channel.read(subscription.channel.ring.start)[0])
        assert read < 150, "the listener has left out most of it"
    assert other.reason is None


def test_a_table_whose_changes_are_received_is_read_to_the_end(run):
    """And it alone: a receiver of another table's takes nothing from this."""
    running = run(batch="10", limit="50")
    received = []

    def receive(_, batch):
        received.extend(batch.changes)

    orders, customers = running.join("orders"), running.join("customers")
    with changed.connected_to(receive, sender="public.orders"):
        running.sql(
            "BEGIN; INSERT INTO orders SELECT n FROM generate_series(1, 200) n;"
            "INSERT INTO customers SELECT n FROM generate_series(1, 200) n; COMMIT"
        )
        wait_until(lambda: len(received) == 200, what="all changes of the table that is received")
        assert len(running.rows(orders, 200, orders.ring.start)) == 200
        with pytest.raises(OverrunError):
            customers.read(0)


def test_without_an_installation_it_says_so_and_waits_for_one(pg18_dsn):
    runtime = Runtime(Settings.from_environ({"DATABASE_URL": pg18_dsn}))
    runtime.start()
    wait_until(lambda: runtime.listener.reconnects > 0, what="a first try")
    assert "install" in runtime.listener.error
    with pytest.raises(NotInstalledError):
        runtime.registry.refresh()
    prepare(pg18_dsn)
    wait_until(lambda: runtime.listener.error is None, what="the listener")
    runtime.close()


def test_it_ends_within_a_tick(running):
    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "sseapp-listener"]

    before = len(threads())
    assert before
    running.runtime.close()
    wait_until(lambda: len(threads()) < before, 5, "the end of the listener")


def test_it_is_started_on_first_use_and_anew_in_a_forked_process(running):
    """gunicorn --preload makes the application before it forks its workers."""
    process = Process(Settings.from_environ({"DATABASE_URL": running.dsn, "SSEAPP_TICK": "200ms"}))
    ours = process.runtime()
    assert process.runtime() is ours
    wait_until(lambda: ours.listener.error is None, what="the listener")
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = b"failed"
        try:
            theirs = process.runtime()
            wait_until(lambda: theirs.listener.error is None, what="the child's listener")
            status = b"own" if theirs is not ours else b"shared"
        finally:
            os.write(write_end, status)
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        assert pipe.read() == b"own"
    os.waitpid(child, 0)
    assert process.runtime() is ours
    assert ours.listener.error is None
    ours.close()
