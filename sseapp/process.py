"""What one process holds: its settings, database, hub and listener; made on first use, anew after a fork."""

from __future__ import annotations

import os
import threading
from time import monotonic, sleep
from weakref import WeakSet

from sseapp import concurrency
from sseapp.config import Settings
from sseapp.delivery.broadcaster import Broadcaster
from sseapp.delivery.services import Services
from sseapp.delivery.stream_limit import StreamLimit
from sseapp.embedded import server
from sseapp.errors import NoDatabaseError
from sseapp.live.hub import Hub
from sseapp.live.listener import Listener
from sseapp.live.result import Results
from sseapp.log.pace import Pace
from sseapp.postgres import catalog, schema
from sseapp.postgres.database import Connection, Database
from sseapp.postgres.pruner import Pruner
from sseapp.postgres.shape_check import Inspector
from sseapp.tables.table import Table


class Runtime(Services):
    """All parts of one process, put together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.closing = threading.Event()
        self.database = Database(dsn(settings), size=settings.pool, deadline=settings.deadline)
        self.hub = Hub(self._load, ring=settings.ring, rings=settings.rings, clock=self.now)
        pace = Pace(busy=settings.busy, poll=settings.poll, tick=settings.tick, notify=settings.notify)
        self.listener = Listener(
            self.database, self.hub, pace=pace, tick=settings.tick, piece=settings.batch, storm=settings.limit
        )
        self.inspector = Inspector(self.database, tick=settings.tick)
        self.pruner = Pruner(self.database, retention=settings.retention, size=settings.log_size)
        self.results = Results(self.database, self.hub, self.closing.is_set)
        self.broadcaster = Broadcaster(heartbeat=settings.heartbeat, closing=self.closing.is_set)
        self.stream_limit = StreamLimit(settings.streams, settings.host_streams)
        _all.add(self)

    def start(self) -> None:
        """Begin to listen, to inspect and to prune."""
        self.listener.start()
        self.inspector.start()
        self.pruner.start()

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


def dsn(settings: Settings) -> str:
    """Where the database is: ``DATABASE_URL``, or the embedded PostgreSQL of this folder while it runs."""
    found = settings.database_url or server.running_dsn()
    if not found:
        raise NoDatabaseError
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
    """Wait until the closed runtimes have sent all clients their bye, ``seconds`` at most."""
    end = monotonic() + seconds
    for runtime in list(_all):
        runtime.broadcaster.finish(max(0.0, end - monotonic()))
        while runtime.stream_limit.open and monotonic() < end:  # those that the server keeps open itself
            sleep(0.02)
