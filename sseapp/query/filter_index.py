"""Finds which of very many filters a row matches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from sseapp.query.filters import Filter
from sseapp.query.intervals import Intervals
from sseapp.query.operators import LOWER, ORDERING, Operator
from sseapp.tables.column_types import Row, Value, ValueType, types_of

T = TypeVar("T")

_Bounds = tuple[str, Value | None, Value | None]
"""A column, and the least and greatest value that a filter allows there."""


class FilterIndex(Generic[T]):
    """The filters of one table, each with the items that share it.

    A lookup goes by the filters' equalities (nested hash tables), then by their interval on one column. The filters
    it finds are tested in full. So a row costs the logarithm of the number of intervals plus the matches. A filter
    with neither equality nor interval is tested on every row.
    """

    def __init__(self) -> None:
        self._entries: dict[Filter, _Entry[T]] = {}
        self._types: dict[str, ValueType] = {}
        self._root: _Node[T] = _Node()

    def add(self, filter_: Filter, item: T) -> None:
        """Keep ``item`` (hashable) under ``filter_``."""
        entry = self._entries.get(filter_)
        if entry is None:
            entry = self._entries[filter_] = _Entry(filter_)
            self._types.update(types_of(condition.column for condition in filter_.conditions))
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
        return [item for entry in found if entry.filter.accepts(row) for item in entry.items]

    def __iter__(self) -> Iterator[T]:
        for entry in self._entries.values():
            yield from entry.items

    def __len__(self) -> int:
        """The number of different filters."""
        return len(self._entries)


class _Path:
    """Where a filter is kept: under values of some columns, and below them under an interval, if it has one."""

    __slots__ = ("bounds", "equalities")

    def __init__(self, equalities: tuple[tuple[str, Value], ...], bounds: _Bounds | None) -> None:
        self.equalities = equalities
        self.bounds = bounds


class _Entry(Generic[T]):
    """A filter and the items that share it. Entries hash by identity, which is cheap."""

    __slots__ = ("filter", "items", "paths")

    def __init__(self, filter_: Filter) -> None:
        self.filter = filter_
        self.items: dict[T, None] = {}
        self.paths = _paths(filter_)


class _Node(Generic[T]):
    """The filters that share some equalities, each kept by one more equality, by its interval, or by neither."""

    __slots__ = ("_equal", "_ranges", "_rest")

    def __init__(self) -> None:
        self._rest: dict[_Entry[T], None] = {}
        self._equal: dict[str, dict[Value, _Node[T]]] = {}
        self._ranges: dict[str, Intervals[_Entry[T]]] = {}

    def add(self, path: _Path, entry: _Entry[T], depth: int = 0) -> None:
        if depth < len(path.equalities):
            column, value = path.equalities[depth]
            self._equal.setdefault(column, {}).setdefault(value, _Node()).add(path, entry, depth + 1)
        elif path.bounds is None:
            self._rest[entry] = None
        else:
            column, lower, upper = path.bounds
            self._ranges.setdefault(column, Intervals()).add(lower, upper, entry)

    def remove(self, path: _Path, entry: _Entry[T], depth: int = 0) -> None:
        """Remove ``entry`` and every node left empty: equalities come and go by the million."""
        if depth < len(path.equalities):
            column, value = path.equalities[depth]
            node = self._equal[column][value]
            node.remove(path, entry, depth + 1)
            if not node:
                del self._equal[column][value]
                if not self._equal[column]:
                    del self._equal[column]
        elif path.bounds is None:
            del self._rest[entry]
        else:
            column, lower, upper = path.bounds
            self._ranges[column].remove(lower, upper, entry)
            if not self._ranges[column]:
                del self._ranges[column]

    def collect(self, row: Mapping[str, Value], found: list[_Entry[T]]) -> None:
        """Append to ``found`` every entry that may match ``row``."""
        found.extend(self._rest)
        for column, nodes in self._equal.items():
            node = nodes.get(row[column])
            if node is not None:
                node.collect(row, found)
        for column, intervals in self._ranges.items():
            value = row[column]
            if value is not None:
                intervals.containing(value, found)

    def __bool__(self) -> bool:
        return bool(self._rest or self._equal or self._ranges)


def _paths(filter_: Filter) -> list[_Path]:
    """One path; without an equality, one for each member of the shortest ``in``, of which a row equals one at most."""
    bounds = _bounds(filter_)
    equal: dict[str, Value] = {}
    lists: list[tuple[str, list[Value]]] = []
    for condition in filter_.conditions:
        name, values = condition.column.name, [literal.value for literal in condition.literals]
        if condition.operator is Operator.EQ:
            equal[name] = values[0]
        elif condition.operator is Operator.IS_NULL:
            equal[name] = None
        elif condition.operator is Operator.IN:
            lists.append((name, values))
    if equal or not lists:
        return [_Path(tuple(sorted(equal.items(), key=lambda one: one[0])), bounds)]
    name, values = min(lists, key=lambda one: len(one[1]))
    return [_Path(((name, value),), bounds) for value in values]


def _bounds(filter_: Filter) -> _Bounds | None:
    """The filter's interval on one column, preferably one with two bounds."""
    found: dict[str, tuple[Value | None, Value | None]] = {}
    for condition in filter_.conditions:
        if condition.operator not in ORDERING:
            continue
        name, value = condition.column.name, condition.literals[0].value
        lower, upper = found.get(name, (None, None))
        if condition.operator in LOWER:
            lower = value if lower is None else max(lower, value)
        else:
            upper = value if upper is None else min(upper, value)
        found[name] = (lower, upper)
    if not found:
        return None
    name = max(found, key=lambda one: None not in found[one])
    return name, *found[name]
