"""The rows of one stream, kept up to date by its changes."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sseapp.client.change import Change, Row

_Identity: TypeAlias = tuple[Hashable, ...]


class Rows:
    """The rows that a stream of ``/changes`` or ``/rows`` of one table has told: apply each change, then iterate.

    Where the stream's window moves (``last=``), ``range_column`` is the column that it moves over: rows leave with it.
    """

    def __init__(self, *, range_column: str | None = None) -> None:
        self._range_column = range_column
        self._key: Sequence[str] | None = None
        # with the number of rows that are alike: a table without a key may have several
        self._rows: dict[_Identity, tuple[Row, int]] = {}

    def __len__(self) -> int:
        return sum(count for _, count in self._rows.values())

    def __iter__(self) -> Iterator[Row]:
        return (row for row, count in self._rows.values() for _ in range(count))

    def get(self, *key: Any) -> Row | None:
        """The row with these values of the table's key, in the key's order."""
        return self._rows.get(tuple(map(_hashable, key)), (None, 0))[0]

    def apply(self, change: Change) -> None:
        """Make of the rows what they are after ``change``; events that are not about rows change nothing."""
        if change.event in {"snapshot", "rows"}:
            self._take_all(change)
        elif change.event == "truncate":
            self._rows.clear()
        elif change.event == "window":
            self._move_window(change.data["start"])
        else:
            self._replace(change.old, change.row)

    def _take_all(self, change: Change) -> None:
        if change.data.get("part", 1) == 1:
            self._rows.clear()
        self._key = change.data["key"]
        rows: Iterable[Row] = change.data["rows"]
        for row in rows:
            self._add(row)

    def _replace(self, old: Row | None, row: Row | None) -> None:
        # with a key an update leaves the row in its place
        if old is not None and (row is None or self._identity(old) != self._identity(row)):
            self._remove(old)
        if row is not None:
            self._add(row)

    def _identity(self, row: Row) -> _Identity:
        if self._key is None:
            return (repr(row),)
        return tuple(_hashable(row[column]) for column in self._key)

    def _add(self, row: Row) -> None:
        identity = self._identity(row)
        count = self._rows[identity][1] + 1 if self._key is None and identity in self._rows else 1
        self._rows[identity] = (row, count)

    def _remove(self, row: Row) -> None:
        identity = self._identity(row)
        found, count = self._rows.pop(identity, (row, 0))
        if count > 1:
            self._rows[identity] = (found, count - 1)

    def _move_window(self, start: str) -> None:
        column = self._range_column
        if column is not None:
            begin = _time(start)
            self._rows = {
                identity: held for identity, held in self._rows.items() if _time(held[0].get(column)) >= begin
            }


def _hashable(value: Any) -> Hashable:
    """A value of a key; of the types that have no hash, its text."""
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict | list) else value


def _time(text: Any) -> tuple[int, float]:
    """Orders what PostgreSQL prints of a date or timestamp. What Python has no date for lies before or after all."""
    try:
        moment = datetime.fromisoformat(text)
        return 0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return (-1 if text.startswith("-") or text.endswith("BC") else 1), 0.0
    except TypeError:
        return -1, 0.0
