"""What one process holds: its settings, database, hub and listener; made on first use, anew after a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from time import monotonic, sleep
from weakref import WeakSet

from sseapp import concurrency
from sseapp.config import Settings
from sseapp.delivery.broadcaster import Broadcaster
from sseapp.delivery.services import Services
from sseapp.delivery.stream_limit import StreamLimit
from sseapp.embedded import server
from sseapp.errors import NoDatabaseError
from sseapp.live.consumer import Consumer, pace_of
from sseapp.live.consumer_run import Function
from sseapp.live.hub import Hub
from sseapp.live.listener import Listener
from sseapp.live.receivers import Receivers
from sseapp.live.registry import TableRegistry
from sseapp.live.replay import Replays
from sseapp.live.result import LiveResults
from sseapp.live.row_reader import RowReader
from sseapp.live.server_state import ServerState
from sseapp.live.snapshots import Snapshots
from sseapp.log.pace import Pace
from sseapp.postgres import shape_check
from sseapp.postgres.change_log import ChangeLog
from sseapp.postgres.database import Database
from sseapp.postgres.pruner import Pruner
from sseapp.postgres.shape_check import ShapeCheck
from sseapp.signals import Signal, changed
from sseapp.tables.table import Table


class Runtime:
    """All parts of one process, put together. ``services`` are those that requests are served with.

    ``signals`` are sent with each batch.
    """

    def __init__(self, settings: Settings, signals: Sequence[Signal] = (changed,)) -> None:
        self.settings = settings
        self.closing = threading.Event()
        self.database = Database(dsn(settings), size=settings.pool, deadline=settings.deadline)
        self.hub = Hub(ring=settings.ring, rings=settings.rings, clock=Services.now)
        self.registry = TableRegistry(self._load_tables, self.hub.install)
        pace = Pace(busy=settings.busy, poll=settings.poll, tick=settings.tick, notify=settings.notify)
        self.listener = Listener(
            self._open_log,
            self.registry,
            self.hub,
            pace=pace,
            tick=settings.tick,
            batch=settings.batch,
            limit=settings.limit,
            retention=settings.retention,
            receivers=Receivers(signals),
        )
        self.shape_check = ShapeCheck(self.database, tick=settings.tick)
        self.pruner = Pruner(self.database, retention=settings.retention, size=settings.log_size)
        reader = RowReader(self.database, self.registry, deadline=settings.deadline)
        self.results = LiveResults(reader, self.hub, self.closing.is_set)
        self.snapshots = Snapshots(reader, most_long=max(1, settings.pool // 2))
        self.replays = Replays(self.database, batch=settings.batch)
        self.state = ServerState(self.listener, self._wake_streams)
        self.broadcaster = Broadcaster(heartbeat=settings.heartbeat, state=self.state, closing=self.closing.is_set)
        self.stream_limit = StreamLimit(settings.streams, settings.host_streams)
        self.services = Services(
            settings=settings,
            closing=self.closing,
            database=self.database,
            registry=self.registry,
            hub=self.hub,
            listener=self.listener,
            state=self.state,
            results=self.results,
            snapshots=self.snapshots,
            replays=self.replays,
            stream_limit=self.stream_limit,
        )
        self._consumers: dict[str, Consumer] = {}
        _all.add(self)

    def start(self) -> None:
        """Begin to listen, to check shapes and to prune."""
        self.listener.start()
        self.state.start()
        self.shape_check.start()
        self.pruner.start()

    def consume(self, name: str, table: str, function: Function, *, batch: int = 1) -> None:
        """Run a consumer in this process, unless one of this name runs in it; see :mod:`sseapp.live.consumer`."""
        if name in self._consumers:
            return
        consumer = Consumer(
            name,
            table,
            function,
            database=self.database,
            pace=pace_of(self.settings),
            piece=self.settings.batch,
            batch=batch,
            retention=self.settings.retention,
        )
        self._consumers[name] = consumer
        consumer.start()

    def close(self) -> None:
        """Let every stream say ``bye`` and end."""
        self.closing.set()
        self.listener.stop()
        self.state.stop()
        self.shape_check.stop()
        self.pruner.stop()
        for consumer in self._consumers.values():
            consumer.stop()
        self._wake_streams()
        self.broadcaster.wake()

    def _wake_streams(self) -> None:
        self.hub.wake()
        self.results.wake()

    def _load_tables(self) -> dict[int, Table]:
        return self.database.run(shape_check.current_tables)

    def _open_log(self, *, soon: bool) -> ChangeLog:
        log = ChangeLog(self.database.connect(soon=soon))
        # what broke the listener's session broke the idle ones; a dead one may take its whole deadline to say so
        self.database.close()
        return log


def dsn(settings: Settings) -> str:
    """Where the database is: ``DATABASE_URL``, or the embedded PostgreSQL of this folder while it runs."""
    found = settings.database_url or server.running_dsn()
    if not found:
        raise NoDatabaseError
    return found


class Process:
    """Makes the :class:`Runtime` on first use, and a new one in a process that was forked since."""

    def __init__(self, settings: Settings, signals: Sequence[Signal] = (changed,)) -> None:
        self.settings = settings
        self._signals = signals
        self._lock = threading.Lock()
        self._runtime: Runtime | None = None
        self._process: int | None = None

    def runtime(self) -> Runtime:
        """This process's runtime, its listener started."""
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    self._runtime = Runtime(self.settings, self._signals)
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
