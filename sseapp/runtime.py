"""What one process holds: its settings, database, hub and listener; made on first use, anew after a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar
from weakref import WeakSet

from sseapp import catalog, concurrency, embedded, question, schema
from sseapp.broadcaster import Broadcaster
from sseapp.config import Settings
from sseapp.database import Connection, Database
from sseapp.errors import (
    EmbeddedError,
    NotFoundError,
    ShapeChangedError,
    UnavailableError,
    UnsettledError,
)
from sseapp.hub import Hub
from sseapp.inspector import Inspector
from sseapp.listener import Listener
from sseapp.live import Results
from sseapp.pace import Pace
from sseapp.places import Places
from sseapp.pruner import Pruner
from sseapp.question import Question
from sseapp.table import Table

T = TypeVar("T")
TRIES = 5
"""How often a question is asked anew, of a table that has changed meanwhile."""
_START = 5.0  # seconds that a first request waits for the listener


class Runtime:
    """The parts of one process. ``closing`` is set when the process is about to end: streams then say ``bye``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.closing = threading.Event()
        self.database = Database(dsn(settings), size=settings.pool, deadline=settings.deadline)
        self.hub = Hub(self._load, ring=settings.ring, rings=settings.rings, clock=self.now)
        pace = Pace(busy=settings.busy, poll=settings.poll, tick=settings.tick, notify=settings.notify)
        self.listener = Listener(
            self.database,
            self.hub,
            pace=pace,
            tick=settings.tick,
            piece=settings.batch,
            storm=settings.limit,
            retention=settings.retention,
        )
        self.inspector = Inspector(self.database, tick=settings.tick)
        self.pruner = Pruner(self.database, retention=settings.retention, size=settings.log_size)
        self.results = Results(self)
        self.broadcaster = Broadcaster(heartbeat=settings.heartbeat, closing=self.closing.is_set)
        self.places = Places(settings.streams, settings.held)
        _all.add(self)

    def start(self) -> None:
        """Begin to listen, to inspect and to prune."""
        self.listener.start()
        self.inspector.start()
        self.pruner.start()

    def question(self, path: str, args: Iterable[tuple[str, str]]) -> tuple[Table, Question]:
        """The table that ``path`` names and what ``args`` ask of it.

        Raises :exc:`~sseapp.errors.NotFoundError`, :exc:`~sseapp.errors.BadParameterError`, or
        :exc:`~sseapp.errors.UnavailableError` where the listener cannot reach the database.
        """
        if not self.hub.ready.wait(_START):
            raise UnavailableError(f"Not listening to the database yet: {self.listener.error}")
        try:
            table = catalog.resolve(self.hub.tables, path)
        except NotFoundError:
            # watched a moment ago, perhaps; the listener will hear of it, but this request is here now
            table = catalog.resolve(self.hub.refresh(), path)
        return table, _parsed(table, tuple(args), self.settings.limit)

    def asked(
        self, path: str, args: Iterable[tuple[str, str]], answer: Callable[[Table, Question], T]
    ) -> tuple[Question, T]:
        """The question, and what ``answer`` makes of it; once more where the table has changed under its hands.

        Raises what :meth:`question` raises.
        """
        args = tuple(args)
        for _ in range(TRIES):
            table, asked = self.question(path, args)
            try:
                return asked, answer(table, asked)
            except ShapeChangedError:
                self.hub.refresh()
        raise UnsettledError

    def now(self) -> datetime:
        """The time that moving windows go by."""
        return datetime.now(UTC)

    def close(self) -> None:
        """Let every stream say ``bye`` and end."""
        self.closing.set()
        self.listener.stop()
        self.inspector.stop()
        self.pruner.stop()
        self.hub.wake()
        self.results.wake()
        self.broadcaster.wake()

    def _load(self, connection: Connection | None = None) -> dict[int, Table]:
        return _checked(connection) if connection else self.database.run(_checked)


def _checked(connection: Connection) -> dict[int, Table]:
    with schema.needed(connection):
        # so that a change of shape is in the log before a table of the new one is used
        catalog.check_shapes(connection)
        return catalog.load(connection)


@lru_cache(maxsize=1024)
def _parsed(table: Table, args: tuple[tuple[str, str], ...], limit: int) -> Question:
    """Many ask the same, and a question's filter is compiled when it is read."""
    return question.parse(table, args, default_limit=limit, max_limit=limit)


def dsn(settings: Settings) -> str:
    """Where the database is: ``DATABASE_URL``, or the embedded PostgreSQL of this folder while it runs."""
    found = settings.database_url or embedded.running_dsn()
    if not found:
        raise EmbeddedError(
            "There is no database: set DATABASE_URL, or start the embedded PostgreSQL "
            "(`make demo` and `gunicorn wsgi` do)."
        )
    return found


class Process:
    """Makes the :class:`Runtime` on first use, and a new one in a process that was forked off since."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._runtime: Runtime | None = None
        self._process: int | None = None

    def runtime(self) -> Runtime:
        """This process's runtime, its listener started."""
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    self._runtime = Runtime(self.settings)
                    self._runtime.start()
                    self._process = os.getpid()
        assert self._runtime is not None  # noqa: S101  # for the type checker: set with the process above
        return self._runtime


_all: WeakSet[Runtime] = WeakSet()


def close_all() -> None:
    """Close every runtime of this process, beside the caller: a signal handler may call it."""
    for runtime in list(_all):
        concurrency.start_at_once(runtime.close)


def await_all(seconds: float) -> None:
    """Wait until the closed runtimes have sent their clients off, ``seconds`` each at most."""
    for runtime in list(_all):
        runtime.broadcaster.finish(seconds)
