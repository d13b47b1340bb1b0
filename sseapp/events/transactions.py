"""Where a transaction ends on a stream: its last event there says so, and only a reader who is past it knows which."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sseapp.events.event import Event
from sseapp.events.ring import FRAME_SIZE


@dataclass(frozen=True, slots=True)
class Settled:
    """What may be told: ``events``, of which those with the numbers ``ends`` end their transactions on the stream.

    ``held`` are to come before all that is read next.
    """

    events: tuple[Event, ...]
    ends: frozenset[int]
    held: tuple[Event, ...]


def settle(events: Sequence[Event], open: Collection[int]) -> Settled:
    """Hold back, of the ``events`` of one stream, what may not be the end of its transaction.

    The transactions ``open`` go on behind them, perhaps with nothing for this stream. So the last event of each waits,
    with all behind it, as they are told in order. Several that are larger than a frame do not wait: such a transaction
    may have no end on the stream.
    """
    last = {event.xid: place for place, event in enumerate(events)}
    begin = min((place for xid, place in last.items() if xid in open), default=len(events))
    if len(events) - begin > 1 and sum(event.size for event in events[begin:]) > FRAME_SIZE:
        begin = len(events)
    ends = frozenset(events[place].number for xid, place in last.items() if place < begin and xid not in open)
    return Settled(tuple(events[:begin]), ends, tuple(events[begin:]))
