"""What a benchmark is: measures that are taken in turns, and how their figures are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from database import Scratch

Measures = Mapping[str, Callable[[], dict[str, float]]]
"""By name; each returns its figures, also by name."""


@dataclass(frozen=True)
class Plan:
    """The measures, the title of their table, and the one of them that the ratios refer to.

    ``further`` measures of the same names add figures to theirs. All are taken in turns: the first of each name, then
    the second of each name.
    """

    title: str
    measures: Measures
    baseline: str
    further: Sequence[Measures] = ()


@dataclass(frozen=True)
class Bench:
    """Where to measure, and how much: ``scale`` is 1, or less in the quick form.

    What a plan enters into ``resources`` is closed when its table has been printed.
    """

    database: Scratch
    scale: float
    resources: ExitStack = field(default_factory=ExitStack)

    @property
    def dsn(self) -> str:
        """How to connect."""
        return self.database.dsn

    def scaled(self, count: float) -> int:
        """So many, or fewer in the quick form."""
        return max(1, round(count * self.scale))
