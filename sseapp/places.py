"""How many streams a process holds at once."""

from __future__ import annotations

import threading

from sseapp.errors import OverloadedError


class Places:
    """Counts open streams up to ``limit``; also counts those refused, and those cut for being slow."""

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()
        self.limit = limit
        self.taken = 0
        self.refused = 0
        self.cut = 0

    def take(self) -> None:
        """Take a place. Raises :exc:`~sseapp.errors.OverloadedError`."""
        with self._lock:
            if self.taken >= self.limit:
                self.refused += 1
                raise OverloadedError(
                    f"All {self.limit} places for streams are taken; try again, or use the long poll."
                )
            self.taken += 1

    def give_back(self) -> None:
        """Give a place back."""
        with self._lock:
            self.taken -= 1
