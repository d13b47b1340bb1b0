"""From a batch of changes to the streams that they concern."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from sseapp.errors import ResetError, ShapeChangedError
from sseapp.events.event import Event, Lens
from sseapp.events.ring import FRAME_SIZE, frames
from sseapp.events.transactions import settle
from sseapp.live.registry import Tables
from sseapp.live.stream import Stream
from sseapp.log.change import RESET, TRUNCATE, Batch, Change
from sseapp.log.cursor import Scope, Snapshot
from sseapp.query.filter_index import FilterIndex
from sseapp.query.query import Query
from sseapp.query.window import step
from sseapp.tables.table import Table

_log = logging.getLogger(__name__)
_UNREADABLE = "a change could not be read"


class Hub:
    """All streams of a process. The listener dispatches batches to it; subscribers join and leave.

    A stream keeps ``ring`` bytes of events, all streams together ``rings``. ``upto`` is the snapshot of the last batch
    that was dispatched to its end. ``failures`` counts the changes that could not be matched or encoded.
    """

    def __init__(self, *, ring: int, rings: int, clock: Callable[[], datetime]) -> None:
        self._ring = ring
        self._rings = rings
        self._clock = clock
        self._lock = threading.RLock()
        self._streams: dict[tuple[int, str], Stream] = {}
        self._indexes: defaultdict[int, FilterIndex[Stream]] = defaultdict(FilterIndex)
        self._tables: Tables = {}
        self.epoch: str | None = None
        self.upto: Snapshot | None = None
        self.ready = threading.Event()
        self.failures = 0
        self._last_ids: Mapping[int, int] = {}  # of the transactions that go on behind what was dispatched
        self._logged: set[tuple[int, str]] = set()

    @property
    def streams(self) -> list[Stream]:
        """All open streams."""
        with self._lock:
            return list(self._streams.values())

    def join(self, table: Table, query: Query) -> Stream:
        """The stream of ``query``, made where there is none yet. Raises :exc:`~sseapp.errors.ShapeChangedError`."""
        key = (table.watch, query.canonical)
        with self._lock:
            if self._tables.get(table.watch) != table or self.epoch is None:
                raise ShapeChangedError
            stream = self._streams.get(key)
            if stream is None or stream.reason is not None:
                stream = Stream(table, query, self.scope(table, query), self._clock(), limit=self._ring)
                self._streams[key] = stream
                self._indexes[table.watch].add(stream.filter, stream)
            stream.subscribers += 1
            return stream

    def scope(self, table: Table, query: Query) -> Scope:
        """What the cursors of ``query`` belong to."""
        return Scope.of(self.epoch or "", f"{table.watch} {query.canonical}")

    def leave(self, stream: Stream) -> None:
        """Take one subscriber off ``stream``; without any the stream is forgotten."""
        with self._lock:
            stream.subscribers -= 1
            if not stream.subscribers and stream.reason is None:
                self._forget(stream)

    @property
    def watches(self) -> set[int]:
        """The watches that have streams."""
        return {stream.table.watch for stream in self.streams}

    def reset(self, watch: int, reason: str) -> None:
        """End the streams of ``watch``: their subscribers start again with a snapshot."""
        with self._lock:
            for stream in self.streams:
                if stream.table.watch == watch:
                    self._end(stream, reason)

    def skip(self, watch: int) -> None:
        """Have the subscribers of ``watch`` read from the log what is too large for their rings."""
        with self._lock:
            for stream in self.streams:
                if stream.table.watch == watch:
                    stream.skip()

    def install(self, tables: Tables) -> None:
        """Go on with these tables, and end the streams whose table is no longer the same.

        A stream that was made for the new shape stays: a change of shape is told once.
        """
        with self._lock:
            self._tables = tables
            for stream in self.streams:
                table = tables.get(stream.table.watch)
                if table is None:
                    self._end(stream, "the table is no longer watched")
                elif table != stream.table:
                    self._end(stream, table.reason or ShapeChangedError.reason)

    def begin(self, epoch: str, upto: Snapshot, reason: str) -> None:
        """Start from ``upto`` in the log of ``epoch``, and end all streams there are, for ``reason``."""
        with self._lock:
            for stream in self.streams:
                self._end(stream, reason)
            self.epoch, self.upto, self._last_ids = epoch, upto, {}
            self.ready.set()

    def dispatch(self, batch: Batch) -> None:
        """Tell a batch, or a piece of one, to the streams it concerns.

        Where it holds a reset, the tables that the reset speaks of are to be installed before.
        """
        with self._lock:
            self._note_open(batch)
            for watch, changes in batch.by_watch().items():
                self._tell(watch, changes, batch)
            self._append({stream: [] for stream in self.streams if stream.held}, batch)
            if batch.complete:
                self.upto = batch.upto

    def _note_open(self, batch: Batch) -> None:
        """Take note of the transactions that go on behind this piece of a batch."""
        if batch.complete:
            self._last_ids = {}
        elif batch.changes:
            known = {**self._last_ids, **batch.last_ids}
            self._last_ids = {xid: last for xid, last in known.items() if last > batch.changes[-1].id}

    def tick(self) -> None:
        """Move the windows whose time has come, and have silent rings give room to those of newer streams."""
        with self._lock:
            now, share = self._clock(), self._share()
            for stream in self.streams:
                stream.resize(share)
                # most windows do not move with each tick; making a filter costs a hundred times as much as seeing that
                begin = stream.query.window_start(now)
                if begin == stream.begin or self.upto is None or self._is_set_back(stream, begin):
                    continue
                filter_, bound = stream.query.filter_at(now)
                stream.begin = begin
                if bound is not None and bound != stream.bound:
                    index = self._indexes[stream.table.watch]
                    index.remove(stream.filter, stream)
                    index.add(filter_, stream)
                    stream.move(filter_, bound, self.upto)

    def _is_set_back(self, stream: Stream, begin: datetime | None) -> bool:
        """Whether the clock was set back: a window never moves back. More than one step back ends the stream.

        Its subscribers have dropped rows that the window would hold again, and no change of the log tells these.
        """
        last, before = stream.query.last, stream.begin
        if last is None or begin is None or before is None or begin > before:
            return False
        if before - begin > step(last):
            self._end(stream, "the server's clock was set back")
        return True

    def wake(self) -> None:
        """Wake all who wait on a stream."""
        for stream in self.streams:
            stream.wake()

    def _tell(self, watch: int, changes: Iterable[Change], batch: Batch) -> None:
        try:
            self._append(self._told(self._indexes[watch], changes), batch)
        except ResetError as reset:
            # most likely a column was renamed or retyped a moment ago: the log will tell it, but until then no change
            # can be matched
            self.reset(watch, reset.reason)
        except Exception as error:  # noqa: BLE001  # logged; the other tables' streams go on
            self.failures += 1
            self._failed(watch, error)
            self.reset(watch, _UNREADABLE)

    def _append(self, told: dict[Stream, list[Event]], batch: Batch) -> None:
        share = self._share()
        for stream, events in told.items():
            stream.resize(share)
            settled = settle([*stream.held, *events], self._last_ids)
            # what was held back may lie below what was sent before this piece
            part = replace(batch, ascending=False) if stream.held else batch
            stream.held = settled.held
            for frame in frames(part, settled.events, stream.scope, settled.ends):
                stream.append(frame)

    def _failed(self, watch: int, error: Exception) -> None:
        """Log a failure, once for each table and kind."""
        kind = watch, type(error).__name__
        if kind not in self._logged:
            self._logged.add(kind)
            _log.error(
                "A change of %s could not be told; its streams are reset.", self._tables.get(watch), exc_info=error
            )

    def _share(self) -> int:
        """How many bytes each ring may hold, of all that there are now."""
        return max(FRAME_SIZE, min(self._ring, self._rings // max(1, len(self._streams))))

    def _told(self, index: FilterIndex[Stream], changes: Iterable[Change]) -> dict[Stream, list[Event]]:
        """The events for each stream. Streams with the same lens share them."""
        told: defaultdict[Stream, list[Event]] = defaultdict(list)
        for change in changes:
            if change.kind == RESET and change.damage:
                raise ResetError(change.reason)
            seen: dict[tuple[Lens, bool, bool], list[Event]] = {}
            for stream, was_in, is_in in _concerned(index, change):
                key = (stream.lens, was_in, is_in)
                if key not in seen:
                    seen[key] = stream.lens.events(change, was_in=was_in, is_in=is_in)
                if seen[key]:
                    told[stream] += seen[key]
        return told

    def _end(self, stream: Stream, reason: str) -> None:
        stream.end(reason)
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        watch, query = stream.table.watch, stream.query.canonical
        if self._streams.get((watch, query)) is stream:
            del self._streams[watch, query]
        self._indexes[watch].remove(stream.filter, stream)


def _concerned(index: FilterIndex[Stream], change: Change) -> Iterable[tuple[Stream, bool, bool]]:
    """The streams whose filter takes the old row or the new one, and which of the two."""
    if change.kind == RESET:
        return []
    if change.kind == TRUNCATE:
        return [(stream, False, False) for stream in index]
    if index.takes_all:
        # so it is for most tables: parsing a row's text would cost more than everything else together
        return [(stream, change.old is not None, change.new is not None) for stream in index]
    was = set(index.matching(change.old_members)) if change.old_members is not None else set()
    now = set(index.matching(change.new_members)) if change.new_members is not None else set()
    return [(stream, stream in was, stream in now) for stream in was | now]
