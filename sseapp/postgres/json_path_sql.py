"""Writes a path into JSON as SQL. :mod:`sseapp.tables.json_path` follows the same path in Python.

The last of a repeated key counts, in ``json`` as in ``jsonb``, because each step is an operator of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2.sql import SQL, Composable
from psycopg2.sql import Literal as Quoted

from sseapp.query.operands import Operand
from sseapp.tables import json_path
from sseapp.tables.json_types import BOOLEAN, LARGE_EXPONENT, MAX_NUMBER, NUMBER, STRING
from sseapp.tables.value_type import Literal

_UNREADABLE = SQL(r"strpos({0}::text, '\u') > 0 AND regexp_replace({0}::text, {1}, ' ', 'g') ~ {2}")
_IF_READABLE = SQL("(CASE WHEN {} THEN NULL ELSE {} END)")
_NUMBER = SQL(
    "(CASE WHEN {type} = 'number' AND length({text}) <= {length} AND {text} !~ {exponent} THEN {text}::numeric END)"
)
_EQUAL = SQL("CASE WHEN {text} IS NOT NULL THEN coalesce({parts}, false) END")


class JsonPathSql:
    """The path of ``operand`` in ``column``, as text, as a number, and for equality with JSON values."""

    def __init__(self, operand: Operand, column: Composable) -> None:
        assert operand.path is not None  # noqa: S101 - for mypy
        path = operand.path
        self._column = column if operand.column.kind == "b" else SQL("to_json({})").format(column)
        self._guard = None if path.is_jsonb else self._unreadable(is_utf8=path.is_utf8)
        *inner, last = path.steps
        document = self._column + SQL("").join(SQL(" -> {}").format(_step(step)) for step in inner)
        self.text = self._guarded(document + SQL(" ->> {}").format(_step(last)))
        typeof = SQL("jsonb_typeof({})" if path.is_jsonb else "json_typeof({})")
        self._type = self._guarded(typeof.format(document + SQL(" -> {}").format(_step(last))))

    @property
    def number(self) -> Composable:
        """The value where it is a number of reasonable length, else NULL."""
        return _NUMBER.format(
            type=self._type, text=self.text, length=Quoted(MAX_NUMBER), exponent=Quoted(LARGE_EXPONENT)
        )

    def equals(self, literals: Sequence[Literal], strings: Composable | None) -> Composable:
        """Whether the value equals one of ``literals``: NULL where there is none. ``strings`` tests for the strings."""
        numbers = [Quoted(literal.text) for literal in literals if literal.value[0] == NUMBER]
        booleans = [Quoted(literal.text) for literal in literals if literal.value[0] == BOOLEAN]
        parts: list[Composable] = []
        if numbers:
            parts.append(SQL("{} IN ({})").format(self.number, SQL(", ").join(numbers)))
        if booleans:
            parts.append(self._of(BOOLEAN, SQL("{} IN ({})").format(self.text, SQL(", ").join(booleans))))
        if strings is not None:
            parts.append(self._of(STRING, strings))
        return _EQUAL.format(text=self.text, parts=SQL(" OR ").join(parts))

    def _of(self, type_: str, test: Composable) -> Composable:
        return SQL("{} = {} AND {}").format(self._type, Quoted(type_), test)

    def _unreadable(self, *, is_utf8: bool) -> Composable:
        pattern = json_path.UNREADABLE if is_utf8 else json_path.UNREADABLE_UNLESS_UTF8
        return _UNREADABLE.format(self._column, Quoted(json_path.HARMLESS), Quoted(pattern))

    def _guarded(self, expression: Composable) -> Composable:
        if self._guard is None:
            return SQL("({})").format(expression)
        return _IF_READABLE.format(self._guard, expression)


def _step(step: json_path.Step) -> Composable:
    return SQL("({})").format(Quoted(step)) if isinstance(step, int) else Quoted(step)
