"""Reads rows of watched tables, and tells apart why they cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sseapp.errors import (
    BadParameterError,
    ConnectionLostError,
    DatabaseError,
    DataRejectedError,
    LockedError,
    RowSecurityError,
    ShapeChangedError,
    SseappError,
    UnreadableError,
)
from sseapp.live.registry import TableRegistry
from sseapp.postgres import snapshot_rows
from sseapp.postgres.database import Database
from sseapp.postgres.snapshot_rows import Pages, Rows
from sseapp.query import after_key
from sseapp.query.filters import Filter
from sseapp.query.query import Query
from sseapp.tables.table import Table

_log = logging.getLogger(__name__)


class RowReader:
    """Reads from ``database``. ``deadline`` is that of its statements, in seconds.

    Its methods raise :exc:`~sseapp.errors.ShapeChangedError` only where the table has changed,
    :exc:`~sseapp.errors.BadParameterError` where a value of the filter is at fault, and
    :exc:`~sseapp.errors.UnreadableError` where reading fails for another cause: the log tells it, once.
    """

    def __init__(self, database: Database, registry: TableRegistry, *, deadline: float) -> None:
        self._database = database
        self._registry = registry
        self._deadline = deadline
        self._logged: set[tuple[str, str]] = set()

    def read(self, table: Table, query: Query, filter_: Filter) -> Rows:
        """All rows of a query with its limit."""
        with self._telling(table, query, filter_):
            return snapshot_rows.read(self._database, table, query, filter_)

    @contextmanager
    def pages(self, table: Table, query: Query, filter_: Filter, *, whole: bool) -> Iterator[Pages]:
        """The rows page by page, while a connection is taken: see :func:`sseapp.postgres.snapshot_rows.opened`."""
        with self._telling(table, query, filter_), self._database.connection() as connection:
            if not connection.fresh:
                # an idle session may have died
                connection.query("SELECT")
            with snapshot_rows.opened(connection, table, query, filter_, whole=whole, deadline=self._deadline) as pages:
                yield pages

    @contextmanager
    def _telling(self, table: Table, query: Query, filter_: Filter) -> Iterator[None]:
        try:
            yield
        except (LockedError, ConnectionLostError, RowSecurityError):
            raise
        except DatabaseError as error:
            raise self._cause(table, query, filter_, error) from error

    def _cause(self, table: Table, query: Query, filter_: Filter, error: DatabaseError) -> SseappError:
        if self._registry.refresh().get(table.watch) != table:
            # a column, or an enum's label, was renamed a moment ago
            return ShapeChangedError()
        has_values = bool(filter_.terms) or query.after_key is not None
        if isinstance(error, DataRejectedError) and has_values:
            if snapshot_rows.refuses(self._database, table, replace(query, after_key=None), filter_):
                return BadParameterError(
                    "The database cannot read a value of the filter; see the columns' types in /tables."
                )
            if snapshot_rows.refuses(self._database, table, query, filter_):
                return BadParameterError(
                    "The database cannot read the key; write it as the last row shows it.", parameter=after_key.NAME
                )
        if (str(table), str(error)) not in self._logged:
            self._logged.add((str(table), str(error)))
            _log.error("The rows of %s cannot be read: %s", table, error)
        return UnreadableError()
