"""What a benchmark is: measures that are taken in turns, and how their figures are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from database import Scratch

Measures = dict[str, Callable[[], dict[str, float]]]
"""By name; each returns its figures, also by name."""


@dataclass(frozen=True)
class Plan:
    """The measures, the title of their table, and the one of them that the ratios refer to."""

    title: str
    measures: Measures
    baseline: str


@dataclass(frozen=True)
class Bench:
    """Where to measure, and how much: ``scale`` is 1, or less in the quick form."""

    database: Scratch
    scale: float

    @property
    def dsn(self) -> str:
        """How to connect."""
        return self.database.dsn

    def scaled(self, count: float) -> int:
        """So many, or fewer in the quick form."""
        return max(1, round(count * self.scale))
