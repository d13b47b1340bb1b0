"""How many streams a process serves at once."""

from __future__ import annotations

import threading

from sseapp.errors import OverloadedError


class StreamLimit:
    """Slots for open streams, up to ``limit``. Counts the streams refused and those cut for being slow.

    At most ``host_limit`` of them may occupy the host. A long poll does so, and a stream whose connection the host
    cannot hand over.
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
        """Take a slot. Raises :exc:`~sseapp.errors.OverloadedError`."""
        with self._lock:
            if self.open >= self.limit or (occupies_host and self._on_host >= self._host_limit):
                self.refused += 1
                limit = self._host_limit if occupies_host else self.limit
                raise OverloadedError(f"All {limit} stream slots are in use; try again.")
            self.open += 1
            self._on_host += occupies_host

    def release(self, *, occupies_host: bool = False) -> None:
        """Give a slot back."""
        with self._lock:
            self.open -= 1
            self._on_host -= occupies_host
