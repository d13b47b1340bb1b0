"""Paging of ``/rows``: ``after-key=[42]`` asks for the rows behind the one with this key, in the order of the key.

The value is a JSON array of the key's columns, as a row shows them, in the order that ``key`` names them: of the last
row of one answer ``limit=1000`` and ``after-key`` make the next. A row that is inserted or deleted meanwhile shifts no
page, as it would with an offset. Key columns whose type has no order of its own that is safe are ordered by their text.
"""

from __future__ import annotations

import json
import re

from sseapp.errors import BadParameterError
from sseapp.messages import excerpt
from sseapp.tables import time_zones
from sseapp.tables.column_types import column_type, has_text_order, is_sortable
from sseapp.tables.table import Column, Table
from sseapp.tables.text_types import Text
from sseapp.tables.value_type import Literal

NAME = "after-key"
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")


def parse(text: str, table: Table) -> tuple[Literal, ...]:
    """The key's values. Raises :exc:`~sseapp.errors.BadParameterError`."""
    if table.key is None:
        raise BadParameterError(f"{table} has no key to page by.", parameter=NAME)
    try:
        # numbers as they are written
        values = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        values = None
    if not isinstance(values, list) or len(values) != len(table.key):
        raise BadParameterError(
            f"{excerpt(text)} is not a key of {table}; write a JSON array with its {len(table.key)} values, such as "
            f"{json.dumps([1] * len(table.key))}.",
            parameter=NAME,
        )
    return tuple(_literal(table.by_name[name], value) for name, value in zip(table.key, values, strict=True))


def refuse(values: tuple[Literal, ...] | None) -> None:
    """Say that only ``/rows`` as JSON comes by pages, where a request for something else asks so."""
    if values is not None:
        raise BadParameterError("Only /rows as JSON comes by pages; leave it out.", parameter=NAME)


def _literal(column: Column, value: object) -> Literal:
    text = _text(value)
    if _UNSENDABLE.search(text):
        raise BadParameterError(
            f"No key of {column.name} is {excerpt(text)}: PostgreSQL's text holds neither U+0000 nor half a character.",
            parameter=NAME,
        )
    if is_sortable(column):
        return column_type(column).literal(text, tz=time_zones.UTC_ZONE, parameter=NAME)
    if not has_text_order(column):
        raise BadParameterError(
            f"Pages cannot follow a key with {column.name} of type {column.type}. Leave out after-key, and read all "
            "rows by an event stream of /changes without a limit.",
            parameter=NAME,
        )
    if not isinstance(value, str):
        raise BadParameterError(
            f"{excerpt(text)} is not a JSON string, but rows show {column.name} as one.", parameter=NAME
        )
    return Text(column).literal(text, tz=time_zones.UTC_ZONE, parameter=NAME)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)
