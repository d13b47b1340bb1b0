"""The JSON answers: the rows now, and the long poll for changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from time import monotonic

from sseapp.delivery.services import Services
from sseapp.errors import CursorGoneError, ResetError
from sseapp.events.event import Event
from sseapp.live.replay import Missed, missed, opened
from sseapp.live.stream import Stream
from sseapp.log.cursor import Cursor, encode
from sseapp.postgres import change_log
from sseapp.query import after_key
from sseapp.query.query import Query
from sseapp.tables.row_json import json_string
from sseapp.tables.table import Table

_LOOK = 5.0  # seconds after which a client that waits is looked at


def rows(services: Services, path: str, args: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """The rows that the query takes, as the body of an answer in JSON, with their cursor. It comes piece by piece."""

    def read(table: Table, query: Query) -> Iterator[bytes]:
        filter_, _ = query.filter_at(services.now())
        return services.snapshots.answer(table, query, filter_, services.hub.scope(table, query))

    return services.asked(path, args, read)[1]


def changes(
    services: Services,
    path: str,
    args: Iterable[tuple[str, str]],
    is_gone: Callable[[], bool] = lambda: False,
) -> str:
    """The changes after the cursor ``after``, as JSON text: those there are, or the first that come within ``wait``.

    ``is_gone`` says whether the client no longer waits.
    """

    def join(table: Table, query: Query) -> Stream:
        after_key.refuse(query.after_key)
        return services.hub.join(table, query)

    query, stream = services.asked(path, args, join)
    try:
        return _changes(services, stream, query, is_gone)
    except ResetError as reset:
        raise CursorGoneError(reset.reason) from None
    finally:
        services.hub.leave(stream)


def _changes(services: Services, stream: Stream, query: Query, is_gone: Callable[[], bool]) -> str:
    if query.after is None:
        return _answer(stream, (), frozenset(), Cursor(services.database.run(change_log.log_end).upto))
    poll = _Poll(services, stream, query, opened(query.after, stream.scope))
    found = poll.read()
    if query.wait and not found:
        services.stream_limit.acquire(occupies_host=True)
        try:
            found = poll.wait(found, is_gone)
        finally:
            services.stream_limit.release(occupies_host=True)
    events, end = found.told(max(1, query.limit))
    return _answer(stream, events, found.ends, end)


class _Poll:
    """One request for what comes after ``cursor``."""

    def __init__(self, services: Services, stream: Stream, query: Query, cursor: Cursor) -> None:
        self._services = services
        self._stream = stream
        self._query = query
        self._cursor = cursor
        self._frame_number = 0

    def read(self) -> Missed:
        """What has come. Those with the same cursor share a read, and the ring's end that was noted before it."""
        limit = max(1, self._query.limit)

        def read() -> tuple[int, Missed]:
            database, stream = self._services.database, self._stream
            frame_number, filter_, _ = stream.note()
            # one more than is told: it says whether the last of these ends its transaction
            found = missed(database, stream, filter_, self._cursor, limit=limit + 1)
            while found.held.events and not (found.rest or found.new):
                # whether these are the last of their transaction is known further on
                found = missed(database, stream, filter_, found.end, limit=limit, held=found.held)
            return frame_number, found

        self._frame_number, found = self._stream.reads.do(("poll", self._query.after, limit), read)
        return found

    def wait(self, found: Missed, is_gone: Callable[[], bool]) -> Missed:
        """The first changes that come; ``found``, which is empty, once the time is up or the client is gone."""
        end, is_closing = monotonic() + self._query.wait, self._services.closing.is_set
        while not found:
            if self._stream.reason is not None:
                # the stream has ended: nothing more comes here
                raise ResetError(self._stream.reason)
            if self._stream.wait(self._frame_number, max(0.0, min(_LOOK, end - monotonic())), is_closing):
                if is_closing():
                    break
                found = self.read()
            elif monotonic() >= end or is_gone():
                break
        return found


def _answer(stream: Stream, events: Iterable[Event], ends: Collection[int], cursor: Cursor) -> str:
    told = ",".join(event.json(is_end=event.number in ends) for event in events)
    cursor_text = _cursor_text(encode(cursor, stream.scope))
    return f'{{"table":{json_string(str(stream.table))},"changes":[{told}],"cursor":{cursor_text}}}'


def _cursor_text(cursor: str | None) -> str:
    return "null" if cursor is None else json_string(cursor)
