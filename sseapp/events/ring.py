"""A bounded run of encoded frames. A client is at the number of the frame that it needs next. The channel locks it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from sseapp.errors import OverrunError
from sseapp.events import sse
from sseapp.events.event import Event
from sseapp.log.change import Batch
from sseapp.log.cursor import Cursor, Ids, Scope, Snapshot

FRAME_SIZE = 1 << 18
"""Bytes of events beyond which a frame is closed and another begun."""


@dataclass(frozen=True)
class Frame:
    """The events of one batch for one stream; or other bytes to send (``raw``), such as a ``window`` event.

    ``ends`` are the numbers of the events that end a transaction on the stream.
    """

    after: Snapshot
    upto: Snapshot
    events: tuple[Event, ...] = ()
    complete: bool = True
    ascending: bool = False
    raw: bytes = b""
    scope: Scope | None = None
    ends: frozenset[int] = frozenset()

    @cached_property
    def ready(self) -> bytes:
        """The bytes for all clients that have seen ``after`` and no more."""
        return self.raw + self._encoded(self.events, None if self.ascending else self.after)

    def beyond(self, seen: Snapshot) -> bytes:
        """The bytes for a client that joined with the snapshot ``seen``: only what it does not see, with other ids.

        The ids of :attr:`ready` say less than the client has: after a resume it would be sent some events again.
        """
        if seen.contains(self.upto):
            return self.raw
        if self.after.contains(seen):
            return self.ready
        return self.raw + self._encoded(tuple(event for event in self.events if not seen.sees(event.xid)), seen)

    def cursor(self, seen: Snapshot | None = None) -> Cursor:
        """What a client has seen that was sent this frame, which has events, and all before it.

        ``seen`` is as of :meth:`beyond`, where the client was sent that.
        """
        if self.complete:
            return Cursor(self.upto)
        return Cursor(self.upto, self.events[-1].number, seen or self.after)

    @cached_property
    def size(self) -> int:
        """About how many bytes of memory the frame takes."""
        return 2 * len(self.raw) + 3 * sum(event.size for event in self.events)

    def _encoded(self, events: tuple[Event, ...], after: Snapshot | None) -> bytes:
        if self.scope is None:
            return b""
        return encoded(events, self.scope.ids(self.upto, after), self.ends, complete=self.complete)


def frames(batch: Batch, events: Sequence[Event], scope: Scope, ends: frozenset[int] = frozenset()) -> Iterator[Frame]:
    """Frames for ``events`` of ``batch``, each of about :data:`FRAME_SIZE` at most: a slow client keeps one of them."""
    begin, size = 0, 0
    for end, event in enumerate(events, start=1):
        size += event.size
        if size >= FRAME_SIZE or end == len(events):
            complete = batch.complete and end == len(events)
            yield Frame(
                batch.after,
                batch.upto,
                tuple(events[begin:end]),
                complete,
                ascending=batch.ascending,
                scope=scope,
                ends=ends,
            )
            begin, size = end, 0


def encoded(events: tuple[Event, ...], ids: Ids, ends: Collection[int], *, complete: bool) -> bytes:
    """The event stream bytes of ``events``; the last of a ``complete`` batch carries the id of the batch's end.

    Those with the numbers ``ends`` say that they are the last of their transactions.
    """
    last = len(events) - 1
    return b"".join(
        (event.end_body if event.number in ends else event.body)
        + sse.ending(ids.end() if complete and at == last else ids.at(event.number))
        for at, event in enumerate(events)
    )


class Ring:
    """Frames in order, ``limit`` bytes of them. Frame numbers count up from 0 and are never used twice."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._frames: deque[Frame] = deque()
        self._size = 0
        self.start = 0
        self.end = 0

    def append(self, frame: Frame) -> None:
        """Add a frame, and forget the oldest beyond the limit; the newest one is always kept."""
        self._frames.append(frame)
        self._size += frame.size
        self.end += 1
        self.resize(self.limit)

    def resize(self, limit: int) -> None:
        """Have another limit from now on, also for the frames that are here."""
        self.limit = limit
        while self._size > self.limit and len(self._frames) > 1:
            self._size -= self._frames.popleft().size
            self.start += 1

    def skip(self) -> None:
        """Forget all frames and leave a number out: everyone who is here now needs what the ring does not have."""
        self._frames.clear()
        self._size = 0
        self.end += 1
        self.start = self.end

    def read(self, frame_number: int) -> list[Frame]:
        """The frames from that number on. Raises :exc:`~sseapp.errors.OverrunError` where they are gone."""
        if frame_number < self.start:
            raise OverrunError
        return [self._frames[at - self.start] for at in range(frame_number, self.end)]
