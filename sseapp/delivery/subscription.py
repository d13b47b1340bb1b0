"""One client's event stream: what it missed or a snapshot, then live, with heartbeats, to the bye."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Generic, TypeVar

from sseapp.backoff import jittered
from sseapp.delivery.progress import LogProgress, Progress
from sseapp.delivery.services import TRIES, Services
from sseapp.errors import OverloadedError, ShapeChangedError, SseappError, UnsettledError
from sseapp.events import sse
from sseapp.events.ring import FRAME_SIZE, OverrunError
from sseapp.live.channel import Channel, Reset, ResetError
from sseapp.live.replay import missed, opened
from sseapp.live.result import Result
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

    ``held`` says that the host holds the request for as long.

    Making one takes a place and joins a channel, so that an error of the request is raised before an answer begins;
    :meth:`close` gives both back, whether or not a frame was ever asked for.
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
        self.handed_over = False  # to whom it is handed over closes it
        self.occupies_host = occupies_host
        self._take_place()
        try:
            self._channel = self._joined()
        except BaseException:
            services.stream_limit.release(occupies_host=occupies_host)
            raise
        self.progress = Progress(self._channel)  # the broadcaster has those that are alike share one

    def _take_place(self) -> None:
        try:
            self._services.stream_limit.acquire(occupies_host=self.occupies_host)
        except OverloadedError:
            # a mistake is told in its stead: it would come back for ever
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

    def frames(
        self,
        *,
        follow: Callable[[], Iterable[bytes]] | None = None,
        reset: Reset | None = None,
    ) -> Iterator[bytes]:
        """The body of the answer, a piece at a time, to its end.

        ``follow`` takes over, once the client has caught up, what else is done here: it may end this by an error of its
        own. It calls this again with the ``reset`` that :meth:`~sseapp.delivery.progress.Progress.take` raised.
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
        """Count the client as one that was too slow for its ring; its cursor brings it back."""
        self._services.stream_limit.cut += 1
        _log.info("A client of %s was too slow for its ring and is cut.", self._path)

    def ending(self) -> bytes:
        """The last bytes before the server closes."""
        return bye(self._services.settings.retry)

    def _sessions(self, follow: Callable[[], Iterable[bytes]], reset: Reset | None) -> Iterator[bytes]:
        """Catch up and follow, again after each reset, until the process closes."""
        reason = None if reset is None else self._restart(reset)
        failures = 0
        while not self._services.closing.is_set():
            try:
                yield from self._enter(reason)
                failures = 0
                yield from follow()
            except (ResetError, ShapeChangedError) as error:
                failures += 1
                if failures > TRIES:
                    raise UnsettledError from None
                reason = self._restart(error)

    def _restart(self, error: Reset) -> str:
        """Join anew where the channel has ended; the reason to tell the client."""
        if self._channel.reason is not None or isinstance(error, ShapeChangedError):
            self._rejoin()
        return error.reason

    def _follow(self) -> Iterator[bytes]:
        """What comes, as it comes; and heartbeats while nothing is told."""
        closing, heartbeat = self._services.closing.is_set, self._services.settings.heartbeat
        while not closing():
            data = self.progress.take()
            if data:
                yield data
            elif (left := self.progress.told_at + heartbeat - monotonic()) <= 0:
                yield self.progress.heartbeat()
            else:
                self._channel.wait(self.progress.position, left, closing)

    def _rejoin(self) -> None:
        self._services.hub.refresh()
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
        """Bring the client up to a position of the channel; ``reason`` says why it starts again, if it does."""


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
            position, filter_, bound = stream.note()
            found = missed(self._services.database, stream, filter_, cursor, limit=self._services.settings.limit)
            if found.more:
                raise ResetError("more changes were missed than a snapshot is worth")
            first = b"" if bound is None else window(bound)
            return position, found.upto, bool(found.new), first + found.frames(stream.scope)

        position, upto, has_id, data = stream.shared(("replay", text), read)
        self._start_at(position, upto, has_id=has_id)
        return data

    def _snapshot(self, stream: Stream, reason: str | None) -> bytes:
        query = self._query  # the stream is shared with other orders and limits

        def read() -> tuple[int, Snapshot, bytes]:
            position, filter_, bound = stream.note()
            rows = snapshot_rows.read(self._services.database, stream.table, query, filter_)
            id_ = encode(Cursor(rows.upto), stream.scope)
            event = sse.event("snapshot", snapshot_rows.data(stream.table, rows), id=id_)
            return position, rows.upto, event + (b"" if bound is None else window(bound))

        position, upto, event = stream.shared(("snapshot", query.result_key), read)
        self._start_at(position, upto)
        return (b"" if reason is None else sse.event("reset", f'{{"reason":{json_string(reason)}}}')) + event

    def _now(self, stream: Stream) -> bytes:
        def read() -> tuple[int, str | None, Snapshot]:
            position, _, bound = stream.note()
            return position, bound, self._services.database.run(change_log.log_end).upto

        position, bound, upto = stream.shared("now", read)
        self._start_at(position, upto)
        id_ = encode(Cursor(upto), stream.scope)
        return (sse.HEARTBEAT if id_ is None else sse.id_only(id_)) + (b"" if bound is None else window(bound))

    def _start_at(self, position: int, upto: Snapshot, *, has_id: bool = True) -> None:
        self.progress = LogProgress(self._channel, position, self._services.hub, upto, has_id=has_id)


class RowsStream(Subscription[Result]):
    """The event stream of ``/tables/<table>/rows``: the whole result, at once and when a row in it changed."""

    __slots__ = ()

    def _join(self, table: Table, query: Query) -> Result:
        return self._services.results.join(table, query)

    def _leave(self, channel: Result) -> None:
        self._services.results.leave(channel)

    def _enter(self, reason: str | None) -> Iterator[bytes]:
        del reason  # the next whole result tells it all
        self.progress = Progress(self._channel)
        return iter(())


def pieces(data: bytes) -> Iterator[bytes]:
    """``data`` in pieces of a frame's size: a host gives a client so long for each that it writes, however large."""
    for begin in range(0, len(data), FRAME_SIZE):
        yield data[begin : begin + FRAME_SIZE]


def bye(retry: float) -> bytes:
    """The last event before the server closes; the jitter keeps all clients from coming back at once."""
    return sse.retry(round(1000 * jittered(retry)))[:-1] + sse.event("bye", "{}")


def refused_stream(error: SseappError, retry: float) -> bytes:
    """An answer to a stream that cannot be served now. Browsers give up for good on a 503, so it is a 200 that ends."""
    return sse.comment(error.detail) + sse.retry(round(1000 * jittered(2 * retry)))
