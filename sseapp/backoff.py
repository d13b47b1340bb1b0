"""How long to wait before the next try."""

from __future__ import annotations

from random import uniform


class Backoff:
    """Doubles from ``first`` to ``longest`` seconds, each with jitter so that many do not come back at once."""

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        """Start anew after a success."""
        self._next = self._first

    def delay(self) -> float:
        """Seconds to wait now: between half and all of the current step."""
        step, self._next = self._next, min(2 * self._next, self._longest)
        return jittered(step)


def jittered(seconds: float) -> float:
    """A random time between half of ``seconds`` and all of it."""
    return uniform(seconds / 2, seconds)  # noqa: S311  # no secret hangs on it
