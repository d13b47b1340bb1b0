"""Waits for NOTIFY, reads what was committed since its cursor, and hands each batch on: one listener a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import closing
from time import monotonic
from typing import Protocol

from sseapp import concurrency
from sseapp.backoff import Backoff
from sseapp.errors import SESSION_ERRORS, DatabaseError, DeadlineError, SseappError
from sseapp.live.hub import Hub
from sseapp.live.lag import Lag
from sseapp.live.presence import Presence
from sseapp.live.receivers import Receivers
from sseapp.live.registry import TableRegistry
from sseapp.live.remainder import Remainder
from sseapp.log.change import RESET, Batch
from sseapp.log.cursor import Cursor, Snapshot
from sseapp.log.log import OTHER_LOG, Log
from sseapp.log.pace import Mode, Pace, Reading
from sseapp.signals import changed

_log = logging.getLogger(__name__)
_NOT_YET = "the listener has not connected yet"
_LONGEST_WAIT = 1.0  # seconds without a read, which shows whether the database still answers
_LONGEST_PAUSE = 2.0  # seconds between two tries to connect, each of which may take 4: back within 10 s of the database


class OpenLog(Protocol):
    """Opens a session with the log; ``soon`` cuts its deadline to a few seconds, to notice a silent peer."""

    def __call__(self, *, soon: bool) -> Log: ...  # noqa: D102  # as of the class


class Listener:
    """Reads the log for one process, and outlives the loss of its session.

    ``pace`` says how long it waits for NOTIFY before it reads by itself; each read is also the liveness query. Every
    ``tick``, in seconds, it looks whether all is well. ``batch`` is how many changes it reads at once. Where more than
    ``limit`` further ones of a table were committed meanwhile, it leaves them to its subscribers, who read them from
    the log. ``receivers`` get each batch, too. ``damaged`` counts the changes that could not be read as they are. The
    log is kept for ``retention`` seconds: when nobody has listened for longer, writers do not log.
    """

    def __init__(
        self,
        open_log: OpenLog,
        registry: TableRegistry,
        hub: Hub,
        *,
        pace: Pace,
        tick: float,
        batch: int,
        limit: int,
        retention: float = 3600.0,
        receivers: Receivers | None = None,
    ) -> None:
        self._receivers = receivers or Receivers((changed,))
        self._open_log = open_log
        self._registry = registry
        self._hub = hub
        self._tick = tick
        self.pace = pace
        self._batch = batch
        self._limit = limit
        self._presence = Presence(pace, tick=tick, retention=retention)
        self._cursor: Cursor | None = None
        self._epoch: str | None = None
        self._sent = 0
        self._remainder: Remainder | None = None  # of the batch that is being read
        self._idle: str | None = None  # the snapshot of a read that found nothing
        self._stopping = threading.Event()
        self.begun = threading.Event()  # set for good when it first listens
        self.error: str | None = _NOT_YET
        self.seen_at = monotonic()
        self.lag = Lag()
        self.batches = 0
        self.changes = 0
        self.damaged = 0
        self._logged: set[tuple[int, str]] = set()
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
                self._failed(error.detail, str(error))
            except BaseException as error:  # noqa: BLE001  # logged, and every stream is reset
                # a fault of ours, or of a receiver that wanted to exit. Without a listener the worker would answer and
                # deliver nothing; and nothing may be lost silently, so all subscribers start again with a snapshot
                _log.exception("The listener failed; every stream is reset.")
                self._failed(f"{type(error).__name__} in the listener")
                self._cursor = None
            self._stopping.wait(backoff.delay())

    def _failed(self, why: str, cause: str = "") -> None:
        if self.error in {None, _NOT_YET}:
            _log.warning("The listener cannot reach the database and tries again: %s", cause or why)
        self.error = why
        self.reconnects += 1

    def _listen(self, backoff: Backoff, *, patient: bool) -> None:
        with closing(self._open_log(soon=not patient)) as log:
            self._begin(log)
            # before it reads: writers that looked earlier are waited for as the pace says
            self._attend(log)
            self._join(log)
            ticked = monotonic()
            self.lag.begin(notified=True)
            while not self._stopping.is_set():
                wait = self._keep_pace(log, *self._read(log))
                self.lag.end()
                if self.error is not None:
                    _log.info("The listener is listening.")
                    self.error = None
                    self.begun.set()
                    backoff.reset()
                wait = min(wait, _LONGEST_WAIT, max(0.0, ticked + self._tick - monotonic()))
                notified = log.wait(wait)
                if notified:
                    self._idle = None
                # while it is quiet, each commit sends a NOTIFY
                self.lag.begin(notified=notified or self.pace.mode is Mode.QUIET)
                if monotonic() - ticked >= self._tick:
                    self._look_round(log)
                    ticked = monotonic()

    def _look_round(self, log: Log) -> None:
        """See what no change in the log tells."""
        self._attend(log)
        if log.end().epoch != self._epoch:
            # installed anew, or made unlogged
            self._join(log)
        self._hub.tick()

    def _begin(self, log: Log) -> None:
        self._idle = None
        # LISTEN first, then read: what commits in between sends a NOTIFY
        self._presence.begin(log)
        if self.pace.deaf and log.pooled:
            _log.info("There is a pooler before the database, so the log is polled instead of waiting for NOTIFY.")

    def _attend(self, log: Log) -> None:
        """Promise to be there for a while."""
        if not self._presence.renew(log):
            self._idle = None

    def _join(self, log: Log) -> None:
        """Go on from the cursor where that is possible, else begin at the log's end and reset every stream."""
        now = log.end()
        reason: str | None
        if self._cursor is None:
            reason = "the listener began anew"
        elif now.epoch == self._epoch:
            reason = log.expiry(self._cursor)
        else:
            reason = OTHER_LOG
        self._registry.refresh_with(log.tables)
        if reason is not None:
            # the cursor moves only with the reset: were the database lost between the two, the streams would go on
            self._hub.begin(now.epoch, now.upto, reason)
            self._cursor, self._epoch, self._sent = Cursor(now.upto), now.epoch, now.greatest_id
            self._remainder = None

    def _read(self, log: Log) -> tuple[Reading | None, int]:
        """Read to the end; what the first piece told of the pace, and how many commits there were."""
        if self._idle is not None:
            reading = log.read_lease()
            self.seen_at = monotonic()
            if reading.snapshot == self._idle:
                return reading, 0
        complete, told, commits = False, None, 0
        while not complete:
            cursor = self._cursor or Cursor(Snapshot(1))
            batch = self._next(log, cursor)
            told = told or batch.reading
            commits += len({change.xid for change in batch.changes})
            self._dispatch(log, batch)
            complete = batch.complete
        self._idle = told.snapshot if told and not commits else None
        return told, commits

    def _next(self, log: Log, cursor: Cursor) -> Batch:
        """What comes next after ``cursor``, whatever it holds: one that cannot be read must not stop all others."""
        without = self._left_out(log, cursor)
        try:
            return log.read(cursor, batch=self._batch, sent=self._sent, without=without)
        except SESSION_ERRORS:
            raise
        except DatabaseError as error:
            why = str(error)
        try:
            return log.read(cursor, batch=1, sent=self._sent, without=without)
        except SESSION_ERRORS:
            raise
        except DatabaseError:
            return log.pass_over(cursor, why)

    def _dispatch(self, log: Log, batch: Batch) -> None:
        """Hand ``batch`` on, then go on behind it."""
        self._note_damage(batch)
        if any(change.kind == RESET for change in batch.changes):
            self._registry.refresh_with(log.tables)
        self._hub.dispatch(batch)
        if batch.changes:
            self._sent = max(self._sent, *(change.id for change in batch.changes))
        if batch.complete and self._remainder is not None:
            # what was left out was seen, too: an id below it must name what was sent before
            self._sent, self._remainder = max(self._sent, self._remainder.greatest_id), None
        whole = batch.complete
        self._cursor = Cursor(batch.upto) if whole else Cursor.behind(batch.changes[-1].id, batch.upto, batch.after)
        self.seen_at = monotonic()
        self._signal(batch)

    def _note_damage(self, batch: Batch) -> None:
        """Count what could not be read as it is, and log it once for each table and cause."""
        for change in batch.changes:
            if change.damage:
                self.damaged += 1
                if (change.watch, change.damage) not in self._logged:
                    self._logged.add((change.watch, change.damage))
                    table = self._registry.tables.get(change.watch)
                    _log.error("A change of %s could not be read as it is: %s", table, change.damage)

    def _keep_pace(self, log: Log, reading: Reading | None, commits: int) -> float:
        """Do what the pace asks for; how many seconds to wait for NOTIFY."""
        if reading is None:
            # only the rest of a batch was read
            return 0.0
        return self._presence.keep_pace(log, reading, commits)

    def _left_out(self, log: Log, cursor: Cursor) -> set[int]:
        """The watches that the rest of a large batch is read without, so that other tables need not wait for it.

        These are the ones that nobody follows, and those of which it holds more changes than a ring is for: their
        subscribers read them from the log, each at its own pace. A stream made since begins with a snapshot that sees
        the whole batch.
        """
        if cursor.event_number is None:
            return set()
        if self._remainder is None:
            self._remainder = Remainder.of(log.remaining(cursor), limit=self._limit)
            for watch in self._remainder.large - self._received(self._remainder.watches):
                self._hub.skip(watch)
        unheard = self._remainder.watches - self._hub.watches
        return (self._remainder.large | unheard) - self._received(self._remainder.watches)

    def _received(self, watches: Iterable[int]) -> set[int]:
        """Those of ``watches`` whose changes some code in this process receives."""
        return self._receivers.among(watches, self._registry.tables)

    def _signal(self, batch: Batch) -> None:
        """Send the signal for each table of the batch."""
        if not batch.changes:
            return
        self.batches += 1
        self.changes += len(batch.changes)
        self._receivers.send(batch, self._registry.tables)
