"""How far a client is in its channel. Clients at the same point are sent the same bytes."""

from __future__ import annotations

from copy import copy
from time import monotonic
from typing import Self

from sseapp.events import sse
from sseapp.events.ring import FRAME_SIZE
from sseapp.live.channel import Channel
from sseapp.live.hub import Hub
from sseapp.live.server_state import ServerState
from sseapp.live.stream import Stream
from sseapp.log.cursor import Cursor, Snapshot, encode


class Progress:
    """The frame of a channel that a client needs next.

    ``told_at`` is when it was last sent its place in the log, ``told_live`` whether it was last told that the server is
    live.
    """

    # there are thousands, and each is touched by each event: one piece of memory, not two
    __slots__ = ("channel", "frame_number", "told_at", "told_live")

    def __init__(self, channel: Channel, frame_number: int = 0) -> None:
        self.channel = channel
        self.frame_number = frame_number
        self.told_at = monotonic()
        self.told_live: bool | None = None

    def take(self) -> bytes:
        """What has come since, perhaps nothing, without waiting.

        Raises :exc:`~sseapp.errors.ResetError`, :exc:`~sseapp.errors.OverrunError`.
        """
        joined = self.channel.joined(self.frame_number)
        self.frame_number = joined.end
        if joined.data:
            self.told_at = monotonic()
        return joined.data

    def lacks(self, state: ServerState) -> bool:
        """Whether the client has its rows, and is to be told a state that it does not know of."""
        return self.told_live is not state.live and self.frame_number > 0

    def state(self, state: ServerState) -> bytes:
        """What tells the state, where more may be there to tell."""
        self.told_live, data = state.told()
        return sse.event("state", data)

    def heartbeat(self, state: ServerState) -> bytes:
        """What to send where nothing was told for a while, or where the state is another."""
        self.told_at = monotonic()
        self.told_live, data = state.told()
        return sse.heartbeat(data, self._take_id())

    def _take_id(self) -> str | None:
        """The id to send now, if any: it counts as sent."""
        return None

    @property
    def cursor(self) -> Cursor | None:
        """What the client has seen of the log, where the channel tells changes of it."""
        return None

    def is_like(self, other: Self) -> bool:
        """Whether both are at the same point: what comes next, heartbeats included, is the same bytes for both."""
        return (
            self.channel is other.channel
            and self.frame_number == other.frame_number
            and self.told_live is other.told_live
        )

    def copied(self) -> Self:
        """The same, to go on from alone."""
        return copy(self)


class LogProgress(Progress):
    """A place in a stream of changes, for a client that has what ``upto`` sees from a read of its own.

    ``has_id`` says whether that read sent an id; without one, a heartbeat will send it.
    """

    __slots__ = ("_hub", "_last_event", "_last_id", "_read_to", "_seen")

    channel: Stream

    def __init__(self, channel: Stream, frame_number: int, hub: Hub, upto: Snapshot, *, has_id: bool = True) -> None:
        super().__init__(channel, frame_number)
        self._hub = hub
        self._seen: Snapshot | None = upto  # until the ring is beyond it
        self._last_event = Cursor(upto)  # of the last event: an id that says less would repeat it
        self._last_id = upto if has_id else None  # the snapshot of the last id
        self._read_to = upto  # what the hub had dispatched when the ring was last found empty

    def take(self) -> bytes:  # noqa: D102  # as of the class
        # read before the ring: if the ring is empty then, all of it has been sent
        dispatched = self._hub.upto
        if self._seen is None:
            joined = self.channel.joined(self.frame_number)
            self.frame_number = joined.end
            if joined.cursor is not None:
                self.told_at = monotonic()
                self._last_event, self._last_id = joined.cursor, joined.last_id or self._last_id
            elif dispatched is not None and not joined.data:
                self._read_to = dispatched
            return joined.data
        frames, _ = self.channel.read(self.frame_number)
        if not frames:
            self._read_to = dispatched or self._read_to
            return b""
        pieces, size = [], 0
        for frame in frames:
            # nobody shares these bytes, so they must not be a whole ring
            if size >= FRAME_SIZE:
                break
            self.frame_number += 1
            if self._seen is not None and frame.after.contains(self._seen):
                self._seen = None
            pieces.append(frame.ready if self._seen is None else frame.beyond(self._seen))
            size += len(pieces[-1])
            if frame.events and pieces[-1]:
                self.told_at = monotonic()
                self._last_event = frame.cursor(self._seen)
                if frame.complete:
                    self._last_id = frame.upto
        return b"".join(pieces)

    @property
    def cursor(self) -> Cursor:
        """What the client has seen: up to where the log was read, if nothing of it was for this stream since then."""
        is_quiet = self._read_to.contains(self._last_event.upto)
        return Cursor(self._read_to) if is_quiet else self._last_event

    def lacks(self, state: ServerState) -> bool:
        """Whether the client is to be told a state that it does not know of. It had its rows before."""
        return self.told_live is not state.live

    def _take_id(self) -> str | None:
        """Where the log has gone on since the last id, the id of where it is now."""
        if self._read_to == self._last_id or not self._read_to.contains(self._last_event.upto):
            return None
        self._last_id = self._read_to
        return encode(Cursor(self._read_to), self.channel.scope)

    def is_like(self, other: Self) -> bool:  # noqa: D102  # as of the class
        return (
            super().is_like(other)
            and self._seen == other._seen
            and self._last_event == other._last_event
            and self._last_id == other._last_id
        )
