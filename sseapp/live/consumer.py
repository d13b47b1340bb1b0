"""A function of the application that gets each change of a table exactly once, in order, over all processes.

The cursor is a row of the database. For each change one transaction moves it and then calls the function, which may
write in the same transaction: both are committed, or neither. So a killed process repeats nothing that was committed,
and loses nothing that was not. What the function does elsewhere (a mail) is done at least once.

Which process runs a consumer is decided by an advisory lock, which PostgreSQL lets go of when the session ends; the
others try for it once a second. Two that both believe to hold it (a session was lost unnoticed, or a pooler lends
sessions) are kept apart by the cursor's row, which the second one cannot lock.

The function is called in a system thread of its own, because it gets an ordinary session of psycopg2, which blocks: in
a greenlet that would stop the process's streams for as long. The alternative, a global wait callback, would change
psycopg2 for the rest of the host's process (COPY fails under one). What the consumer itself reads and waits for stays
green.
"""

from __future__ import annotations

import inspect
import logging
import threading
from contextlib import closing
from time import monotonic

from sseapp import concurrency
from sseapp.backoff import Backoff, jittered
from sseapp.config import Settings
from sseapp.errors import BadParameterError, OvertakenError, SseappError
from sseapp.live.consumer_run import ConsumerRun, Function
from sseapp.live.presence import Presence
from sseapp.log.pace import Pace, Reading
from sseapp.postgres import catalog, consumer_state, schema
from sseapp.postgres.change_log import ChangeLog
from sseapp.postgres.consumer_state import Session
from sseapp.postgres.database import Connection, Database

_log = logging.getLogger(__name__)
_STANDBY = 1.0  # seconds between two tries for the lock: another process goes on that soon
_LONGEST_PAUSE = 30.0  # seconds between two calls for a change at which the function raises
_TICK = 2.0  # seconds after which it promises again to read the log
_LONGEST_WAIT = 0.5  # seconds of a wait for changes, and so until a stop is noticed


def pace_of(settings: Settings) -> Pace:
    """The pace at which a process with these settings waits for changes; each consumer needs one of its own."""
    return Pace(busy=settings.busy, poll=settings.poll, tick=settings.tick, notify=settings.notify)


def check(name: str, function: Function) -> None:
    """Raise :exc:`~sseapp.errors.BadParameterError` where there can be no such consumer."""
    if not name or "\0" in name:
        raise BadParameterError("A consumer needs a name without NUL characters.", parameter="name")
    if inspect.iscoroutinefunction(function):
        raise BadParameterError("A coroutine function cannot be a consumer; give a plain one.", parameter="function")


