"""Live results: all rows of a query, read again when one of them changed; one read serves all who ask the same."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from time import monotonic

from sseapp import concurrency
from sseapp.backoff import Backoff
from sseapp.errors import OverrunError, ResetError, SseappError
from sseapp.events import rows_json, sse
from sseapp.events.ring import Frame
from sseapp.live.channel import Channel
from sseapp.live.hub import Hub
from sseapp.live.row_reader import RowReader
from sseapp.live.stream import Stream
from sseapp.log.cursor import Cursor, encode
from sseapp.postgres.snapshot_rows import Rows
from sseapp.query.query import Query
from sseapp.tables.column_types import column_type
from sseapp.tables.row_json import members
from sseapp.tables.table import Table

_log = logging.getLogger(__name__)
_LONG = 60.0  # seconds: it is woken for all it waits for; a thousand looking each second would take a fifth of a core


class LiveResult(Channel):
    """One query's result. Its ring holds the newest answer only: a slow client skips the answers in between."""

    def __init__(self, reader: RowReader, hub: Hub, closing: Callable[[], bool], table: Table, query: Query) -> None:
        super().__init__(limit=1)
        self.table = table
        self.query = query
        self._reader = reader
        self._hub = hub
        self._closing = closing
        self._stream: Stream | None = None

    def _frames(self, frame_number: int) -> list[Frame]:
        return self.ring.read(max(frame_number, self.ring.start))

    def leave(self) -> None:
        """Take one subscriber off; without any, :meth:`run` ends."""
        self.subscribers -= 1
        if not self.subscribers:
            self.wake()
            if self._stream is not None:
                self._stream.wake()

    def run(self) -> None:
        """Keep the answer current while there are subscribers."""
        backoff = Backoff()
        while not self._is_idle():
            try:
                stream = self._hub.join(self.table, self.query.changes_query)
                try:
                    self._follow(stream, backoff)
                finally:
                    self._hub.leave(stream)
            except ResetError as error:
                self.end(error.reason)
            except OverrunError:
                continue
            except SseappError as error:
                _log.warning("The live result of %s could not be read and is tried again: %s", self.table, error)
                self._sleep(backoff.delay())
            except Exception:  # noqa: BLE001  # logged, and its subscribers start again
                _log.exception("The live result of %s failed.", self.table)
                self._sleep(backoff.delay())
                self.end("the result could not be read")

    def _follow(self, stream: Stream, backoff: Backoff) -> None:
        self._stream = stream
        scope = self._hub.scope(self.table, self.query)
        if stream.reason is not None:
            # then the scope may be of another epoch
            raise ResetError(stream.reason)
        told = b""  # a digest: the text itself is in the ring
        while not self._is_idle():
            frame_number, filter_, _ = stream.note()
            rows = self._reader.read(self.table, self.query, filter_)
            backoff.reset()
            again = monotonic() + self.query.every
            data = rows_json.data(self.table, rows.rows, more=rows.more)
            if (digest := sha256(data.encode()).digest()) != told:
                event = sse.event("rows", data, id=encode(Cursor(rows.upto), scope))
                self.append(Frame(rows.upto, rows.upto, raw=event))
                told = digest
            del data
            self._await_change(stream, frame_number, rows)
            self._sleep(again - monotonic())

    def _await_change(self, stream: Stream, frame_number: int, rows: Rows) -> None:
        """Wait until a row of the result may have changed since it was read, or may have left the window."""
        seen, oldest = rows.upto, None
        while not self._is_idle():
            frames, frame_number = stream.read(frame_number)
            if any(not seen.sees(event.xid) for frame in frames for event in frame.events):
                return
            if any(frame.raw for frame in frames) and rows.rows:
                oldest = oldest or self._oldest(rows)
                filter_ = stream.filter
                if not set(filter_.columns) <= oldest.keys() or not filter_.matches(oldest):
                    return
            stream.wait(frame_number, _LONG, self._is_idle)

    def _oldest(self, rows: Rows) -> Mapping[str, str]:
        """The row that leaves a moving window first, where rows show the range column; else any row."""
        name = self.table.range or ""
        value = column_type(self.table.by_name[name]).value
        return min(map(members, rows.rows), key=lambda row: value(row[name]) if name in row else 0)

    def _sleep(self, seconds: float) -> None:
        with self.changed:
            self.changed.wait_for(self._is_idle, timeout=max(0.0, seconds))

    def _is_idle(self) -> bool:
        return not self.subscribers or self.reason is not None or self._closing()


class LiveResults:
    """All live results of a process."""

    def __init__(self, reader: RowReader, hub: Hub, closing: Callable[[], bool]) -> None:
        self._parts = reader, hub, closing
        self._lock = threading.Lock()
        self._results: dict[tuple[object, ...], LiveResult] = {}

    def join(self, table: Table, query: Query) -> LiveResult:
        """The result of ``query``, made where there is none yet."""
        key = _key(table, query)
        with self._lock:
            result = self._results.get(key)
            if result is None or result.reason is not None or not result.subscribers:
                result = self._results[key] = LiveResult(*self._parts, table, query)
                result.subscribers = 1
                concurrency.start("result", result.run)
            else:
                result.subscribers += 1
            return result

    def leave(self, result: LiveResult) -> None:
        """Take one subscriber off ``result``; without any it is forgotten."""
        with self._lock:
            result.leave()
            key = _key(result.table, result.query)
            if not result.subscribers and self._results.get(key) is result:
                del self._results[key]

    def wake(self) -> None:
        """Wake all who wait on a result."""
        for result in list(self._results.values()):
            result.wake()


def _key(table: Table, query: Query) -> tuple[object, ...]:
    return table, query.result_key, query.every
