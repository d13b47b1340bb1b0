"""How the single values of parameters are written: durations, switches, counts, names of columns, an order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from sseapp.errors import BadParameterError
from sseapp.messages import shown
from sseapp.tables.table import Table

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0}
_DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)(ms|s|m|)", re.ASCII)
_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_LONGEST_SPAN = 3660 * 86_400
_SWITCHES = {"yes": True, "true": True, "no": False, "false": False}
_QUOTED = r'"(?:[^"]|"")*"'
_NAME = re.compile(rf'({_QUOTED}|[^,"]+)(,|$)', re.DOTALL)
_TERM = re.compile(rf'({_QUOTED}|[^,"]+?)(?:\.(asc|desc))?(?:\.(nullsfirst|nullslast))?(,|$)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One column of an order. ``nulls_first`` is as PostgreSQL has it (last, or first in a descending order)."""

    column: str
    descending: bool = False
    nulls_first: bool = False


def seconds(text: str, *, parameter: str, least: float, most: float) -> float:
    """Read ``20``, ``20s``, ``500ms`` or ``1m``. Raises :exc:`~sseapp.errors.BadParameterError`, as all here do."""
    match = _DURATION.fullmatch(text)
    found = float(match[1]) * _SECONDS[match[2]] if match else None
    if found is None or not least <= found <= most:
        raise BadParameterError(
            f"{shown(text)} cannot be used; write a duration from {least:g}s to {most:g}s, such as 2s or 500ms.",
            parameter=parameter,
        )
    return found


def span(text: str, *, parameter: str) -> timedelta:
    """Read the length of a window: ``90s``, ``15m``, ``24h``, ``7d``, ``2w``."""
    match = _SPAN.fullmatch(text)
    found = int(match[1]) * _SPANS[match[2]] if match else 0
    if not 0 < found <= _LONGEST_SPAN:
        raise BadParameterError(
            f"{shown(text)} is no length of a window; write 90s, 15m, 24h, 7d or 2w, up to ten years.",
            parameter=parameter,
        )
    return timedelta(seconds=found)


def switch(text: str, *, parameter: str) -> bool:
    """Read ``yes`` or ``no``."""
    if text.lower() not in _SWITCHES:
        raise BadParameterError(f"{shown(text)} is neither yes nor no.", parameter=parameter)
    return _SWITCHES[text.lower()]


def count(text: str, *, parameter: str, most: int) -> int:
    """Read a whole number from 0 to ``most``."""
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII) or int(text) > most:
        raise BadParameterError(
            f"{shown(text)} cannot be used; write a whole number from 0 to {most}.", parameter=parameter
        )
    return int(text)


def unquoted(name: str) -> str:
    """A name as it is, or without the double quotes that it is written in (as in SQL, ``""`` is one of its own)."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name


def columns(text: str, table: Table, *, parameter: str) -> tuple[str, ...] | None:
    """Read ``a,b,"c,d"``: in the table's order, the key always with them; ``None`` where that is all there are."""
    names = {
        _known(match[1], table, parameter)
        for match in _matches(_NAME, text, parameter, 'a,b; a name with a comma in double quotes: "a,b"')
    }
    names.update(table.key or ())
    found = tuple(column.name for column in table.columns if column.name in names)
    return None if len(found) == len(table.columns) else found


def order(text: str, table: Table, *, parameter: str) -> tuple[OrderTerm, ...]:
    """Read ``created_at.desc,id``, each column with ``.asc`` or ``.desc``, ``.nullsfirst`` or ``.nullslast``."""
    terms: dict[str, OrderTerm] = {}
    for match in _matches(_TERM, text, parameter, 'created_at.desc,id; a name with a dot in double quotes: "a.b".desc'):
        name, descending = _known(match[1], table, parameter), match[2] == "desc"
        nulls_first = match[3] == "nullsfirst" if match[3] else descending
        terms.setdefault(name, OrderTerm(name, descending, nulls_first))
    return tuple(terms.values())


def _matches(pattern: re.Pattern[str], text: str, parameter: str, example: str) -> list[re.Match[str]]:
    """The matches of ``pattern`` one after the other, up to the end of ``text``."""
    found, at = [], 0
    while True:
        match = pattern.match(text, at)
        if match is None:
            raise BadParameterError(f"{shown(text)} is no list of columns; write {example}.", parameter=parameter)
        found.append(match)
        at = match.end()
        if at == len(text) and match[match.lastindex or 0] != ",":
            return found


def _known(name: str, table: Table, parameter: str) -> str:
    name = unquoted(name)
    if name not in table.by_name:
        raise BadParameterError(f"{table} has no column {shown(name)}; {has(table)}.", parameter=parameter)
    return name


def has(table: Table) -> str:
    """The columns of ``table``, for a message."""
    names = [column.name for column in table.columns]
    return "it has " + ", ".join(map(shown, names[:30])) + (" and more" if names[30:] else "")
