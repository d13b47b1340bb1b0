"""Live results: the whole answer to a question, read again when a row in it changed; one query serves all who ask."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING

from sseapp import concurrency, snapshot, sse
from sseapp.backoff import Backoff
from sseapp.channel import Channel, ResetError
from sseapp.cursor import Cursor, Snapshot, encode
from sseapp.errors import ShapeChangedError, SseappError
from sseapp.hub import SHAPE_CHANGED, Stream
from sseapp.question import Question
from sseapp.ring import Frame, OverrunError
from sseapp.table import Table

if TYPE_CHECKING:  # it holds the results
    from sseapp.runtime import Runtime

_log = logging.getLogger(__name__)


class Result(Channel):
    """One question's result. Its ring holds the newest answer only: who is slow skips the ones between."""

    def __init__(self, runtime: Runtime, table: Table, question: Question) -> None:
        super().__init__(limit=1)
        self.table = table
        self.question = question
        self.queries = 0
        self._runtime = runtime

    def _frames(self, position: int) -> list[Frame]:
        return self.ring.read(max(position, self.ring.start))

    def run(self) -> None:
        """Keep the answer current while there are subscribers."""
        backoff = Backoff()
        while not self._is_idle():
            try:
                stream = self._runtime.hub.join(self.table, self.question)
                try:
                    self._follow(stream, backoff)
                finally:
                    self._runtime.hub.leave(stream)
            except ResetError as reset:
                self.end(reset.reason)
            except ShapeChangedError:
                self.end(SHAPE_CHANGED)
            except OverrunError:
                continue
            except SseappError as error:
                _log.warning("The live result of %s could not be read and is tried again: %s", self.table, error.detail)
                self._sleep(backoff.delay())

    def _follow(self, stream: Stream, backoff: Backoff) -> None:
        while not self._is_idle():
            position, filter_, _ = stream.note()
            rows = snapshot.read(self._runtime.database, self.table, self.question, filter_)
            self.queries += 1
            backoff.reset()
            again = monotonic() + self.question.every
            event = sse.event("rows", snapshot.data(self.table, rows), id=encode(Cursor(rows.upto), stream.scope))
            self.append(Frame(rows.upto, rows.upto, raw=event))
            self._await_change(stream, position, rows.upto)
            self._sleep(again - monotonic())

    def _await_change(self, stream: Stream, position: int, seen: Snapshot) -> None:
        """Return once a row of the result has changed since ``seen``, or may have left a window that moved."""
        while not self._is_idle():
            frames, position = stream.read(position)
            if any(frame.raw or any(not seen.sees(event.xid) for event in frame.events) for frame in frames):
                return
            stream.wait(position, 1.0, self._is_idle)

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
        key = (table, question.result, question.every)
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
            result.subscribers -= 1
            if not result.subscribers:
                self._results = {key: value for key, value in self._results.items() if value is not result}
        result.wake()

    def wake(self) -> None:
        """Wake all who wait on a result."""
        for result in list(self._results.values()):
            result.wake()
