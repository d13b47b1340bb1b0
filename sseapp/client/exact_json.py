"""JSON with exact numbers, of any depth."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

_LONGEST_INTEGER = 4000  # digits: Python refuses to read integers of some more than that
_TOKEN = re.compile(r'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s{}\[\],:"]+', re.DOTALL)


def loads(text: str) -> Any:
    """Parse ``text``: whole numbers to ``int``, others to ``Decimal``. Raises :exc:`ValueError` for what is no JSON."""
    try:
        return _shallow(text)
    except RecursionError:
        return _deep(text)


def _shallow(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=_integer)


def _integer(text: str) -> int:
    return int(text) if len(text) <= _LONGEST_INTEGER else int(Decimal(text))


def _deep(text: str) -> Any:
    """The same without recursion, slower. ``text`` is taken to be JSON: the other parser has read the most of it."""
    found: list[Any] = []
    open_: list[list[Any]] = [found]  # of an object the names and values, in turn, until it is closed
    for part in _TOKEN.findall(text):
        if part in {"{", "["}:
            open_.append([])
        elif part in {"}", "]"}:
            items = open_.pop()
            open_[-1].append(items if part == "]" else dict(zip(items[::2], items[1::2], strict=True)))
        else:
            open_[-1].append(_shallow(part))
    return found[0]
