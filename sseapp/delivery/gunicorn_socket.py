"""What is known of gunicorn's insides: how a stream leaves its worker, and what else is done with its socket.

gunicorn puts the client's socket into the WSGI environment, as ``gunicorn.socket``. A stream begins as any answer does:
a generator that gunicorn's greenlet writes out. When the client has caught up, the stream is **handed over**: the
broadcaster duplicates the socket's descriptor and watches the duplicate, and the generator raises
:exc:`~sseapp.errors.HandedOverError`, an ``OSError`` with ``ENOTCONN``. gunicorn takes that for a client that has gone:
it closes its own descriptor, logs nothing and ends the greenlet. The connection stays open, because the duplicate does.

That works where the bytes go to the socket as they are, so not with TLS and not with HTTP/2; and where one greenlet can
watch all sockets, so with gevent and ``epoll``. Everywhere else the generator goes on to the stream's end.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, Protocol

from sseapp import concurrency
from sseapp.delivery import socket_io
from sseapp.delivery.broadcaster import Broadcaster
from sseapp.delivery.client import Follower

_KEY = "gunicorn.socket"


class Stream(Follower, Protocol):
    """A subscription that answers a request."""

    occupies_host: bool

    def body(self, *, follow: Callable[[], Iterable[bytes]] | None = None) -> Iterator[bytes]: ...  # type: ignore[override]  # noqa: D102


def occupies_host(environ: Mapping[str, Any]) -> bool:
    """Whether the host keeps a stream to its end, because this connection cannot be handed over."""
    connection = environ.get(_KEY)
    is_plain = not isinstance(connection, ssl.SSLSocket)
    is_known = environ["SERVER_PROTOCOL"] in {"HTTP/1.0", "HTTP/1.1"}
    return connection is None or not (is_plain and is_known and concurrency.has_epoll())


def is_gone(environ: Mapping[str, Any]) -> bool:
    """Whether the client has closed the connection; false where the host does not show it."""
    connection = environ.get(_KEY)
    return connection is not None and concurrency.is_gone(connection.fileno())


def body(environ: Mapping[str, Any], stream: Stream, broadcaster: Broadcaster) -> Iterator[bytes]:
    """The stream's bytes. Where the connection can be handed over they end once the client has caught up."""
    connection = environ.get(_KEY)
    if connection is None:
        return stream.body()
    # a client that takes nothing would hold its greenlet for ever
    connection.settimeout(socket_io.STALL)
    concurrency.give_up_after(connection, socket_io.STALL)
    if stream.occupies_host:
        return stream.body()
    is_chunked = environ["SERVER_PROTOCOL"] == "HTTP/1.1"

    def hand_over() -> NoReturn:
        broadcaster.hand_over(connection.fileno(), stream, chunked=is_chunked)

    return _corked(connection, stream.body(follow=hand_over))


def _corked(connection: socket.socket, data: Iterator[bytes]) -> Iterator[bytes]:
    """``data`` until the client has caught up; the head and it share packets, as each one more costs 50 us."""
    concurrency.cork(connection, on=True)
    try:
        yield from data
    finally:
        concurrency.cork(connection, on=False)
