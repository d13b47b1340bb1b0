"""What is left of a batch after its first piece."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sseapp.log.log import Remaining


@dataclass(frozen=True, slots=True)
class Remainder:
    """The watches it holds changes of, those with too many for the rings, and the id of the last change."""

    watches: set[int]
    large: set[int]
    greatest_id: int

    @classmethod
    def of(cls, parts: Iterable[Remaining], *, limit: int) -> Remainder:
        """More than ``limit`` changes of a watch are too many."""
        parts = list(parts)
        return cls(
            {part.watch for part in parts},
            {part.watch for part in parts if part.count > limit},
            max((part.greatest_id for part in parts), default=0),
        )
