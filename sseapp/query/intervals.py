"""From a value to the intervals that hold it: as many steps as the logarithm of their number, and the answers."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right, insort
from typing import Generic, TypeVar

from sseapp.tables.value_type import Value

T = TypeVar("T")


class Intervals(Generic[T]):
    """Entries by a closed interval of values; ``None`` for a bound is no bound.

    Bounded intervals stand in a treap by their lower bound, each node with the greatest upper bound below it; half-open
    ones in sorted lists, where those that hold a value are a slice. Nothing is ever rebuilt, so nobody waits for it.
    """

    __slots__ = ("_ends", "_root", "_starts")

    def __init__(self) -> None:
        self._root: _Node[T] | None = None
        self._starts: _Ends[T] = _Ends()
        self._ends: _Ends[T] = _Ends()

    def add(self, lower: Value | None, upper: Value | None, entry: T) -> None:
        """Keep ``entry`` under an interval that has at least one bound."""
        if upper is None:
            self._starts.add(lower, entry)
        elif lower is None:
            self._ends.add(upper, entry)
        else:
            self._root = _insert(self._root, lower, upper, entry)

    def remove(self, lower: Value | None, upper: Value | None, entry: T) -> None:
        """Forget ``entry``. Raises :exc:`KeyError` where it is not kept under that interval."""
        if upper is None:
            self._starts.remove(lower, entry)
        elif lower is None:
            self._ends.remove(upper, entry)
        else:
            self._root = _delete(self._root, lower, upper, entry)

    def holding(self, value: Value, found: list[T]) -> None:
        """Append to ``found`` every entry whose interval holds ``value``."""
        self._starts.up_to(value, found)
        self._ends.from_on(value, found)
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            while node is not None and node.greatest >= value:
                if node.lower > value:
                    node = node.left
                    continue
                if node.upper >= value:
                    found.extend(node.entries)
                # all to the left begin early enough: what ends late enough there is an answer, so this is no detour
                if node.left is not None and node.left.greatest >= value:
                    waiting.append(node.left)
                node = node.right

    def __bool__(self) -> bool:
        return self._root is not None or bool(self._starts.bounds) or bool(self._ends.bounds)


class _Ends(Generic[T]):
    """Entries by one bound, the bounds sorted."""

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

    def up_to(self, value: Value, found: list[T]) -> None:
        for bound in self.bounds[: bisect_right(self.bounds, value)]:
            found.extend(self.entries[bound])

    def from_on(self, value: Value, found: list[T]) -> None:
        for bound in self.bounds[bisect_left(self.bounds, value) :]:
            found.extend(self.entries[bound])


class _Node(Generic[T]):
    """A node of the treap: searched by (lower, upper), and a heap by ``weight``, which keeps it shallow."""

    __slots__ = ("entries", "greatest", "left", "lower", "right", "upper", "weight")

    def __init__(self, lower: Value, upper: Value, entry: T) -> None:
        self.lower = lower
        self.upper = upper
        self.greatest = upper
        self.entries: dict[T, None] = {entry: None}
        self.weight = random.random()  # noqa: S311 - balance needs no secret
        self.left: _Node[T] | None = None
        self.right: _Node[T] | None = None

    def measure(self) -> None:
        """Take ``greatest`` from the children anew."""
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
            node.measure()
            node = left
    else:
        right = node.right = _insert(node.right, lower, upper, entry)
        if right.weight > node.weight:
            node.right, right.left = right.left, node
            node.measure()
            node = right
    node.measure()
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
    node.measure()
    return node


def _merged(left: _Node[T] | None, right: _Node[T] | None) -> _Node[T] | None:
    """One treap of two, all of ``left`` lying before all of ``right``."""
    if left is None or right is None:
        return left or right
    if left.weight > right.weight:
        left.right = _merged(left.right, right)
        top = left
    else:
        right.left = _merged(left, right.left)
        top = right
    top.measure()
    return top
