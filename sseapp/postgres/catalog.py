"""Loads the watched tables from the database, and finds the one that a URL names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from sseapp.errors import BadParameterError, DatabaseError, NotFoundError
from sseapp.messages import excerpt
from sseapp.postgres import statements
from sseapp.postgres.database import Connection
from sseapp.postgres.raw_text import readable
from sseapp.tables.table import Column, Table

_NAME = r'("(?:[^"]|"")+"|[^"./]+)'
_PATH = re.compile(rf"(?:{_NAME}\.)?{_NAME}")
_INVALID_NAME = "42602"
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
    """The watched table that ``path`` names: literally (``OrderItem``, ``shop.OrderItem``), else as SQL reads it.

    Raises :exc:`~sseapp.errors.NotFoundError` where no watched table has the name.
    """
    found = _find(tables, path)
    if found is None:
        raise NotFoundError(_not_found(tables, path), parameter="table")
    return found


def served(connection: Connection, tables: Mapping[int, Table], path: str) -> Table:
    """As :func:`resolve`; the error says also why a table that is watched is not among the ``tables``."""
    try:
        return resolve(tables, path)
    except NotFoundError:
        left_out = unserved(connection)
        found = _find({table.watch: table for table, _ in left_out}, path)
        if found is None:
            raise
        why = dict(left_out)[found]
        raise NotFoundError(f"{found} is watched, but {why}.", parameter="table") from None


def unserved(connection: Connection) -> list[tuple[Table, str]]:
    """The watched tables that :func:`load` leaves out, without their columns, each with the cause."""
    return [
        (Table(watch, oid, readable(schema), readable(name), None, None, (), 0, place=place), why)
        for watch, oid, schema, name, place, why in connection.query(_named("unserved"))
    ]


def relation(connection: Connection, name: str) -> int:
    """The oid of the table that ``name`` names, found as :func:`resolve` finds a watched one.

    Raises :exc:`~sseapp.errors.UndefinedError`, or :exc:`~sseapp.errors.BadParameterError` where SQL cannot read it.
    """
    try:
        ((oid,),) = connection.query(_named("relation"), {"name": name})
    except DatabaseError as error:
        if error.sqlstate == _INVALID_NAME:
            raise BadParameterError(
                f"{excerpt(name)} is not the name of a table. Write table or schema.table.", parameter="table"
            ) from None
        raise
    return int(oid)


def _find(tables: Mapping[int, Table], path: str) -> Table | None:
    return _literal(tables, path) or _as_sql(tables, path)


def _literal(tables: Mapping[int, Table], path: str) -> Table | None:
    bare = [table for table in tables.values() if table.name == path and table.place is not None]
    if bare:
        return _first(bare)
    # a dot may be part of either name, so that several may show the same text
    return _first([table for table in tables.values() if str(table) == path])


def _as_sql(tables: Mapping[int, Table], path: str) -> Table | None:
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    *schema, name = [_unquoted(part) for part in match.groups() if part is not None]
    named = [table for table in tables.values() if table.name == name]
    return _first([table for table in named if ([table.schema] == schema if schema else table.place is not None)])


def _first(tables: list[Table]) -> Table | None:
    """The table whose schema comes first in the search path; those outside it come last, in order of their names."""
    return min(
        tables, key=lambda table: (table.place is None, table.place or 0, table.schema, table.name), default=None
    )


def _not_found(tables: Mapping[int, Table], path: str) -> str:
    match = _PATH.fullmatch(path)
    name = (_unquoted(match[2]) if match else path).lower()
    others = sorted(str(table) for table in tables.values() if table.name.lower() == name)
    hint = f"Do you mean {' or '.join(others)}?" if others else "GET /tables lists them; sseapp.watch() adds one."
    return f"No watched table is named {path}. {hint}"


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.translate(_UPPER)


def _table(rows: list[tuple[Any, ...]]) -> Table:
    watch, oid, schema, name, key, range_, generation, reason, only, place, encoding, *_ = rows[0]
    columns = tuple(
        Column(name, type_, base, kind, tuple(map(readable, labels)), as_text, schema_of_type, has_implicit_cast)
        for *_, name, type_, base, kind, labels, as_text, schema_of_type, has_implicit_cast in rows
    )
    key = key and tuple(key)
    reason = reason and readable(reason)
    return Table(watch, oid, schema, name, key, range_, columns, generation, only, place, reason, encoding)


def _named(name: str) -> str:
    return statements.named("catalog")[name]
