"""One consumer at work: reads what comes after its cursor, a piece at a time, and has its function called for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import TypeAlias

from sseapp import concurrency
from sseapp.errors import CursorGoneError, SseappError
from sseapp.live.consumed_change import ConsumedChange
from sseapp.log.change import RESET, Change
from sseapp.log.cursor import Cursor, event_number
from sseapp.log.log import OTHER_LOG
from sseapp.postgres import change_log, consumer_state
from sseapp.postgres.change_log import ChangeLog
from sseapp.postgres.consumer_state import Session, Transaction
from sseapp.postgres.database import Connection
from sseapp.tables.table import Table

Function: TypeAlias = Callable[[ConsumedChange, Session], object]
_FIRST = 32  # changes of a first look beyond a cursor; the rest of a larger batch is read by size, too
_PACK = 32  # ids that a pack spans
_KEEP = 5.0  # seconds after which a cursor is kept that has moved over other tables' changes only


@dataclass(frozen=True, slots=True)
class Piece:
    """What was read: the table's ``changes``, each to be told once, and the cursor after all of it.

    ``base`` is the snapshot that the cursors within the piece go out from.
    """

    changes: Sequence[Change]
    end: Cursor
    base: Cursor

    def cursor_at(self, place: int) -> Cursor:
        """The cursor after the change at ``place``; after the last one of a batch that is the batch's end."""
        if place == len(self.changes) - 1 and self.end.event_number is None:
            return self.end
        return Cursor(self.end.upto, event_number(self.changes[place].id), self.base.base)


class ConsumerRun:
    """A consumer's work from the cursor that the database keeps, until something is no longer as it was then.

    ``reader`` reads the log; ``function`` is called in ``thread`` with ``session``. ``others`` are the other watches.
    A transaction consumes ``batch`` changes; ``is_stopping`` is asked before each. Raises what the function raises: the
    transaction's changes are then not consumed.
    """

    def __init__(
        self,
        name: str,
        function: Function,
        table: Table,
        *,
        others: Collection[int],
        reader: Connection,
        session: Session,
        thread: concurrency.BlockingThread,
        piece: int,
        batch: int,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._function = function
        self._watch = table.watch
        self._others = others
        self._reader = reader
        self._log = ChangeLog(reader)
        self._session = session
        self._transaction = Transaction(session, name, str(table))
        self._thread = thread
        self._size = piece
        self._batch = batch
        self._is_stopping = is_stopping
        self.state, self._gap = consumer_state.load(reader, name, table)
        self._cursor = self.state.cursor
        self._is_within_pack = True
        self._kept_at = monotonic()
        self.is_over = False
        """Whether the table may be another now: then a new run has to begin."""

    @property
    def has_more(self) -> bool:
        """Whether there is more to do at once: the rest of a batch, or a reset to tell."""
        return self._cursor.event_number is not None or self._gap is not None

    def step(self) -> int:
        """Read a piece and consume it; of how many transactions it was."""
        try:
            if self._gap is not None:
                self._tell_gap(self._gap)
            piece = self._read()
        except CursorGoneError as error:
            self._gap = error.reason
            return 0
        self._thread.call(partial(self._consume, piece))
        if not self._is_stopping():
            self._cursor = piece.end
        return len({change.xid for change in piece.changes})

    def keep(self, *, at_once: bool = False) -> None:
        """Have the database keep the cursor where it has moved over changes of other tables: now and then, or at once.

        Else it would be pruned away, though it has missed nothing.
        """
        if at_once or monotonic() - self._kept_at > _KEEP:
            if self._cursor != self.state.cursor:
                self._thread.call(lambda: self._move(self._cursor, lambda: None))
            self._kept_at = monotonic()

    def _read(self) -> Piece:
        number = self._cursor.event_number
        return self._read_beyond() if number is None else self._read_on(number)

    def _read_beyond(self) -> Piece:
        """What was committed since the cursor's snapshot, or the first of it."""
        replay = change_log.resume(self._reader, self._watch, self._cursor, limit=_FIRST)
        if replay.reason is not None or replay.epoch != self.state.epoch:
            raise CursorGoneError(replay.reason or OTHER_LOG)
        end = Cursor(replay.upto)
        if replay.more:
            end = Cursor(replay.upto, event_number(replay.changes[-1].id), self._cursor.upto)
            self._is_within_pack = True
        return Piece(replay.changes, end, self._cursor)

    def _read_on(self, number: int) -> Piece:
        """Some of the rest of the cursor's batch."""
        # rows of the log are found by the id of their first change: the cursor may be within a pack
        begin = number - 2 * _PACK if self._is_within_pack else number
        self._is_within_pack = False
        cursor = replace(self._cursor, event_number=begin)
        batch = self._log.read(cursor, batch=self._size, sent=0, without=self._others)
        changes = [one for one in batch.changes if one.watch == self._watch and event_number(one.id) > number]
        end = Cursor(batch.upto)
        if not batch.complete:
            end = Cursor(batch.upto, max(number, event_number(batch.changes[-1].id)), self._cursor.after)
        return Piece(changes, end, self._cursor)

    def _consume(self, piece: Piece) -> None:
        for begin in range(0, len(piece.changes), self._batch):
            if self._is_stopping():
                return
            changes = piece.changes[begin : begin + self._batch]
            self._move(piece.cursor_at(begin + len(changes) - 1), partial(self._call_each, changes))
            self.is_over = self.is_over or any(change.kind == RESET for change in changes)

    def _call_each(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._call(ConsumedChange.of(change))

    def _move(self, cursor: Cursor, call: Callable[[], object]) -> None:
        to = replace(self.state, cursor=cursor, moves=self.state.moves + 1)
        self._transaction.move(to, call)
        self.state, self._cursor = to, cursor

    def _tell_gap(self, reason: str) -> None:
        """Tell the function that changes are missing, and go on from the log's end."""
        change_log.log_end(self._reader)  # a crash is marked, if it has emptied the log

        def call(now: str) -> None:
            self._call(ConsumedChange("reset", None, None, now, None, None, reason))

        def move() -> None:
            self.state = self._transaction.move_to_end(self._watch, self.state.moves + 1, call)

        self._thread.call(move)
        self._cursor, self._gap = self.state.cursor, None

    def _call(self, change: ConsumedChange) -> None:
        try:
            self._function(change, self._session)
        except SystemExit as error:
            # it would end this consumer without a word, and then that of the next process
            raise SseappError("The consumer's function called sys.exit().") from error
