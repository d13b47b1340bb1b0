"""sseapp.signals.changed: what code in the same process hears, and what it cannot break."""

from __future__ import annotations

import gc
import logging
from contextlib import closing

import pytest
from harness.clusters import wait_until
from harness.running import Running, prepare

from sseapp.signals import changed


@pytest.fixture
def running(pg18, pg18_dsn):
    prepare(pg18_dsn)
    with closing(Running(pg18, pg18_dsn, batch="100", limit="200")) as found:
        yield found


@pytest.fixture
def connect():
    """Connects receivers that note what they are told (in ``connect.told``); they are disconnected at the end."""
    receivers, told = [], []

    def connect(name, sender=None, fail=None):
        def receiver(table, batch):
            told.append((name, table, [(change.kind, change.new) for change in batch.changes]))
            if fail is not None:
                raise fail

        receivers.append(receiver)
        changed.connect(receiver) if sender is None else changed.connect(receiver, sender=sender)

    connect.told, connect.receivers = told, receivers
    yield connect
    for receiver in receivers:
        changed.disconnect(receiver)


def _heard(connect, count):
    wait_until(lambda: len(connect.told) >= count, what=f"{count} calls")
    return connect.told


def test_a_receiver_is_told_the_table_and_its_changes(running, connect):
    connect("all")
    running.sql("INSERT INTO orders VALUES (1, 'x'), (2, 'y')")
    assert _heard(connect, 1) == [
        ("all", "public.orders", [("i", '{"id":1,"a":"x"}'), ("i", '{"id":2,"a":"y"}')]),
    ]


def test_each_table_of_a_batch_is_a_call_of_its_own(running, connect):
    connect("all")
    running.sql("INSERT INTO orders VALUES (1, 'x'); INSERT INTO customers VALUES (7, 'z')")
    running.sql("DELETE FROM orders")
    told = {}
    wait_until(lambda: sum(len(changes) for _, _, changes in connect.told) >= 3, what="three changes")
    for _, table, changes in connect.told:
        told.setdefault(table, []).extend(kind for kind, _ in changes)
    assert told == {"public.orders": ["i", "d"], "public.customers": ["i"]}


def test_a_receiver_is_told_to_read_a_table_again_that_is_another_now(running, connect):
    connect("orders", sender="public.orders")
    running.sql("ALTER TABLE orders ADD b int")
    _heard(connect, 1)
    running.sql("SELECT sseapp.watch('orders', hide => '{b}')")
    assert _heard(connect, 2) == [("orders", "public.orders", [("r", None)])] * 2
    running.sql("SELECT sseapp.unwatch('orders')")
    connect("customers", sender="public.customers")
    running.sql("INSERT INTO customers VALUES (7, 'z')")
    assert [name for name, _, _ in _heard(connect, 3)] == ["orders", "orders", "customers"]


def test_a_receiver_may_ask_for_one_table(running, connect):
    connect("orders", sender="public.orders")
    connect("all")
    running.sql("INSERT INTO customers VALUES (7, 'z')")
    _heard(connect, 1)
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    _heard(connect, 3)
    assert sorted((name, table) for name, table, _ in connect.told) == [
        ("all", "public.customers"),
        ("all", "public.orders"),
        ("orders", "public.orders"),
    ]


def test_one_that_raises_is_logged_and_stops_nobody_else(running, connect, caplog):
    for number in range(3):
        connect(f"good {number}")
        connect(f"bad {number}", fail=ValueError(f"no {number}"))
    stream = running.join("orders")
    with caplog.at_level(logging.ERROR, "sseapp.live.listener"):
        for number in (1, 2):
            running.sql(f"INSERT INTO orders VALUES ({number}, 'x')")
            _heard(connect, 6 * number)
        # the last one is told before it raises
        wait_until(lambda: caplog.records[5:], what="six records")
    assert running.events(stream, 2) == ["insert", "insert"]
    logged = [record for record in caplog.records if "receiver" in record.message]
    assert len(logged) == 6
    assert all(record.exc_info for record in logged)
    assert running.runtime.listener.reconnects == 0


def test_a_receiver_is_held_weakly(running, connect):
    connect("gone")
    connect("stays")
    changed.connect(lambda table, batch: connect.told.append(("lambda", table, batch)))
    del connect.receivers[0]
    gc.collect()
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    assert [name for name, _, _ in _heard(connect, 1)] == ["stays"]


def test_a_receiver_that_disconnects_hears_no_more(running, connect):
    connect("one")
    connect("two")
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    _heard(connect, 2)
    changed.disconnect(connect.receivers[0])
    running.sql("INSERT INTO orders VALUES (2, 'y')")
    _heard(connect, 3)
    assert [name for name, _, _ in connect.told][2:] == ["two"]


def test_a_receiver_hears_all_of_a_large_batch(running, connect):
    """Streams are reset where a snapshot is cheaper than the changes; a receiver has no snapshot to go by."""
    connect("all")
    running.sql("INSERT INTO orders SELECT n FROM generate_series(1, 500) n")
    wait_until(lambda: sum(len(changes) for _, _, changes in connect.told) == 500, what="500 changes")
