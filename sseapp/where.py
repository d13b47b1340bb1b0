"""A filter and an order as SQL, meaning exactly what they mean in Python.

Values are literals of no type yet, so that PostgreSQL reads each as its column's type and ordinary indexes serve. Run
what contains them WITHOUT parameters: psycopg2 would take a ``%`` in a name or a value for a placeholder.
"""

from __future__ import annotations

from psycopg2.sql import SQL, Composable, Composed, Identifier
from psycopg2.sql import Literal as Quoted

from sseapp.conditions import Condition
from sseapp.errors import ShapeChangedError
from sseapp.filters import Filter
from sseapp.operators import Operator
from sseapp.question import Question
from sseapp.table import Column, Table
from sseapp.values import Form, column_type

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
_OUTPUT = SQL("CASE WHEN num_nulls({0}) = 0 THEN format('%s', {0}) END")
_AS_SHOWN = SQL("""(to_json({}) #>> '{{}}') COLLATE "C" """)
# not IS NULL: a composite whose fields are all null is a value in JSON
_NULL = {Operator.IS_NULL: SQL("{} IS NOT DISTINCT FROM NULL"), Operator.IS_NOT_NULL: SQL("{} IS DISTINCT FROM NULL")}
_SHOWN_NULL = {
    Operator.IS_NULL: SQL("coalesce(json_typeof(to_json({})), 'null') = 'null'"),
    Operator.IS_NOT_NULL: SQL("coalesce(json_typeof(to_json({})), 'null') <> 'null'"),
}


def shown(column: Column, alias: str) -> Composable:
    """``column`` of a row that goes by ``alias``, as the log has it."""
    name = Identifier(alias, column.name)
    return _OUTPUT.format(name) if column.as_text else name


def selected(column: Column, alias: str) -> Composable:
    """The same for a list of columns, under its name."""
    return shown(column, alias) + SQL(" AS ") + Identifier(column.name) if column.as_text else shown(column, alias)


def clause(filter_: Filter, table: Table, alias: str) -> Composable:
    """The condition of ``filter_`` on a row of ``table`` that goes by ``alias``.

    Raises :exc:`~sseapp.errors.ShapeChangedError` where the table has come to lack one of its columns.
    """
    if any(condition.column not in table.columns for condition in filter_.conditions):
        raise ShapeChangedError
    if not filter_.conditions:
        return SQL("true")
    return SQL(" AND ").join(_condition(condition, alias) for condition in filter_.conditions)


def order(question: Question, table: Table, alias: str = "t") -> Composable:
    """The ORDER BY of ``question``; nothing where it has no order."""
    if not question.order:
        return SQL("")
    terms = []
    for term in question.order:
        column = table.by_name[term.column]
        as_text = column_type(column).form is Form.TEXT
        expression = (_AS_TEXT if as_text else SQL("{}")).format(Identifier(alias, column.name))
        direction = SQL(" DESC" if term.descending else "") + SQL(" NULLS FIRST" if term.nulls_first else " NULLS LAST")
        terms.append(expression + direction)
    return SQL("ORDER BY ") + SQL(", ").join(terms)


def _condition(condition: Condition, alias: str) -> Composed:
    column = Identifier(alias, condition.column.name)
    operator, form = condition.operator, column_type(condition.column).form
    if operator in _NULL:
        hides_null = column_type(condition.column).hides_null and not condition.column.as_text
        return (_SHOWN_NULL if hides_null else _NULL)[operator].format(column)
    literals = SQL(", ").join(Quoted(literal.text) for literal in condition.literals)
    comparison = _COMPARISONS[operator]
    if form is Form.NATIVE:
        return comparison.format(column, literals)
    if form is Form.SHOWN:
        return comparison.format(_AS_SHOWN.format(shown(condition.column, alias)), literals)
    exact = comparison.format(_AS_TEXT.format(column), literals)
    if operator in (Operator.EQ, Operator.IN):
        # equal by code point is equal under every collation, and this is what an ordinary index finds
        return comparison.format(column, literals) + SQL(" AND ") + exact
    return exact
