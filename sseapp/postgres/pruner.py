"""Keeps the log small, by age and by size: in small steps, one process at a time (the database sees to that)."""

from __future__ import annotations

from collections.abc import Iterator

from sseapp.periodic import Periodic
from sseapp.postgres import statements
from sseapp.postgres.database import Connection, Database


def steps(connection: Connection, *, retention: float, size: int) -> Iterator[int]:
    """Prune step by step; how many rows of the log each step took. ``retention`` in seconds, ``size`` in bytes."""
    statement = statements.named("log")["prune"]
    while deleted := connection.query(statement, {"retention": retention, "size": size})[0][0]:
        yield int(deleted)


class Pruner(Periodic):
    """Prunes the log to ``retention`` seconds and ``size`` bytes, again and again."""

    def __init__(self, database: Database, *, retention: float, size: int) -> None:
        super().__init__("pruner", min(10.0, retention / 30))
        self._database = database
        self._retention = retention
        self._size = size

    def work(self) -> None:
        """Prune all that is due."""
        with self._database.connection() as connection:
            for _ in steps(connection, retention=self._retention, size=self._size):
                if self.stopping.is_set():
                    break
