"""How long a change takes at present, from its commit until it is handed on."""

from __future__ import annotations

from time import monotonic


class Lag:
    """Measures the rounds of a listener: each begins when a change may have been committed, and ends when all is told.

    That is an upper bound for every change of the round.
    """

    def __init__(self) -> None:
        self._began = self._ended = monotonic()

    def begin(self, *, notified: bool) -> None:
        """Begin a round: now, with the NOTIFY. Without one, changes may have waited since the last round ended."""
        self._began = monotonic() if notified else self._ended

    def end(self) -> None:
        """All that was committed before the round's read has been handed on."""
        self._ended = monotonic()

    @property
    def seconds(self) -> float:
        """That of the last round, or of the one that is under way."""
        ended = self._ended if self._ended > self._began else monotonic()
        return ended - self._began
