from __future__ import annotations

from collections import deque

import pytest
from harness.sse import Parser
from hypothesis import given
from hypothesis import strategies as st

from sseapp.errors import OverrunError
from sseapp.events import sse
from sseapp.events.event import Event
from sseapp.events.ring import FRAME_SIZE, Frame, Ring, encoded, frames
from sseapp.log.change import Batch
from sseapp.log.cursor import Cursor, Scope, Snapshot, decode, encode

SCOPE = Scope.of("epoch", "query")
A, S, B = Snapshot(10, (8,)), Snapshot(12, (8, 10)), Snapshot(14, (10,))
"""One inside the other; 8 and 11, 12, 13 lie between."""


def _event(xid, id, name="insert"):
    return Event(name, 2 * id + 1, xid, "now", f'{{"id":{id}}}')


EVENTS = (_event(11, 3), _event(8, 4), _event(13, 5), _event(12, 6))


def _frame(**more):
    return Frame(**{"after": A, "upto": B, "events": EVENTS, "scope": SCOPE} | more)


def _read(data):
    """The (id of the row, cursor) of each event."""
    blocks = list(Parser().feed(data))
    return [(block.json["row"]["id"], decode(block.id)[0]) for block in blocks]


# frame -> what a client that has seen A is sent
READY = [
    ({}, [(3, Cursor(B, 7, A)), (4, Cursor(B, 9, A)), (5, Cursor(B, 11, A)), (6, Cursor(B))]),
    ({"ascending": True}, [(3, Cursor(B, 7)), (4, Cursor(B, 9)), (5, Cursor(B, 11)), (6, Cursor(B))]),
    ({"complete": False}, [(3, Cursor(B, 7, A)), (4, Cursor(B, 9, A)), (5, Cursor(B, 11, A)), (6, Cursor(B, 13, A))]),
    ({"events": ()}, []),
]


@pytest.mark.parametrize(("made", "sent"), READY)
def test_ready_frames_carry_the_rings_ids(made, sent):
    frame = _frame(**made)
    assert _read(frame.ready) == sent
    assert frame.ready is frame.ready


def test_the_last_events_of_transactions_say_so():
    frame = _frame(ends=frozenset({9, 11}))
    blocks = [*Parser().feed(frame.ready)]
    assert [block.json.get("end") for block in blocks] == [None, True, True, None]


# what a joiner has seen -> what it is sent
JOINERS = [
    (S, {}, [(4, Cursor(B, 9, S)), (5, Cursor(B, 11, S)), (6, Cursor(B))]),
    (S, {"ascending": True}, [(4, Cursor(B, 9, S)), (5, Cursor(B, 11, S)), (6, Cursor(B))]),
    (S, {"complete": False}, [(4, Cursor(B, 9, S)), (5, Cursor(B, 11, S)), (6, Cursor(B, 13, S))]),
    (Snapshot(14, (8, 10)), {}, [(4, Cursor(B))]),
    (B, {}, []),
    (Snapshot(20), {}, []),
    (A, {}, READY[0][1]),
    (Snapshot(9, (8,)), {"ascending": True}, READY[1][1]),
    (S, {"events": EVENTS[:1]}, []),
]


@pytest.mark.parametrize(("seen", "made", "sent"), JOINERS)
def test_a_joiner_gets_what_it_has_not_seen_under_ids_of_its_own(seen, made, sent):
    assert _read(_frame(**made).beyond(seen)) == sent


@pytest.mark.parametrize("seen", [A, S, B])
def test_a_raw_frame_goes_to_all(seen):
    frame = Frame(A, A, raw=b"event: window\ndata: {}\n\n")
    assert frame.ready == frame.beyond(seen) == frame.raw


def test_an_event_without_room_for_its_id_goes_without():
    many = tuple(range(5, 12_000, 10))
    crowded = Snapshot(12_000, many)
    blocks = list(Parser().feed(_frame(after=crowded, upto=Snapshot(12_001)).ready))
    assert [block.id for block in blocks] == [None, None, None, encode(Cursor(Snapshot(12_001)), SCOPE)]


