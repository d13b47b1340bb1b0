"""What a subscriber missed since its cursor, as events of its stream with ids of their own."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from sseapp import concurrency
from sseapp.errors import SESSION_ERRORS, DatabaseError, MalformedCursorError, ResetError
from sseapp.events.event import Event, Lens
from sseapp.events.ring import encoded
from sseapp.events.transactions import settle
from sseapp.live.stream import Stream
from sseapp.log.change import RESET, TRUNCATE, Change
from sseapp.log.cursor import Cursor, Scope, Snapshot, decode, event_number
from sseapp.log.log import OTHER_LOG
from sseapp.postgres import change_log
from sseapp.postgres.change_log import Replay
from sseapp.postgres.database import Database
from sseapp.query.filters import Filter

_log = logging.getLogger(__name__)
_SIZE = 1 << 20  # bytes of rows
_TURN = 200  # changes after which everything else in a green process gets its turn


@dataclass(frozen=True, slots=True)
class Held:
    """Events that were read, and wait for what is read next: see :mod:`sseapp.events.transactions`.

    ``last_ids`` are those of the transactions that go on there, by their xid.
    """

    events: tuple[Event, ...] = ()
    last_ids: tuple[tuple[int, int], ...] = ()


_NONE = Held()


@dataclass(frozen=True, slots=True)
class Missed:
    """The events that come next after a cursor: first the ``rest`` of the cursor's own batch, then the ``new`` ones.

    One id could not express both: {A, B, k} and then {B, C, k}. Those with the numbers ``ends`` are the last of their
    transactions. ``end`` is up to where the log was read; ``more`` says that others follow, before which those in
    ``held`` are to be told.
    """

    cursor: Cursor
    upto: Snapshot
    rest: tuple[Event, ...]
    new: tuple[Event, ...]
    more: bool
    end: Cursor
    ends: frozenset[int]
    held: Held

    def __bool__(self) -> bool:
        """Whether there is anything to tell, or more to read."""
        return bool(self.rest or self.new or self.more)

    def encoded(self, scope: Scope) -> bytes:
        """The events as event stream bytes."""
        is_past_rest = not self.more or self.end.upto != self.cursor.upto
        ids = scope.ids(self.cursor.upto, self.cursor.after)
        rest = encoded(self.rest, ids, self.ends, complete=is_past_rest)
        return rest + encoded(self.new, scope.ids(self.upto, self.cursor.upto), self.ends, complete=not self.more)

    def told(self, limit: int) -> tuple[tuple[Event, ...], Cursor]:
        """The first ``limit`` events, and what a subscriber has seen that was told them."""
        events = (*self.rest, *self.new)[:limit]
        if not events or (not self.held.events and len(events) == len(self.rest) + len(self.new)):
            return events, self.end
        number = events[-1].number
        if len(events) <= len(self.rest):
            return events, Cursor(self.cursor.upto, number, self.cursor.after)
        return events, Cursor(self.upto, number, self.cursor.upto)


def opened(text: str, scope: Scope) -> Cursor:
    """The cursor that ``text`` writes. Raises :exc:`~sseapp.errors.ResetError` where it is not of ``scope``."""
    try:
        cursor, of = decode(text)
    except MalformedCursorError:
        raise ResetError("the id is not a cursor of this server") from None
    if of.epoch != scope.epoch:
        raise ResetError(OTHER_LOG)
    if of.query != scope.query:
        raise ResetError("the cursor belongs to another table or filter")
    return cursor


def missed(
    database: Database,
    stream: Stream,
    filter_: Filter,
    cursor: Cursor,
    *,
    limit: int,
    size: int = _SIZE,
    held: Held = _NONE,
) -> Missed:
    """Read what a subscriber of ``stream`` missed since ``cursor``. Raises :exc:`~sseapp.errors.ResetError`.

    Of more than ``limit`` changes, or ``size`` bytes of them, the first ones are read, and ``more`` is set. ``held`` is
    from the read before, where that ended at ``cursor``.
    """
    replay = _read(database, stream, cursor, limit, size)
    if replay.epoch is None or Scope.of(replay.epoch, "").epoch != stream.scope.epoch:
        raise ResetError(OTHER_LOG)
    if replay.reason is not None:
        raise ResetError(replay.reason)
    rest: list[Event] = [*held.events]
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
    last_ids = _open(cursor, replay, dict(held.last_ids))
    settled = settle([*rest, *new], last_ids)
    return Missed(
        cursor,
        replay.upto,
        settled.events[: len(rest)],
        settled.events[len(rest) :],
        replay.more,
        _end(cursor, replay),
        settled.ends,
        Held(settled.held, tuple(last_ids.items())) if replay.more else _NONE,
    )


def _open(cursor: Cursor, replay: Replay, known: Mapping[int, int]) -> Mapping[int, int]:
    """The last ids of the transactions that go on behind ``replay``; ``known`` are those from the read before.

    Those of the cursor's own batch have ended where one of another was read.
    """
    if not replay.more or not replay.changes:
        return known if replay.more else {}
    last = replay.changes[-1]
    is_rest = cursor.upto.sees(last.xid)
    return {
        xid: last_id
        for xid, last_id in {**known, **replay.last_ids}.items()
        if last_id > last.id and cursor.upto.sees(xid) is is_rest
    }


def _read(database: Database, stream: Stream, cursor: Cursor, limit: int, size: int) -> Replay:
    try:
        return change_log.resume(database, stream.table.watch, cursor, limit=limit, size=size)
    except SESSION_ERRORS:
        raise
    except DatabaseError as error:
        _log.error("A change of %s could not be read: %s", stream.table, error.detail)
        raise ResetError("a change could not be read") from error


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


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of what a stream's subscriber missed, as bytes; it has seen ``end`` then.

    Without ``more`` it is to go on with the ring's frame ``frame_number``, and has what ``upto`` sees. ``has_id`` says
    whether the last id says so. ``bound`` is that of a moving window.
    """

    data: bytes
    end: Cursor
    more: bool
    frame_number: int
    upto: Snapshot
    has_id: bool
    bound: str | None
    held: Held


