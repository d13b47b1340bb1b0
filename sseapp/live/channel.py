"""What subscribers follow: a ring of frames, a wake-up when a frame is added, and an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sseapp.errors import ResetError
from sseapp.events.ring import FRAME_SIZE, Frame, Ring
from sseapp.log.cursor import Cursor, Snapshot
from sseapp.single_flight import SingleFlight


@dataclass(frozen=True, slots=True)
class Joined:
    """The bytes of the frames from ``frame_number`` up to ``end``: all there are, or about as many as one frame holds.

    ``until`` was the ring's end. ``cursor`` is what a client has seen that was sent the last event among them,
    ``last_id`` the snapshot of the last batch which ends among them.
    """

    frame_number: int
    end: int
    until: int
    data: bytes
    cursor: Cursor | None
    last_id: Snapshot | None


class Channel:
    """A ring that one writer fills and any number of subscribers follow.

    ``limit`` is the ring's, in bytes. ``reads`` are reads of the database that subscribers share.
    """

    def __init__(self, limit: int) -> None:
        self.ring = Ring(limit)
        self.changed = threading.Condition()
        self.reads = SingleFlight()
        self.subscribers = 0
        self.reason: str | None = None
        self.watcher: Callable[[Channel], None] | None = None
        self._joined = Joined(-1, 0, 0, b"", None, None)

    def append(self, frame: Frame) -> None:
        """Add a frame and wake those who wait for one."""
        with self.changed:
            self.ring.append(frame)
            self.wake()

    def resize(self, limit: int) -> None:
        """Keep no more than ``limit`` bytes of frames from now on."""
        if limit != self.ring.limit:
            with self.changed:
                self.ring.resize(limit)

    def skip(self) -> None:
        """Have all subscribers go on from the log: something comes that is too large for the ring."""
        with self.changed:
            self.ring.skip()
            self.wake()

    def end(self, reason: str) -> None:
        """End the channel: whoever reads from it next gets a :exc:`~sseapp.errors.ResetError`."""
        with self.changed:
            self.reason = self.reason or reason
            self.wake()

    def wake(self) -> None:
        """Wake those who wait, so that they look at what else has changed (a shutdown)."""
        with self.changed:
            self.changed.notify_all()
        if self.watcher is not None:
            self.watcher(self)

    def joined(self, frame_number: int) -> Joined:
        """The bytes of what :meth:`read` returns: joined once for all clients that are at the same frame."""
        joined = self._joined
        is_whole = joined.end < joined.until or joined.until == self.ring.end
        if joined.frame_number != frame_number or not is_whole or self.reason is not None:
            frames, until = self.read(frame_number)
            first = _first(frames)
            told = [frame for frame in first if frame.events]
            whole = [frame.upto for frame in told if frame.complete]
            joined = self._joined = Joined(
                frame_number,
                until - len(frames) + len(first),
                until,
                b"".join([frame.ready for frame in first]),
                told[-1].cursor() if told else None,
                whole[-1] if whole else None,
            )
        return joined

    def read(self, frame_number: int) -> tuple[list[Frame], int]:
        """The frames from that number on, perhaps none, and the number after them.

        Raises :exc:`~sseapp.errors.ResetError`, :exc:`~sseapp.errors.OverrunError`.
        """
        with self.changed:
            frames = self._frames(frame_number)
            if not frames and self.reason is not None:
                raise ResetError(self.reason)
            return frames, self.ring.end

    def _frames(self, frame_number: int) -> list[Frame]:
        return self.ring.read(frame_number)

    def wait(self, frame_number: int, timeout: float, interrupted: Callable[[], bool]) -> bool:
        """Wait for a frame of that number, the end, or ``interrupted``; false where ``timeout`` seconds went by."""
        with self.changed:
            return self.changed.wait_for(
                lambda: self.ring.end > frame_number or self.reason is not None or interrupted(), timeout=timeout
            )


def _first(frames: list[Frame]) -> list[Frame]:
    """As many of ``frames`` as make up the size of one."""
    size = 0
    for count, frame in enumerate(frames, start=1):
        size += len(frame.ready)
        if size >= FRAME_SIZE:
            return frames[:count]
    return frames
