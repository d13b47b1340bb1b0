"""One client's event stream: a snapshot or what it missed, then live changes, heartbeats, and a bye at the end."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Generic, TypeVar

from sseapp.backoff import jittered
from sseapp.delivery.progress import LogProgress, Progress
from sseapp.delivery.services import TRIES, Services
from sseapp.errors import OverloadedError, OverrunError, ResetError, ShapeChangedError, SseappError, UnsettledError
from sseapp.events import sse
from sseapp.events.ring import FRAME_SIZE
from sseapp.live.channel import Channel
from sseapp.live.replay import missed, opened
from sseapp.live.result import LiveResult
from sseapp.live.stream import Stream, window
from sseapp.log.cursor import Cursor, Snapshot, encode
from sseapp.postgres import change_log, snapshot_rows
from sseapp.query.query import Query
from sseapp.tables.row_json import json_string
from sseapp.tables.table import Table

_log = logging.getLogger(__name__)
AnyChannel = TypeVar("AnyChannel", bound=Channel)


class Subscription(ABC, Generic[AnyChannel]):
    """An event stream about the table that ``path`` names, for one client; ``args`` are the request's parameters.

    ``occupies_host`` says that the host keeps the request to the stream's end.

    Making one takes a stream slot and joins a channel, so that an error of the request is raised before an answer
    begins; :meth:`close` gives both back, whether or not the body was ever asked for.
    """

    __slots__ = (
        "_args",
        "_channel",
        "_closed",
        "_path",
        "_query",
        "_services",
        "handed_over",
        "occupies_host",
        "progress",
    )

    def __init__(
        self, services: Services, path: str, args: Iterable[tuple[str, str]], *, occupies_host: bool = False
    ) -> None:
        self._services = services
        self._path = path
        self._args = tuple(args)
        self._closed = False
        self.handed_over = False  # whoever it is handed over to closes it
        self.occupies_host = occupies_host
        self._take_slot()
        try:
            self._channel = self._joined()
        except BaseException:
            services.stream_limit.release(occupies_host=occupies_host)
            raise
        self.progress = Progress(self._channel)  # the broadcaster has clients at the same point share one

    def _take_slot(self) -> None:
        try:
            self._services.stream_limit.acquire(occupies_host=self.occupies_host)
        except OverloadedError:
            # report a bad request first; otherwise the client retries it forever
            self._services.query(self._path, self._args)
            raise

    @property
    def channel(self) -> AnyChannel:
        """What it follows now."""
        return self._channel

    def close(self) -> None:
        """Leave; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._leave(self._channel)
            self._services.stream_limit.release(occupies_host=self.occupies_host)

    def body(
        self, *, follow: Callable[[], Iterable[bytes]] | None = None, reset: ResetError | None = None
    ) -> Iterator[bytes]:
        """The body of the answer, a piece at a time, to its end.

        ``follow`` brings the live part, once the client has caught up; it may end this by an error of its own. Then
        this is called once more with the ``reset`` that :meth:`~sseapp.delivery.progress.Progress.take` raises.
        """
        retry, begun = self._services.settings.retry, reset is not None
        if not begun:
            yield sse.retry(round(retry * 1000))
        try:
            for data in self._sessions(follow or self._follow, reset):
                yield from pieces(data)
                begun = True
            yield self.ending()
        except OverrunError:
            self.cut()
        except SseappError as error:
            yield (sse.comment(error.detail) + self.ending()) if begun else refused_stream(error, retry)

    def cut(self) -> None:
        """Count and log that the client was too slow for its ring. Its cursor brings it back."""
        self._services.stream_limit.cut += 1
        _log.info("A client of %s was too slow for its ring and is cut.", self._path)

    def ending(self) -> bytes:
        """The last bytes before the server closes."""
        return bye(self._services.settings.retry)

    def _sessions(self, follow: Callable[[], Iterable[bytes]], reset: ResetError | None) -> Iterator[bytes]:
        """Catch up and follow, again after each reset, until the process closes."""
        reason = None if reset is None else self._restart(reset)
        failures = 0
        while not self._services.closing.is_set():
            try:
                yield from self._enter(reason)
                failures = 0
                yield from follow()
            except ResetError as error:
                failures += 1
                if failures > TRIES:
                    raise UnsettledError from None
                reason = self._restart(error)

    def _restart(self, error: ResetError) -> str:
        """Join anew where the channel has ended; the reason to tell the client."""
        if self._channel.reason is not None or isinstance(error, ShapeChangedError):
            self._rejoin()
        return error.reason

    def _follow(self) -> Iterator[bytes]:
        """What comes, as it comes; and heartbeats while nothing does."""
        closing, heartbeat = self._services.closing.is_set, self._services.settings.heartbeat
        while not closing():
            data = self.progress.take()
            if data:
                yield data
            elif (left := self.progress.told_at + heartbeat - monotonic()) <= 0:
                yield self.progress.heartbeat()
            else:
                self._channel.wait(self.progress.frame_number, left, closing)

    def _rejoin(self) -> None:
        self._services.registry.refresh()
        channel = self._joined()
        self._leave(self._channel)
        self._channel = channel

    def _joined(self) -> AnyChannel:
        """Join the channel of the query, by the tables as they are now."""
        self._query, channel = self._services.asked(self._path, self._args, self._join)
        return channel

    @abstractmethod
    def _join(self, table: Table, query: Query) -> AnyChannel: ...

    @abstractmethod
    def _leave(self, channel: AnyChannel) -> None: ...

    @abstractmethod
    def _enter(self, reason: str | None) -> Iterator[bytes]:
        """Bring the client up to a frame of the channel; ``reason`` says why it starts again, if it does."""


