"""How many streams a process holds at once."""

from __future__ import annotations

import threading

from sseapp.errors import OverloadedError


class Places:
    """Counts open streams up to ``limit``; also counts those refused, and those cut for being slow.

    Of them ``held_limit`` may be ``held``: the host goes on holding the request, as it does of a long poll, and of a
    stream whose connection it does not hand over.
    """

    def __init__(self, limit: int, held_limit: int | None = None) -> None:
        self._lock = threading.Lock()
        self.limit = limit
        self._held_limit = limit if held_limit is None else held_limit
        self._held = 0
        self.taken = 0
        self.refused = 0
        self.cut = 0

    def take(self, *, held: bool = False) -> None:
        """Take a place. Raises :exc:`~sseapp.errors.OverloadedError`."""
        with self._lock:
            if self.taken >= self.limit or (held and self._held >= self._held_limit):
                self.refused += 1
                limit = self._held_limit if held else self.limit
                raise OverloadedError(f"All {limit} places for those who wait for changes are taken; try again.")
            self.taken += 1
            self._held += held

    def give_back(self, *, held: bool = False) -> None:
        """Give a place back."""
        with self._lock:
            self.taken -= 1
            self._held -= held