class Replays:
    """Reads from the log what subscribers missed, piece by piece, each subscriber at its own pace.

    A piece holds ``batch`` changes at most, or about a megabyte of rows. Those who ask at the same time share a read.
    The latest pieces are kept, up to ``kept`` bytes: after a large change many subscribers go through the same ones.
    """

    def __init__(self, database: Database, *, batch: int, kept: int = 1 << 24) -> None:
        self._database = database
        self._batch = batch
        self._most = kept
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Piece] = OrderedDict()
        self._size = 0

    def next(self, stream: Stream, cursor: Cursor, held: Held = _NONE) -> Piece:
        """What comes next after ``cursor``, ``held`` from the piece before. Raises :exc:`~sseapp.errors.ResetError`."""
        with self._lock:
            piece = self._kept.get(_key(stream, cursor, held))
        if piece is None:
            piece = stream.reads.do(("replay", cursor, held), lambda: self._read(stream, cursor, held))
        return piece

    def _read(self, stream: Stream, cursor: Cursor, held: Held) -> Piece:
        # the ring's end is noted BEFORE the read: what commits in between is in one or in both, never in neither
        frame_number, filter_, bound = stream.note()
        found = missed(self._database, stream, filter_, cursor, limit=self._batch, held=held)
        data = found.encoded(stream.scope)
        piece = Piece(data, found.end, found.more, frame_number, found.upto, bool(found.new), bound, found.held)
        if found.more:
            # the last one is of its moment, and not kept
            self._keep(_key(stream, cursor, held), piece)
        return piece

    def _keep(self, key: Hashable, piece: Piece) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = piece
                self._size += len(piece.data)
            while self._size > self._most:
                _, oldest = self._kept.popitem(last=False)
                self._size -= len(oldest.data)


def _key(stream: Stream, cursor: Cursor, held: Held) -> Hashable:
    # not the stream itself, which would keep its ring
    return stream.table, stream.query.canonical, stream.scope, cursor, held