def test_encoded_bytes():
    ids = SCOPE.ids(B, A)
    written = encoded(EVENTS[:2], ids, (), complete=True)
    first, second = EVENTS[0], EVENTS[1]
    assert written == first.body + sse.ending(ids.at(7)) + second.body + sse.ending(ids.end())
    assert encoded((), ids, (), complete=True) == b""


def test_the_size_goes_with_the_bytes():
    assert _frame().size > _frame(events=EVENTS[:2]).size > len(_frame(events=EVENTS[:2]).ready)
    assert Frame(A, A, raw=b"x" * 100).size == 200


def _sized(position, size):
    """An event of about ``size``."""
    return Event("insert", position, 11, "now", "x" * max(0, size - Event("insert", position, 11, "now", "").size))


@given(
    st.lists(st.sampled_from([0, FRAME_SIZE // 9, FRAME_SIZE // 3, FRAME_SIZE // 2, FRAME_SIZE, 2 * FRAME_SIZE])),
    st.booleans(),
    st.booleans(),
)
def test_frames_are_the_events_and_none_is_split_needlessly(sizes, complete, ascending):
    events = [_sized(position, size) for position, size in enumerate(sizes)]
    made = list(frames(Batch(A, B, (), complete, ascending), events, SCOPE))
    assert [event for frame in made for event in frame.events] == events
    assert [frame.complete for frame in made] == [complete and frame is made[-1] for frame in made]
    for frame in made:
        assert (frame.after, frame.upto, frame.scope, frame.ascending) == (A, B, SCOPE, ascending)
        assert frame.events
        assert sum(event.size for event in frame.events[:-1]) < FRAME_SIZE
    assert all(sum(event.size for event in frame.events) >= FRAME_SIZE for frame in made[:-1])


def _raw(size=10):
    return Frame(A, A, raw=b"x" * (size // 2))


def test_a_reader_goes_on_from_where_it_was():
    ring, one, two = Ring(100), _raw(), _raw()
    assert ring.read(0) == []
    ring.append(one)
    assert ring.read(0) == [one]
    ring.append(two)
    assert ring.read(1) == [two]
    assert ring.read(2) == []


def test_who_is_too_slow_is_told():
    ring = Ring(30)
    for _ in range(4):
        ring.append(_raw())
    assert (ring.start, ring.end) == (1, 4)
    assert len(ring.read(1)) == 3
    with pytest.raises(OverrunError):
        ring.read(0)


def test_a_frame_larger_than_the_ring_is_kept_while_it_is_the_newest():
    ring = Ring(30)
    large = _raw(1000)
    ring.append(_raw())
    ring.append(large)
    assert ring.read(1) == [large]
    small = _raw()
    ring.append(small)
    assert (ring.start, ring.read(2)) == (2, [small])


@given(st.lists(st.integers(0, 60)), st.integers(1, 100))
def test_a_ring_is_the_newest_frames_that_fit(sizes, limit):
    ring, kept = Ring(limit), deque()
    for at, size in enumerate(sizes):
        frame = _raw(2 * size)
        ring.append(frame)
        kept.append(frame)
        while sum(one.size for one in kept) > limit and len(kept) > 1:
            kept.popleft()
        assert ring.end == at + 1
        assert ring.start == ring.end - len(kept)
        assert ring.read(ring.start) == list(kept)
        assert ring.read(ring.end) == []


def test_what_is_skipped_is_missed_by_all_who_are_here():
    ring = Ring(1000)
    ring.append(Frame(A, B, raw=b"x"))
    ring.skip()
    for number in (0, 1):
        with pytest.raises(OverrunError):
            ring.read(number)
    assert ring.read(ring.end) == []
    ring.append(Frame(A, B, raw=b"y"))
    assert [frame.raw for frame in ring.read(2)] == [b"y"]


def test_a_frame_says_what_a_client_has_seen_that_was_sent_it():
    events = (Event("insert", 5, 11, "now"), Event("insert", 7, 11, "now"))
    assert Frame(A, B, events).cursor() == Cursor(B)
    assert Frame(A, B, events, complete=False).cursor() == Cursor(B, 7, A)
    assert Frame(A, B, events, complete=False).cursor(Snapshot(9)) == Cursor(B, 7, Snapshot(9))
