"""From a batch of changes to the streams they concern."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

from sseapp import sse
from sseapp.change import RESET, TRUNCATE, Batch, Change, Event, Lens
from sseapp.channel import Channel
from sseapp.cursor import Scope, Snapshot
from sseapp.database import Connection
from sseapp.errors import ShapeChangedError, SseappError
from sseapp.filters import Filter
from sseapp.index import FilterIndex
from sseapp.question import Question
from sseapp.ring import FRAME_SIZE, Frame, frames
from sseapp.table import Table
from sseapp.window import step


class Stream(Channel):
    """The changes of one table that pass one filter, seen through one lens: shared by all who ask for the same.

    ``filter`` is the question's as of now: with ``last`` its lower bound moves; ``bound`` is that bound's JSON text.
    """

    def __init__(self, table: Table, question: Question, scope: Scope, now: datetime, *, limit: int) -> None:
        super().__init__(limit)
        self.table = table
        self.question = question
        self.scope = scope
        self.lens = Lens.of(table, question.columns)
        self.begin = question.begin(now)
        self.filter, self.bound = question.resolved(now)

    def note(self) -> tuple[int, Filter, str | None]:
        """The ring's end, and the filter and bound that hold from there on. To be taken before a read."""
        with self.changed:
            return self.ring.end, self.filter, self.bound

    def move(self, filter_: Filter, bound: str, at: Snapshot) -> None:
        """Go on with a window that has moved, and tell the subscribers."""
        with self.changed:
            self.filter, self.bound = filter_, bound
            self.append(Frame(at, at, raw=window(bound)))


def window(bound: str) -> bytes:
    """The event that tells the lower bound of a moving window; ``bound`` is JSON text."""
    return sse.event("window", f'{{"start":{bound}}}')


