"""Keeps the log small: by age and by size, in small steps, one process at a time (the database sees to that)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

from sseapp import concurrency
from sseapp.errors import SseappError
from sseapp.postgres import statements
from sseapp.postgres.database import Connection, Database

_log = logging.getLogger(__name__)


def steps(connection: Connection, *, retention: float, size: int) -> Iterator[int]:
    """Prune a step at a time; how many rows of the log each took. ``retention`` in seconds, ``size`` in bytes."""
    statement = statements.named("queries")["prune"]
    while deleted := connection.query(statement, {"retention": retention, "size": size})[0][0]:
        yield int(deleted)


class Pruner:
    """Prunes every ``interval`` seconds, beside everything else."""

    def __init__(self, database: Database, *, retention: float, size: int) -> None:
        self._database = database
        self._retention = retention
        self._size = size
        self._interval = min(10.0, retention / 30)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin."""
        concurrency.start("pruner", self._run)

    def stop(self) -> None:
        """End before the next step."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                with self._database.connection() as connection:
                    for _ in steps(connection, retention=self._retention, size=self._size):
                        if self._stopping.is_set():
                            break
            except SseappError as error:
                _log.warning("The log could not be pruned and is tried again: %s", error)
            except Exception:  # noqa: BLE001  # logged; a pruner that has ended would let the log grow without end
                _log.exception("The pruner failed; it is tried again.")
