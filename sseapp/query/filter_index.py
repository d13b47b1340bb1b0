"""From a row to the filters that it matches, out of very many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from sseapp.query.filters import Filter
from sseapp.query.intervals import Intervals
from sseapp.query.operators import LOWER, ORDERING, Operator
from sseapp.tables.column_types import Row, Value, ValueType, types_of

T = TypeVar("T")

_Bounds = tuple[str, Value | None, Value | None]
"""A column, with the least and greatest value that a filter may take there."""


class FilterIndex(Generic[T]):
    """The filters of one table, each with the items that share it.

    A row finds a filter through its equalities (hashes, one within the other), then through its interval on one
    column; what is left of the conditions is tested on the filters found. So a row costs the logarithm of the number
    of intervals and the matches. A filter with neither is tested on every row.
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
        """Forget ``item`` under ``filter_``, where it is there."""
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
        """Whether every row matches every filter there is."""
        return self._entries.keys() <= {Filter()}

    def candidates(self, members: Mapping[str, str]) -> list[T]:
        """The items whose filter the row matches, which ``members`` gives as raw JSON texts by column.

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
        """How many different filters there are."""
        return len(self._entries)


class _Path:
    """Where a filter stands: under these values of these columns, and there under an interval, or none."""

    __slots__ = ("bounds", "equalities")

    def __init__(self, equalities: tuple[tuple[str, Value], ...], bounds: _Bounds | None) -> None:
        self.equalities = equalities
        self.bounds = bounds


class _Entry(Generic[T]):
    """A filter and the items that share it; hashed by identity, which is cheap."""

    __slots__ = ("filter", "items", "paths")

    def __init__(self, filter_: Filter) -> None:
        self.filter = filter_
        self.items: dict[T, None] = {}
        self.paths = _paths(filter_)


class _Node(Generic[T]):
    """The filters that agree in some equalities: by a further equality, by an interval, or by neither."""

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
        """Forget ``entry``, and every node that is empty then: equalities come and go by the million."""
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
        """Append to ``found`` every entry that ``row`` may match."""
        found.extend(self._rest)
        for column, nodes in self._equal.items():
            node = nodes.get(row[column])
            if node is not None:
                node.collect(row, found)
        for column, intervals in self._ranges.items():
            value = row[column]
            if value is not None:
                intervals.holding(value, found)

    def __bool__(self) -> bool:
        return bool(self._rest or self._equal or self._ranges)


def _paths(filter_: Filter) -> list[_Path]:
    """One path, or without an equality one for each member of the shortest ``in``: a row meets one member."""
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
    """The tightest interval that the filter has on one column, one with two bounds if there is any."""
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
