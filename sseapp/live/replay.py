"""What a subscriber missed: from its cursor, through its stream's filter and lens, to events under ids of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sseapp import concurrency
from sseapp.errors import ShapeChangedError
from sseapp.events.event import Event, Lens
from sseapp.events.ring import encoded
from sseapp.live.channel import ResetError
from sseapp.live.stream import Stream
from sseapp.log.change import RESET, TRUNCATE, Change
from sseapp.log.cursor import Cursor, MalformedCursorError, Scope, Snapshot, decode
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

    def frames(self, scope: Scope) -> bytes:
        """The events as event stream bytes, where there are no ``more``."""
        rest = encoded(self.rest, scope.ids(self.cursor.upto, self.cursor.after), complete=True)
        return rest + encoded(self.new, scope.ids(self.upto, self.cursor.upto), complete=True)


def opened(text: str, scope: Scope) -> Cursor:
    """The cursor that ``text`` names, where it belongs to ``scope``; else a :exc:`~sseapp.live.channel.ResetError`."""
    try:
        cursor, of = decode(text)
    except MalformedCursorError:
        raise ResetError("this is no cursor of ours") from None
    if of.epoch != scope.epoch:
        raise ResetError("the cursor is of another database, or of one that was restored or failed over")
    if of.query != scope.query:
        raise ResetError("the cursor belongs to another table or filter")
    return cursor


def missed(database: Database, stream: Stream, filter_: Filter, cursor: Cursor, *, limit: int) -> Missed:
    """Read what ``stream``'s subscriber missed since ``cursor``; raises :exc:`~sseapp.live.channel.ResetError`.

    Of more than ``limit`` changes the first ones are read, and ``more`` is set.
    """
    replay = change_log.resume(database, stream.table.watch, cursor, limit=limit)
    if replay.epoch is None or Scope.of(replay.epoch, "").epoch != stream.scope.epoch:
        raise ResetError("this is another database, or one that was restored or failed over")
    if replay.reason is not None:
        raise ResetError(replay.reason)
    rest: list[Event] = []
    new: list[Event] = []
    try:
        for count, change in enumerate(replay.changes, start=1):
            if count % _TURN == 0:
                concurrency.give_way()
            if change.kind == RESET:
                raise ResetError(change.reason or ShapeChangedError.reason)
            events = _events(stream.lens, filter_, change)
            group = rest if cursor.upto.sees(change.xid) else new
            told = [event for event in events if not cursor.sees(event.xid, event.position)]
            for event in told:
                event.body  # noqa: B018  # encoded here, a turn at a time, and kept
            group += told
    except ShapeChangedError as error:
        raise ResetError(error.reason) from None
    return Missed(cursor, replay.upto, tuple(rest), tuple(new), replay.more, _end(cursor, replay))


def _end(cursor: Cursor, replay: Replay) -> Cursor:
    """Where a subscriber stands who has been told ``replay``."""
    if not replay.more:
        return Cursor(replay.upto)
    last = replay.changes[-1]
    position = 2 * last.id + 1
    if cursor.upto.sees(last.xid):
        return replace(cursor, position=position)
    return Cursor(replay.upto, position, cursor.upto)


def _events(lens: Lens, filter_: Filter, change: Change) -> list[Event]:
    if change.kind == TRUNCATE:
        return lens.events(change, was_in=False, is_in=False)
    was_in = change.old_members is not None and filter_.matches(change.old_members)
    is_in = change.new_members is not None and filter_.matches(change.new_members)
    return lens.events(change, was_in=was_in, is_in=is_in)
