"""What subscribers follow: a ring of frames, the wake-up that goes with it, and its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from sseapp.errors import ShapeChangedError, UnavailableError
from sseapp.events.ring import FRAME_SIZE, Frame, Ring
from sseapp.log.cursor import Snapshot

T = TypeVar("T")


class ResetError(Exception):
    """The channel has ended: its subscribers start again with a snapshot."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Reset: TypeAlias = ResetError | ShapeChangedError
"""After either of them a subscriber starts again with a snapshot, for its ``reason``."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The bytes between two positions of a ring: all there are, or about as many as one frame may hold.

    ``until`` was the ring's end. ``told`` is the snapshot that the last event is of, ``upto`` that of the last batch
    which ends among them.
    """

    position: int
    end: int
    until: int
    data: bytes
    told: Snapshot | None
    upto: Snapshot | None


class Channel:
    """A ring that one writer fills and any number of subscribers follow.

    ``limit`` is the ring's, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.ring = Ring(limit)
        self.changed = threading.Condition()
        self.subscribers = 0
        self.reason: str | None = None
        self.watcher: Callable[[Channel], None] | None = None
        self._joined = Joined(-1, 0, 0, b"", None, None)
        self._flights: dict[Hashable, _Flight[Any]] = {}

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

    def end(self, reason: str) -> None:
        """End the channel: whoever reads from it next gets a :exc:`ResetError`."""
        with self.changed:
            self.reason = self.reason or reason
            self.wake()

    def wake(self) -> None:
        """Wake those who wait, so that they look at what else has changed (a shutdown)."""
        with self.changed:
            self.changed.notify_all()
        if self.watcher is not None:
            self.watcher(self)

    def joined(self, position: int) -> Joined:
        """What :meth:`read` gives, as bytes: joined once for all clients that are at the same position."""
        joined = self._joined
        is_whole = joined.end < joined.until or joined.until == self.ring.end
        if joined.position != position or not is_whole or self.reason is not None:
            frames, until = self.read(position)
            first = _first(frames)
            told = [frame for frame in first if frame.events]
            whole = [frame.upto for frame in told if frame.complete]
            joined = self._joined = Joined(
                position,
                until - len(frames) + len(first),
                until,
                b"".join([frame.ready for frame in first]),
                told[-1].upto if told else None,
                whole[-1] if whole else None,
            )
        return joined

    def read(self, position: int) -> tuple[list[Frame], int]:
        """The frames from ``position`` on, perhaps none, and the position after them.

        Raises :exc:`ResetError`, :exc:`~sseapp.events.ring.OverrunError`.
        """
        with self.changed:
            frames = self._frames(position)
            if not frames and self.reason is not None:
                raise ResetError(self.reason)
            return frames, self.ring.end

    def _frames(self, position: int) -> list[Frame]:
        return self.ring.read(position)

    def wait(self, position: int, timeout: float, interrupted: Callable[[], bool]) -> bool:
        """Wait for something to read at ``position``, or ``interrupted``; false where ``timeout`` seconds went by."""
        with self.changed:
            return self.changed.wait_for(
                lambda: self.ring.end > position or self.reason is not None or interrupted(), timeout=timeout
            )

    def shared(self, key: Hashable, read: Callable[[], T]) -> T:
        """Call ``read``; who asks with the same ``key`` while it is under way gets its result, or its error, too."""
        with self.changed:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if not leads:
            landed: T = flight.result()
            return landed
        try:
            landed = flight.fly(read)
        finally:
            with self.changed:
                del self._flights[key]
        return landed


def _first(frames: list[Frame]) -> list[Frame]:
    """As many of ``frames`` as make up the size of one."""
    size = 0
    for count, frame in enumerate(frames, start=1):
        size += len(frame.ready)
        if size >= FRAME_SIZE:
            return frames[:count]
    return frames


class _Flight(Generic[T]):
    """One read that several wait for."""

    def __init__(self) -> None:
        self._landed = threading.Event()
        self._value: T
        self._error: BaseException | None = None

    def fly(self, read: Callable[[], T]) -> T:
        try:
            self._value = read()
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._landed.set()
        return self._value

    def result(self) -> T:
        self._landed.wait()
        if isinstance(self._error, Exception):
            raise self._error
        if self._error is not None:  # the caller that read was killed; that is no error of those who waited
            raise UnavailableError
        return self._value
