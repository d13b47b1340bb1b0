"""Reads the rows of a query, together with the snapshot they stand at."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from sseapp.errors import DataRejectedError, LockedError, ShapeChangedError, UndefinedError
from sseapp.log.cursor import Snapshot
from sseapp.postgres import filter_sql, statements
from sseapp.postgres.database import Database
from sseapp.query.filters import Filter
from sseapp.query.query import Query
from sseapp.tables.row_json import json_string
from sseapp.tables.table import Table


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as PostgreSQL's JSON text, in the query's order; ``more`` says that its limit left some out."""

    upto: Snapshot
    rows: tuple[str, ...]
    more: bool


def read(database: Database, table: Table, query: Query, filter_: Filter) -> Rows:
    """Read the rows that ``filter_`` (the query's, as of now) takes: one statement, one snapshot.

    Raises :exc:`~sseapp.errors.ShapeChangedError` where ``table`` is no longer what it was, and
    :exc:`~sseapp.errors.LockedError` where its lock cannot be had within a second.
    """
    columns = [table.by_name[name] for name in query.columns] if query.columns else table.columns
    statement = sql.SQL(statements.named("queries")["rows"]).format(
        watch=sql.Literal(table.watch),
        columns=sql.SQL(", ").join(
            filter_sql.as_logged(column, "t") + sql.SQL(" AS ") + sql.Identifier(column.name) for column in columns
        ),
        table=sql.SQL("ONLY " if table.only else "") + sql.Identifier(table.schema, table.name),
        where=filter_sql.clause(filter_, table, "t"),
        order=filter_sql.order(query, table),
        limit=sql.Literal(query.limit + 1),
    )
    try:
        found = database.query(statement)
    except LockedError:
        raise LockedError(f"{table} is locked by another transaction; try again.") from None
    except (UndefinedError, DataRejectedError):
        # a column, or an enum's label, was renamed a moment ago
        raise ShapeChangedError from None
    generation, snapshot, greatest, _ = found[0]
    if generation != table.generation:
        raise ShapeChangedError
    rows = tuple(row for *_, row in found if row is not None)
    upto = Snapshot.parse(snapshot).cut(int(greatest))
    return Rows(upto, rows[: query.limit], more=len(rows) > query.limit)


def data(table: Table, rows: Rows, *, head: str = "", tail: str = "") -> str:
    """The JSON of ``rows`` with the table's name and key: the data of ``snapshot`` and ``rows``."""
    key = "null" if table.key is None else "[" + ",".join(map(json_string, table.key)) + "]"
    more = "true" if rows.more else "false"
    return f'{{{head}"table":{json_string(str(table))},"key":{key},"rows":[{",".join(rows.rows)}],"more":{more}{tail}}}'
