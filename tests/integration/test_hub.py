"""The hub: from a batch to the streams it concerns. It needs no database; the batches here are made by hand."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.clusters import wait_until

from sseapp import question
from sseapp.change import Batch, Change
from sseapp.channel import ResetError
from sseapp.cursor import Snapshot
from sseapp.errors import NotInstalledError, ShapeChangedError
from sseapp.hub import Hub
from sseapp.table import Column, Table

COLUMNS = (Column("id", "integer", "int4"), Column("n", "integer", "int4"), Column("at", "timestamptz", "timestamptz"))
ORDERS = Table(1, 100, "public", "orders", ("id",), "at", COLUMNS, 1)
OTHERS = Table(2, 200, "public", "others", ("id",), None, COLUMNS, 1)
AT = "2026-01-01T00:00:00+00:00"


class Bench:
    """A hub whose tables and clock are the test's, and batches that follow one another."""

    def __init__(self):
        self.tables = {1: ORDERS, 2: OTHERS}
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.loads = 0
        self.hub = Hub(self._load, ring=1 << 20, rings=1 << 24, clock=lambda: self.now)
        self.hub.refresh()
        self.xid = 10
        self.number = 0
        self.hub.begin("epoch", Snapshot(self.xid), "the start")

    def _load(self):
        self.loads += 1
        return dict(self.tables)

    def join(self, *arguments, table=ORDERS):
        return self.hub.join(table, question.parse(table, arguments))

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


def _events(stream, position=0):
    return [event for frame in stream.read(position)[0] for event in frame.events]


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
    assert bench.hub.position == Snapshot(bench.xid)


def test_the_position_moves_with_whole_batches_only(bench):
    before = bench.hub.position
    bench.tell(bench.change("i", new=3), complete=False)
    assert bench.hub.position == before
    bench.tell(bench.change("i", new=4))
    assert bench.hub.position == Snapshot(bench.xid)


def test_a_reset_ends_the_streams_whose_table_has_changed(bench):
    stream, other = bench.join(), bench.join(table=OTHERS)
    bench.tables[1] = new = replace(ORDERS, generation=2, reason="its columns have changed")
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
    assert stream.reason is None
    assert bench.loads == 2


def test_a_table_that_is_no_longer_watched(bench):
    stream = bench.join()
    del bench.tables[1]
    bench.hub.refresh()
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
    whole = question.parse(ORDERS, [])
    scopes = {
        bench.hub.scope(ORDERS, whole),
        bench.hub.scope(ORDERS, question.parse(ORDERS, [("n", "eq.1")])),
        bench.hub.scope(OTHERS, question.parse(OTHERS, [])),
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


class Queue:
    """A lock that counts those who have come to it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.came = 0

    def __enter__(self):
        self.came += 1
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


class Slow:
    """Loads that end when the test says so; ``begun`` holds how each is to end."""

    def __init__(self):
        self.begun = []
        self.hub = Hub(self._load, ring=1000, rings=1000, clock=lambda: datetime.now(UTC))
        self.hub._loading = self.queue = Queue()
        self.callers = []

    def _load(self, *_):
        self.begun.append(found := Future())
        return found.result(5)

    def call(self, *connection):
        """Ask for the tables beside the test; when the call has begun it is returned."""
        asked, before = Future(), len(self.begun)

        def ask():
            try:
                asked.set_result(self.hub.refresh(*connection))
            except NotInstalledError as error:
                asked.set_exception(error)

        thread = threading.Thread(target=ask)
        self.callers.append(thread)
        thread.start()
        if not before or connection:
            wait_until(lambda: len(self.begun) > before, what="the load")
        return asked

    def gather(self, count):
        """So many that wait for a load that is under way."""
        found = [self.call() for _ in range(count)]
        wait_until(lambda: self.queue.came == count + 1, what="those who wait")
        return found


@pytest.fixture
def slow():
    found = Slow()
    yield found
    for thread in found.callers:
        thread.join(5)


@pytest.mark.parametrize("fails", [False, True])
def test_those_who_wait_for_the_tables_share_one_load_that_began_after_they_asked(slow, fails):
    first = slow.call()
    others = slow.gather(20)
    slow.begun[0].set_result({1: ORDERS})
    assert first.result(5) == {1: ORDERS}
    wait_until(lambda: len(slow.begun) == 2, what="the load for all others")
    if fails:
        slow.begun[1].set_exception(NotInstalledError())
        assert all(isinstance(other.exception(5), NotInstalledError) for other in others)
    else:
        slow.begun[1].set_result({2: OTHERS})
        assert all(other.result(5) == {2: OTHERS} for other in others)
    assert len(slow.begun) == 2
    assert slow.hub.tables == ({1: ORDERS} if fails else {2: OTHERS})


def test_the_listener_waits_for_no_other_load_and_a_later_one_prevails(slow):
    slow.call()
    listener = slow.call(object())
    slow.begun[1].set_result({2: OTHERS})
    assert listener.result(5) == {2: OTHERS}
    slow.begun[0].set_result({1: ORDERS})
    slow.callers[0].join(5)
    assert slow.hub.tables == {2: OTHERS}


def test_a_load_that_failed_takes_nothing_from_one_that_did_not(slow):
    failing = slow.call()
    listener = slow.call(object())
    slow.begun[0].set_exception(NotInstalledError())
    assert failing.exception(5)
    slow.begun[1].set_result({2: OTHERS})
    assert listener.result(5) == slow.hub.tables == {2: OTHERS}


def test_joining_before_anything_is_known_is_refused(bench):
    hub = Hub(lambda: {1: ORDERS}, ring=1000, rings=1000, clock=lambda: bench.now)
    hub.refresh()
    with pytest.raises(ShapeChangedError):
        hub.join(ORDERS, question.parse(ORDERS, []))


def test_all_rings_together_keep_to_their_budget(bench):
    hub = Hub(lambda: {1: ORDERS}, ring=1 << 20, rings=1 << 20, clock=lambda: bench.now)
    bench.hub = hub
    hub.refresh()
    hub.begin("epoch", Snapshot(bench.xid), "the start")
    streams = [bench.join(("n", f"gte.{number}")) for number in range(-8, 0)]
    bench.tell(bench.change("i", new=1))
    limits = {stream.ring.limit for stream in streams}
    assert len(limits) == 1
    assert limits.pop() < (1 << 20)


def test_a_ring_that_was_filled_when_there_were_few_gives_room_to_those_that_came_since(bench):
    """Its table may never change again: it would keep for ever what was its share then."""
    hub = bench.hub = Hub(lambda: {1: ORDERS}, ring=1 << 22, rings=1 << 22, clock=lambda: bench.now)
    hub.refresh()
    hub.begin("epoch", Snapshot(bench.xid), "the start")
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
