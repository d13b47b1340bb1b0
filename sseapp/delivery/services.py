"""What requests are served with: the parts of a process that a subscription and a long poll use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from sseapp.config import Settings
from sseapp.delivery.stream_limit import StreamLimit
from sseapp.errors import NotFoundError, ShapeChangedError, UnavailableError, UnsettledError
from sseapp.live.hub import Hub
from sseapp.live.listener import Listener
from sseapp.live.registry import TableRegistry
from sseapp.live.replay import Replays
from sseapp.live.result import LiveResults
from sseapp.live.server_state import ServerState
from sseapp.live.snapshots import Snapshots
from sseapp.postgres import catalog
from sseapp.postgres.database import Database
from sseapp.query.query import Query
from sseapp.query.query import parse as parse_query
from sseapp.tables.table import Table

T = TypeVar("T")
TRIES = 5
"""How often a query is tried anew when its table has changed meanwhile."""
_START = 5.0  # seconds that a first request waits for the listener


@dataclass
class Services:
    """What one process serves requests with. ``closing`` is set when it is about to end: streams then say ``bye``."""

    settings: Settings
    closing: threading.Event
    database: Database
    registry: TableRegistry
    hub: Hub
    listener: Listener
    state: ServerState
    results: LiveResults
    snapshots: Snapshots
    replays: Replays
    stream_limit: StreamLimit

    def query(self, path: str, args: Iterable[tuple[str, str]]) -> tuple[Table, Query]:
        """The table that ``path`` names and what ``args`` ask of it.

        Raises :exc:`~sseapp.errors.NotFoundError`, :exc:`~sseapp.errors.BadParameterError`, or
        :exc:`~sseapp.errors.UnavailableError` where the listener cannot reach the database.
        """
        if not self.hub.ready.wait(_START):
            raise UnavailableError("Not listening to the database yet; the server's log says why.")
        try:
            table = catalog.resolve(self.registry.tables, path)
        except NotFoundError:
            # perhaps it was watched a moment ago; the listener will hear of it, but this request is here now
            tables = self.registry.refresh()
            table = self.database.run(lambda connection: catalog.served(connection, tables, path))
        return table, _parsed(table, tuple(args), self.settings.limit)

    def asked(self, path: str, args: Iterable[tuple[str, str]], answer: Callable[[Table, Query], T]) -> tuple[Query, T]:
        """The query, and what ``answer`` makes of it; tried anew where the table has changed meanwhile.

        Raises what :meth:`query` raises.
        """
        args = tuple(args)
        for _ in range(TRIES):
            table, asked = self.query(path, args)
            try:
                return asked, answer(table, asked)
            except ShapeChangedError:
                self.registry.refresh()
        raise UnsettledError

    @staticmethod
    def now() -> datetime:
        """The time that moving windows go by."""
        return datetime.now(UTC)


@lru_cache(maxsize=1024)
def _parsed(table: Table, args: tuple[tuple[str, str], ...], limit: int) -> Query:
    """The query of ``args``. Many ask the same, and a query's filter is compiled when it is parsed."""
    return parse_query(table, args, default_limit=limit, max_limit=limit)
