"""What a subscriber missed since its cursor, as events of its stream with ids of their own."""

from __future__ import annotations

from dataclasses import dataclass

from sseapp import concurrency
from sseapp.errors import MalformedCursorError, ResetError
from sseapp.events.event import Event, Lens
from sseapp.events.ring import encoded
from sseapp.live.stream import Stream
from sseapp.log.change import RESET, TRUNCATE, Change
from sseapp.log.cursor import Cursor, Scope, Snapshot, decode, event_number
from sseapp.postgres import change_log
from sseapp.postgres.change_log import Replay
from sseapp.postgres.database import Database
from sseapp.query.filters import Filter

_TURN = 200  # changes after which everything else in a green process gets its turn


@dataclass(frozen=True, slots=True)
class Missed:
    """The events between a cursor and a snapshot: first the ``rest`` of the cursor's own batch, then the ``new`` ones.

    One id could not express both: {A, B, k} and then {B, C, k}.
    """

    cursor: Cursor
    upto: Snapshot
    rest: tuple[Event, ...]
    new: tuple[Event, ...]
    more: bool
    end: Cursor

    def __bool__(self) -> bool:
        """Whether there is anything to tell, or more to read."""
        return bool(self.rest or self.new or self.more)

    def encoded(self, scope: Scope) -> bytes:
        """The events as event stream bytes, where there are no ``more`` of them."""
        rest = encoded(self.rest, scope.ids(self.cursor.upto, self.cursor.after), complete=True)
        return rest + encoded(self.new, scope.ids(self.upto, self.cursor.upto), complete=True)


def opened(text: str, scope: Scope) -> Cursor:
    """The cursor that ``text`` writes. Raises :exc:`~sseapp.errors.ResetError` where it is not of ``scope``."""
    try:
        cursor, of = decode(text)
    except MalformedCursorError:
        raise ResetError("the id is not a cursor of this server") from None
    if of.epoch != scope.epoch:
        raise ResetError("the cursor is of another database, or of one that was restored or failed over")
    if of.query != scope.query:
        raise ResetError("the cursor belongs to another table or filter")
    return cursor


def missed(database: Database, stream: Stream, filter_: Filter, cursor: Cursor, *, limit: int) -> Missed:
    """Read what a subscriber of ``stream`` missed since ``cursor``. Raises :exc:`~sseapp.errors.ResetError`.

    Of more than ``limit`` changes the first ones are read, and ``more`` is set.
    """
    replay = change_log.resume(database, stream.table.watch, cursor, limit=limit)
    if replay.epoch is None or Scope.of(replay.epoch, "").epoch != stream.scope.epoch:
        raise ResetError("this is another database, or one that was restored or failed over")
    if replay.reason is not None:
        raise ResetError(replay.reason)
    rest: list[Event] = []
    new: list[Event] = []
    for count, change in enumerate(replay.changes, start=1):
        if count % _TURN == 0:
            concurrency.give_way()
        if change.kind == RESET:
            raise ResetError(change.reason)
        part = rest if cursor.upto.sees(change.xid) else new
        for event in _events(stream.lens, filter_, change):
            if not cursor.sees(event.xid, event.number):
                event.encode()
                part.append(event)
    return Missed(cursor, replay.upto, tuple(rest), tuple(new), replay.more, _end(cursor, replay))


def _end(cursor: Cursor, replay: Replay) -> Cursor:
    """What a subscriber has seen that was told ``replay``."""
    if not replay.more:
        return Cursor(replay.upto)
    last = replay.changes[-1]
    if cursor.upto.sees(last.xid):
        return Cursor(cursor.upto, event_number(last.id), cursor.after)
    return Cursor.behind(last.id, replay.upto, cursor.upto)


def _events(lens: Lens, filter_: Filter, change: Change) -> list[Event]:
    if change.kind == TRUNCATE:
        return lens.events(change, was_in=False, is_in=False)
    was_in = change.old_members is not None and filter_.matches(change.old_members)
    is_in = change.new_members is not None and filter_.matches(change.new_members)
    return lens.events(change, was_in=was_in, is_in=is_in)
