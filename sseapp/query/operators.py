"""The operators of a filter, and what each means in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from sseapp.tables.value_type import Value

Test = Callable[[Value], bool]


class Operator(Enum):
    """An operator by its canonical spelling. Only ``is.null`` is true of a null."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NOT_IN = "not.in"
    LIKE = "like"
    NOT_LIKE = "not.like"
    IS_NULL = "is.null"
    IS_NOT_NULL = "is.not_null"


ORDERING = frozenset({Operator.GT, Operator.GTE, Operator.LT, Operator.LTE})
LOWER = frozenset({Operator.GT, Operator.GTE})
PATTERNS = frozenset({Operator.LIKE, Operator.NOT_LIKE})

_PAIRS = (
    (Operator.EQ, Operator.NEQ),
    (Operator.GT, Operator.LTE),
    (Operator.LT, Operator.GTE),
    (Operator.IN, Operator.NOT_IN),
    (Operator.LIKE, Operator.NOT_LIKE),
    (Operator.IS_NULL, Operator.IS_NOT_NULL),
)
NEGATED = {**dict(_PAIRS), **{other: one for one, other in _PAIRS}}
"""What ``not`` makes of an operator. As in SQL, neither of a pair is true of a null, except for ``is``."""

_TESTS: dict[Operator, Callable[[Value], Test]] = {
    Operator.EQ: lambda literal: lambda value: value is not None and value == literal,
    Operator.NEQ: lambda literal: lambda value: value is not None and value != literal,
    Operator.GT: lambda literal: lambda value: value is not None and value > literal,
    Operator.GTE: lambda literal: lambda value: value is not None and value >= literal,
    Operator.LT: lambda literal: lambda value: value is not None and value < literal,
    Operator.LTE: lambda literal: lambda value: value is not None and value <= literal,
    Operator.LIKE: lambda pattern: lambda value: value is not None and pattern.matches(value),
    Operator.NOT_LIKE: lambda pattern: lambda value: value is not None and not pattern.matches(value),
}


def test(operator: Operator, literals: Sequence[Value]) -> Test:
    """A function that tests a row's value with ``operator`` and the values of its literals."""
    if operator is Operator.IS_NULL:
        return lambda value: value is None
    if operator is Operator.IS_NOT_NULL:
        return lambda value: value is not None
    if operator in (Operator.IN, Operator.NOT_IN):
        members, wanted = frozenset(literals), operator is Operator.IN
        return lambda value: value is not None and (value in members) is wanted
    return _TESTS[operator](literals[0])
