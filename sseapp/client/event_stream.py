"""Reads the event stream format, from bytes in any pieces (HTML standard, section 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it was sent: its name (``message`` if it has none), its data, and the id that holds after it."""

    name: str
    data: str
    id: str


class EventStreamParser:
    """``last_id`` is what a client sends when it comes back, ``retry`` how long to wait before that, in seconds.

    ``last_id`` moves with the blank line that ends a block, whether or not the block has data. ``retry`` is ``None``
    until the server has named a time.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: float | None = None
        self._id = last_id
        self._name = ""
        self._data: list[str] = []
        self._rest: list[bytes] = []
        self._is_first = True
        self._is_after_cr = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that ``data`` completes; what comes behind the last line end waits for more."""
        if self._is_after_cr and data:
            data = data.removeprefix(b"\n")
            self._is_after_cr = False
        if not data:
            return
        self._is_after_cr = data.endswith(b"\r")
        *lines, rest = _LINE_END.split(data)
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest = []
        self._rest.append(rest)
        for line in lines:
            if line:
                self._take(line)
            else:
                yield from self._dispatched()

    def _take(self, line: bytes) -> None:
        if self._is_first:
            line, self._is_first = line.removeprefix(_BYTE_ORDER_MARK), False
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _DIGITS.fullmatch(value):
            self.retry = int(value[:9]) / 1000

    def _dispatched(self) -> Iterator[Event]:
        self._is_first = False
        self.last_id = self._id
        name, data = self._name, self._data
        self._name, self._data = "", []
        if data:
            yield Event(name or "message", "\n".join(data), self.last_id)
