"""Heartbeats: they keep a silent stream alive, and move its subscriber's cursor."""

from __future__ import annotations

import re
import time

import pytest
from harness.site import site as serve_site

BEAT = rb':\nevent: state\ndata: {"live":true,"lag":\d+\.\d{3}}\n%s\n'


def _is_beat(raw, id_=b""):
    return re.fullmatch(BEAT % id_, raw)


def _is_change(block):
    return block.name == "insert"


def test_a_silent_stream_tells_the_state(hosted):
    table = hosted.table()
    for resource in ("changes", "rows"):
        with hosted.follow(table, resource) as stream:
            stream.event()
            stream.event("state")
            began = time.monotonic()
            for _ in range(3):
                assert _is_beat(stream.block().raw)
            assert time.monotonic() - began > 0.6  # 300 ms each


def test_where_the_cursor_moved_a_heartbeat_carries_it(hosted):
    table, other = hosted.table("id int PRIMARY KEY, n int"), hosted.table()
    with hosted.follow(table, n="gt.10") as stream:
        snapshot = stream.event("snapshot").id
        # at once, or a heartbeat may come in between
        hosted.sql(f"INSERT INTO {table} VALUES (1, 1); INSERT INTO {other} VALUES (1)")
        beat = stream.until(lambda block: block.id)
        assert _is_beat(beat.raw, b"id: %s\n" % re.escape(beat.id.encode()))
        assert beat.id != snapshot
        # the next one has no other
        assert _is_beat(stream.block().raw)
    # all that was written so far is gone from the log: the old id is lost, the new one serves
    hosted.prune()
    hosted.sql(f"INSERT INTO {table} VALUES (2, 20)")
    with hosted.follow(table, n="gt.10", last_id=beat.id) as stream:
        assert stream.event("insert").json["row"]["id"] == 2
    with hosted.follow(table, n="gt.10", last_id=snapshot) as stream:
        assert stream.event().name == "reset"


def test_a_heartbeats_id_misses_nothing_that_comes_around_it(hosted):
    """Changes beside and within the filter, one after the other: whatever id a client leaves with, it gets the rest."""
    table = hosted.table("id int PRIMARY KEY, n int")
    with hosted.follow(table, n="gt.10") as stream:
        stream.event("snapshot")
        ids = {}
        for number in range(4):
            hosted.sql(f"INSERT INTO {table} VALUES ({2 * number}, 1)")
            ids[stream.until(lambda block: block.is_heartbeat).last_id] = number
            hosted.sql(f"INSERT INTO {table} VALUES ({2 * number + 1}, 20)")
            ids[stream.until(_is_change).last_id] = number + 1
    hosted.sql(f"INSERT INTO {table} VALUES (100, 100)")
    for last_id, missed in ids.items():
        hosted.settled()  # on threads there are few places, and a heartbeat finds who is gone
        with hosted.follow(table, n="gt.10", last_id=last_id) as stream:
            expected = [*range(2 * missed + 1, 8, 2), 100]
            assert [data["row"]["id"] for _, data in stream.told(len(expected))] == expected


def test_a_change_postpones_the_heartbeat(hosted):
    table = hosted.table()
    with hosted.follow(table) as stream:
        stream.event("snapshot")
        for number in range(10):
            hosted.sql(f"INSERT INTO {table} VALUES ({number}); SELECT pg_sleep(0.1)")
        stream.events(10)
        beats = [block for block in stream.blocks if block.is_heartbeat]
        assert len(beats) <= 2


@pytest.mark.parametrize("kind", ["gevent", "gthread"])
def test_a_moving_window_does_not_postpone_the_heartbeat(pg18, kind):
    """It moves each second, and has no id: the cursor would stay where it was until its changes are pruned."""
    with serve_site(pg18, kind=kind, heartbeat="1500ms") as site:
        table, other = (
            site.table("id int PRIMARY KEY, at timestamptz DEFAULT now()", watch="range_column => 'at'"),
            site.table(),
        )
        with site.follow(table, last="20s") as stream:
            snapshot = stream.event("snapshot").id
            site.sql(f"INSERT INTO {other} VALUES (1)")
            assert stream.until(lambda block: block.id).id != snapshot
            assert "window" in {block.name for block in stream.blocks}
