"""Where the filter index keeps a filter: the values and the interval that a row must have to match it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sseapp.query.conditions import Condition
from sseapp.query.filters import Filter
from sseapp.query.groups import AND, Group, Term, normalized
from sseapp.query.operators import LOWER, ORDERING, Operator
from sseapp.tables.value_type import Value

MAX_PATHS = 1000
"""A filter that would be kept in more places is tested on every row instead."""

Bounds = tuple[str, Value | None, Value | None]
"""An operand's key, and the least and greatest value that a filter allows there."""


@dataclass(frozen=True, slots=True)
class Path:
    """One place: under these values of these operands, and below them under an interval, if there is one."""

    equalities: tuple[tuple[str, Value], ...]
    bounds: Bounds | None

    @property
    def is_everywhere(self) -> bool:
        """Whether every row leads here."""
        return not self.equalities and self.bounds is None


def paths(filter_: Filter) -> tuple[Path, ...]:
    """The places of a filter: every row that it takes leads to at least one of them."""
    found = tuple(dict.fromkeys(_paths(filter_.terms)))
    return found if len(found) <= MAX_PATHS else (Path((), None),)


def _paths(terms: tuple[Term, ...]) -> list[Path]:
    """One path for the equalities. Without any, one for each member of an ``in`` or each part of an OR.

    A row equals one member of an ``in`` at the most; of several lists the shortest is taken.
    """
    plain = [term for term in terms if isinstance(term, Condition)]
    bounds = _bounds(plain)
    equal = _equalities(plain)
    if equal:
        return [Path(tuple(sorted(equal.items(), key=lambda one: one[0])), bounds)]
    ways = [_members(condition, bounds) for condition in plain if condition.operator is Operator.IN]
    ways += [_parts(term, plain) for term in terms if isinstance(term, Group)]
    useful = [way for way in ways if not any(path.is_everywhere for path in way)]
    return min(useful, key=len, default=[Path((), bounds)])


def _members(condition: Condition, bounds: Bounds | None) -> list[Path]:
    return [Path(((condition.operand.key, literal.value),), bounds) for literal in condition.literals]


def _parts(group: Group, plain: list[Condition]) -> list[Path]:
    """The paths of each part of an OR, together with the conditions that hold for all of them."""
    return [path for part in group.terms for path in _paths(normalized(AND, (part, *plain)))]


def _equalities(conditions: Iterable[Condition]) -> dict[str, Value]:
    equal: dict[str, Value] = {}
    for condition in conditions:
        if condition.operator is Operator.EQ:
            equal[condition.operand.key] = condition.literals[0].value
        elif condition.operator is Operator.IS_NULL:
            equal[condition.operand.key] = None
    return equal


def _bounds(conditions: Iterable[Condition]) -> Bounds | None:
    """The interval on one operand, preferably one with two bounds."""
    found: dict[str, tuple[Value | None, Value | None]] = {}
    for condition in conditions:
        least, greatest = _interval(condition)
        if least is None and greatest is None:
            continue
        lower, upper = found.get(condition.operand.key, (None, None))
        if least is not None:
            lower = least if lower is None else max(lower, least)
        if greatest is not None:
            upper = greatest if upper is None else min(upper, greatest)
        found[condition.operand.key] = (lower, upper)
    if not found:
        return None
    key = max(found, key=lambda one: None not in found[one])
    return key, *found[key]


def _interval(condition: Condition) -> tuple[Value | None, Value | None]:
    """The closed interval that contains all values a condition takes."""
    if condition.operator in ORDERING:
        value = condition.literals[0].value
        return (value, None) if condition.operator in LOWER else (None, value)
    return condition.literals[0].value.bounds if condition.operator is Operator.LIKE else (None, None)
