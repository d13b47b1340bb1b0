"""Where a client stands in its channel: those that stand alike are sent the same bytes."""

from __future__ import annotations

from copy import copy
from time import monotonic
from typing import Self

from sseapp.events import sse
from sseapp.events.ring import FRAME_SIZE
from sseapp.live.channel import Channel
from sseapp.live.hub import Hub
from sseapp.live.stream import Stream
from sseapp.log.cursor import Cursor, Snapshot, encode


class Progress:
    """A position in a channel. ``told_at`` is when the client was last told how far it is: heartbeats go by that."""

    # there are thousands, and each is touched by each event: one piece of memory, not two
    __slots__ = ("channel", "position", "told_at")

    def __init__(self, channel: Channel, position: int = 0) -> None:
        self.channel = channel
        self.position = position
        self.told_at = monotonic()

    def take(self) -> bytes:
        """What has come since, perhaps nothing, without waiting.

        Raises :exc:`~sseapp.live.channel.ResetError`, :exc:`~sseapp.errors.ShapeChangedError`,
        :exc:`~sseapp.events.ring.OverrunError`.
        """
        joined = self.channel.joined(self.position)
        self.position = joined.end
        if joined.data:
            self.told_at = monotonic()
        return joined.data

    def heartbeat(self) -> bytes:
        """What to send where nothing was told for a while."""
        self.told_at = monotonic()
        return sse.HEARTBEAT

    def is_like(self, other: Self) -> bool:
        """Whether both will be sent the same."""
        return self.channel is other.channel and self.position == other.position

    def copied(self) -> Self:
        """The same, to go on from alone."""
        return copy(self)


class LogProgress(Progress):
    """A position in a stream of changes, for a client that has what ``upto`` sees from a read of its own."""

    __slots__ = ("_hub", "_reached", "_seen", "_stood", "_told")

    channel: Stream

    def __init__(self, channel: Stream, position: int, hub: Hub, upto: Snapshot, *, has_id: bool = True) -> None:
        super().__init__(channel, position)
        self._hub = hub
        self._seen: Snapshot | None = upto  # until the ring is beyond it
        self._told = upto  # what the events told are of: an id that says less would repeat them
        self._stood = upto if has_id else None  # what the last id told says; with none, a heartbeat will tell it
        self._reached = upto  # what the hub had told when the ring was last found empty

    def take(self) -> bytes:  # noqa: D102  # as of the class
        # read before the ring: if the ring is empty then, all of it has been sent
        reached = self._hub.position
        if self._seen is None:
            joined = self.channel.joined(self.position)
            self.position = joined.end
            if joined.told is not None:
                self.told_at = monotonic()
                self._told, self._stood = joined.told, joined.upto or self._stood
            elif reached is not None and not joined.data:
                self._reached = reached
            return joined.data
        frames, _ = self.channel.read(self.position)
        if not frames:
            self._reached = reached or self._reached
            return b""
        pieces, size = [], 0
        for frame in frames:
            # nobody shares these bytes, so they must not be a whole ring
            if size >= FRAME_SIZE:
                break
            self.position += 1
            if self._seen is not None and frame.after.contains(self._seen):
                self._seen = None
            pieces.append(frame.ready if self._seen is None else frame.beyond(self._seen))
            size += len(pieces[-1])
            if frame.events and pieces[-1]:
                self.told_at = monotonic()
                self._told = frame.upto
                if frame.complete:
                    self._stood = frame.upto
        return b"".join(pieces)

    def heartbeat(self) -> bytes:
        """A comment; and where the cursor has moved since the last id, the id of where it stands."""
        silent = super().heartbeat()
        if self._reached == self._stood or not self._reached.contains(self._told):
            return silent
        self._stood = self._reached
        id_ = encode(Cursor(self._reached), self.channel.scope)
        return silent if id_ is None else sse.id_only(id_)

    def is_like(self, other: Self) -> bool:  # noqa: D102  # as of the class
        return (
            super().is_like(other)
            and self._seen == other._seen
            and self._told == other._told
            and self._stood == other._stood
        )
