"""The hub: from a batch to the streams it concerns. It needs no database; the batches here are made by hand."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sseapp.errors import ResetError, ShapeChangedError
from sseapp.live.hub import Hub
from sseapp.log.change import Batch, Change
from sseapp.log.cursor import Snapshot
from sseapp.query.query import parse as parse_query
from sseapp.tables.table import Column, Table

COLUMNS = (Column("id", "integer", "int4"), Column("n", "integer", "int4"), Column("at", "timestamptz", "timestamptz"))
ORDERS = Table(1, 100, "public", "orders", ("id",), "at", COLUMNS, 1)
OTHERS = Table(2, 200, "public", "others", ("id",), None, COLUMNS, 1)
AT = "2026-01-01T00:00:00+00:00"


class Bench:
    """A hub whose tables and clock are the test's, and batches that follow one another."""

    def __init__(self):
        self.tables = {1: ORDERS, 2: OTHERS}
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.xid = 10
        self.number = 0
        self.begin(Hub(ring=1 << 20, rings=1 << 24, clock=lambda: self.now))

    def begin(self, hub):
        self.hub = hub
        self.hub.install(self.tables)
        self.hub.begin("epoch", Snapshot(self.xid), "the start")

    def join(self, *arguments, table=ORDERS):
        return self.hub.join(table, parse_query(table, arguments))

    def change(self, kind, old=None, new=None, watch=1, reason=None):
        self.number += 1
        return Change(self.number, self.xid, watch, kind, _row(old), _row(new), AT, reason)

    def tell(self, *changes, complete=True):
        after, self.xid = Snapshot(self.xid), self.xid + 1
        batch = Batch(after, Snapshot(self.xid), changes, complete=complete, ascending=True)
        self.hub.dispatch(batch)
        return batch


def _row(n):
    return None if n is None else f'{{"id":{n},"n":{n},"at":"{AT}"}}'


@pytest.fixture
def bench():
    return Bench()


def _events(stream, frame_number=0):
    return [event for frame in stream.read(frame_number)[0] for event in frame.events]


def _names(stream):
    return [event.name for event in _events(stream)]


def test_who_asks_alike_shares_a_stream(bench):
    one = bench.join(("n", "gte.5"), ("limit", "3"))
    assert bench.join(("n", "gte.+5"), ("order", "id.desc"), ("every", "2")) is one
    assert bench.join(("n", "gte.6")) is not one
    assert bench.join(("n", "gte.5"), ("columns", "id")) is not one
    assert bench.join(("n", "gte.5"), table=OTHERS) is not one
    assert one.subscribers == 2


def test_the_last_to_leave_ends_the_stream(bench):
    one, _ = bench.join(), bench.join()
    bench.hub.leave(one)
    assert bench.hub.streams == [one]
    bench.hub.leave(one)
    assert bench.hub.streams == []
    bench.tell(bench.change("i", new=1))
    assert _events(one) == []
    assert bench.join() is not one


def test_only_the_streams_it_concerns_hear_of_a_change(bench):
    small, large, other = bench.join(("n", "lt.5")), bench.join(("n", "gte.5")), bench.join(table=OTHERS)
    bench.tell(bench.change("i", new=3), bench.change("u", 3, 7), bench.change("u", 7, 8), bench.change("d", 8))
    assert _names(small) == ["insert", "delete"]
    assert _names(large) == ["insert", "delete", "insert", "delete"]  # 7 to 8 changes the key
    assert _names(other) == []
    bench.tell(bench.change("t"))
    assert _names(small)[-1] == _names(large)[-1] == "truncate"
    assert _names(other) == []


def test_an_event_is_encoded_once_for_all_who_are_told_it(bench):
    one, two = bench.join(("n", "gte.1")), bench.join(("n", "gte.0"))
    narrow = bench.join(("columns", "id"))
    bench.tell(bench.change("i", new=3))
    assert _events(one)[0] is _events(two)[0]
    assert _events(narrow)[0] is not _events(one)[0]


def test_a_stream_that_hears_nothing_gets_no_frame(bench):
    stream = bench.join(("n", "gte.100"))
    bench.tell(bench.change("i", new=3))
    assert stream.ring.end == 0
    assert bench.hub.upto == Snapshot(bench.xid)


def test_the_position_moves_with_whole_batches_only(bench):
    before = bench.hub.upto
    bench.tell(bench.change("i", new=3), complete=False)
    assert bench.hub.upto == before
    bench.tell(bench.change("i", new=4))
    assert bench.hub.upto == Snapshot(bench.xid)


def test_a_reset_ends_the_streams_whose_table_has_changed(bench):
    stream, other = bench.join(), bench.join(table=OTHERS)
    new = replace(ORDERS, generation=2, reason="its columns have changed")
    bench.hub.install({1: new, 2: OTHERS})
    bench.tell(bench.change("i", new=1), bench.change("r", reason="its columns have changed"))
    with pytest.raises(ResetError, match="columns"):
        stream.read(stream.ring.end)
    assert bench.hub.streams == [other]
    with pytest.raises(ShapeChangedError):
        bench.join(table=ORDERS)
    assert bench.join(table=new).reason is None


def test_a_reset_that_changed_nothing_for_a_stream_leaves_it_alone(bench):
    stream = bench.join()
    bench.tell(bench.change("r", reason="the table is watched, or watched otherwise"))
    bench.hub.install(dict(bench.tables))
    assert stream.reason is None


