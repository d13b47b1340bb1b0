"""Writes comparisons as SQL in which no operator and no cast of the application runs.

The statement's ``search_path`` is ``pg_catalog``, so that the application's operators are not found. Its casts are
found all the same: PostgreSQL tries implicit casts wherever no operator takes exactly the types at hand. For its own
types there is always one, once the literal is untyped or of the same type. For an enum there never is: the operators
of enums take ``anyenum``. An implicit cast of the enum makes them ambiguous, or makes PostgreSQL prefer those of text.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2.sql import SQL, Composable, Identifier
from psycopg2.sql import Literal as Quoted

from sseapp.query.operators import Operator
from sseapp.tables.table import Column
from sseapp.tables.value_type import Literal

_OPERATORS = {
    Operator.EQ: SQL("{} = {}"),
    Operator.NEQ: SQL("{} <> {}"),
    Operator.GT: SQL("{} > {}"),
    Operator.GTE: SQL("{} >= {}"),
    Operator.LT: SQL("{} < {}"),
    Operator.LTE: SQL("{} <= {}"),
    Operator.IN: SQL("{} IN ({})"),
    Operator.NOT_IN: SQL("{} NOT IN ({})"),
    Operator.LIKE: SQL("{} LIKE {}"),
    Operator.NOT_LIKE: SQL("{} NOT LIKE {}"),
}
_ENUM_FUNCTIONS = {
    Operator.EQ: SQL("pg_catalog.enum_eq({}, {})"),
    Operator.NEQ: SQL("pg_catalog.enum_ne({}, {})"),
    Operator.GT: SQL("pg_catalog.enum_gt({}, {})"),
    Operator.GTE: SQL("pg_catalog.enum_ge({}, {})"),
    Operator.LT: SQL("pg_catalog.enum_lt({}, {})"),
    Operator.LTE: SQL("pg_catalog.enum_le({}, {})"),
}


def compared(operator: Operator, expression: Composable, values: Iterable[Composable]) -> Composable:
    """``expression`` compared with ``values``, of which only a list of ``in`` has several."""
    return _OPERATORS[operator].format(expression, SQL(", ").join(values))


def compared_enum(operator: Operator, column: Column, name: Composable, literals: Iterable[Literal]) -> Composable:
    """The enum ``column``, whose name is ``name``, compared with labels.

    No index serves the functions, so they are only for enums with an implicit cast.
    """
    expression = as_enum(column, name)
    values = [as_enum(column, Quoted(literal.text)) for literal in literals]
    if not column.has_implicit_cast:
        return compared(operator, expression, values)
    if operator in _ENUM_FUNCTIONS:
        return _ENUM_FUNCTIONS[operator].format(expression, *values)
    equal = [_ENUM_FUNCTIONS[Operator.EQ].format(expression, value) for value in values]
    is_any = SQL("({})").format(SQL(" OR ").join(equal))
    return is_any if operator is Operator.IN else SQL("NOT {}").format(is_any)


def as_enum(column: Column, value: Composable) -> Composable:
    """``value`` as one of the enum of ``column``: the operators do not take a domain over it."""
    return SQL("CAST({} AS {})").format(value, Identifier(column.schema, column.base))
