"""Looks for what triggers cannot see: tables that were altered, and those that want other triggers by now."""

from __future__ import annotations

import logging
import threading

from sseapp import concurrency
from sseapp.errors import SseappError
from sseapp.postgres import catalog, schema
from sseapp.postgres.database import Connection, Database

_log = logging.getLogger(__name__)


class Inspector:
    """Compares the catalog every ``tick`` seconds with what subscribers were told; what differs is told by the log.

    Beside the listener, whose batches must not wait for it: it grows with the number of tables, and takes locks.
    """

    def __init__(self, database: Database, *, tick: float) -> None:
        self._database = database
        self._tick = tick
        self._stopping = threading.Event()
        self._failing = False

    def start(self) -> None:
        """Begin."""
        concurrency.start("inspector", self._run)

    def stop(self) -> None:
        """End before the next look."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._tick):
            try:
                self._database.run(_inspect)
                self._failing = False
            except SseappError as error:
                self._failed(str(error))
            except Exception:  # noqa: BLE001  # logged; without it no change of a table's shape would be told
                _log.exception("The inspector failed; it is tried again.")

    def _failed(self, why: str) -> None:
        if not self._failing:
            _log.warning("The tables could not be looked at, which is tried again: %s", why)
        self._failing = True


def _inspect(connection: Connection) -> None:
    with schema.needed(connection):
        catalog.go_by_row(connection)
        catalog.check_shapes(connection)
