"""The long poll within the process: it holds a place while it waits."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing

import pytest
from support.clusters import wait_until
from support.running import Running, prepare

from sseapp import poll
from sseapp.errors import CursorGoneError


@pytest.fixture
def running(pg18, pg18_dsn):
    prepare(pg18_dsn)
    with closing(Running(pg18, pg18_dsn, max_streams="1", threads="20")) as found:
        yield found


def asked(runtime, *args, is_gone=lambda: False):
    return json.loads(poll.changes(runtime, "orders", args, is_gone))


def test_it_holds_a_place_while_it_waits_and_without_one_answers_at_once(running):
    """On threads a request that waits holds one, as a stream does."""
    runtime, told = running.runtime, []

    def ask(wait):
        told.append(asked(runtime, ("after", cursor), ("wait", wait))["changes"])

    cursor = asked(runtime)["cursor"]
    waiting = threading.Thread(target=ask, args=("20",))
    waiting.start()
    wait_until(lambda: runtime.places.taken == 1, what="the one that waits")
    began = time.monotonic()
    ask("8")
    assert time.monotonic() - began < 4
    assert told == [[]]
    assert runtime.places.taken == 1
    running.sql("INSERT INTO orders VALUES (1, 'x')")
    waiting.join()
    assert [change["row"]["id"] for change in told[1]] == [1]
    assert runtime.places.taken == 0
    assert runtime.hub.streams == []


def test_a_client_that_is_gone_is_not_waited_for(running, monkeypatch):
    monkeypatch.setattr(poll, "_LOOK", 0.05)
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
    wait_until(lambda: runtime.places.taken == 1, what="the one that waits")
    began = time.monotonic()
    runtime.hub.reset(running.table("orders").watch, "for a test")
    waiting.join()
    assert reasons == ["for a test"]
    assert time.monotonic() - began < 5
