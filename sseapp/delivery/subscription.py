"""One client's event stream: a snapshot or what it missed, then live changes, heartbeats, and a bye at the end."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Generic, TypeVar

from sseapp.backoff import jittered
from sseapp.delivery.progress import Progress
from sseapp.delivery.services import TRIES, Services
from sseapp.delivery.socket_io import STALL
from sseapp.errors import (
    OverloadedError,
    OverrunError,
    ResetError,
    ShapeChangedError,
    SseappError,
    UnsettledError,
)
from sseapp.events import sse
from sseapp.events.ring import FRAME_SIZE
from sseapp.live.channel import Channel
from sseapp.query import after_key
from sseapp.query.query import Query
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
        "_begun",
        "_channel",
        "_closed",
        "_path",
        "_query",
        "_services",
        "_unsent",
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
        self._unsent = b""  # what an error kept from being sent, and must not be lost
        self._begun = b""  # what is sent with the first byte
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
        self, *, follow: Callable[[], Iterable[bytes]] | None = None, error: ResetError | OverrunError | None = None
    ) -> Iterator[bytes]:
        """The body of the answer, a piece at a time, to its end.

        ``follow`` brings the live part, once the client has caught up; it may end this by an error of its own. Then
        this is called once more with the ``error`` that :meth:`~sseapp.delivery.progress.Progress.take` raises.
        """
        retry, begun = self._services.settings.retry, error is not None
        at_end_of_event = True
        if not begun:
            yield sse.retry(round(retry * 1000)) + self._begun
        try:
            for data in self._sessions(follow or self._follow, error):
                for piece in pieces(data):
                    yield piece
                    begun, at_end_of_event = True, piece.endswith(b"\n\n")
            yield self.ending()
        except SseappError as failure:
            if not begun:
                yield refused_stream(failure, retry)
            elif at_end_of_event:
                yield self._unsent + sse.comment(failure.detail) + self.ending()

    def state(self) -> bytes:
        """What tells the client the state, if it does not know of it."""
        return self.progress.state(self._services.state) if self._lacks_state() else b""

    def cut(self) -> None:
        """Count and log that the client has taken nothing for too long. Its cursor brings it back."""
        self._services.stream_limit.cut += 1
        _log.info("A client of %s has taken nothing for %g s and is cut.", self._path, STALL)

    def ending(self) -> bytes:
        """The last bytes before the server closes."""
        return bye(self._services.settings.retry)

    def _sessions(
        self, follow: Callable[[], Iterable[bytes]], error: ResetError | OverrunError | None
    ) -> Iterator[bytes]:
        """Catch up and follow, again after each reset or overrun, until the process closes."""
        closing = self._services.closing.is_set
        failures = 0
        reason = self._restart(error)
        while not closing():
            try:
                yield from self._enter(reason)
                if closing():
                    break
                yield self.state()
                failures = 0
                yield from follow()
            except (ResetError, OverrunError) as raised:
                failures += 1
                if failures > TRIES:
                    raise UnsettledError from None
                reason = self._restart(raised)

    def _restart(self, error: ResetError | OverrunError | None) -> str | None:
        """Join anew where the channel has ended; the reason to tell the client, where its rows are to be discarded."""
        if not isinstance(error, ResetError):
            return None
        if self._channel.reason is not None or isinstance(error, ShapeChangedError):
            try:
                self._rejoin()
            except SseappError:
                self._unsent = self._discard(error.reason)
                raise
        return error.reason

    def _discard(self, reason: str) -> bytes:  # noqa: ARG002  # only changes have something to say
        """What tells the client to discard its rows, though no others follow."""
        return b""

    def _follow(self) -> Iterator[bytes]:
        """What comes, as it comes; and heartbeats while nothing does."""
        closing, heartbeat = self._services.closing.is_set, self._services.settings.heartbeat
        while not closing():
            data = self.progress.take()
            if data:
                yield data
            elif (left := self.progress.told_at + heartbeat - monotonic()) <= 0 or self._lacks_state():
                yield self.progress.heartbeat(self._services.state)
            else:
                self._channel.wait(self.progress.frame_number, left, lambda: closing() or self._lacks_state())

    def _lacks_state(self) -> bool:
        return self.progress.lacks(self._services.state)

    def _rejoin(self) -> None:
        self._services.registry.refresh()
        channel = self._joined()
        self._leave(self._channel)
        self._channel = channel

    def _joined(self) -> AnyChannel:
        """Join the channel of the query, by the tables as they are now."""
        self._query, channel = self._services.asked(self._path, self._args, self._checked)
        return channel

    def _checked(self, table: Table, query: Query) -> AnyChannel:
        after_key.refuse(query.after_key)
        return self._join(table, query)

    @abstractmethod
    def _join(self, table: Table, query: Query) -> AnyChannel: ...

    @abstractmethod
    def _leave(self, channel: AnyChannel) -> None: ...

    @abstractmethod
    def _enter(self, reason: str | None) -> Iterator[bytes]:
        """Bring the client up to a frame of the channel; ``reason`` says why it starts again, if it does."""


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
