"""Many workers and their clients on one simulated database, and the random things that happen to them."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from unittest.mock import patch

from greenlet import GreenletExit
from harness.model.applications import Applications
from harness.model.clients import Listening, Polling, Streaming, Watching
from harness.model.connection import Database, Queries, table
from harness.model.oracle import ASKED, ViolationError
from harness.model.postgres import Postgres
from harness.model.tasks import Clock, Event, Task, Threading

from sseapp.delivery.services import Services
from sseapp.delivery.stream_limit import StreamLimit
from sseapp.errors import UnavailableError
from sseapp.live.hub import Hub
from sseapp.live.listener import Listener
from sseapp.live.registry import TableRegistry
from sseapp.live.replay import Replays
from sseapp.live.result import LiveResult, LiveResults
from sseapp.live.row_reader import RowReader
from sseapp.live.snapshots import Snapshots
from sseapp.log.cursor import Snapshot
from sseapp.log.pace import Pace
from sseapp.postgres import catalog
from sseapp.postgres.change_log import ChangeLog
from sseapp.query.query import parse as parse_query

NOW = datetime(2026, 11, 22, tzinfo=UTC)
_CLOCKED = (
    "delivery.subscription",
    "delivery.progress",
    "live.listener",
    "live.presence",
    "live.result",
    "delivery.long_poll",
)
_FRAMED = ("live.channel", "live.hub", "events.ring", "live.spool")
_THREADED = (
    *("live.channel", "live.hub", "live.listener", "live.registry", "live.replay", "live.result"),
    *("live.snapshots", "live.spool", "single_flight"),
)


@dataclass(frozen=True)
class Faults:
    """How often, of a thousand steps, what happens; and how much fits."""

    cut: int = 20
    drop: int = 5
    die: int = 2
    crash: int = 0
    forgetful_crash: int = 0
    fail_over: int = 0
    prune: int = 0
    reset: int = 0
    batch: tuple[int, ...] = (1, 2, 3, 50)
    kept: tuple[int, ...] = (0, 1 << 20)
    ring: tuple[int, ...] = (1 << 20,)
    large: tuple[int, ...] = (10_000,)
    frame: tuple[int, ...] = (1, 700, 1 << 18)
    size: tuple[int, ...] = (1, 100, 1 << 22)


class State:
    """That of the server, without its clock."""

    def __init__(self, listener):
        self._listener = listener

    @property
    def live(self):
        return self._listener.error is None

    def told(self):
        return self.live, json.dumps({"live": self.live})


class Worker(Services):
    """A process: the real hub, listener and subscriptions on the simulated database."""

    def __init__(self, postgres, queries, faults, choose):
        self.settings = SimpleNamespace(retry=2.0, heartbeat=15.0, limit=10_000)
        self.closing = Event()
        self.database = Database(postgres, queries)
        ring, batch, limit = choose.choice(faults.ring), choose.choice(faults.batch), choose.choice(faults.large)
        self.hub = Hub(ring=ring, rings=16 * ring, clock=self.now)
        self.registry = TableRegistry(lambda: self.database.run(Database.load), self.hub.install)
        pace = Pace(busy=100, poll=0.005, tick=2.0)
        self.listener = Listener(self._open_log, self.registry, self.hub, pace=pace, tick=2.0, batch=batch, limit=limit)
        self.state = State(self.listener)
        self.stream_limit = StreamLimit(1000)
        reader = RowReader(self.database, self.registry, deadline=1.0)
        self.results = LiveResults(reader, self.hub, self.closing.is_set)
        self.snapshots = Snapshots(reader, most_long=99, start=self._start)
        self.replays = Replays(self.database, batch=choose.choice(faults.batch), kept=choose.choice(faults.kept))
        self.hub.worker = self
        self.tasks = [Task("listener", self.listener._run)]

    def query(self, path, args):
        """As the runtime's, but that ``limit`` is of what is missed, not of rows."""
        if not self.hub.ready.is_set():
            raise UnavailableError
        found = catalog.resolve(self.registry.tables, path)
        return found, parse_query(found, args)

    @staticmethod
    def now():
        return NOW

    def _start(self, name, run):
        self.tasks.append(Task(name, run))

    def _open_log(self, *, soon):
        return ChangeLog(self.database.connect(soon=soon))

    def drop_connections(self):
        for session in self.database.sessions:
            session.close()

    def kill(self):
        self.listener.stop()
        for task in self.tasks:
            task.kill()
            while not task.is_over:
                task.step()


