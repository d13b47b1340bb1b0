"""Finds what triggers cannot see: tables that were altered, and tables that need other triggers by now."""

from __future__ import annotations

import logging

from sseapp.periodic import Periodic
from sseapp.postgres import catalog, schema
from sseapp.postgres.database import Connection, Database
from sseapp.tables.table import Table

_log = logging.getLogger(__name__)


class ShapeCheck(Periodic):
    """Compares the catalog every ``tick`` seconds with what subscribers were told; the log tells what differs.

    It is not the listener's work: it grows with the number of tables and takes locks, and batches must not wait for it.
    """

    def __init__(self, database: Database, *, tick: float) -> None:
        super().__init__("shape check", tick)
        self._database = database
        self._unserved: set[tuple[int, str]] = set()  # as the log has been told

    def work(self) -> None:
        """Compare all tables once, even where one of them cannot be given other triggers."""
        try:
            self._database.run(_give_triggers)
        finally:
            self._database.run(_compare)
        self._tell_unserved(self._database.run(catalog.unserved))

    def _tell_unserved(self, found: list[tuple[Table, str]]) -> None:
        for table, why in found:
            if (table.watch, why) not in self._unserved:
                _log.warning("%s is watched, but %s.", table, why)
        self._unserved = {(table.watch, why) for table, why in found}


def _give_triggers(connection: Connection) -> None:
    with schema.needed(connection):
        catalog.go_by_row(connection)


def _compare(connection: Connection) -> None:
    with schema.needed(connection):
        catalog.check_shapes(connection)


def current_tables(connection: Connection) -> dict[int, Table]:
    """The watched tables now. Raises as :func:`~sseapp.postgres.schema.needed` does.

    A change of shape is in the log before a table of the new shape is used.
    """
    with schema.needed(connection):
        catalog.check_shapes(connection)
        return catalog.load(connection)
