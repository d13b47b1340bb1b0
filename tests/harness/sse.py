"""A strict client of event streams: it parses as the HTML standard says, and refuses what that merely forgives."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from json import loads
from typing import Any, Self

PATIENCE = 10.0
"""Seconds to wait for anything, unless a test knows better."""

Address = tuple[str, int]


class Ended(Exception):  # noqa: N818 - it is what happens, not a fault
    """The server has closed the stream."""


@dataclass(frozen=True)
class Block:
    """What stands between two blank lines. ``id`` is its own field, ``last_id`` what the client holds after it."""

    raw: bytes
    name: str | None
    data: str | None
    id: str | None
    retry: int | None
    comments: tuple[str, ...]
    last_id: str

    @property
    def fires(self) -> bool:
        """Whether a browser would dispatch an event to a page that does not ask for states."""
        return self.data is not None and self.name != "state"

    @property
    def is_heartbeat(self) -> bool:
        """Whether it is sent where nothing else is: the state behind an empty comment."""
        return self.name == "state" and self.comments == ("",)

    @property
    def json(self) -> Any:
        assert self.data is not None, self
        return loads(self.data)


class Parser:
    """Bytes to blocks, whatever the pieces they come in.

    Section 9.2.6 of the HTML standard; refused beyond it: a byte order mark, CR, fields that the standard ignores, an
    id with NUL, ``retry`` that is no number, event names that fire a browser's own handlers, an event without a name.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Block]:
        self._rest += data
        while (end := self._rest.find(b"\n\n")) >= 0:
            raw, self._rest = self._rest[: end + 2], self._rest[end + 2 :]
            yield self._block(raw)

    def finish(self) -> None:
        """The stream ended: half a block would be lost."""
        assert not self._rest, f"the stream ended within a block: {self._rest[-200:]!r}"

    def _block(self, raw: bytes) -> Block:
        assert not raw.startswith(b"\xef\xbb\xbf"), "a byte order mark"
        assert b"\r" not in raw, raw
        fields: dict[str, str] = {}
        data: list[str] = []
        comments = []
        for line in raw.decode("utf-8", "strict")[:-2].split("\n"):
            name, colon, value = line.partition(":")
            value = value.removeprefix(" ")
            if not name:
                assert colon, raw
                comments.append(value)
            elif name == "data":
                data.append(value)
            else:
                assert name in ("event", "id", "retry"), raw
                assert name not in fields, raw
                fields[name] = value
        assert "\0" not in fields.get("id", ""), raw
        assert fields.get("id") != "", raw  # would make the client forget where it stands
        assert re.fullmatch(r"\d+", fields.get("retry", "1")), raw
        assert fields.get("event") not in ("", "error", "open", "message"), raw
        assert bool(data) == ("event" in fields), raw
        self.last_id = fields.get("id", self.last_id)
        retry = int(fields["retry"]) if "retry" in fields else None
        text = "\n".join(data) if data else None
        return Block(raw, fields.get("event"), text, fields.get("id"), retry, tuple(comments), self.last_id)


