"""What a condition tests: a column, or a path into its JSON (``payload->>kind``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from sseapp.errors import BadParameterError
from sseapp.messages import excerpt
from sseapp.query import parameters
from sseapp.query.parameters import QUOTED
from sseapp.tables import encodings
from sseapp.tables.column_types import ValueType, column_type
from sseapp.tables.json_path import JsonPath, Step
from sseapp.tables.json_types import JsonNumber, JsonScalar, JsonText
from sseapp.tables.table import Column, Table

MAX_STEPS = 20

_UNTIL_ARROW = r"(?:(?!->).)+"
_COLUMN = re.compile(rf"({QUOTED}|{_UNTIL_ARROW})(?=->)", re.DOTALL)
_STEP = re.compile(rf"(->>?)({QUOTED}|{_UNTIL_ARROW})", re.DOTALL)
_INDEX = re.compile(r"-?\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Operand:
    """A column, or a path into it. ``is_number``: ``->`` is to give a number, for gt, gte, lt and lte."""

    column: Column
    path: JsonPath | None = None
    is_number: bool = False

    @cached_property
    def canonical(self) -> str:
        """The operand as text, the same in every process."""
        return quote(self.column.name, safe="") + ("" if self.path is None else str(self.path))

    @cached_property
    def key(self) -> str:
        """What a row's value is kept under. No column's name has a NUL, so a path's key is never a name."""
        return self.column.name if self.path is None else f"\0{self.canonical}{self.is_number:d}"

    @cached_property
    def value_type(self) -> ValueType:
        """How literals and rows are parsed."""
        if self.path is None:
            return column_type(self.column)
        if self.path.as_text:
            return JsonText(self.column, self.path)
        return (JsonNumber if self.is_number else JsonScalar)(self.column, self.path)

    @property
    def numeric(self) -> Operand:
        """The operand to compare by order: of JSON values only numbers have one."""
        return self if self.path is None or self.path.as_text else Operand(self.column, self.path, is_number=True)


def parse(table: Table, name: str, *, parameter: str, hint: str = "") -> Operand:
    """Find the column ``name``, or follow ``column->key->0->>"a key"``.

    Raises :exc:`~sseapp.errors.BadParameterError`; ``hint`` goes with its list of columns.
    """
    column = table.by_name.get(parameters.unquoted(name))
    if column is not None:
        return Operand(column)
    match = _COLUMN.match(name)
    column = table.by_name.get(parameters.unquoted(match[1])) if match else None
    if match is None or column is None:
        raise BadParameterError(
            f"{excerpt(name)} is not a column of {table}. {parameters.column_list(table)}{hint}", parameter=parameter
        )
    if not column.has_json_paths:
        raise BadParameterError(
            f"The column {excerpt(column.name)} is {column.type}; -> works on json, jsonb, arrays and composites only.",
            parameter=parameter,
        )
    return Operand(column, _path(table, column, name[match.end() :], parameter))


def _path(table: Table, column: Column, text: str, parameter: str) -> JsonPath:
    steps: list[Step] = []
    arrows: list[str] = []
    position = 0
    while position < len(text) and (match := _STEP.match(text, position)):
        arrows.append(match[1])
        steps.append(_step(match[2], table, parameter))
        position = match.end()
    if position < len(text) or "->>" in arrows[:-1] or len(steps) > MAX_STEPS:
        raise BadParameterError(
            f"{excerpt(text)} is not a path. Write ->key or ->0, {MAX_STEPS} steps at most, the last perhaps with ->>; "
            'put a key that looks like an index or an arrow in double quotes: ->"0".',
            parameter=parameter,
        )
    return JsonPath(
        tuple(steps),
        as_text=arrows[-1] == "->>",
        is_jsonb=column.kind == "b" and column.base == "jsonb",
        is_utf8=table.encoding == encodings.UTF8,
    )


def _step(text: str, table: Table, parameter: str) -> Step:
    if _INDEX.fullmatch(text):
        return int(text)
    key = parameters.unquoted(text)
    if not encodings.can_hold(table.encoding, key):
        raise BadParameterError(
            f"The database's encoding {table.encoding} cannot hold the key {excerpt(key)}.", parameter=parameter
        )
    return key
