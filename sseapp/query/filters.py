"""A filter: the conditions that a row must meet. :mod:`sseapp.postgres.filter_sql` writes the same filter as SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sseapp.query import operators
from sseapp.query.conditions import Condition
from sseapp.tables.column_types import column_type, raw_member
from sseapp.tables.value_type import Value

_Test = tuple[str, Callable[[str], Value], operators.Test]


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all be true. A filter without conditions takes every row.

    They are sorted and without repetition, so two spellings of one filter are equal. ``canonical`` is their text, the
    same in every process. ``columns`` are the names of the columns they use.
    """

    conditions: tuple[Condition, ...] = field(default=(), hash=False)
    canonical: str = field(init=False)
    columns: tuple[str, ...] = field(init=False, compare=False, repr=False)
    _tests: tuple[_Test, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        conditions = {condition.canonical: condition for condition in self.conditions}
        ordered = tuple(conditions[canonical] for canonical in sorted(conditions))
        object.__setattr__(self, "conditions", ordered)
        object.__setattr__(self, "canonical", "&".join(condition.canonical for condition in ordered))
        object.__setattr__(self, "columns", tuple(sorted({condition.column.name for condition in ordered})))
        object.__setattr__(self, "_tests", tuple(_compiled(condition) for condition in ordered))

    def matches(self, members: Mapping[str, str]) -> bool:
        """Whether a row meets every condition. ``members`` holds its raw JSON texts by column.

        Raises :exc:`~sseapp.errors.ShapeChangedError` where the row does not fit the columns' types.
        """
        for name, value, test in self._tests:  # noqa: SIM110 - a generator would double the cost
            if not test(value(raw_member(members, name))):
                return False
        return True

    def accepts(self, row: Mapping[str, Value]) -> bool:
        """The same for a row whose values are parsed."""
        for name, _, test in self._tests:  # noqa: SIM110
            if not test(row[name]):
                return False
        return True

    def with_conditions(self, conditions: Iterable[Condition]) -> Filter:
        """This filter with more conditions."""
        return Filter((*self.conditions, *conditions))


def _compiled(condition: Condition) -> _Test:
    test = operators.test(condition.operator, [literal.value for literal in condition.literals])
    return condition.column.name, column_type(condition.column).value, test
