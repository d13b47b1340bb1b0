"""A change of a row, and the batch that it was read in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sseapp.log.cursor import Snapshot
from sseapp.log.pace import Reading
from sseapp.tables.row_json import members

INSERT, UPDATE, DELETE, TRUNCATE, RESET = "i", "u", "d", "t", "r"
"""The kinds of log rows. A ``RESET`` row says that the watch or the table's shape changed."""


@dataclass(frozen=True)
class Change:
    """One change: ``old`` and ``new`` are PostgreSQL's JSON text, ``at`` is when it was logged (ISO 8601).

    ``damage`` says, in words, what of it could not be read as it is in the log: then it holds replacement characters,
    or is a ``RESET`` in place of what it was.
    """

    id: int
    xid: int
    watch: int
    kind: str
    old: str | None
    new: str | None
    at: str
    reason: str | None = None
    damage: str | None = None

    @cached_property
    def old_members(self) -> Mapping[str, str] | None:
        """The old row's columns, as raw JSON text."""
        return None if self.old is None else members(self.old)

    @cached_property
    def new_members(self) -> Mapping[str, str] | None:
        """The new row's columns, as raw JSON text."""
        return None if self.new is None else members(self.new)


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes read in one go: all that ``upto`` sees and ``after`` does not, in order of id; or a piece of them.

    ``complete`` is false for a piece that others follow; ``last_ids`` are the last ones of its transactions that go on
    there. ``ascending`` says that no id lies below one that
    ``after`` sees, so that an id need not name ``after``. ``reading`` comes with the first piece.
    """

    after: Snapshot
    upto: Snapshot
    changes: tuple[Change, ...]
    complete: bool = True
    ascending: bool = False
    reading: Reading | None = None
    last_ids: Mapping[int, int] = field(default_factory=dict)

    def by_watch(self) -> dict[int, tuple[Change, ...]]:
        """The changes of each watched table, by the number of its watch."""
        found: defaultdict[int, list[Change]] = defaultdict(list)
        for change in self.changes:
            found[change.watch].append(change)
        return {watch: tuple(changes) for watch, changes in found.items()}
