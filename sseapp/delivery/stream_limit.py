"""How many streams a process holds at once."""

from __future__ import annotations

import threading

from sseapp.errors import OverloadedError


class StreamLimit:
    """Counts open streams up to ``limit``; also counts those refused, and those cut for being slow.

    At most ``host_limit`` of them may occupy the host: it keeps the request open, as it does for a long poll and for a
    stream whose connection it cannot hand over.
    """

    def __init__(self, limit: int, host_limit: int | None = None) -> None:
        self._lock = threading.Lock()
        self.limit = limit
        self._host_limit = limit if host_limit is None else host_limit
        self._on_host = 0
        self.open = 0
        self.refused = 0
        self.cut = 0

    def acquire(self, *, occupies_host: bool = False) -> None:
        """Take a place. Raises :exc:`~sseapp.errors.OverloadedError`."""
        with self._lock:
            if self.open >= self.limit or (occupies_host and self._on_host >= self._host_limit):
                self.refused += 1
                limit = self._host_limit if occupies_host else self.limit
                raise OverloadedError(f"All {limit} stream_limit for those who wait for changes are taken; try again.")
            self.open += 1
            self._on_host += occupies_host

    def release(self, *, occupies_host: bool = False) -> None:
        """Give a place back."""
        with self._lock:
            self.open -= 1
            self._on_host -= occupies_host
