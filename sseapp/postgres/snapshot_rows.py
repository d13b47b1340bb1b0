"""Reads the rows of a query, together with the snapshot that they are of: all at once, or page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from sseapp.errors import DatabaseError, DataRejectedError, LockedError, ShapeChangedError
from sseapp.events.ring import FRAME_SIZE
from sseapp.log.cursor import Snapshot
from sseapp.postgres import filter_sql, statements
from sseapp.postgres.database import Connection, Database
from sseapp.postgres.raw_text import readable
from sseapp.query.filters import Filter
from sseapp.query.query import Query
from sseapp.tables.table import Table

RESULT_SIZE = 16 << 20
"""Bytes of rows that are read at once, beside the last one."""
_PAGE = 2000  # rows
_PATIENCE = 6  # times the deadline: where there is an order, all rows may be sorted before the first one comes


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as PostgreSQL's JSON text, in the query's order; ``more`` says that a limit left some out."""

    upto: Snapshot
    rows: tuple[str, ...]
    more: bool


def read(database: Database, table: Table, query: Query, filter_: Filter) -> Rows:
    """Read the rows that ``filter_`` (the query's, as of now) takes: one statement, one snapshot.

    No more than the query's limit, nor than :data:`RESULT_SIZE`.

    Raises :exc:`~sseapp.errors.ShapeChangedError` where ``table`` is no longer what it was,
    :exc:`~sseapp.errors.LockedError` where its lock cannot be had within a second, and what else the database raises.
    """
    bounds = {"limit": sql.Literal(query.limit + 1), "size": sql.Literal(RESULT_SIZE)}
    statement = _statement("rows", table, query, filter_, **bounds)
    with _naming(table):
        found = database.query(statement)
    generation, snapshot, greatest, _ = found[0]
    rows = [row for *_, row in found if row is not None]
    shown = tuple(readable(row) for row in rows[: query.limit] if row)
    return Rows(_upto(table, generation, snapshot, greatest), shown, more=len(rows) > len(shown))


class Pages:
    """The rows of a query, page by page, from one snapshot (``upto``): see :func:`opened`.

    A page holds about :data:`~sseapp.events.ring.FRAME_SIZE` bytes of rows, or one row. ``whole`` reads all rows; else
    one more than the query's limit. ``deadline`` is that of short statements, in seconds.
    """

    def __init__(
        self, connection: Connection, table: Table, query: Query, filter_: Filter, *, whole: bool, deadline: float
    ) -> None:
        self._connection = connection
        self._deadline = _PATIENCE * deadline
        limit = sql.SQL("" if whole else "LIMIT {}").format(sql.Literal(query.limit + 1))
        lock = sql.SQL("" if table.only else "LOCK TABLE {} IN ACCESS SHARE MODE;").format(_name(table))
        statement = _statement(
            "open_rows", table, query, filter_, limit=limit, lock=lock, timeout=sql.Literal(int(1000 * self._deadline))
        )
        with _naming(table):
            connection.query(statement)
            ((head,),) = self._fetch(rows=1)
        self.upto = _upto(table, *json.loads(head))

    def __iter__(self) -> Iterator[list[str]]:
        """The pages; none is empty."""
        while page := [readable(row) for (row,) in self._fetch(_PAGE)]:
            yield page

    def _fetch(self, rows: int) -> list[tuple[Any, ...]]:
        parameters = {"rows": rows, "bytes": FRAME_SIZE}
        return self._connection.query(statements.named("rows")["fetch_rows"], parameters, deadline=self._deadline)


@contextmanager
def opened(
    connection: Connection, table: Table, query: Query, filter_: Filter, *, whole: bool, deadline: float
) -> Iterator[Pages]:
    """The pages of a query, while a transaction is open on ``connection``. Raises what :func:`read` does."""
    try:
        yield Pages(connection, table, query, filter_, whole=whole, deadline=deadline)
    finally:
        if not connection.closed:
            connection.query(statements.named("rows")["close_rows"])


def refuses(database: Database, table: Table, query: Query, filter_: Filter) -> bool:
    """Whether the database cannot read a value of the filter or of ``after-key``, whatever the rows are."""
    where = _where(table, query, filter_)
    statement = sql.SQL(statements.named("rows")["try_filter"]).format(table=_name(table), where=where)
    try:
        database.query(statement)
    except DataRejectedError:
        return True
    except DatabaseError:
        pass  # the table's fault, not the filter's
    return False


def _statement(name: str, table: Table, query: Query, filter_: Filter, **parts: sql.Composable) -> sql.Composed:
    columns = [table.by_name[name] for name in query.columns] if query.columns else table.columns
    return sql.SQL(statements.named("rows")[name]).format(
        watch=sql.Literal(table.watch),
        columns=sql.SQL(", ").join(filter_sql.selected(column, "t") for column in columns),
        table=_name(table),
        where=_where(table, query, filter_),
        order=filter_sql.order(query, table),
        **parts,
    )


def _where(table: Table, query: Query, filter_: Filter) -> sql.Composable:
    """The filter, and that rows follow the key of ``after-key`` in the order of the query, which is the key's."""
    clause = filter_sql.clause(filter_, table, "t")
    if query.after_key is None:
        return clause
    return sql.SQL("{} AND {}").format(clause, filter_sql.behind(query.after_key, table))


def _name(table: Table) -> sql.Composable:
    return sql.SQL("ONLY " if table.only else "") + sql.Identifier(table.schema, table.name)


@contextmanager
def _naming(table: Table) -> Iterator[None]:
    try:
        yield
    except LockedError:
        raise LockedError(f"{table} is locked by another transaction; try again.") from None


def _upto(table: Table, generation: int | None, snapshot: str, greatest: str) -> Snapshot:
    if generation != table.generation:
        raise ShapeChangedError
    return Snapshot.parse(snapshot).cut(int(greatest))
