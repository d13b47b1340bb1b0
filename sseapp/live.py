"""Live results: the whole answer to a question, read again when a row in it changed; one query serves all who ask."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING

from sseapp import concurrency, snapshot, sse
from sseapp.backoff import Backoff
from sseapp.channel import Channel, ResetError
from sseapp.cursor import Cursor, encode
from sseapp.errors import ShapeChangedError, SseappError
from sseapp.hub import Stream
from sseapp.question import Question
from sseapp.ring import Frame, OverrunError
from sseapp.rowtext import members
from sseapp.snapshot import Rows
from sseapp.table import Table
from sseapp.values import column_type

if TYPE_CHECKING:  # it holds the results
    from sseapp.runtime import Runtime

_log = logging.getLogger(__name__)
_LONG = 60.0  # seconds: it is woken for all it waits for, a thousand that look each second would cost a fifth of a core


class Result(Channel):
    """One question's result. Its ring holds the newest answer only: who is slow skips the ones between."""

    def __init__(self, runtime: Runtime, table: Table, question: Question) -> None:
        super().__init__(limit=1)
        self.table = table
        self.question = question
        self.queries = 0
        self._runtime = runtime
        self._stream: Stream | None = None

    def _frames(self, position: int) -> list[Frame]:
        return self.ring.read(max(position, self.ring.start))

    def leave(self) -> None:
        """One subscriber less; what runs for the last one ends."""
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
                stream = self._runtime.hub.join(self.table, self.question.heard)
                try:
                    self._follow(stream, backoff)
                finally:
                    self._runtime.hub.leave(stream)
            except (ResetError, ShapeChangedError) as error:
                self.end(error.reason)
            except OverrunError:
                continue
            except SseappError as error:
                _log.warning("The live result of %s could not be read and is tried again: %s", self.table, error.detail)
                self._sleep(backoff.delay())
            except Exception:  # noqa: BLE001  # logged, and its subscribers start again
                _log.exception("The live result of %s failed.", self.table)
                self._sleep(backoff.delay())
                self.end("the result could not be read")

    def _follow(self, stream: Stream, backoff: Backoff) -> None:
        self._stream = stream
        scope = self._runtime.hub.scope(self.table, self.question)
        if stream.reason is not None:
            # so the scope may be of another epoch
            raise ResetError(stream.reason)
        told = ""
        while not self._is_idle():
            position, filter_, _ = stream.note()
            rows = snapshot.read(self._runtime.database, self.table, self.question, filter_)
            self.queries += 1
            backoff.reset()
            again = monotonic() + self.question.every
            data = snapshot.data(self.table, rows)
            if data != told:
                event = sse.event("rows", data, id=encode(Cursor(rows.upto), scope))
                self.append(Frame(rows.upto, rows.upto, raw=event))
                told = data
            self._await_change(stream, position, rows)
            self._sleep(again - monotonic())

    def _await_change(self, stream: Stream, position: int, rows: Rows) -> None:
        """Return once a row of the result may have changed since it was read, or may have left the window."""
        seen, oldest = rows.upto, None
        while not self._is_idle():
            frames, position = stream.read(position)
            if any(not seen.sees(event.xid) for frame in frames for event in frame.events):
                return
            if any(frame.raw for frame in frames) and rows.rows:
                oldest = oldest or self._oldest(rows)
                filter_ = stream.filter
                if not set(filter_.columns) <= oldest.keys() or not filter_.matches(oldest):
                    return
            stream.wait(position, _LONG, self._is_idle)

    def _oldest(self, rows: Rows) -> Mapping[str, str]:
        """The row that leaves a moving window first, of rows that show the range column; else any row."""
        name = self.table.range or ""
        value = column_type(self.table.by_name[name]).value
        return min(map(members, rows.rows), key=lambda row: value(row[name]) if name in row else 0)

    def _sleep(self, seconds: float) -> None:
        with self.changed:
            self.changed.wait_for(self._is_idle, timeout=max(0.0, seconds))

    def _is_idle(self) -> bool:
        return not self.subscribers or self.reason is not None or self._runtime.closing.is_set()


class Results:
    """All live results of a process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._results: dict[tuple[object, ...], Result] = {}

    def join(self, table: Table, question: Question) -> Result:
        """The result of ``question``, made where nobody asks for it yet."""
        key = _key(table, question)
        with self._lock:
            result = self._results.get(key)
            if result is None or result.reason is not None or not result.subscribers:
                result = self._results[key] = Result(self._runtime, table, question)
                result.subscribers = 1
                concurrency.start("result", result.run)
            else:
                result.subscribers += 1
            return result

    def leave(self, result: Result) -> None:
        """Say that one subscriber is gone; with the last one the result goes."""
        with self._lock:
            result.leave()
            key = _key(result.table, result.question)
            if not result.subscribers and self._results.get(key) is result:
                del self._results[key]

    def wake(self) -> None:
        """Wake all who wait on a result."""
        for result in list(self._results.values()):
            result.wake()


def _key(table: Table, question: Question) -> tuple[object, ...]:
    return table, question.result, question.every