class ChangesStream(Subscription[Stream]):
    """The event stream of ``/tables/<table>/changes``. ``last_event_id`` is what the client says it saw last."""

    __slots__ = ("_cursor", "_informed")

    def __init__(
        self,
        services: Services,
        path: str,
        args: Iterable[tuple[str, str]],
        last_event_id: str | None = None,
        *,
        occupies_host: bool = False,
    ) -> None:
        super().__init__(services, path, args, occupies_host=occupies_host)
        self._cursor = last_event_id or self._query.after
        self._informed = self._cursor is not None  # whether the client holds rows that a reset has to take back

    def _join(self, table: Table, query: Query) -> Stream:
        return self._services.hub.join(table, query)

    def _leave(self, channel: Stream) -> None:
        self._services.hub.leave(channel)

    def _enter(self, reason: str | None) -> Iterator[bytes]:
        stream, cursor = self._channel, self._cursor
        self._cursor = None
        if cursor is not None and reason is None:
            yield self._replay(stream, opened(cursor, stream.scope), cursor)
        elif self._query.snapshot or (reason is not None and self._informed):
            yield self._snapshot(stream, reason if self._informed else None)
        else:
            yield self._now(stream)
        self._informed = True

    def _replay(self, stream: Stream, cursor: Cursor, text: str) -> bytes:
        def read() -> tuple[int, Snapshot, bool, bytes]:
            # the ring's end is noted BEFORE the read: what commits in between is in one or in both, never in neither
            frame_number, filter_, bound = stream.note()
            found = missed(self._services.database, stream, filter_, cursor, limit=self._services.settings.limit)
            if found.more:
                raise ResetError("more changes were missed than a snapshot is worth")
            first = b"" if bound is None else window(bound)
            return frame_number, found.upto, bool(found.new), first + found.encoded(stream.scope)

        frame_number, upto, has_id, data = stream.reads.do(("replay", text), read)
        self._start_at(frame_number, upto, has_id=has_id)
        return data

    def _snapshot(self, stream: Stream, reason: str | None) -> bytes:
        query = self._query  # the stream is shared with other orders and limits

        def read() -> tuple[int, Snapshot, bytes]:
            frame_number, filter_, bound = stream.note()
            rows = snapshot_rows.read(self._services.database, stream.table, query, filter_)
            id_ = encode(Cursor(rows.upto), stream.scope)
            event = sse.event("snapshot", snapshot_rows.data(stream.table, rows), id=id_)
            return frame_number, rows.upto, event + (b"" if bound is None else window(bound))

        frame_number, upto, event = stream.reads.do(("snapshot", query.result_key), read)
        self._start_at(frame_number, upto)
        return (b"" if reason is None else sse.event("reset", f'{{"reason":{json_string(reason)}}}')) + event

    def _now(self, stream: Stream) -> bytes:
        def read() -> tuple[int, str | None, Snapshot]:
            frame_number, _, bound = stream.note()
            return frame_number, bound, self._services.database.run(change_log.log_end).upto

        frame_number, bound, upto = stream.reads.do("now", read)
        self._start_at(frame_number, upto)
        id_ = encode(Cursor(upto), stream.scope)
        return (sse.HEARTBEAT if id_ is None else sse.id_only(id_)) + (b"" if bound is None else window(bound))

    def _start_at(self, frame_number: int, upto: Snapshot, *, has_id: bool = True) -> None:
        self.progress = LogProgress(self._channel, frame_number, self._services.hub, upto, has_id=has_id)


class RowsStream(Subscription[LiveResult]):
    """The event stream of ``/tables/<table>/rows``: the whole result, now and each time a row in it changed."""

    __slots__ = ()

    def _join(self, table: Table, query: Query) -> LiveResult:
        return self._services.results.join(table, query)

    def _leave(self, channel: LiveResult) -> None:
        self._services.results.leave(channel)

    def _enter(self, reason: str | None) -> Iterator[bytes]:
        del reason  # the next result holds everything
        self.progress = Progress(self._channel)
        return iter(())


def pieces(data: bytes) -> Iterator[bytes]:
    """``data`` in pieces of a frame's size: a host gives a client the same time for each piece, however large."""
    for begin in range(0, len(data), FRAME_SIZE):
        yield data[begin : begin + FRAME_SIZE]


def bye(retry: float) -> bytes:
    """The last event before the server closes; the jitter keeps all clients from coming back at once."""
    return sse.retry(round(1000 * jittered(retry)))[:-1] + sse.event("bye", "{}")


def refused_stream(error: SseappError, retry: float) -> bytes:
    """The body for a stream that cannot be served now. A browser gives up for good on a 503, so this is a 200."""
    return sse.comment(error.detail) + sse.retry(round(1000 * jittered(2 * retry)))
