"""Waits for the bell, reads what was committed since its cursor, and hands each batch on: one listener a process."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic

from sseapp import changelog, concurrency, schema
from sseapp.backoff import Backoff
from sseapp.change import Batch, Change
from sseapp.cursor import Cursor, Snapshot
from sseapp.database import Connection, Database
from sseapp.errors import DeadlineError, SseappError
from sseapp.hub import Hub
from sseapp.pace import Pace, Reading
from sseapp.signals import changed

_log = logging.getLogger(__name__)
_PRESENCE = 10.0  # seconds for which a listener promises to be there, of which it lets half run out at the most
_LONGEST_PAUSE = 2.0  # seconds between two tries to connect, each of which may take 4: back within 10 s of the database


@dataclass(frozen=True, slots=True)
class Remainder:
    """A batch beyond its first piece: the watches it holds changes of, those of too many (``storms``), the last id."""

    watches: set[int]
    storms: set[int]
    greatest_id: int

    @classmethod
    def of(cls, parts: Iterable[changelog.Rest], *, storm: int) -> Remainder:
        """More than ``storm`` changes of a watch are too many."""
        parts = list(parts)
        return cls(
            {part.watch for part in parts},
            {part.watch for part in parts if part.count > storm},
            max((part.greatest_id for part in parts), default=0),
        )


class Listener:
    """Reads the log for one process, and outlives the loss of its connection.

    ``pace`` says how long it waits for the bell before it reads by itself; each read is also the liveness query. Every
    ``tick``, in seconds, it looks whether all is well. ``piece`` is how many changes it reads at once; a batch that
    holds more than ``storm`` further ones of a table is told to its subscribers by a reset. The log is kept for
    ``retention`` seconds: when nobody has listened for longer, writers do not log.
    """

    def __init__(  # its settings
        self,
        database: Database,
        hub: Hub,
        *,
        pace: Pace,
        tick: float,
        piece: int,
        storm: int,
        retention: float = 3600.0,
    ) -> None:
        self._database = database
        self._hub = hub
        self._tick = tick
        self.pace = pace
        self._piece = piece
        self._cursor: Cursor | None = None
        self._epoch: str | None = None
        self._sent = 0
        self._storm = storm
        self._retention = retention
        self._presence = max(_PRESENCE, 5 * tick)
        self._promised = 0  # when, by the database's clock in milliseconds
        self._remainder: Remainder | None = None  # of the batch that is being read
        self._idle: str | None = None  # the snapshot of a read that found nothing
        self._stopping = threading.Event()
        self.begun = threading.Event()  # set for good when it first listens
        self.error: str | None = "the listener has not connected yet"
        self.seen_at = monotonic()
        self.batches = 0
        self.changes = 0
        self.reconnects = 0

    def start(self) -> None:
        """Begin to listen, beside everything else."""
        concurrency.start("listener", self._run)

    def stop(self) -> None:
        """End within a tick."""
        self._stopping.set()

    def _run(self) -> None:
        backoff = Backoff(longest=_LONGEST_PAUSE)
        patient = False
        while not self._stopping.is_set():
            try:
                self._listen(backoff, patient=patient)
            except SseappError as error:
                # twice no answer in a short time: the server is slow, and needs the whole deadline
                patient = isinstance(error, DeadlineError) and self.error is not None
                self._failed(error.detail)
            except BaseException as error:  # noqa: BLE001  # logged, and every stream is reset
                # a fault of ours, or of a receiver that wanted to exit: a worker whose listener has ended would answer
                # and deliver nothing. Nothing may be lost silently, so all subscribers start again from a snapshot.
                _log.exception("The listener failed; every stream is reset.")
                self._failed(f"{type(error).__name__} in the listener")
                self._cursor = None
            self._stopping.wait(backoff.delay())

    def _failed(self, why: str) -> None:
        if self.error is None:
            _log.warning("The listener has lost the database and tries again: %s", why)
        self.error = why
        self.reconnects += 1

    def _listen(self, backoff: Backoff, *, patient: bool) -> None:
        with closing(self._database.connect(soon=not patient)) as connection:
            self._begin(connection)
            with schema.needed(connection):
                # before it reads: those who looked earlier are waited for as the pace says
                self._attend(connection)
            # what struck ours has struck the idle ones; a dead one may take its whole deadline to say so
            self._database.close()
            self._join(connection)
            ticked = monotonic()
            while not self._stopping.is_set():
                wait = self._keep_pace(connection, *self._read(connection))
                if self.error is not None:
                    _log.info("The listener is listening.")
                    self.error = None
                    self.begun.set()
                    backoff.reset()
                if connection.wait_for_notify(min(wait, max(0.0, ticked + self._tick - monotonic()))):
                    self._idle = None
                if monotonic() - ticked >= self._tick:
                    self._look_round(connection)
                    ticked = monotonic()

    def _look_round(self, connection: Connection) -> None:
        """See what no change in the log tells."""
        self._attend(connection)
        if changelog.position(connection).epoch != self._epoch:
            # installed anew, or made unlogged
            self._join(connection)
        self._hub.tick()

    def _begin(self, connection: Connection) -> None:
        self.pace.begin(pooled=connection.pooled)
        self._idle = None
        if not self.pace.deaf:
            # LISTEN first, then read: what commits in between rings
            connection.query("LISTEN sseapp")
        elif connection.pooled:
            _log.info("There is a pooler before the database, so the log is polled instead of waiting for NOTIFY.")

    def _attend(self, connection: Connection) -> None:
        """Promise to be there for a while yet. Writers that looked when the last promise had run out do not ring."""
        clock = changelog.attend(connection, presence=self._presence, retention=self._retention)
        if not 0 <= clock - self._promised < 500 * self._presence:
            self.pace.begin(pooled=connection.pooled)
            self._idle = None
        self._promised = clock

    def _join(self, connection: Connection) -> None:
        """Go on from the cursor where it still serves, else begin at the log's end and reset every stream."""
        now = changelog.position(connection)
        reason: str | None
        if self._cursor is None:
            reason = "the listener began anew"
        elif now.epoch == self._epoch:
            reason = changelog.expiry(connection, self._cursor)
        else:
            reason = "this is another database, or one that was restored or failed over"
        if reason is not None:
            # the cursor moves only with the reset: were the database lost between the two, the streams would go on
            self._hub.refresh(connection)
            self._hub.begin(now.epoch, now.upto, reason)
            self._cursor, self._epoch, self._sent = Cursor(now.upto), now.epoch, now.greatest_id
            self._remainder = None
        else:
            self._hub.refresh(connection)

    def _read(self, connection: Connection) -> tuple[Reading | None, int]:
        """Read to the end; what the first piece told of the pace, and how many commits there were."""
        if self._idle is not None:
            reading = changelog.glance(connection)
            self.seen_at = monotonic()
            if reading.snapshot == self._idle:
                return reading, 0
        complete, told, commits = False, None, 0
        while not complete:
            cursor = self._cursor or Cursor(Snapshot(1))
            without = self._left_out(connection, cursor)
            batch = changelog.read(connection, cursor, piece=self._piece, sent=self._sent, without=without)
            told = told or batch.reading
            commits += len({change.xid for change in batch.changes})
            self._hub.dispatch(batch, connection)
            complete = batch.complete
            if batch.changes:
                self._sent = max(self._sent, *(change.id for change in batch.changes))
            if complete and self._remainder is not None:
                # what was left out was seen, too: an id below it must name what was sent before
                self._sent, self._remainder = max(self._sent, self._remainder.greatest_id), None
            position = None if complete else 2 * batch.changes[-1].id + 1
            self._cursor = Cursor(batch.upto, position, None if complete else batch.after)
            self.seen_at = monotonic()
            self._signal(batch)
        self._idle = told.snapshot if told and not commits else None
        return told, commits

    def _keep_pace(self, connection: Connection, reading: Reading | None, commits: int) -> float:
        """Do what the pace asks for; how many seconds to wait for the bell."""
        if reading is None:
            # only the rest of a batch was read
            return 0.0
        step = self.pace.after(reading, commits, monotonic())
        if step.fence:
            self.pace.fenced(changelog.fence(connection))
        if step.lease is not None:
            changelog.quicken(connection, step.lease)
        return step.wait

    def _left_out(self, connection: Connection, cursor: Cursor) -> set[int]:
        """The watches that the rest of a large batch is read without, so that other tables need not wait for it.

        These are the ones that nobody has a stream of, and those of which it holds more changes than a snapshot is
        worth: their streams are reset. A stream made since reads a snapshot that sees the whole batch.
        """
        if cursor.position is None or changed.receivers:
            return set()
        if self._remainder is None:
            self._remainder = Remainder.of(changelog.rest(connection, cursor), storm=self._storm)
            for watch in self._remainder.storms:
                _log.info("A batch holds more than %d changes of watch %d: its streams are reset.", self._storm, watch)
                self._hub.reset(watch, "more rows changed at once than a snapshot is worth")
        return self._remainder.storms | (self._remainder.watches - self._hub.watches)

    def _signal(self, batch: Batch) -> None:
        """Send ``changed`` for each table of the batch; a receiver that raises is logged and stops nobody else."""
        if not batch.changes:
            return
        self.batches += 1
        self.changes += len(batch.changes)
        by_watch: defaultdict[int, list[Change]] = defaultdict(list)
        for change in batch.changes:
            by_watch[change.watch].append(change)
        for watch, changes in by_watch.items():
            table = self._hub.tables.get(watch)
            if table is not None and changed.receivers:
                send(str(table), replace(batch, changes=tuple(changes)))


def send(table: str, batch: Batch) -> None:
    """Send ``changed`` from ``table`` to each receiver, whatever the others do."""
    for receiver in changed.receivers_for(table):
        try:
            receiver(table, batch=batch)
        except Exception:  # noqa: BLE001  # foreign code, logged
            _log.exception("A receiver of sseapp.signals.changed raised; the others go on.")
