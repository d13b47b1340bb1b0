"""Splits the JSON text that PostgreSQL prints of a row into its members, without changing a byte.

Values stay raw text, because parsing would change some: a ``numeric`` of 24 digits, a ``json`` column nested a
thousand deep, half a surrogate pair. Only the top level is scanned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from json import loads

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_MEMBER = re.compile(rf'[ \t\n\r]*({_STRING})[ \t\n\r]*:[ \t\n\r]*({_STRING}|[^\s,{{}}\[\]"]+)?', re.DOTALL)
_ELEMENT = re.compile(rf'([ \t\n\r]*)({_STRING}|[^\s,{{}}\[\]"]+)?', re.DOTALL)
_EMPTY_ARRAY = re.compile(r"\[[ \t\n\r]*\]")
_ARRAY_SEPARATOR = re.compile(r"[ \t\n\r]*([,\]])")
_OPENING = re.compile(r"[ \t\n\r]*{[ \t\n\r]*(})?")
_SEPARATOR = re.compile(r"[ \t\n\r]*([,}])")
_ENDING = re.compile(r"[ \t\n\r]*\Z")
_BRACKET_OR_STRING = re.compile(rf"[{{\[]|[}}\]]|{_STRING}", re.DOTALL)


def members(text: str) -> dict[str, str]:
    """Each column's name with its raw JSON text, in the order of ``text``.

    ``text`` is one JSON object as ``row_to_json`` prints it. Raises :exc:`ValueError` for anything else.
    """
    found: dict[str, str] = {}
    opening = _OPENING.match(text)
    if opening is None:
        raise ValueError("not a row's JSON: it does not start with {")
    at, separator = opening.end(), opening[1] or ","
    while separator == ",":
        member = _MEMBER.match(text, at)
        if member is None:
            raise ValueError(f"not a row's JSON: no member at {at}")
        name, value = member.groups()
        at = member.end()
        if value is None:
            start, at = at, _nested_end(text, at)
            value = text[start:at]
        found[loads(name) if "\\" in name else name[1:-1]] = value
        end = _SEPARATOR.match(text, at)
        if end is None:
            raise ValueError(f"not a row's JSON: no comma or brace at {at}")
        separator, at = end.group(1), end.end()
    if not _ENDING.match(text, at):
        raise ValueError(f"not a row's JSON: text after its end at {at}")
    return found


def elements(text: str) -> list[str]:
    """The raw JSON text of each element of an array, which ``text`` starts with. Raises :exc:`ValueError`."""
    if _EMPTY_ARRAY.match(text):
        return []
    found = []
    at, separator = 1, ","
    while separator == ",":
        value, at = _next_value(text, at)
        found.append(value)
        end = _ARRAY_SEPARATOR.match(text, at)
        if end is None:
            raise ValueError(f"not an array: no comma or bracket at {at}")
        separator, at = end[1], end.end()
    return found


def _next_value(text: str, at: int) -> tuple[str, int]:
    """The raw value that follows position ``at``, and where it ends."""
    space, value = _ELEMENT.match(text, at).groups()  # type: ignore[union-attr]  # it matches anywhere
    if value is not None:
        return value, at + len(space) + len(value)
    start = at + len(space)
    end = _nested_end(text, start)
    return text[start:end], end


def _nested_end(text: str, at: int) -> int:
    """Where the array or object that begins at ``at`` ends. It counts brackets, so any depth will do."""
    if not text.startswith(("{", "["), at):
        raise ValueError(f"not a row's JSON: no value at {at}")
    depth = 0
    for token in _BRACKET_OR_STRING.finditer(text, at):
        first = text[token.start()]
        if first in "{[":
            depth += 1
        elif first != '"':
            depth -= 1
        if depth == 0:
            return token.end()
    raise ValueError(f"not a row's JSON: the value at {at} does not end")


def subset(row: Mapping[str, str], columns: Iterable[str]) -> str:
    """A JSON object of ``columns`` only, with each value's own text. ``row`` comes from :func:`members`."""
    return "{" + ",".join(f"{json_string(name)}:{row[name]}" for name in columns if name in row) + "}"


def json_string(text: str) -> str:
    """``text`` as a JSON string. As in PostgreSQL, only what RFC 8259 requires is escaped."""
    return '"' + _ESCAPED.sub(_escape, text) + '"'


_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _SHORT.get(character) or f"\\u{ord(character):04x}"
