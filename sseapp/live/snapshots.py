"""The snapshots that are being read in a process, and how many clients read each: see :mod:`sseapp.live.spool`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import TypeAlias

from sseapp import concurrency
from sseapp.errors import OverloadedError, SseappError, UnavailableError
from sseapp.events import rows_json
from sseapp.live.row_reader import RowReader
from sseapp.live.spool import Spool
from sseapp.live.stream import Stream
from sseapp.log.cursor import Cursor, Scope, Snapshot, encode
from sseapp.query.filters import Filter
from sseapp.query.query import Query
from sseapp.tables.table import Table

_log = logging.getLogger(__name__)
_SHORT = 16  # pages: a snapshot that has more is a long one
_Encode: TypeAlias = Callable[[Snapshot, Iterable[list[str]]], Iterator[bytes]]


class Snapshots:
    """Reads snapshots with ``reader``, beside everything else. Of long ones ``most_long`` may be read at once.

    Each takes a connection of the pool while it is read, and others need some, too: past that number a long snapshot
    is refused, and its clients come back.
    """

    def __init__(
        self,
        reader: RowReader,
        *,
        most_long: int,
        start: Callable[[str, Callable[[], None]], object] = concurrency.start,
    ) -> None:
        self._reader = reader
        self._start = start
        self._long = threading.BoundedSemaphore(most_long)
        self._lock = threading.Lock()
        self._open: dict[tuple[Stream, str, bool], Spool] = {}

    def join(self, stream: Stream, query: Query) -> Spool:
        """The snapshot of ``query`` that is being read, or a new one; whoever has read it calls :meth:`leave`.

        ``query`` is the stream's, but for its order and limit.
        """
        with self._lock:
            spool = self._open.get(_key(stream, query))
            if spool is not None and spool.is_open and spool.readers:
                spool.readers += 1
                return spool
            # noted BEFORE the read: what commits in between is in the ring, in the rows or in both
            frame_number, filter_, bound = stream.note()
            spool = self._open[_key(stream, query)] = Spool(frame_number, bound)
            # before the read begins: without readers it would end at once
            spool.readers = 1

        def encoded(upto: Snapshot, pages: Iterable[list[str]]) -> Iterator[bytes]:
            events = rows_json.Snapshot(stream.table, encode(Cursor(upto), stream.scope))
            return events.whole(pages) if query.whole else events.limited(pages, query.limit)

        self._begin(spool, stream.table, query, filter_, encoded, whole=query.whole)
        return spool

    def leave(self, stream: Stream, query: Query, spool: Spool) -> None:
        """Take one reader off ``spool``; without any it is closed."""
        with self._lock:
            if self._open.get(_key(stream, query)) is spool and not (spool.readers > 1 and spool.is_open):
                del self._open[_key(stream, query)]
        self._release(spool)

    def answer(self, table: Table, query: Query, filter_: Filter, scope: Scope) -> Iterator[bytes]:
        """The rows as the body of an answer, not shared. An error is raised before the first of it."""

        def encoded(upto: Snapshot, pages: Iterable[list[str]]) -> Iterator[bytes]:
            cursor = encode(Cursor(upto), scope)
            return rows_json.answer(table, pages, query.limit, cursor=cursor)

        spool = Spool()
        spool.readers = 1
        self._begin(spool, table, query, filter_, encoded, whole=False)
        try:
            first = spool.read(0)
        except BaseException:
            self._release(spool)
            raise
        return self._rest(spool, *first)

    def _rest(self, spool: Spool, chunk: bytes, is_last: bool) -> Iterator[bytes]:
        try:
            offset = len(chunk)
            yield chunk
            while not is_last:
                chunk, is_last = spool.read(offset)
                offset += len(chunk)
                yield chunk
        finally:
            self._release(spool)

    def _release(self, spool: Spool) -> None:
        with self._lock:
            spool.readers -= 1
            if not spool.readers:
                spool.close()

    def _begin(
        self, spool: Spool, table: Table, query: Query, filter_: Filter, encoded: _Encode, *, whole: bool
    ) -> None:
        def read() -> None:
            try:
                with self._reader.pages(table, query, filter_, whole=whole) as pages:
                    spool.upto = pages.upto
                    with closing(self._counted(pages)) as counted:
                        is_whole = spool.fill(encoded(pages.upto, counted))
                    # nobody reads what was given up
                    spool.end(None if is_whole else UnavailableError())
            except SseappError as error:
                spool.end(error)
            except BaseException:  # noqa: BLE001  # logged; its readers must not wait for ever
                _log.exception("A snapshot of %s could not be read.", table)
                spool.end(UnavailableError())

        self._start("snapshot", read)

    def _counted(self, pages: Iterable[list[str]]) -> Generator[list[str], None, None]:
        """``pages``, where there may be so many."""
        is_long = False
        try:
            for number, page in enumerate(pages):
                if number == _SHORT:
                    is_long = self._long.acquire(blocking=False)
                    if not is_long:
                        raise OverloadedError("Too many long snapshots are being read; try again.")
                yield page
        finally:
            if is_long:
                self._long.release()


def _key(stream: Stream, query: Query) -> tuple[Stream, str, bool]:
    return stream, query.result_key, query.whole
