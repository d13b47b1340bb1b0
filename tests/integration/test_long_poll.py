"""The long poll within the process: it holds a place while it waits."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing

import pytest
from harness.clusters import wait_until
from harness.running import Running, prepare

from sseapp.delivery import long_poll
from sseapp.errors import CursorGoneError, OverloadedError
from sseapp.live.replay import missed


@pytest.fixture
def running(pg18, pg18_dsn):
    prepare(pg18_dsn)
    with closing(Running(pg18, pg18_dsn, max_streams="1", threads="20")) as found:
        yield found


def asked(runtime, *args, is_gone=lambda: False):
    return json.loads(long_poll.changes(runtime.services, "orders", args, is_gone))


def test_it_holds_a_place_while_it_waits_and_without_one_is_told_to_come_again(running):
    """On threads a request that waits holds one, as a stream does. Who gets nothing at once would ask in a loop."""
    runtime, told = running.runtime, []

    def ask(cursor, wait):
        told.append([change["row"]["id"] for change in asked(runtime, ("after", cursor), ("wait", wait))["changes"]])

    early = asked(runtime)["cursor"]
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    cursor = asked(runtime)["cursor"]
    waiting = threading.Thread(target=ask, args=(cursor, "20"))
    waiting.start()
    wait_until(lambda: runtime.stream_limit.open == 1, what="the one that waits")
    with pytest.raises(OverloadedError):
        ask(cursor, "8")
    ask(cursor, "0")
    ask(early, "8")
    assert told == [[], [1]]
    assert runtime.stream_limit.open == 1
    running.sql("INSERT INTO orders VALUES (2, 'x')")
    waiting.join()
    assert told[2] == [2]
    assert runtime.stream_limit.open == 0
    assert runtime.hub.streams == []


def test_a_client_that_is_gone_is_not_waited_for(running, monkeypatch):
    monkeypatch.setattr(long_poll, "_LOOK", 0.05)
    cursor, looks = asked(running.runtime)["cursor"], iter([False, False, True])
    began = time.monotonic()
    answer = asked(running.runtime, ("after", cursor), ("wait", "50"), is_gone=lambda: next(looks))
    assert answer["changes"] == []
    assert time.monotonic() - began < 10
    assert next(looks, None) is None


def test_it_ends_with_its_stream(running):
    """No row of the log says so, as when a change could not be placed, or the listener began anew."""
    runtime, reasons = running.runtime, []
    cursor = asked(runtime)["cursor"]

    def ask():
        with pytest.raises(CursorGoneError) as gone:
            asked(runtime, ("after", cursor), ("wait", "20"))
        reasons.append(gone.value.reason)

    waiting = threading.Thread(target=ask)
    waiting.start()
    wait_until(lambda: runtime.stream_limit.open == 1, what="the one that waits")
    began = time.monotonic()
    runtime.hub.reset(running.table("orders").watch, "for a test")
    waiting.join()
    assert reasons == ["for a test"]
    assert time.monotonic() - began < 5


def test_those_at_the_same_cursor_share_a_read(running, monkeypatch):
    """They all ask at the same moment, and each would take a connection of the pool for as long."""
    runtime, reads, told, go_on = running.runtime, [], [], threading.Event()

    def read(*args, **options):
        reads.append(args)
        if len(reads) == 1:
            assert go_on.wait(10)
        return missed(*args, **options)

    cursor = asked(runtime)["cursor"]
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    monkeypatch.setattr(long_poll, "missed", read)
    pollers = [
        threading.Thread(target=lambda: told.append(asked(runtime, ("after", cursor))["changes"])) for _ in range(9)
    ]
    for poller in pollers:
        poller.start()
    wait_until(lambda: sum(stream.subscribers for stream in runtime.hub.streams) == len(pollers), what="all of them")
    go_on.set()
    for poller in pollers:
        poller.join()
    assert [change["row"]["id"] for changes in told for change in changes] == [1] * len(pollers)
    assert len(reads) < len(pollers)