class Hub:
    """All streams of a process. The listener feeds it; subscribers join and leave.

    ``load`` reads the watched tables. A stream keeps ``ring`` bytes of events, all of them together ``rings``.
    """

    def __init__(
        self, load: Callable[..., dict[int, Table]], *, ring: int, rings: int, clock: Callable[[], datetime]
    ) -> None:
        self._load = load
        self._ring = ring
        self._rings = rings
        self._clock = clock
        self._lock = threading.RLock()
        self._loading = threading.Lock()
        # loads of the tables are numbered as they begin
        self._begun = self._installed = self._failed = 0
        self._error: SseappError | None = None
        self._streams: dict[tuple[int, str], Stream] = {}
        self._indexes: defaultdict[int, FilterIndex[Stream]] = defaultdict(FilterIndex)
        self.tables: dict[int, Table] = {}
        self.epoch: str | None = None
        self.position: Snapshot | None = None
        self.ready = threading.Event()

    @property
    def streams(self) -> list[Stream]:
        """All open streams."""
        with self._lock:
            return list(self._streams.values())

    def join(self, table: Table, question: Question) -> Stream:
        """The stream of ``question``, made where there is none yet. Raises :exc:`~sseapp.errors.ShapeChangedError`."""
        key = (table.watch, question.canonical)
        with self._lock:
            if self.tables.get(table.watch) != table or self.epoch is None:
                raise ShapeChangedError
            stream = self._streams.get(key)
            if stream is None or stream.reason is not None:
                stream = Stream(table, question, self.scope(table, question), self._clock(), limit=self._ring)
                self._streams[key] = stream
                self._indexes[table.watch].add(stream.filter, stream)
            stream.subscribers += 1
            return stream

    def scope(self, table: Table, question: Question) -> Scope:
        """What the cursors of ``question`` belong to."""
        return Scope.of(self.epoch or "", f"{table.watch} {question.canonical}")

    def leave(self, stream: Stream) -> None:
        """Say that one subscriber of ``stream`` is gone; with the last one the stream goes."""
        with self._lock:
            stream.subscribers -= 1
            if not stream.subscribers and stream.reason is None:
                self._forget(stream)

    @property
    def watches(self) -> set[int]:
        """The watches that anyone has a stream of."""
        return {stream.table.watch for stream in self.streams}

    def reset(self, watch: int, reason: str) -> None:
        """End the streams of ``watch``: their subscribers start again with a snapshot."""
        with self._lock:
            for stream in self.streams:
                if stream.table.watch == watch:
                    self._end(stream, reason)

    def refresh(self, connection: Connection | None = None) -> dict[int, Table]:
        """Load the watched tables anew, and end the streams whose table is no longer the same.

        The listener does so on its own ``connection``: those of the pool may all be taken, or dead. Nor does it wait
        for others. Of those, all who wait share one load that began after their calls: a reset brings thousands.

        A stream that was made for the new shape stays: a change of shape is told once.
        """
        if connection is not None:
            return self._refreshed(connection)
        asked = self._begun
        with self._loading:
            if self._installed > asked:
                return self.tables
            if self._error is not None and self._failed > asked:
                raise self._error
            return self._refreshed()

    def _refreshed(self, connection: Connection | None = None) -> dict[int, Table]:
        with self._lock:
            self._begun += 1
            number = self._begun
        try:
            tables = self._load(connection) if connection else self._load()
        except SseappError as error:
            if connection is None:
                self._failed, self._error = number, error
            raise
        with self._lock:
            # one that began later may have ended before
            if number > self._installed:
                self._installed = number
                self._install(tables)
            return self.tables

    def _install(self, tables: dict[int, Table]) -> None:
        self.tables = tables
        for stream in self.streams:
            table = tables.get(stream.table.watch)
            if table is None:
                self._end(stream, "the table is no longer watched")
            elif table != stream.table:
                self._end(stream, table.reason or ShapeChangedError.reason)

    def begin(self, epoch: str, position: Snapshot, reason: str) -> None:
        """Start from ``position`` in the log of ``epoch``; streams that stood elsewhere end, for ``reason``."""
        with self._lock:
            for stream in self.streams:
                self._end(stream, reason)
            self.epoch, self.position = epoch, position
            self.ready.set()

    def dispatch(self, batch: Batch, connection: Connection | None = None) -> None:
        """Tell a batch, or a piece of one, to the streams it concerns; ``connection`` as for :meth:`refresh`."""
        by_watch: defaultdict[int, list[Change]] = defaultdict(list)
        for change in batch.changes:
            by_watch[change.watch].append(change)
        if any(change.kind == RESET for change in batch.changes):
            self.refresh(connection)
        with self._lock:
            for watch, changes in by_watch.items():
                self._tell(watch, changes, batch)
            if batch.complete:
                self.position = batch.upto

    def tick(self) -> None:
        """Move the windows whose time has come, and have rings that are silent give room to those that came since."""
        with self._lock:
            now, share = self._clock(), self._share()
            for stream in self.streams:
                stream.resize(share)
                # most do not move with a tick, and to make a filter costs a hundred times as much as to see that
                begin = stream.question.begin(now)
                if begin == stream.begin or self.position is None or self._is_set_back(stream, begin):
                    continue
                filter_, bound = stream.question.resolved(now)
                stream.begin = begin
                if bound is not None and bound != stream.bound:
                    index = self._indexes[stream.table.watch]
                    index.remove(stream.filter, stream)
                    index.add(filter_, stream)
                    stream.move(filter_, bound, self.position)

    def _is_set_back(self, stream: Stream, begin: datetime | None) -> bool:
        """Whether the clock was set back: a window never moves back. Ends the stream where that is more than a step.

        Its subscribers have dropped rows that the window would hold again, and no change of the log tells these.
        """
        last, before = stream.question.last, stream.begin
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
            told = self._told(self._indexes[watch], changes)
        except ShapeChangedError:
            # renamed or retyped a moment ago: the log will say so, but this change cannot be placed
            self.reset(watch, ShapeChangedError.reason)
            return
        share = self._share()
        for stream, events in told.items():
            stream.resize(share)
            for frame in frames(batch, events, stream.scope):
                stream.append(frame)

    def _share(self) -> int:
        """How many bytes each ring may hold, of all that there are now."""
        return max(FRAME_SIZE, min(self._ring, self._rings // max(1, len(self._streams))))

    def _told(self, index: FilterIndex[Stream], changes: Iterable[Change]) -> dict[Stream, list[Event]]:
        """The events of each stream that a change concerns. Streams with the same lens share them."""
        told: defaultdict[Stream, list[Event]] = defaultdict(list)
        for change in changes:
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
        watch, question = stream.table.watch, stream.question.canonical
        if self._streams.get((watch, question)) is stream:
            del self._streams[watch, question]
        self._indexes[watch].remove(stream.filter, stream)


def _concerned(index: FilterIndex[Stream], change: Change) -> Iterable[tuple[Stream, bool, bool]]:
    """The streams whose filter held the old row or holds the new one, with which of the two."""
    if change.kind == RESET:
        return []
    if change.kind == TRUNCATE:
        return [(stream, False, False) for stream in index]
    if index.takes_all:
        # most tables: to take a row's text apart would cost more than all else of its way
        return [(stream, change.old is not None, change.new is not None) for stream in index]
    was = set(index.candidates(change.old_members)) if change.old_members is not None else set()
    now = set(index.candidates(change.new_members)) if change.new_members is not None else set()
    return [(stream, stream in was, stream in now) for stream in was | now]
