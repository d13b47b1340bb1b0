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


@pytest.fixture
def running(pg18, pg18_dsn):
    prepare(pg18_dsn)
    with closing(Running(pg18, pg18_dsn, max_streams="1", threads="20")) as found:
        yield found


def test_it_holds_a_place_while_it_waits_and_without_one_answers_at_once(running):
    """On threads a request that waits holds one, as a stream does."""
    runtime, told = running.runtime, []

    def ask(wait):
        told.append(json.loads(poll.changes(runtime, "orders", [("after", cursor), ("wait", wait)]))["changes"])

    cursor = json.loads(poll.changes(runtime, "orders", []))["cursor"]
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
