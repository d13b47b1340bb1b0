"""Writes a filter and an order as SQL that means exactly what they mean in Python.

Values are untyped literals, so that PostgreSQL gives each the type of its column and can use ordinary indexes. Run the
statement WITHOUT parameters: psycopg2 would take a ``%`` in a name or a value for a placeholder.
"""

from __future__ import annotations

from psycopg2.sql import SQL, Composable, Composed, Identifier
from psycopg2.sql import Literal as Quoted

from sseapp.errors import ShapeChangedError
from sseapp.query.conditions import Condition
from sseapp.query.filters import Filter
from sseapp.query.operators import Operator
from sseapp.query.query import Query
from sseapp.tables.column_types import Comparison, column_type
from sseapp.tables.table import Column, Table

_OPERATORS = {
    Operator.EQ: SQL("{} = {}"),
    Operator.NEQ: SQL("{} <> {}"),
    Operator.GT: SQL("{} > {}"),
    Operator.GTE: SQL("{} >= {}"),
    Operator.LT: SQL("{} < {}"),
    Operator.LTE: SQL("{} <= {}"),
    Operator.IN: SQL("{} IN ({})"),
}
_AS_TEXT = SQL('{}::text COLLATE "C"')
_OUTPUT = SQL("CASE WHEN num_nulls({0}) = 0 THEN format('%s', {0}) END")
_AS_JSON_TEXT = SQL("""(to_json({}) #>> '{{}}') COLLATE "C" """)
# not IS NULL: that is true of a composite whose fields are all null, which JSON shows as an object
_NULL = {Operator.IS_NULL: SQL("{} IS NOT DISTINCT FROM NULL"), Operator.IS_NOT_NULL: SQL("{} IS DISTINCT FROM NULL")}
_JSON_NULL = {
    Operator.IS_NULL: SQL("coalesce(json_typeof(to_json({})), 'null') = 'null'"),
    Operator.IS_NOT_NULL: SQL("coalesce(json_typeof(to_json({})), 'null') <> 'null'"),
}


def as_logged(column: Column, alias: str) -> Composable:
    """``column`` of the row ``alias``, so that row_to_json() prints it as the log has it."""
    return (_OUTPUT if column.as_text else SQL("{0}")).format(Identifier(alias, column.name))


def clause(filter_: Filter, table: Table, alias: str) -> Composable:
    """The condition of ``filter_`` on the row ``alias`` of ``table``.

    Raises :exc:`~sseapp.errors.ShapeChangedError` where the table no longer has one of the filter's columns.
    """
    if any(condition.column not in table.columns for condition in filter_.conditions):
        raise ShapeChangedError
    if not filter_.conditions:
        return SQL("true")
    return SQL(" AND ").join(_condition(condition, alias) for condition in filter_.conditions)


def order(query: Query, table: Table, alias: str = "t") -> Composable:
    """The ORDER BY clause of ``query``; empty where it has no order."""
    if not query.order:
        return SQL("")
    terms = []
    for term in query.order:
        column = table.by_name[term.column]
        as_text = column_type(column).comparison is Comparison.CODE_POINT
        expression = (_AS_TEXT if as_text else SQL("{}")).format(Identifier(alias, column.name))
        direction = SQL(" DESC" if term.descending else "") + SQL(" NULLS FIRST" if term.nulls_first else " NULLS LAST")
        terms.append(expression + direction)
    return SQL("ORDER BY ") + SQL(", ").join(terms)


def _condition(condition: Condition, alias: str) -> Composed:
    column = Identifier(alias, condition.column.name)
    operator, kind = condition.operator, column_type(condition.column).comparison
    if operator in _NULL:
        may_print_null = column_type(condition.column).may_print_null and not condition.column.as_text
        return (_JSON_NULL if may_print_null else _NULL)[operator].format(column)
    literals = SQL(", ").join(Quoted(literal.text) for literal in condition.literals)
    comparison = _OPERATORS[operator]
    if kind is Comparison.NATIVE:
        return comparison.format(column, literals)
    if kind is Comparison.JSON_TEXT:
        return comparison.format(_AS_JSON_TEXT.format(as_logged(condition.column, alias)), literals)
    exact = comparison.format(_AS_TEXT.format(column), literals)
    if operator in (Operator.EQ, Operator.IN):
        # an ordinary index finds the first; values equal by code point are equal in every collation
        return comparison.format(column, literals) + SQL(" AND ") + exact
    return exact
