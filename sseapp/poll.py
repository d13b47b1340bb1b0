"""The JSON side: the rows now, and the long poll for changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic

from sseapp import changelog, snapshot
from sseapp.change import Event
from sseapp.channel import ResetError
from sseapp.cursor import Cursor, encode
from sseapp.errors import CursorGoneError
from sseapp.hub import Stream
from sseapp.question import Question
from sseapp.replay import Missed, missed, opened
from sseapp.rowtext import name_text
from sseapp.runtime import Runtime
from sseapp.table import Table

_LOOK = 5.0  # seconds after which a client that waits is looked at


def rows(runtime: Runtime, path: str, args: Iterable[tuple[str, str]]) -> str:
    """The rows that the question takes, as JSON text, with the cursor that they stand at."""

    def read(table: Table, question: Question) -> str:
        filter_, _ = question.resolved(runtime.now())
        found = snapshot.read(runtime.database, table, question, filter_)
        cursor = encode(Cursor(found.upto), runtime.hub.scope(table, question))
        return snapshot.data(table, found, tail=f',"cursor":{_cursor_text(cursor)}')

    return runtime.asked(path, args, read)[1]


def changes(
    runtime: Runtime,
    path: str,
    args: Iterable[tuple[str, str]],
    is_gone: Callable[[], bool] = lambda: False,
) -> str:
    """The changes after the cursor ``after``, as JSON text: those there are, or the first that come within ``wait``.

    ``is_gone`` says whether the client no longer waits.
    """
    question, stream = runtime.asked(path, args, runtime.hub.join)
    try:
        return _changes(runtime, stream, question, is_gone)
    except ResetError as reset:
        raise CursorGoneError(reset.reason) from None
    finally:
        runtime.hub.leave(stream)


def _changes(runtime: Runtime, stream: Stream, question: Question, is_gone: Callable[[], bool]) -> str:
    if question.after is None:
        return _answer(stream, (), Cursor(runtime.database.run(changelog.position).upto))
    poll = _Poll(runtime, stream, question, opened(question.after, stream.scope))
    found = poll.read()
    if question.wait and not found:
        runtime.places.take(held=True)
        try:
            found = poll.wait(found, is_gone)
        finally:
            runtime.places.give_back(held=True)
    return _answer(stream, (*found.rest, *found.new), found.end)


class _Poll:
    """One request for what comes after ``cursor``."""

    def __init__(self, runtime: Runtime, stream: Stream, question: Question, cursor: Cursor) -> None:
        self._runtime = runtime
        self._stream = stream
        self._question = question
        self._cursor = cursor
        self._position = 0

    def read(self) -> Missed:
        """What has come. Those who stand at the same cursor share a read, and the ring's end that was noted before."""
        limit = max(1, self._question.limit)

        def read() -> tuple[int, Missed]:
            position, filter_, _ = self._stream.note()
            return position, missed(self._runtime.database, self._stream, filter_, self._cursor, limit=limit)

        self._position, found = self._stream.shared(("poll", self._question.after, limit), read)
        return found

    def wait(self, found: Missed, is_gone: Callable[[], bool]) -> Missed:
        """What comes first; the nothing that was ``found`` once the time is up, or where the client is gone."""
        end, is_closing = monotonic() + self._question.wait, self._runtime.closing.is_set
        while not found:
            if self._stream.reason is not None:
                # nothing will come here any more
                raise ResetError(self._stream.reason)
            if self._stream.wait(self._position, max(0.0, min(_LOOK, end - monotonic())), is_closing):
                if is_closing():
                    break
                found = self.read()
            elif monotonic() >= end or is_gone():
                break
        return found


def _answer(stream: Stream, events: Iterable[Event], cursor: Cursor) -> str:
    told = ",".join(event.json for event in events)
    cursor_text = _cursor_text(encode(cursor, stream.scope))
    return f'{{"table":{name_text(str(stream.table))},"changes":[{told}],"cursor":{cursor_text}}}'


def _cursor_text(cursor: str | None) -> str:
    return "null" if cursor is None else name_text(cursor)
