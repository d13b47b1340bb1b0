"""A filter: the terms that a row must meet. :mod:`sseapp.postgres.filter_sql` writes the same filter as SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sseapp.query import operators
from sseapp.query.conditions import Condition
from sseapp.query.groups import AND, OR, Group, Term, leaves, normalized
from sseapp.query.operands import Operand
from sseapp.tables.column_types import Row
from sseapp.tables.value_type import Value, ValueType

_RowTest = Callable[[Mapping[str, Value]], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms that must all be true. A filter without terms takes every row.

    They are sorted and without repetition, so two spellings of one filter are equal. ``canonical`` is their text, the
    same in every process. ``columns`` are the names of the columns they use, ``operands`` what they test, by key.
    """

    terms: tuple[Term, ...] = field(default=(), hash=False)
    canonical: str = field(init=False)
    columns: tuple[str, ...] = field(init=False, compare=False, repr=False)
    operands: dict[str, Operand] = field(init=False, compare=False, repr=False)
    _types: dict[str, ValueType] = field(init=False, compare=False, repr=False)
    _tests: tuple[tuple[str, operators.Test], ...] = field(init=False, compare=False, repr=False)
    _groups: tuple[_RowTest, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        terms = normalized(AND, self.terms)
        operands = {condition.operand.key: condition.operand for condition in leaves(terms)}
        for name, value in {
            "terms": terms,
            "canonical": "&".join(term.canonical for term in terms),
            "columns": tuple(sorted({operand.column.name for operand in operands.values()})),
            "operands": operands,
            "_types": {key: operand.value_type for key, operand in operands.items()},
            "_tests": tuple(_leaf_test(term) for term in terms if isinstance(term, Condition)),
            "_groups": tuple(_row_test(term) for term in terms if isinstance(term, Group)),
        }.items():
            object.__setattr__(self, name, value)

    def matches(self, members: Mapping[str, str]) -> bool:
        """Whether the filter takes a row. ``members`` holds its raw JSON texts by column.

        Raises :exc:`~sseapp.errors.ShapeChangedError` where the row does not fit the columns' types.
        """
        return self.accepts(Row(members, self._types))

    def accepts(self, row: Mapping[str, Value]) -> bool:
        """The same for a row whose values are parsed, by the keys of its operands."""
        for key, test in self._tests:  # a generator would double the cost
            if not test(row[key]):
                return False
        return not self._groups or all(test(row) for test in self._groups)

    def with_conditions(self, conditions: Iterable[Condition]) -> Filter:
        """This filter with more conditions."""
        return Filter((*self.terms, *conditions))


def _row_test(term: Term) -> _RowTest:
    if isinstance(term, Group):
        tests = tuple(map(_row_test, term.terms))
        if term.kind == OR:
            return lambda row: any(test(row) for test in tests)
        return lambda row: all(test(row) for test in tests)
    key, test = _leaf_test(term)
    return lambda row: test(row[key])


def _leaf_test(condition: Condition) -> tuple[str, operators.Test]:
    """The key of a row's value, and the test of it."""
    literals = [literal.value for literal in condition.literals]
    return condition.operand.key, operators.test(condition.operator, literals)
