"""A front before a server, for a browser: it serves pages of its own, cuts, refuses, and counts streams."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from harness.sse import Address

_PIECE = 65_536
_STREAM = b"text/event-stream"


class Front:
    """Listens on 127.0.0.1 and forwards to ``upstream``, one connection for each request."""

    def __init__(self, upstream: Address) -> None:
        self.upstream = upstream
        self.pages: dict[str, str] = {}  # path -> HTML
        self.answer: Callable[[str, bool], tuple[int, str] | None] = lambda _path, _is_stream: None
        """Given a path and whether a stream is asked for: the status and headers to answer with, None to forward."""
        self.stall = False
        """Whether streams are accepted and never answered, as by a front that holds them back."""
        self.asked: list[str] = []
        """The heads of the requests so far."""
        self._streams: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address: Address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def streams(self) -> int:
        """Open streams."""
        return len(self._streams)

    def cut(self) -> None:
        """Cut all streams, in the middle of whatever they are sending."""
        for client in list(self._streams):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = _head(client)
            if not head:
                return
            path = head.split(b" ")[1].decode()
            is_stream = _STREAM in head
            self.asked.append(head.decode("latin-1"))
            page, answer = self.pages.get(path.partition("?")[0]), self.answer(path, is_stream)
            if page is not None:
                client.sendall(_response("200 OK", "Content-Type: text/html; charset=utf-8", page))
            elif answer is not None:
                client.sendall(_response(f"{answer[0]} Answer", answer[1], ""))
            else:
                self._forward(client, head, is_stream=is_stream)

    def _forward(self, client: socket.socket, head: bytes, *, is_stream: bool) -> None:
        if is_stream:
            self._streams.add(client)
        try:
            if is_stream and self.stall:
                client.recv(1)
                return
            with socket.create_connection(self.upstream) as server:
                server.sendall(_closing(head))
                threading.Thread(target=_end_with, args=(client, server), daemon=True).start()
                while piece := server.recv(_PIECE):
                    client.sendall(piece)
        finally:
            self._streams.discard(client)


def _head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(_PIECE)
        if not piece:
            return b""
        head += piece
    return head


def _closing(head: bytes) -> bytes:
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([lines[0], b"Connection: close", *lines[1:]])


def _end_with(client: socket.socket, server: socket.socket) -> None:
    """End the connection to the server once the client has gone."""
    with suppress(OSError):
        while client.recv(_PIECE):
            pass
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


def _response(status: str, headers: str, body: str) -> bytes:
    data = body.encode()
    return f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data
