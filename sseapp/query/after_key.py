"""Paging of ``/rows``: ``after-key=[42]`` asks for the rows behind the one with this key, in the order of the key.

The value is a JSON array of the key's columns, as a row shows them, in the order that ``key`` names them: of the last
row of one answer ``limit=1000`` and ``after-key`` make the next. A row that is inserted or deleted meanwhile shifts no
page, as it would with an offset.
"""

from __future__ import annotations

import json

from sseapp.errors import BadParameterError
from sseapp.messages import excerpt
from sseapp.tables import time_zones
from sseapp.tables.column_types import column_type
from sseapp.tables.table import Table
from sseapp.tables.value_type import Literal

NAME = "after-key"


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
    return tuple(
        column_type(table.by_name[name]).literal(_text(value), tz=time_zones.UTC_ZONE, parameter=NAME)
        for name, value in zip(table.key, values, strict=True)
    )


def refuse(values: tuple[Literal, ...] | None) -> None:
    """Say that only ``/rows`` as JSON comes by pages, where a request for something else asks so."""
    if values is not None:
        raise BadParameterError("Only /rows as JSON comes by pages; leave it out.", parameter=NAME)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)
