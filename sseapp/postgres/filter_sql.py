"""A filter and an order as SQL, meaning exactly what they mean in Python.

Values are literals of no type yet, so that PostgreSQL reads each as its column's type and ordinary indexes serve. Run
what contains them WITHOUT parameters: psycopg2 would take a ``%`` in a name or a value for a placeholder.
"""

from __future__ import annotations

from psycopg2.sql import SQL, Composable, Composed, Identifier
from psycopg2.sql import Literal as Quoted

from sseapp.errors import ShapeChangedError
from sseapp.query.conditions import Condition
from sseapp.query.filters import Filter
from sseapp.query.operators import Operator
from sseapp.query.query import Query
from sseapp.tables.column_types import Form, column_type
from sseapp.tables.table import Column, Table

_COMPARISONS = {
    Operator.EQ: SQL("{} = {}"),
    Operator.NEQ: SQL("{} <> {}"),
    Operator.GT: SQL("{} > {}"),
    Operator.GTE: SQL("{} >= {}"),
    Operator.LT: SQL("{} < {}"),
    Operator.LTE: SQL("{} <= {}"),
    Operator.IN: SQL("{} IN ({})"),
}
_AS_TEXT = SQL('{}::text COLLATE "C"')
_AS_SHOWN = SQL("""(to_json({}) #>> '{{}}') COLLATE "C" """)
# not IS NULL: a composite whose fields are all null is a value in JSON
_NULL = {Operator.IS_NULL: SQL("{} IS NOT DISTINCT FROM NULL"), Operator.IS_NOT_NULL: SQL("{} IS DISTINCT FROM NULL")}
_SHOWN_NULL = {
    Operator.IS_NULL: SQL("coalesce(json_typeof(to_json({})), 'null') = 'null'"),
    Operator.IS_NOT_NULL: SQL("coalesce(json_typeof(to_json({})), 'null') <> 'null'"),
}


def clause(filter_: Filter, table: Table, alias: str) -> Composable:
    """The condition of ``filter_`` on a row of ``table`` that goes by ``alias``.

    Raises :exc:`~sseapp.errors.ShapeChangedError` where the table has come to lack one of its columns.
    """
    if any(condition.column not in table.columns for condition in filter_.conditions):
        raise ShapeChangedError
    if not filter_.conditions:
        return SQL("true")
    return SQL(" AND ").join(_condition(condition, alias) for condition in filter_.conditions)


def order(query: Query, table: Table, alias: str = "t") -> Composable:
    """The ORDER BY of ``query``; nothing where it has no order."""
    if not query.order:
        return SQL("")
    terms = []
    for term in query.order:
        column = table.by_name[term.column]
        expression = ordered(column, alias)
        direction = SQL(" DESC" if term.descending else "") + SQL(" NULLS FIRST" if term.nulls_first else " NULLS LAST")
        terms.append(expression + direction)
    return SQL("ORDER BY ") + SQL(", ").join(terms)


def ordered(column: Column, alias: str) -> Composed:
    """What rows are ordered by, where they are ordered by ``column``."""
    as_text = column_type(column).form is Form.TEXT
    return (_AS_TEXT if as_text else SQL("{}")).format(Identifier(alias, column.name))


def _condition(condition: Condition, alias: str) -> Composed:
    column = Identifier(alias, condition.column.name)
    operator, form = condition.operator, column_type(condition.column).form
    if operator in _NULL:
        return (_SHOWN_NULL if column_type(condition.column).hides_null else _NULL)[operator].format(column)
    literals = SQL(", ").join(Quoted(literal.text) for literal in condition.literals)
    comparison = _COMPARISONS[operator]
    if form is Form.NATIVE:
        return comparison.format(column, literals)
    if form is Form.SHOWN:
        return comparison.format(_AS_SHOWN.format(column), literals)
    exact = comparison.format(_AS_TEXT.format(column), literals)
    if operator in (Operator.EQ, Operator.IN):
        # equal by code point is equal under every collation, and this is what an ordinary index finds
        return comparison.format(column, literals) + SQL(" AND ") + exact
    return exact
