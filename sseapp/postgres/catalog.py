"""Loads the watched tables from the database, and finds the one that a URL names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from sseapp.errors import BadParameterError, NotFoundError
from sseapp.messages import excerpt
from sseapp.postgres import statements
from sseapp.postgres.database import Connection
from sseapp.tables.table import Column, Table

_NAME = r'("(?:[^"]|"")+"|[^"./]+)'
_PATH = re.compile(rf"(?:{_NAME}\.)?{_NAME}")
_UPPER = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}  # SQL folds ASCII only


def load(connection: Connection) -> dict[int, Table]:
    """Load all watched tables by the number of their watch, each with the columns that subscribers may see."""
    rows = connection.query(_named("load"))
    return {watch: _table([*group]) for watch, group in groupby(rows, key=itemgetter(0))}


def check_shapes(connection: Connection) -> int:
    """Have the database look for tables whose shape has changed; the number of those found.

    The database logs each as a reset, once, even where several processes ask.
    """
    ((differences,),) = connection.query(_named("check_shapes"))
    return int(differences)


def go_by_row(connection: Connection) -> None:
    """Switch tables that are no longer plain to row triggers; those that are locked have to wait for the next call."""
    number: int | None = 0
    while number is not None:
        ((number,),) = connection.query(_named("go_by_row"), {"after": number})


def resolve(tables: Mapping[int, Table], path: str) -> Table:
    """The watched table that ``path`` names as SQL would: ``orders``, ``shop.orders``, ``"We.ird"."ta/ble"``.

    Raises :exc:`BadParameterError` where it is not a name, :exc:`NotFoundError` where no watched table has it.
    """
    *schema, name = _parts(path)
    named = [table for table in tables.values() if table.name == name]
    found = [table for table in named if ([table.schema] == schema if schema else table.place is not None)]
    if not found:
        raise NotFoundError(_hint(tables, path, name), parameter="table")
    return min(found, key=lambda table: table.place or 0)


def invalid_name(path: str) -> BadParameterError:
    """The error for a ``path`` that cannot be the name of a table."""
    return BadParameterError(
        f"{excerpt(path)} is not the name of a table. Write table or schema.table; "
        "put a name with a dot, slash or quote in double quotes.",
        parameter="table",
    )


def _hint(tables: Mapping[int, Table], path: str, name: str) -> str:
    elsewhere = [str(table) for table in tables.values() if table.name.lower() == name.lower()]
    if elsewhere:
        return f"No watched table is named {path}. Do you mean {' or '.join(elsewhere)}? Quote capital letters."
    return f"No watched table is named {path}. GET /tables lists them; sseapp.watch() adds one."


def _parts(path: str) -> list[str]:
    match = _PATH.fullmatch(path)
    if match is None:
        raise invalid_name(path)
    return [_unquoted(part) for part in match.groups() if part is not None]


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.translate(_UPPER)


def _table(rows: list[tuple[Any, ...]]) -> Table:
    watch, oid, schema, name, key, range_, generation, reason, only, place, *_ = rows[0]
    columns = tuple(
        Column(name, type_, base, kind, tuple(labels), as_text) for *_, name, type_, base, kind, labels, as_text in rows
    )
    return Table(watch, oid, schema, name, key and tuple(key), range_, columns, generation, only, place, reason)


def _named(name: str) -> str:
    return statements.named("catalog")[name]