class Consumer:
    """Calls ``function(change, connection)`` for each change of ``table``, in one process at a time.

    ``name`` tells the consumers of a database apart; a new one begins at the log's end when it first runs. ``table`` is
    a watched table's name as in HTTP addresses. ``change`` is a
    :class:`~sseapp.live.consumed_change.ConsumedChange`. ``connection`` is psycopg2's, in the transaction that moves
    the cursor; the function may read and write with it, but not commit. A function that raises is called again for the
    same change, after 0.1 s at first and 30 s at last: the change is not skipped.

    ``piece`` is how many changes are read at once. ``batch`` is up to how many are consumed in one transaction: more is
    faster, but a killed process or a function that raises has all of them told again.
    """

    def __init__(
        self,
        name: str,
        table: str,
        function: Function,
        *,
        database: Database,
        pace: Pace,
        piece: int = 500,
        batch: int = 1,
        retention: float = 3600.0,
    ) -> None:
        check(name, function)
        self.name = name
        self.table = table
        self._function = function
        self._database = database
        self._presence = Presence(pace, tick=_TICK, retention=retention)
        self._piece = piece
        self._batch = batch
        self._attended = -_TICK
        self._stopping = threading.Event()
        self._backoff = Backoff(longest=_LONGEST_PAUSE)
        self.error: str | None = None

    def start(self) -> None:
        """Run in a thread (or greenlet) of its own."""
        concurrency.start(f"consumer-{self.name}", self.run)

    def stop(self) -> None:
        """End after the change that is being consumed."""
        self._stopping.set()

    def run(self) -> None:
        """Run until :meth:`stop` is called."""
        thread = concurrency.BlockingThread()
        try:
            while not self._stopping.is_set():
                try:
                    with closing(self._database.connect()) as reader, schema.needed(reader):
                        self._take_turn(reader, thread)
                except Exception as error:  # noqa: BLE001  # logged; a consumer that has ended would consume nothing
                    self._failed(error)
                    self._stopping.wait(self._backoff.delay())
        finally:
            thread.close()

    def _take_turn(self, reader: Connection, thread: concurrency.BlockingThread) -> None:
        """Wait for the lock, then consume for as long as the sessions live."""
        # through a pooler the lock would stay with the pooler's session: there the cursor's row has to do
        while not reader.pooled and not consumer_state.lock(reader, self.name):
            if self._stopping.wait(jittered(_STANDBY)):
                return
        session = thread.call(self._database.blocking_session)
        try:
            self._presence.begin(ChangeLog(reader))
            while not self._stopping.is_set():
                self._run(reader, session, thread)
        finally:
            thread.call(session.close)

    def _run(self, reader: Connection, session: Session, thread: concurrency.BlockingThread) -> None:
        """Consume from where the database says, until something is not as it was then."""
        tables = catalog.load(reader)
        table = catalog.served(reader, tables, self.table)
        run = ConsumerRun(
            self.name,
            self._function,
            table,
            others=tables.keys() - {table.watch},
            reader=reader,
            session=session,
            thread=thread,
            piece=self._piece,
            batch=1 if self.error is not None else self._batch,  # up to the change at which the function raises
            is_stopping=self._stopping.is_set,
        )
        try:
            self._follow(run, reader)
        except OvertakenError:
            self._stopping.wait(jittered(_STANDBY))
        except Exception as error:
            if reader.closed or session.closed:
                raise
            # the lock is kept: in another process the function would only raise as well
            self._failed(error)
            consumer_state.failed(reader, self.name, run.state.moves, error)
            self._stopping.wait(self._backoff.delay())

    def _follow(self, run: ConsumerRun, reader: Connection) -> None:
        log, idle = ChangeLog(reader), None  # idle: the snapshot of a read that found nothing
        self._attend(log)
        while not self._stopping.is_set() and not run.is_over:
            # before the log: all that this snapshot sees is read then, as the pace asks for
            reading = log.read_lease()
            commits = 0
            if reading.snapshot != idle or run.has_more:
                commits = run.step()
                idle = None if commits or run.has_more else reading.snapshot
            run.keep()
            self._went_well()
            self._wait(log, reading, commits, is_at_end=not run.has_more)
            self._attend(log)
        run.keep(at_once=True)

    def _wait(self, log: ChangeLog, reading: Reading, commits: int, *, is_at_end: bool) -> None:
        wait = self._presence.keep_pace(log, reading, commits)
        if is_at_end:
            log.wait(min(wait, _LONGEST_WAIT))

    def _attend(self, log: ChangeLog) -> None:
        """Promise to be there for a while, as a listener does: where no server runs, writers log and notify for us."""
        if monotonic() - self._attended >= _TICK:
            self._presence.renew(log)
            self._attended = monotonic()

    def _failed(self, error: Exception) -> None:
        """Log the first failure of a streak."""
        if self.error is None:
            trace = None if isinstance(error, SseappError) else error
            _log.warning("Consumer %s failed and will try again: %s", self.name, error, exc_info=trace)
        self.error = f"{type(error).__name__}: {error}"

    def _went_well(self) -> None:
        if self.error is not None:
            _log.info("Consumer %s goes on.", self.name)
            self.error = None
        self._backoff.reset()
