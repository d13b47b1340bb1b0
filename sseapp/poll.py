"""The JSON side: the rows now, and the long poll for changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic

from sseapp import changelog, snapshot
from sseapp.change import Event
from sseapp.channel import ResetError
from sseapp.cursor import Cursor, encode
from sseapp.errors import CursorGoneError, OverloadedError
from sseapp.hub import Stream
from sseapp.question import Question
from sseapp.replay import missed, opened
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
    cursor = opened(question.after, stream.scope)
    try:
        runtime.places.take(held=True)
    except OverloadedError:
        return _next(runtime, stream, question, cursor, is_gone, wait=0.0)
    try:
        return _next(runtime, stream, question, cursor, is_gone, wait=question.wait)
    finally:
        runtime.places.give_back(held=True)


def _next(
    runtime: Runtime, stream: Stream, question: Question, cursor: Cursor, is_gone: Callable[[], bool], *, wait: float
) -> str:
    """What comes after ``cursor``, as soon as anything does; nothing after ``wait`` seconds, or for one who is gone."""
    end = monotonic() + wait
    while True:
        position, filter_, _ = stream.note()
        found = missed(runtime.database, stream, filter_, cursor, limit=max(1, question.limit))
        if found.rest or found.new or found.more:
            break
        if stream.reason is not None:
            # nothing will come here any more
            raise ResetError(stream.reason)
        while not stream.wait(position, max(0.0, min(_LOOK, end - monotonic())), runtime.closing.is_set):
            if monotonic() >= end or is_gone():
                return _answer(stream, (), found.end)
        if runtime.closing.is_set():
            break
    return _answer(stream, (*found.rest, *found.new), found.end)


def _answer(stream: Stream, events: Iterable[Event], cursor: Cursor) -> str:
    told = ",".join(event.json for event in events)
    cursor_text = _cursor_text(encode(cursor, stream.scope))
    return f'{{"table":{name_text(str(stream.table))},"changes":[{told}],"cursor":{cursor_text}}}'


def _cursor_text(cursor: str | None) -> str:
    return "null" if cursor is None else name_text(cursor)
