"""Parses the values of single parameters: durations, yes or no, counts, lists of columns, an order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from sseapp import durations
from sseapp.errors import BadParameterError
from sseapp.messages import excerpt
from sseapp.tables.table import Table

_MAX_WINDOW = 3660 * durations.DAY
_SWITCHES = {"yes": True, "true": True, "no": False, "false": False}
QUOTED = r'"(?:[^"]|"")*"'
_NAME = re.compile(rf'({QUOTED}|[^,"]+)(,|$)', re.DOTALL)
_TERM = re.compile(rf'({QUOTED}|[^,"]+?)(?:\.(asc|desc))?(?:\.(nullsfirst|nullslast))?(,|$)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One column of an order. As in PostgreSQL, nulls come last, and first in a descending order."""

    column: str
    descending: bool = False
    nulls_first: bool = False


def seconds(text: str, *, parameter: str, minimum: float, maximum: float) -> float:
    """Parse a duration. Raises :exc:`~sseapp.errors.BadParameterError`, as all functions here do."""
    try:
        return durations.seconds(text, minimum=minimum, maximum=maximum)
    except ValueError:
        raise BadParameterError(
            f"{excerpt(text)} is not a duration from {minimum:g}s to {maximum:g}s, such as 2s or 500ms.",
            parameter=parameter,
        ) from None


def window_length(text: str, *, parameter: str) -> timedelta:
    """Parse the length of a moving window: whole seconds, with a unit."""
    try:
        found = durations.seconds(text, minimum=1, maximum=_MAX_WINDOW)
    except ValueError:
        found = 0.0
    if not found or not found.is_integer() or text[-1].isdigit():
        raise BadParameterError(
            f"{excerpt(text)} is not the length of a window. Write 90s, 15m, 24h, 7d or 2w; ten years at most.",
            parameter=parameter,
        )
    return timedelta(seconds=found)


def switch(text: str, *, parameter: str) -> bool:
    """Parse ``yes`` or ``no``."""
    if text.lower() not in _SWITCHES:
        raise BadParameterError(f"{excerpt(text)} is neither yes nor no.", parameter=parameter)
    return _SWITCHES[text.lower()]


def count(text: str, *, parameter: str, maximum: int) -> int:
    """Parse a whole number from 0 to ``maximum``."""
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII) or int(text) > maximum:
        raise BadParameterError(f"{excerpt(text)} is not a whole number from 0 to {maximum}.", parameter=parameter)
    return int(text)


def unquoted(name: str) -> str:
    """``name`` without its double quotes, if it has them. As in SQL, ``""`` within them is one quote."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name


def columns(text: str, table: Table, *, parameter: str) -> tuple[str, ...] | None:
    """Parse ``a,b,"c,d"``. The result adds the key and has the table's order; ``None`` means all columns."""
    names = {
        _known(match[1], table, parameter)
        for match in _matches(_NAME, text, parameter, 'a,b; a name with a comma in double quotes: "a,b"')
    }
    names.update(table.key or ())
    found = tuple(column.name for column in table.columns if column.name in names)
    return None if len(found) == len(table.columns) else found


def order(text: str, table: Table, *, parameter: str) -> tuple[OrderTerm, ...]:
    """Parse ``created_at.desc,id``. A column may take ``.asc`` or ``.desc``, and ``.nullsfirst`` or ``.nullslast``."""
    terms: dict[str, OrderTerm] = {}
    for match in _matches(_TERM, text, parameter, 'created_at.desc,id; a name with a dot in double quotes: "a.b".desc'):
        name, descending = _known(match[1], table, parameter), match[2] == "desc"
        nulls_first = match[3] == "nullsfirst" if match[3] else descending
        terms.setdefault(name, OrderTerm(name, descending, nulls_first))
    return tuple(terms.values())


def _matches(pattern: re.Pattern[str], text: str, parameter: str, example: str) -> list[re.Match[str]]:
    """The matches of ``pattern``, each beginning where the one before ended, up to the end of ``text``."""
    found, at = [], 0
    while True:
        match = pattern.match(text, at)
        if match is None:
            raise BadParameterError(f"{excerpt(text)} is not a list of columns. Write {example}.", parameter=parameter)
        found.append(match)
        at = match.end()
        if at == len(text) and match[match.lastindex or 0] != ",":
            return found


def _known(name: str, table: Table, parameter: str) -> str:
    name = unquoted(name)
    if name not in table.by_name:
        raise BadParameterError(f"{table} has no column {excerpt(name)}. {column_list(table)}", parameter=parameter)
    return name


def column_list(table: Table) -> str:
    """The columns of ``table``, for an error message."""
    names = [column.name for column in table.columns]
    return "Its columns are " + ", ".join(map(excerpt, names[:30])) + (" and more." if names[30:] else ".")
