"""Finds the intervals that contain a value, in steps of the logarithm of their number plus the matches."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right, insort
from typing import Generic, TypeVar

from sseapp.tables.value_type import Value

T = TypeVar("T")


class Intervals(Generic[T]):
    """Entries by a closed interval of values; a bound of ``None`` is unbounded.

    Intervals with two bounds are in a treap (a randomly balanced search tree) sorted by lower bound; each node knows
    the greatest upper bound of its subtree. Those with one bound are in sorted lists, where the matches are a slice.
    No step rebuilds the whole, so no change has to wait for one.
    """

    __slots__ = ("_ends", "_root", "_starts")

    def __init__(self) -> None:
        self._root: _Node[T] | None = None
        self._starts: _OneBound[T] = _OneBound()
        self._ends: _OneBound[T] = _OneBound()

    def add(self, lower: Value | None, upper: Value | None, entry: T) -> None:
        """Keep ``entry`` under an interval that has at least one bound."""
        if upper is None:
            self._starts.add(lower, entry)
        elif lower is None:
            self._ends.add(upper, entry)
        else:
            self._root = _insert(self._root, lower, upper, entry)

    def remove(self, lower: Value | None, upper: Value | None, entry: T) -> None:
        """Remove ``entry``. Raises :exc:`KeyError` where it is not kept under that interval."""
        if upper is None:
            self._starts.remove(lower, entry)
        elif lower is None:
            self._ends.remove(upper, entry)
        else:
            self._root = _delete(self._root, lower, upper, entry)

    def containing(self, value: Value, found: list[T]) -> None:
        """Append to ``found`` every entry whose interval contains ``value``."""
        self._starts.starting_up_to(value, found)
        self._ends.ending_from(value, found)
        pending = [self._root]
        while pending:
            node = pending.pop()
            while node is not None and node.greatest >= value:
                if node.lower > value:
                    node = node.left
                    continue
                if node.upper >= value:
                    found.extend(node.entries)
                # intervals on the left start early enough; one that also ends late enough is a match
                if node.left is not None and node.left.greatest >= value:
                    pending.append(node.left)
                node = node.right

    def __bool__(self) -> bool:
        return self._root is not None or bool(self._starts.bounds) or bool(self._ends.bounds)


class _OneBound(Generic[T]):
    """Entries by their only bound; the bounds are sorted."""

    __slots__ = ("bounds", "entries")

    def __init__(self) -> None:
        self.bounds: list[Value] = []
        self.entries: dict[Value, dict[T, None]] = {}

    def add(self, bound: Value, entry: T) -> None:
        if bound not in self.entries:
            insort(self.bounds, bound)
            self.entries[bound] = {}
        self.entries[bound][entry] = None

    def remove(self, bound: Value, entry: T) -> None:
        del self.entries[bound][entry]
        if not self.entries[bound]:
            del self.entries[bound]
            del self.bounds[bisect_left(self.bounds, bound)]

    def starting_up_to(self, value: Value, found: list[T]) -> None:
        for bound in self.bounds[: bisect_right(self.bounds, value)]:
            found.extend(self.entries[bound])

    def ending_from(self, value: Value, found: list[T]) -> None:
        for bound in self.bounds[bisect_left(self.bounds, value) :]:
            found.extend(self.entries[bound])


class _Node(Generic[T]):
    """A node of the treap: sorted by (lower, upper), and a heap by its random ``weight``, which keeps it shallow."""

    __slots__ = ("entries", "greatest", "left", "lower", "right", "upper", "weight")

    def __init__(self, lower: Value, upper: Value, entry: T) -> None:
        self.lower = lower
        self.upper = upper
        self.greatest = upper
        self.entries: dict[T, None] = {entry: None}
        self.weight = random.random()  # noqa: S311 - balance needs no secret
        self.left: _Node[T] | None = None
        self.right: _Node[T] | None = None

    def update(self) -> None:
        """Compute ``greatest`` again from the children."""
        greatest = self.upper
        if self.left is not None and self.left.greatest > greatest:
            greatest = self.left.greatest
        if self.right is not None and self.right.greatest > greatest:
            greatest = self.right.greatest
        self.greatest = greatest


def _insert(node: _Node[T] | None, lower: Value, upper: Value, entry: T) -> _Node[T]:
    if node is None:
        return _Node(lower, upper, entry)
    if node.lower == lower and node.upper == upper:
        node.entries[entry] = None
        return node
    if (lower, upper) < (node.lower, node.upper):
        left = node.left = _insert(node.left, lower, upper, entry)
        if left.weight > node.weight:
            node.left, left.right = left.right, node
            node.update()
            node = left
    else:
        right = node.right = _insert(node.right, lower, upper, entry)
        if right.weight > node.weight:
            node.right, right.left = right.left, node
            node.update()
            node = right
    node.update()
    return node


def _delete(node: _Node[T] | None, lower: Value, upper: Value, entry: T) -> _Node[T] | None:
    if node is None:
        raise KeyError(entry)
    if node.lower == lower and node.upper == upper:
        del node.entries[entry]
        return node if node.entries else _merged(node.left, node.right)
    if (lower, upper) < (node.lower, node.upper):
        node.left = _delete(node.left, lower, upper, entry)
    else:
        node.right = _delete(node.right, lower, upper, entry)
    node.update()
    return node


def _merged(left: _Node[T] | None, right: _Node[T] | None) -> _Node[T] | None:
    """One treap out of two, where all of ``left`` sorts before all of ``right``."""
    if left is None or right is None:
        return left or right
    if left.weight > right.weight:
        left.right = _merged(left.right, right)
        top = left
    else:
        right.left = _merged(left, right.left)
        top = right
    top.update()
    return top
