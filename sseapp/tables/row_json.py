"""PostgreSQL's own JSON text of a row, taken apart without changing a byte of it.

Values are kept as raw text: a ``numeric`` of 24 digits, a ``json`` column nested a thousand deep and a text of
1 MB all pass through. Only the top level is scanned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from json import loads

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_MEMBER = re.compile(rf'[ \t\n\r]*({_STRING})[ \t\n\r]*:[ \t\n\r]*({_STRING}|[^\s,{{}}\[\]"]+)?', re.DOTALL)
_OPENING = re.compile(r"[ \t\n\r]*{[ \t\n\r]*(})?")
_SEPARATOR = re.compile(r"[ \t\n\r]*([,}])")
_ENDING = re.compile(r"[ \t\n\r]*\Z")
_BRACKET_OR_STRING = re.compile(rf"[{{\[]|[}}\]]|{_STRING}", re.DOTALL)


def members(text: str) -> dict[str, str]:
    """Map each column's name to its raw JSON text, in the order of ``text``.

    ``text`` is one JSON object as ``row_to_json`` prints it. Raises :exc:`ValueError` where it is not.
    """
    found: dict[str, str] = {}
    opening = _OPENING.match(text)
    if opening is None:
        raise ValueError("not a row's JSON: no object")
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
            raise ValueError(f"not a row's JSON: no end of the member at {at}")
        separator, at = end.group(1), end.end()
    if not _ENDING.match(text, at):
        raise ValueError(f"not a row's JSON: more after its end at {at}")
    return found


def _nested_end(text: str, at: int) -> int:
    """Where the array or object that begins at ``at`` ends. Brackets are counted, so no depth is too deep."""
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
    """JSON text of ``columns`` only, each value's own text kept. ``row`` is what :func:`members` returned."""
    return "{" + ",".join(f"{name_text(name)}:{row[name]}" for name in columns if name in row) + "}"


def name_text(name: str) -> str:
    """``name`` as a JSON string the way PostgreSQL escapes it: only what RFC 8259 asks for."""
    return '"' + _ESCAPED.sub(_escape, name) + '"'


_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _SHORT.get(character) or f"\\u{ord(character):04x}"
