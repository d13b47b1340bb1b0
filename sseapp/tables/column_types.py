"""Which type of value a column has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from sseapp.errors import ShapeChangedError
from sseapp.messages import shown
from sseapp.tables.number_types import Boolean, Numeric, Real, SingleReal, Whole
from sseapp.tables.table import Column
from sseapp.tables.text_types import Json, Label, Opaque, PaddedText, Shown, Text, Uuid
from sseapp.tables.time_types import Day, Moment, TimeOfDay, Timestamp, TimestampTz
from sseapp.tables.value_type import NAN, Form, Literal, Value, ValueType

__all__ = ["NAN", "Form", "Literal", "Moment", "Row", "Value", "ValueType", "column_type"]

_BASES: dict[str, type[ValueType]] = {
    "int2": Whole,
    "int4": Whole,
    "int8": Whole,
    "oid": Whole,
    "numeric": Numeric,
    "float4": SingleReal,
    "float8": Real,
    "bool": Boolean,
    "text": Text,
    "varchar": Text,
    "name": Text,
    "bpchar": PaddedText,
    "uuid": Uuid,
    "timestamptz": TimestampTz,
    "timestamp": Timestamp,
    "date": Day,
    "time": TimeOfDay,
    "json": Json,
    "jsonb": Json,
    "xml": Opaque,
}


@lru_cache(maxsize=4096)
def column_type(column: Column) -> ValueType:
    """The type of ``column``'s values. A type we do not know is compared by the text that it shows."""
    if column.kind == "e":
        return Label(column)
    if column.kind != "b":
        return Opaque(column)
    return _BASES.get(column.base, Shown)(column)


class Row(dict[str, Value]):
    """The values of one row by column, each read from its raw JSON text when it is first asked for."""

    def __init__(self, members: Mapping[str, str], types: Mapping[str, ValueType]) -> None:
        super().__init__()
        self._members = members
        self._types = types

    def __missing__(self, name: str) -> Value:
        value = self[name] = self._types[name].value(raw_member(self._members, name))
        return value


def raw_member(members: Mapping[str, str], name: str) -> str:
    """The raw JSON text of a column. Raises :exc:`~sseapp.errors.ShapeChangedError` where the row lacks it."""
    try:
        return members[name]
    except KeyError:
        raise ShapeChangedError(f"A row has no column {shown(name)}: the table's shape has changed.") from None


def types_of(columns: Iterable[Column]) -> dict[str, ValueType]:
    """The types of some columns, by name."""
    return {column.name: column_type(column) for column in columns}
