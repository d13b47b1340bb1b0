"""Writes a filter and an order as SQL that means exactly what they mean in Python.

Values are untyped literals, so that PostgreSQL gives each the type of its column and can use ordinary indexes; those of
enums are cast. Run the statement with ``search_path = pg_catalog``, so that nothing of the application's runs (see
:mod:`~sseapp.postgres.comparison_sql`), and WITHOUT parameters: psycopg2 would take a ``%`` in a name or a value for a
placeholder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg2.sql import SQL, Composable, Identifier
from psycopg2.sql import Literal as Quoted

from sseapp.errors import ShapeChangedError
from sseapp.postgres.comparison_sql import as_enum, compared, compared_enum
from sseapp.postgres.json_path_sql import JsonPathSql
from sseapp.query.conditions import Condition
from sseapp.query.filters import Filter
from sseapp.query.groups import Group, Term, leaves
from sseapp.query.operators import ORDERING, Operator
from sseapp.query.query import Query
from sseapp.tables import encodings
from sseapp.tables.column_types import Comparison, column_type, has_text_order
from sseapp.tables.json_types import STRING
from sseapp.tables.table import Column, Table
from sseapp.tables.value_type import Literal

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
        expression = _ordered(column, alias, table.encoding)
        direction = SQL(" DESC" if term.descending else "") + SQL(" NULLS FIRST" if term.nulls_first else " NULLS LAST")
        terms.append(expression + direction)
    return SQL("ORDER BY ") + SQL(", ").join(terms)


def behind(key: Sequence[Literal], table: Table, alias: str = "t") -> Composable:
    """The condition that the row ``alias`` of ``table`` comes after the row with this key, in the order of the key."""
    columns = [table.by_name[name] for name in table.key or ()]
    if any(column.has_implicit_cast for column in columns):
        return _behind([*zip(columns, key, strict=True)], alias, table.encoding)
    expressions = [_comparable(column, alias, table.encoding) for column in columns]
    values = [_comparable_value(column, value, table.encoding) for column, value in zip(columns, key, strict=True)]
    return SQL("({}) > ({})").format(SQL(", ").join(expressions), SQL(", ").join(values))


def _behind(key: Sequence[tuple[Column, Literal]], alias: str, encoding: str) -> Composable:
    """The same without a row, whose operators PostgreSQL would look for itself."""
    (column, value), *rest = key

    def is_(operator: Operator) -> Composable:
        if column.kind == "e":
            return compared_enum(operator, column, Identifier(alias, column.name), [value])
        return compared(operator, _comparable(column, alias, encoding), [_comparable_value(column, value, encoding)])

    if not rest:
        return is_(Operator.GT)
    parts = is_(Operator.GT), is_(Operator.EQ), _behind(rest, alias, encoding)
    return SQL("({} OR {} AND {})").format(*parts)


def _ordered(column: Column, alias: str, encoding: str) -> Composable:
    """What rows are ordered by if they are ordered by ``column``, in a database of ``encoding``."""
    name = Identifier(alias, column.name)
    if has_text_order(column):
        return _sortable(_OUTPUT.format(name), encoding)
    return _sortable(_TEXT.format(name), encoding) if _is_by_code_point(column) else name


def _comparable(column: Column, alias: str, encoding: str) -> Composable:
    """The same as what compares with :func:`_comparable_value`."""
    expression = _ordered(column, alias, encoding)
    return as_enum(column, expression) if column.kind == "e" else expression


def _comparable_value(column: Column, literal: Literal, encoding: str) -> Composable:
    if column.kind == "e":
        return as_enum(column, Quoted(literal.text))
    if (_is_by_code_point(column) or has_text_order(column)) and not encodings.is_utf8(encoding):
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
            is_enum = condition.operand.column.kind == "e"
            return (
                compared_enum(operator, condition.operand.column, column, literals)
                if is_enum
                else _compared(operator, column, literals)
            )
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
        return compared(operator, _IN_UTF8.format(text), map(_bytes, literals))

    def _can_send(self, literals: Iterable[Literal]) -> bool:
        return all(encodings.can_hold(self._encoding, literal.text) for literal in literals)


def _compared(operator: Operator, expression: Composable, literals: Iterable[Literal]) -> Composable:
    return compared(operator, expression, [Quoted(literal.text) for literal in literals])
