"""Writes a filter and an order as SQL that means exactly what they mean in Python.

Values are untyped literals, so that PostgreSQL gives each the type of its column and can use ordinary indexes. Run the
statement WITHOUT parameters: psycopg2 would take a ``%`` in a name or a value for a placeholder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg2.sql import SQL, Composable, Identifier
from psycopg2.sql import Literal as Quoted

from sseapp.errors import ShapeChangedError
from sseapp.postgres.json_path_sql import JsonPathSql
from sseapp.query.conditions import Condition
from sseapp.query.filters import Filter
from sseapp.query.groups import Group, Term, leaves
from sseapp.query.operators import ORDERING, Operator
from sseapp.query.query import Query
from sseapp.tables import encodings
from sseapp.tables.column_types import Comparison, column_type
from sseapp.tables.json_types import STRING
from sseapp.tables.table import Column, Table
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
_EQUALITIES = (Operator.EQ, Operator.IN)
_EXACT = (*_EQUALITIES, Operator.NEQ, Operator.NOT_IN)
_IN_UTF8 = SQL("sseapp.utf8({})")
_OUTPUT = SQL("CASE WHEN num_nulls({0}) = 0 THEN format('%s', {0}) END")
_TEXT = SQL("{}::text")
_JSON_TEXT = SQL("to_json({}) #>> '{{}}'")
# not IS NULL: that is true of a composite whose fields are all null, which JSON shows as an object
_NULL = {Operator.IS_NULL: SQL("{} IS NOT DISTINCT FROM NULL"), Operator.IS_NOT_NULL: SQL("{} IS DISTINCT FROM NULL")}
_JSON_NULL = {
    Operator.IS_NULL: SQL("coalesce(json_typeof(to_json({})), 'null') = 'null'"),
    Operator.IS_NOT_NULL: SQL("coalesce(json_typeof(to_json({})), 'null') <> 'null'"),
}


def as_logged(column: Column, alias: str) -> Composable:
    """``column`` of the row ``alias``, as the log has it."""
    name = Identifier(alias, column.name)
    return _OUTPUT.format(name) if column.as_text else name


def selected(column: Column, alias: str) -> Composable:
    """The same for a list of columns, under its name."""
    shown = as_logged(column, alias)
    return shown + SQL(" AS ") + Identifier(column.name) if column.as_text else shown


def clause(filter_: Filter, table: Table, alias: str) -> Composable:
    """The condition of ``filter_`` on the row ``alias`` of ``table``.

    Raises :exc:`~sseapp.errors.ShapeChangedError` where the table no longer has one of the filter's columns.
    """
    if any(condition.operand.column not in table.columns for condition in leaves(filter_.terms)):
        raise ShapeChangedError
    if not filter_.terms:
        return SQL("true")
    return _joined("and", filter_.terms, _Row(alias, table.encoding))


def order(query: Query, table: Table, alias: str = "t") -> Composable:
    """The ORDER BY clause of ``query``; empty where it has no order."""
    if not query.order:
        return SQL("")
    terms = []
    for term in query.order:
        column = table.by_name[term.column]
        expression = ordered(column, alias, table.encoding)
        direction = SQL(" DESC" if term.descending else "") + SQL(" NULLS FIRST" if term.nulls_first else " NULLS LAST")
        terms.append(expression + direction)
    return SQL("ORDER BY ") + SQL(", ").join(terms)


def ordered(column: Column, alias: str, encoding: str) -> Composable:
    """What rows are ordered by if they are ordered by ``column``, in a database of ``encoding``."""
    name = Identifier(alias, column.name)
    return _sortable(_TEXT.format(name), encoding) if _is_by_code_point(column) else name


def ordered_value(column: Column, literal: Literal, encoding: str) -> Composable:
    """``literal`` as what compares with :func:`ordered`."""
    if _is_by_code_point(column) and not encodings.is_utf8(encoding):
        return _bytes(literal)
    return Quoted(literal.text)


def _is_by_code_point(column: Column) -> bool:
    return column_type(column).comparison is Comparison.CODE_POINT


def _bytes(literal: Literal) -> Composable:
    return SQL("{}::bytea").format(Quoted("\\x" + literal.text.encode().hex()))


def _sortable(text: Composable, encoding: str) -> Composable:
    """``text`` as what sorts by code point: the bytes of UTF-8 do."""
    return SQL('{} COLLATE "C"').format(text) if encodings.is_utf8(encoding) else _IN_UTF8.format(text)


def _joined(kind: str, terms: Iterable[Term], row: _Row) -> Composable:
    parts = [_joined(term.kind, term.terms, row) if isinstance(term, Group) else row.condition(term) for term in terms]
    return SQL(f" {kind.upper()} ").join(SQL("({})").format(part) for part in parts)


class _Row:
    """Writes conditions on the row ``alias`` in a database of ``encoding``."""

    def __init__(self, alias: str, encoding: str) -> None:
        self._alias = alias
        self._encoding = encoding

    def condition(self, condition: Condition) -> Composable:
        """One condition, as the SQL that is true of the rows it takes."""
        column = Identifier(self._alias, condition.operand.column.name)
        if condition.operand.path is not None:
            return self._on_path(condition, JsonPathSql(condition.operand, column))
        value_type, operator, literals = condition.operand.value_type, condition.operator, condition.literals
        if operator in _NULL:
            may_print_null = value_type.may_print_null and not condition.operand.column.as_text
            return (_JSON_NULL if may_print_null else _NULL)[operator].format(column)
        if value_type.comparison is Comparison.NATIVE:
            return _compared(operator, column, literals)
        if value_type.comparison is Comparison.JSON_TEXT:
            return self._by_code_point(
                operator, _JSON_TEXT.format(as_logged(condition.operand.column, self._alias)), literals
            )
        exact = self._by_code_point(operator, _TEXT.format(column), literals)
        if operator in _EQUALITIES and self._can_send(literals):
            # an ordinary index finds the first; values equal by code point are equal in every collation
            return _compared(operator, column, literals) + SQL(" AND ") + exact
        return exact

    def _on_path(self, condition: Condition, path: JsonPathSql) -> Composable:
        operator, comparison = condition.operator, condition.operand.value_type.comparison
        if operator in _NULL:
            return _NULL[operator].format(path.text)
        if comparison is Comparison.NATIVE:
            return _compared(operator, path.number, condition.literals)
        if comparison is Comparison.CODE_POINT:
            return self._of_path_text(operator, path.text, condition.literals)
        strings = [Literal(literal.value[1], None) for literal in condition.literals if literal.value[0] == STRING]
        equal = path.equals(
            condition.literals, self._of_path_text(Operator.IN, path.text, strings) if strings else None
        )
        return equal if operator in _EQUALITIES else SQL("NOT {}").format(equal)

    def _of_path_text(self, operator: Operator, text: Composable, literals: Sequence[Literal]) -> Composable:
        if operator in _EXACT and self._can_send(literals):
            # the default collation tells apart what differs, and an index on this very expression serves
            return _compared(operator, text, literals)
        return self._by_code_point(operator, text, literals)

    def _by_code_point(self, operator: Operator, text: Composable, literals: Sequence[Literal]) -> Composable:
        has_own_order = operator in ORDERING and not encodings.is_utf8(self._encoding)
        if not has_own_order and self._can_send(literals):
            return _compared(operator, SQL('({}) COLLATE "C"').format(text), literals)
        values = map(_bytes, literals)
        return _OPERATORS[operator].format(_IN_UTF8.format(text), SQL(", ").join(values))

    def _can_send(self, literals: Iterable[Literal]) -> bool:
        return all(encodings.can_hold(self._encoding, literal.text) for literal in literals)


def _compared(operator: Operator, expression: Composable, literals: Iterable[Literal]) -> Composable:
    return _OPERATORS[operator].format(expression, SQL(", ").join(Quoted(literal.text) for literal in literals))
