r"""Writes the event stream format (HTML standard, section 9.2.5 "Parsing an event stream").

Lines end in ``\n``; there is no byte order mark. U+2028 is no line end there, so none here.
"""

from __future__ import annotations

import re

_LINE_END = re.compile(r"\r\n|\r|\n")
_FORBIDDEN = re.compile(r"[\r\n\0]")


def event(name: str, data: str, *, id: str | None = None) -> bytes:
    r"""Write one event. A line end in ``data`` starts a further ``data:`` line; the client joins them by ``\n``."""
    return body(name, data) + ending(id)


def body(name: str, data: str) -> bytes:
    """Write an event without its id and its end, for events that are sent under several ids."""
    lines = _LINE_END.split(data) if "\n" in data or "\r" in data else [data]
    data_lines = "".join(f"data: {line}\n" for line in lines)
    return f"event: {_field(name)}\n{data_lines}".encode()


def continued(text: str) -> bytes:
    """Write more of a ``data`` field whose line has not been ended yet."""
    return (_LINE_END.sub("\ndata: ", text) if "\n" in text or "\r" in text else text).encode()


def ending(id: str | None) -> bytes:
    """Close an event, with its id or with none (the client then keeps the one before)."""
    return b"\n" if id is None else f"id: {_field(id)}\n\n".encode()


def comment(text: str) -> bytes:
    """Write a comment, which clients ignore."""
    return "".join(f": {line}\n" for line in _LINE_END.split(text)).encode() + b"\n"


def retry(milliseconds: int) -> bytes:
    """Say how long to wait before a reconnect."""
    return f"retry: {milliseconds}\n\n".encode()


def heartbeat(state: str, id: str | None = None) -> bytes:
    """Write a ``state`` event behind an empty comment, and move the client's last event ID where one is given.

    It keeps proxies from cutting a silent stream, and finds clients that are gone.
    """
    return b":\n" + event("state", state, id=id)


def _field(value: str) -> str:
    if _FORBIDDEN.search(value):
        raise ValueError("a line end or NUL in a field would inject another field")
    return value