def test_a_table_that_is_no_longer_watched(bench):
    stream = bench.join()
    bench.hub.install({2: OTHERS})
    with pytest.raises(ResetError, match="no longer watched"):
        stream.read(0)
    with pytest.raises(ShapeChangedError):
        bench.join()


def test_a_row_that_does_not_fit_resets_its_table_alone(bench):
    stream, other = bench.join(("n", "gte.5")), bench.join(("n", "gte.5"), table=OTHERS)
    misfit = replace(bench.change("i", new=7), new='{"id":7,"renamed":7}')
    bench.tell(misfit, bench.change("i", new=8, watch=2))
    with pytest.raises(ResetError):
        stream.read(stream.ring.end)
    assert _names(other) == ["insert"]


def test_beginning_anew_resets_all(bench):
    streams = [bench.join(), bench.join(table=OTHERS)]
    bench.hub.begin("another epoch", Snapshot(500), "restored")
    for stream in streams:
        with pytest.raises(ResetError, match="restored"):
            stream.read(0)
    assert bench.hub.streams == []
    assert bench.join().scope != streams[0].scope


def test_a_scope_is_of_epoch_table_and_question(bench):
    whole = parse_query(ORDERS, [])
    scopes = {
        bench.hub.scope(ORDERS, whole),
        bench.hub.scope(ORDERS, parse_query(ORDERS, [("n", "eq.1")])),
        bench.hub.scope(OTHERS, parse_query(OTHERS, [])),
    }
    assert len(scopes) == 3


def test_windows_move_in_steps_and_say_so(bench):
    stream, still = bench.join(("last", "60s")), bench.join()
    _, filter_, bound = stream.note()
    assert bound == '"2025-12-31T23:59:00+00:00"'
    bench.now += timedelta(milliseconds=900)
    bench.hub.tick()
    assert stream.note() == (0, filter_, bound)
    bench.now += timedelta(milliseconds=200)
    bench.hub.tick()
    end, moved, bound = stream.note()
    assert (end, bound) == (1, '"2025-12-31T23:59:01+00:00"')
    assert moved != filter_
    assert stream.read(0)[0][0].raw == b'event: window\ndata: {"start":"2025-12-31T23:59:01+00:00"}\n\n'
    assert still.ring.end == 0


def test_a_window_that_has_moved_is_what_changes_are_matched_by(bench):
    stream = bench.join(("last", "60s"))
    bench.tell(bench.change("i", new=1))  # AT is now
    bench.now += timedelta(seconds=61)
    bench.hub.tick()
    bench.tell(bench.change("i", new=2))
    assert _names(stream) == ["insert"]
    bench.hub.leave(stream)
    assert bench.hub.streams == []


def test_a_window_waits_for_a_clock_that_was_set_back_a_little(bench):
    stream = bench.join(("last", "60s"))
    noted = stream.note()
    for _ in range(2):
        bench.now -= timedelta(milliseconds=500)
        bench.hub.tick()
        assert stream.note() == noted
    assert stream.reason is None


def test_a_stream_starts_again_where_the_clock_was_set_back(bench):
    """Its subscribers have dropped rows that the window would hold again."""
    stream, still = bench.join(("last", "60s")), bench.join()
    bench.now -= timedelta(seconds=3)
    bench.hub.tick()
    assert stream.reason == "the server's clock was set back"
    assert bench.hub.streams == [still]
    again = bench.join(("last", "60s"))
    assert again is not stream
    assert again.note()[2] == '"2025-12-31T23:58:57+00:00"'


def test_a_subscriber_that_waits_is_woken(bench):
    stream = bench.join()
    woken = []

    def wait():
        stream.wait(0, 10, lambda: False)
        woken.append(_names(stream))

    waiting = threading.Thread(target=wait)
    waiting.start()
    bench.tell(bench.change("i", new=1))
    waiting.join(5)
    assert woken == [["insert"]]


def test_joining_before_anything_is_known_is_refused(bench):
    hub = Hub(ring=1000, rings=1000, clock=lambda: bench.now)
    hub.install({1: ORDERS})
    with pytest.raises(ShapeChangedError):
        hub.join(ORDERS, parse_query(ORDERS, []))


def test_all_rings_together_keep_to_their_budget(bench):
    bench.begin(Hub(ring=1 << 20, rings=1 << 20, clock=lambda: bench.now))
    streams = [bench.join(("n", f"gte.{number}")) for number in range(-8, 0)]
    bench.tell(bench.change("i", new=1))
    limits = {stream.ring.limit for stream in streams}
    assert len(limits) == 1
    assert limits.pop() < (1 << 20)


def test_a_ring_that_was_filled_when_there_were_few_gives_room_to_those_that_came_since(bench):
    """Its table may never change again: it would keep for ever what was its share then."""
    hub = Hub(ring=1 << 22, rings=1 << 22, clock=lambda: bench.now)
    bench.begin(hub)
    first = bench.join(("n", "eq.0"))
    for _ in range(4):
        bench.tell(*[bench.change("i", new=0) for _ in range(1500)])
    assert first.ring._size > 1 << 20
    newest = first.ring.end
    for number in range(1, 8):
        bench.join(("n", f"eq.{number}"))
    hub.tick()
    assert first.ring._size <= 1 << 19
    assert len(first.read(newest - 1)[0]) == 1