class Wire:
    """One HTTP/1.1 exchange on a socket of its own, every wait with a deadline."""

    def __init__(self, address: Address, request: bytes, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._buffer = b""
        self._taken = 0
        self._socket = socket.create_connection(address, timeout=patience)
        self._socket.sendall(request)

    def head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers, their names in lower case."""
        line, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), line
        headers = {}
        for header in lines:
            name, _, value = header.partition(": ")
            assert name.lower() not in headers, header
            headers[name.lower()] = value
        return int(status), headers

    def chunk(self, end: float, headers: Mapping[str, str]) -> bytes:
        """The next piece of the body; empty at its end. ``end`` is on the monotonic clock."""
        if headers.get("transfer-encoding") != "chunked":
            return (
                self._measured(end, int(headers["content-length"])) if "content-length" in headers else self._any(end)
            )
        size = int(self._until(b"\r\n", end), 16)
        data = self._exactly(size + 2, end)
        assert data.endswith(b"\r\n"), data[-20:]
        return data[:-2]

    def body(self, headers: Mapping[str, str]) -> bytes:
        end = time.monotonic() + self.patience
        return b"".join(iter(lambda: self.chunk(end, headers), b""))

    def packets(self) -> int:
        """How many packets with data have come (``tcpi_data_segs_in`` of tcp(7)'s ``TCP_INFO``)."""
        found: int = struct.unpack_from("I", self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160), 152)[0]
        return found

    def cut(self) -> None:
        """Break the connection off, as a cut cable's end looks (RST)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        self._socket.close()

    def _until(self, mark: bytes, end: float | None = None) -> bytes:
        end = end or time.monotonic() + self.patience
        while mark not in self._buffer:
            self._more(end)
        head, self._buffer = self._buffer.split(mark, 1)
        return head

    def _exactly(self, size: int, end: float) -> bytes:
        while len(self._buffer) < size:
            self._more(end)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _measured(self, end: float, size: int) -> bytes:
        left, self._taken = size - self._taken, size
        return self._exactly(left, end)

    def _any(self, end: float) -> bytes:
        data, self._buffer = self._buffer, b""
        return data or self._read(end)

    def _more(self, end: float) -> None:
        data = self._read(end)
        if not data:
            raise Ended(self._buffer[:200])
        self._buffer += data

    def _read(self, end: float) -> bytes:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._socket.recv(65536)


def request(method: str, target: str, headers: Iterable[tuple[str, str]], *, close: bool) -> bytes:
    """The bytes of a request; nothing in it is checked or changed."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Stream:
    """An open event stream, and everything that came on it so far (``raw``, ``blocks``)."""

    def __init__(
        self, address: Address, target: str, headers: Mapping[str, str] | None = None, *, patience: float = PATIENCE
    ) -> None:
        named = {"Host": f"{address[0]}:{address[1]}", "Accept": "text/event-stream"} | dict(headers or {})
        self._wire = Wire(address, request("GET", target, named.items(), close=False), patience)
        self._patience = patience
        self._parser = Parser()
        self._parsed: list[Block] = []
        self.raw = b""
        self.blocks: list[Block] = []
        try:
            self.status, self.headers = self._wire.head()
        except BaseException:
            self._wire.close()
            raise

    @property
    def packets(self) -> int:
        """How many packets with data have come."""
        return self._wire.packets()

    @property
    def last_id(self) -> str:
        """The id of the last block that was asked for, as a browser would send it on its next connection."""
        return self.blocks[-1].last_id if self.blocks else ""

    def block(self, patience: float | None = None) -> Block:
        """The next block, heartbeats too. Raises :exc:`Ended`, :exc:`TimeoutError`."""
        assert (self.status, self.headers.get("content-type")) == (200, "text/event-stream"), self.headers
        end = time.monotonic() + (patience or self._patience)
        while not self._parsed:
            data = self._wire.chunk(end, self.headers)
            if not data:
                self._parser.finish()
                raise Ended
            self.raw += data
            self._parsed += self._parser.feed(data)
        self.blocks.append(self._parsed.pop(0))
        return self.blocks[-1]

    def event(self, *names: str, patience: float | None = None) -> Block:
        """The next event; it must be one of ``names``, where some are given. States are passed over, unless named."""
        return self.until(lambda block: block.fires or block.name in names, names=names, patience=patience)

    def events(self, count: int) -> list[Block]:
        return [self.event() for _ in range(count)]

    def told(self, count: int) -> list[tuple[str, Any]]:
        """The next ``count`` events as pairs of name and data."""
        return [(event.name, event.json) for event in self.events(count)]

    def until(
        self, wanted: Callable[[Block], bool], *, names: tuple[str, ...] = (), patience: float | None = None
    ) -> Block:
        """Skip to the next block that is ``wanted``."""
        end = time.monotonic() + (patience or self._patience)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError([block.raw for block in self.blocks[-5:]])
            block = self.block(left)
            if wanted(block):
                assert not names or block.name in names, block
                return block

    def rest(self, patience: float | None = None) -> list[Block]:
        """All blocks up to the end of the stream, which has to come."""
        found = []
        end = time.monotonic() + (patience or self._patience)
        while True:
            try:
                found.append(self.block(max(0.001, end - time.monotonic())))
            except Ended:
                return found

    def cut(self) -> None:
        """Break the connection off."""
        self._wire.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return loads(self.body)

    @property
    def problem(self) -> Any:
        """The members of an answer that says what is wrong."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.headers, self.body[:200])
        assert self.json["status"] == self.status, self.json
        assert self.json["title"], self.json
        assert self.json["detail"], self.json
        return self.json


def ask(
    address: Address,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    patience: float = PATIENCE,
    host: str | None = "",
) -> Answer:
    """One request and its whole answer. ``host`` is the Host header: the address's unless given, ``None`` for none."""
    named = {} if host is None else {"Host": host or f"{address[0]}:{address[1]}"}
    wire = Wire(address, request(method, target, (named | dict(headers or {})).items(), close=True), patience)
    try:
        status, found = wire.head()
        body = b"" if method == "HEAD" or status in (204, 304) else wire.body(found)
        return Answer(status, found, body)
    finally:
        wire.close()
