"""A subscriber that keeps its rows by the events alone, and comes back with what a strict client has stored."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from harness.exactly_once.proxy import Line
from harness.exactly_once.queries import Query, Row
from harness.sse import Block, Parser

from sseapp.log.cursor import Snapshot, decode

_PATIENCE = 10.0
_LAST = 12


@dataclass(frozen=True)
class Told:
    """One event about one row, or a truncate. ``is_end`` says that it was told as the last of its transaction."""

    name: str
    key: int | None
    row: Row | None
    old: Row | None
    xid: str
    is_end: bool = field(default=False, compare=False)

    def apply(self, rows: dict[int, Row]) -> None:
        """Make of the rows that a subscriber holds those that it holds now."""
        if self.key is None:
            rows.clear()
        elif self.row is None:
            rows.pop(self.key, None)
        else:
            rows[self.key] = self.row


@dataclass
class Span:
    """From a snapshot, or a first position, to the next one: the cursor's text, the rows and what was told since.

    ``ids`` are the further cursors' texts, each with how much had been told until then.
    """

    id: str
    rows: dict[int, Row] | None
    told: list[Told] = field(default_factory=list)
    ids: list[tuple[int, str]] = field(default_factory=list)


class Unchunked:
    """Undoes the chunked coding of a body that may end at any byte."""

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while self._buffer:
            if self._left > 2:
                piece = self._buffer[: self._left - 2]
                self._buffer, self._left = self._buffer[len(piece) :], self._left - len(piece)
                yield piece
            elif self._left:
                assert b"\r\n".startswith(self._buffer[:2]), self._buffer
                if len(self._buffer) < 2:
                    return
                self._buffer, self._left = self._buffer[2:], 0
            else:
                size, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    return
                self._buffer, self._left = rest, int(size, 16) + 2


class Subscriber:
    """Follows ``query`` through ``line`` until it is cancelled; ``random`` gives its pauses between connections."""

    def __init__(self, name: str, query: Query, line: Line, random: Random) -> None:
        self.name = name
        self.query = query
        self.line = line
        self.spans: list[Span] = []
        self.rows: dict[int, Row] = {}
        self.last_id = ""
        self.reasons: list[str] = []
        self.events = 0
        self.connections = 0
        self.quiet = asyncio.Event()
        self.at_rest = False
        self.last: deque[str] = deque(maxlen=_LAST)
        self._random = random

    async def run(self) -> None:
        while True:
            try:
                await self._connection()
            except (OSError, EOFError, TimeoutError) as error:
                self.last.append(f"-- {type(error).__name__} {error}")
            await asyncio.sleep(self._random.uniform(0, 0.2))

    def stands_at(self, end: Snapshot) -> bool:
        """Whether its cursor says that it was told all that ``end`` sees."""
        if not self.last_id:
            return False
        cursor, _ = decode(self.last_id)
        return cursor.event_number is None and cursor.upto.contains(end)

    async def _connection(self) -> None:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.line.port)
        self.connections += 1
        try:
            writer.write(self._request())
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            parser, body = Parser(), Unchunked()
            parser.last_id = self.last_id
            while data := await _more(reader):
                for piece in body.feed(data):
                    for block in parser.feed(piece):
                        self._take(block)
        finally:
            writer.transport.abort()

    def _request(self) -> bytes:
        lines = [f"GET {self.query.target} HTTP/1.1", "Host: localhost", "Accept: text/event-stream"]
        if self.last_id:
            lines.append(f"Last-Event-ID: {self.last_id}")
        self.last.append(f"-- connection {self.connections} from {self.last_id!r}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _take(self, block: Block) -> None:
        self.last_id = block.last_id
        if block.is_heartbeat:
            self._heartbeat(block)
        if block.name in {None, "state"}:
            return
        data = json.loads(block.data, parse_float=str)
        self.last.append(f"{block.name} {str(block.data)[:300]} id={block.id}")
        if block.name == "snapshot":
            rows = {row[self.query.key]: row for row in data["rows"]}
            if data.get("part", 1) > 1:
                rows = (self.spans.pop().rows or {}) | rows
            self._begin(Span(block.id, rows))
        elif block.name == "reset":
            self.reasons.append(data["reason"])
        elif block.name != "bye":
            self.events += 1
            self._apply(block.name, data)
            self._note(block)

    def _heartbeat(self, block: Block) -> None:
        if not self.spans and block.id:
            self._begin(Span(block.id, None))
        self._note(block)
        self.quiet.set()

    def _note(self, block: Block) -> None:
        if self.spans and block.id:
            self.spans[-1].ids.append((len(self.spans[-1].told), block.id))

    def _begin(self, span: Span) -> None:
        self.spans.append(span)
        self.rows = dict(span.rows or {})

    def _apply(self, name: str, data: dict[str, Any]) -> None:
        row, old = data.get("row"), data.get("old")
        key = None if name == "truncate" else (row or old)[self.query.key]
        told = Told(name, key, row, old, data["xid"], data.get("end", False))
        self.spans[-1].told.append(told)
        told.apply(self.rows)


async def _more(reader: asyncio.StreamReader) -> bytes:
    """What comes next. A line that froze is given up, as clients do that know of heartbeats."""
    # not wait_for(): in Python 3.11 a result that comes just then swallows a cancellation
    async with asyncio.timeout(_PATIENCE):
        return await reader.read(1 << 16)
