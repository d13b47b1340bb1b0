from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseapp.events.event import Event
from sseapp.events.ring import FRAME_SIZE
from sseapp.events.transactions import settle


def _event(number, xid, size=0):
    return Event("insert", number, xid, "now", "x" * size)


def _events(xids):
    return [_event(number, xid) for number, xid in enumerate(xids)]


@pytest.mark.parametrize(
    ("xids", "open", "told", "ends"),
    [
        ([], {1}, 0, set()),
        ([1, 1, 2], set(), 3, {1, 2}),
        ([1, 2, 1], set(), 3, {1, 2}),
        ([1, 1, 2], {2}, 2, {1}),
        ([1, 1, 2], {1}, 1, set()),
        ([1, 2, 2], {1}, 0, set()),
        ([2, 1, 3, 1, 2], {1, 2}, 3, {2}),
        ([1, 2], {3}, 2, {0, 1}),
    ],
)
def test_the_last_of_what_goes_on_is_held_with_all_behind_it(xids, open, told, ends):
    events = _events(xids)
    settled = settle(events, open)
    assert settled.events == tuple(events[:told])
    assert settled.held == tuple(events[told:])
    assert settled.ends == ends


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=30))
def test_in_any_pieces_each_transaction_ends_once_with_its_last(steps):
    """``steps`` are the events' transactions, each with whether a piece ends behind it."""
    xids = [xid for xid, _ in steps]
    held, told, ends = (), [], set()
    for place, (xid, is_cut) in enumerate(steps):
        held = (*held, _event(place, xid))
        is_last = place == len(steps) - 1
        if is_cut or is_last:
            settled = settle(held, set(xids[place + 1 :]))
            told, ends, held = [*told, *settled.events], ends | settled.ends, settled.held
    assert [event.number for event in told] == list(range(len(steps)))
    assert ends == {max(place for place, other in enumerate(xids) if other == xid) for xid in xids}


def test_no_more_than_a_frame_waits():
    few = [_event(0, 1), _event(1, 2, FRAME_SIZE // 2)]
    many = [*few, _event(2, 2, FRAME_SIZE // 2)]
    assert settle(few, {1}).held == tuple(few)
    settled = settle(many, {1})
    assert (settled.events, settled.ends, settled.held) == (tuple(many), {2}, ())
    alone = [_event(0, 1, 2 * FRAME_SIZE)]
    assert settle(alone, {1}).held == tuple(alone)
