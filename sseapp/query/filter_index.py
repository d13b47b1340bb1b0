"""Finds which of very many filters a row matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from sseapp.query.filters import Filter
from sseapp.query.index_paths import Path, paths
from sseapp.query.intervals import Intervals
from sseapp.tables.column_types import Row, Value, ValueType

T = TypeVar("T")


class FilterIndex(Generic[T]):
    """The filters of one table, each with the items that share it.

    A lookup goes by the filters' equalities (nested hash tables), then by their interval on one column. The filters
    it finds are tested in full. So a row costs the logarithm of the number of intervals plus the matches. A filter
    with neither equality nor interval is tested on every row. A filter with an OR is kept under each part of it.
    """

    def __init__(self) -> None:
        self._entries: dict[Filter, _Entry[T]] = {}
        self._types: dict[str, ValueType] = {}
        self._uses: Counter[str] = Counter()
        self._root: _Node[T] = _Node()

    def add(self, filter_: Filter, item: T) -> None:
        """Keep ``item`` (hashable) under ``filter_``."""
        entry = self._entries.get(filter_)
        if entry is None:
            entry = self._entries[filter_] = _Entry(filter_)
            self._use(filter_)
            for path in entry.paths:
                self._root.add(path, entry)
        entry.items[item] = None

    def remove(self, filter_: Filter, item: T) -> None:
        """Remove ``item`` from under ``filter_``, if it is there."""
        entry = self._entries.get(filter_)
        if entry is None:
            return
        entry.items.pop(item, None)
        if not entry.items:
            del self._entries[filter_]
            self._release(filter_)
            for path in entry.paths:
                self._root.remove(path, entry)

    @property
    def takes_all(self) -> bool:
        """Whether every filter takes every row."""
        return self._entries.keys() <= {Filter()}

    def matching(self, members: Mapping[str, str]) -> list[T]:
        """The items whose filter matches the row. ``members`` holds its raw JSON texts by column.

        Raises :exc:`~sseapp.errors.ShapeChangedError` where the row does not fit the columns' types.
        """
        row = Row(members, self._types)
        found: list[_Entry[T]] = []
        self._root.collect(row, found)
        # an OR is found once under each of its parts that is true
        entries = found if len(found) < 2 else dict.fromkeys(found)  # noqa: PLR2004
        return [item for entry in entries if entry.filter.accepts(row) for item in entry.items]

    def _use(self, filter_: Filter) -> None:
        for key, operand in filter_.operands.items():
            self._types[key] = operand.value_type
            self._uses[key] += 1

    def _release(self, filter_: Filter) -> None:
        """Forget the types that no other filter uses: paths into JSON are as many as subscribers make up."""
        for key in filter_.operands:
            self._uses[key] -= 1
            if not self._uses[key]:
                del self._uses[key], self._types[key]

    def __iter__(self) -> Iterator[T]:
        for entry in self._entries.values():
            yield from entry.items

    def __len__(self) -> int:
        """The number of different filters."""
        return len(self._entries)


class _Entry(Generic[T]):
    """A filter and the items that share it. Entries hash by identity, which is cheap."""

    __slots__ = ("filter", "items", "paths")

    def __init__(self, filter_: Filter) -> None:
        self.filter = filter_
        self.items: dict[T, None] = {}
        self.paths = paths(filter_)


class _Node(Generic[T]):
    """The filters that share some equalities, each kept by one more equality, by its interval, or by neither."""

    __slots__ = ("_equal", "_ranges", "_rest")

    def __init__(self) -> None:
        self._rest: dict[_Entry[T], None] = {}
        self._equal: dict[str, dict[Value, _Node[T]]] = {}
        self._ranges: dict[str, Intervals[_Entry[T]]] = {}

    def add(self, path: Path, entry: _Entry[T], depth: int = 0) -> None:
        if depth < len(path.equalities):
            key, value = path.equalities[depth]
            self._equal.setdefault(key, {}).setdefault(value, _Node()).add(path, entry, depth + 1)
        elif path.bounds is None:
            self._rest[entry] = None
        else:
            key, lower, upper = path.bounds
            self._ranges.setdefault(key, Intervals()).add(lower, upper, entry)

    def remove(self, path: Path, entry: _Entry[T], depth: int = 0) -> None:
        """Remove ``entry`` and every node left empty: equalities come and go by the million."""
        if depth < len(path.equalities):
            key, value = path.equalities[depth]
            node = self._equal[key][value]
            node.remove(path, entry, depth + 1)
            if not node:
                del self._equal[key][value]
                if not self._equal[key]:
                    del self._equal[key]
        elif path.bounds is None:
            del self._rest[entry]
        else:
            key, lower, upper = path.bounds
            self._ranges[key].remove(lower, upper, entry)
            if not self._ranges[key]:
                del self._ranges[key]

    def collect(self, row: Mapping[str, Value], found: list[_Entry[T]]) -> None:
        """Append to ``found`` every entry that may match ``row``."""
        found.extend(self._rest)
        for key, nodes in self._equal.items():
            node = nodes.get(row[key])
            if node is not None:
                node.collect(row, found)
        for key, intervals in self._ranges.items():
            value = row[key]
            if value is not None:
                intervals.containing(value, found)

    def __bool__(self) -> bool:
        return bool(self._rest or self._equal or self._ranges)