class World:
    """Everything, driven by ``choose``: the same choices make the same history."""

    def __init__(self, choose: Random, faults: Faults, *, workers=2):
        self.choose, self.faults = choose, faults
        self.postgres = Postgres(choose)
        self._applications = Applications(self.postgres, choose)
        self.queries = Queries(self.postgres)
        for asked in ASKED:
            parsed = parse_query(table(asked.table, 0), asked.arguments)
            self.queries.register(parsed, asked.accepts)
        self.workers = [self._worker() for _ in range(workers)]
        kinds = [Streaming, Streaming, Polling, Streaming, Listening, Watching]
        self.clients = [kind(choose.choice(ASKED), choose) for kind in kinds]

    def _worker(self):
        return Worker(self.postgres, self.queries, self.faults, self.choose)

    @property
    def resets(self):
        return sum(client.resets for client in self.clients)

    def run(self, steps):
        for _ in range(steps):
            self.happen()

    def happen(self):
        """One step of anything."""
        dice = self.choose.randrange(1000)
        for name in ("cut", "drop", "die", "crash", "forgetful_crash", "fail_over", "prune", "reset"):
            share = getattr(self.faults, name)
            if dice < share:
                self.suffer(name)
                return
            dice -= share
        self.choose.choice([self.write, self.advance])()

    def suffer(self, fault):
        """What befalls clients, lines, processes or the database: the name of a share of :class:`Faults`."""
        getattr(self, f"_{fault}")()

    def write(self):
        """An application does something."""
        self._applications.go_on()

    def advance(self):
        """One process goes on, each time a task of it to its next wait; a client comes back, to any process."""
        worker = self.choose.choice(self.workers)
        worker.tasks = [task for task in worker.tasks if not task.is_over]
        client = self.choose.choice(self.clients)
        if client.is_away:
            bytes_ = self.choose.choice([None, self.choose.randrange(1, 500), self.choose.randrange(1, 3000)])
            client.connect(self.choose.choice(self.workers), bytes_)
        for _ in range(self.choose.choice([1, 5, 20])):
            if worker.tasks:
                self._step(self.choose.choice(worker.tasks))

    def _step(self, task):
        if not task.is_over:
            task.step()

    def _cut(self):
        client = self.choose.choice(self.clients)
        if not client.is_away:
            client.task.kill()

    def _drop(self):
        self.choose.choice(self.workers).drop_connections()

    def _die(self):
        at = self.choose.randrange(len(self.workers))
        self.workers[at].kill()
        self.workers[at] = self._worker()

    def _crash(self):
        self.postgres.crash()

    def _forgetful_crash(self):
        """Only where the listeners know what is lost; clients that read it before them would not be told."""
        if all(worker.hub.upto == self._end for worker in self.workers):
            self.postgres.forgetful_crash(self.choose.randint(1, 3))

    def _fail_over(self):
        self.postgres.fail_over(self.choose.randint(0, 3))

    def _prune(self):
        self.choose.choice([self.postgres.mark, lambda: self.postgres.prune(self.choose.randint(1, 20))])()

    def _reset(self):
        self.postgres.tell_reset(self.choose.choice([1, 2]))

    def settle(self):
        """Everything ends well: no more faults, no more writes, and everyone is told."""
        self._applications.end()
        self._go_on_until(lambda: all(worker.hub.upto == self._end for worker in self.workers))
        self._hush()
        self._go_on_until(self._is_all_told)

    def _is_all_told(self):
        """Everyone hears for some time that there is nothing more. One who waits for a snapshot hears that, too."""
        if any(task.name == "snapshot" and not task.is_over for worker in self.workers for task in worker.tasks):
            self._hush()
        return all(client.silent > 3 for client in self.clients)

    def _hush(self):
        for client in self.clients:
            client.silent = 0

    @property
    def _end(self):
        """Where the log ends, as cursors tell it."""
        return Snapshot.parse(str(self.postgres.snapshot)).cut(self.postgres.greatest)

    def _go_on_until(self, done):
        """Everyone has a turn, again and again; who is away comes back."""
        for _ in range(3000):
            if done():
                return
            for client in self.clients:
                client.cut_after = None
                if client.is_away:
                    client.connect(self.choose.choice(self.workers))
            for worker in self.workers:
                for task in list(worker.tasks):
                    self._step(task)
        raise ViolationError(f"it does not settle: {[(type(c).__name__, c.silent, c.cursor) for c in self.clients]}")

    def end(self):
        """All processes are over."""
        for worker in self.workers:
            worker.kill()

    def check(self):
        """That all have seen everything once, and that who comes back now is told nothing twice."""
        for _ in range(2):
            self.settle()
            for client in self.clients:
                client.check(self.postgres)
            for client in self.clients:
                client.task.kill()


def _start(name, run):
    """What a live result has run beside everything else is a task of its worker."""
    result: LiveResult = run.__self__
    result._hub.worker.tasks.append(Task(name, run))


class _Loud(logging.Handler):
    """A fault of the code under test is logged there, and hidden behind a reset."""

    def emit(self, record):
        if record.exc_info and not isinstance(record.exc_info[1], GreenletExit):
            raise ViolationError(record.getMessage()) from record.exc_info[1]


@contextmanager
def simulated(choose, faults):
    """A world. Until its end waits are pauses, the clock is the model's, and small frames and pieces do."""
    with ExitStack() as stack:
        for module in _THREADED:
            stack.enter_context(patch(f"sseapp.{module}.threading", Threading))
        clock = Clock(choose)
        for module in _CLOCKED:
            stack.enter_context(patch(f"sseapp.{module}.monotonic", clock))
        stack.enter_context(patch("sseapp.live.result.concurrency.start", _start))
        frame = choose.choice(faults.frame)
        for module in _FRAMED:
            stack.enter_context(patch(f"sseapp.{module}.FRAME_SIZE", frame))
        stack.enter_context(patch("concurrent.futures._base.threading", Threading))
        stack.enter_context(patch("sseapp.postgres.shape_check.current_tables", Database.load))
        stack.enter_context(patch("sseapp.live.spool.CHUNK", choose.choice([7, 100, 1 << 16])))
        stack.enter_context(patch.dict(ChangeLog.read.__kwdefaults__, size=choose.choice(faults.size)))
        logger, loud = logging.getLogger("sseapp"), _Loud()
        logger.addHandler(loud)
        stack.callback(logger.removeHandler, loud)
        yield World(choose, faults)
