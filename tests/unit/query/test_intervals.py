"""Intervals give what testing each of them gives, and do not test each of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseapp.query.intervals import Intervals

BOUND = st.none() | st.integers(0, 9)


@given(st.lists(st.tuples(BOUND, BOUND), max_size=60), st.data())
def test_intervals_find_what_holds_a_value(bounds, data):
    intervals: Intervals[int] = Intervals()
    kept = {number: bound for number, bound in enumerate(bounds) if bound != (None, None)}
    for number, (lower, upper) in kept.items():
        intervals.add(lower, upper, number)
    gone = data.draw(st.sets(st.sampled_from(sorted(kept)))) if kept else set()
    for number in gone:
        intervals.remove(*kept.pop(number), number)
    for value in range(-1, 11):
        found: list[int] = []
        intervals.containing(value, found)
        held = [
            n
            for n, (lower, upper) in kept.items()
            if (lower is None or lower <= value) and (upper is None or value <= upper)
        ]
        assert sorted(found) == sorted(held)
    assert bool(intervals) == bool(kept)


@pytest.mark.parametrize("bounds", [(1, 2), (1, None), (None, 2)])
def test_what_is_not_there_cannot_be_taken_from_intervals(bounds):
    with pytest.raises(KeyError):
        Intervals().remove(*bounds, "x")


@pytest.mark.parametrize("half_go", [False, True], ids=["all stay", "half go"])
@pytest.mark.parametrize(
    "order",
    [range(4000), range(4000)[::-1], random.Random(3).sample(range(4000), 4000)],
    ids=["ascending", "descending", "shuffled"],
)
def test_a_treap_stays_shallow_whatever_the_order(order, half_go):
    intervals: Intervals[int] = Intervals()
    for number in order:
        intervals.add(number, number + 5, number)
    for number in order[::2] if half_go else ():
        intervals.remove(number, number + 5, number)

    def depth(node) -> int:
        return 0 if node is None else 1 + max(depth(node.left), depth(node.right))

    assert depth(intervals._root) < 48


class Counting(int):
    """A number that counts how often it is compared."""

    compared = 0

    def _count(name):  # noqa: N805
        def compare(self, other):
            Counting.compared += 1
            return getattr(int, name)(self, other)

        return compare

    __lt__, __le__, __gt__, __ge__ = map(_count, ("__lt__", "__le__", "__gt__", "__ge__"))
    __hash__ = int.__hash__


def _comparisons(number: int) -> int:
    """How often a value is compared to find the 3 of ``number`` overlapping intervals that hold it."""
    intervals: Intervals[int] = Intervals()
    for lower in range(number):
        intervals.add(Counting(lower), Counting(lower + 2), lower)
    Counting.compared = 0
    for value in range(100):
        found: list[int] = []
        intervals.containing(Counting(number // 2 + value % 50), found)
        assert len(found) == 3
    return Counting.compared


def test_the_cost_of_a_value_grows_with_the_logarithm():
    assert _comparisons(6400) < 3 * _comparisons(100)
