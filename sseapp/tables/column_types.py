"""Finds the value type of a column, and reads the values of a row by it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from sseapp.errors import ShapeChangedError
from sseapp.messages import excerpt
from sseapp.tables.number_types import Boolean, Float4, Float8, Integer, Numeric
from sseapp.tables.table import Column
from sseapp.tables.text_types import Char, EnumLabel, Json, NullTestOnly, OtherScalar, Text, Uuid
from sseapp.tables.time_types import Date, DateTimeType, Time, Timestamp, TimestampTz
from sseapp.tables.value_type import NAN, Comparison, Literal, Value, ValueType

__all__ = [
    "NAN",
    "Comparison",
    "DateTimeType",
    "Literal",
    "Row",
    "Value",
    "ValueType",
    "column_type",
]

_BASES: dict[str, type[ValueType]] = {
    "int2": Integer,
    "int4": Integer,
    "int8": Integer,
    "oid": Integer,
    "numeric": Numeric,
    "float4": Float4,
    "float8": Float8,
    "bool": Boolean,
    "text": Text,
    "varchar": Text,
    "name": Text,
    "bpchar": Char,
    "uuid": Uuid,
    "timestamptz": TimestampTz,
    "timestamp": Timestamp,
    "date": Date,
    "time": Time,
    "json": Json,
    "jsonb": Json,
    "xml": NullTestOnly,
}


SORTABLE = frozenset(
    ("bit", "bytea", "char", "cidr", "inet", "interval", "macaddr", "macaddr8", "money", "timetz", "varbit", "xid8")
)
"""Types that PostgreSQL can sort, although their filters compare text only."""
_SHOWN_AS_JSON = frozenset(("json", "jsonb", "hstore", "xml"))


@lru_cache(maxsize=4096)
def column_type(column: Column) -> ValueType:
    """The value type of ``column``. Types without an entry of their own are compared by their JSON text."""
    if column.kind == "e":
        return EnumLabel(column)
    if column.kind != "b":
        return NullTestOnly(column)
    if column.as_text:
        # not PostgreSQL's own, whatever its name
        return OtherScalar(column)
    return _BASES.get(column.base, OtherScalar)(column)


def is_sortable(column: Column) -> bool:
    """Whether PostgreSQL's own operators order ``column``."""
    is_own = column.kind == "b" and not column.as_text
    return column_type(column).ordered or (is_own and column.base in SORTABLE)


@lru_cache(maxsize=4096)
def has_text_order(column: Column) -> bool:
    """Whether rows are ordered by the text that JSON shows of ``column``, by code point.

    It is for types that JSON shows as a string: of other schemas, whose order is the application's code, of ranges, and
    of the rest that only PostgreSQL knows. Arrays, composites and JSON itself are ordered, but their keys have no text.
    """
    if is_sortable(column):
        return False
    is_string = column.kind in ("r", "m") or (column.kind == "b" and column.base not in _SHOWN_AS_JSON)
    return column.as_text or is_string


class Row(dict[str, Value]):
    """The values of one row, by the keys of ``types``. Each is parsed from its raw JSON text on first use."""

    def __init__(self, members: Mapping[str, str], types: Mapping[str, ValueType]) -> None:
        super().__init__()
        self._members = members
        self._types = types

    def __missing__(self, key: str) -> Value:
        type_ = self._types[key]
        value = self[key] = type_.value(raw_member(self._members, type_.column.name))
        return value


def raw_member(members: Mapping[str, str], name: str) -> str:
    """The raw JSON text of column ``name``. Raises :exc:`~sseapp.errors.ShapeChangedError` where the row has none."""
    try:
        return members[name]
    except KeyError:
        raise ShapeChangedError(f"A row has no column {excerpt(name)}: the table's shape has changed.") from None
