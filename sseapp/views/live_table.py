"""``live_table`` for templates: a live table in a page of the application, without a line of JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from flask import url_for
from markupsafe import Markup

from sseapp.errors import BadParameterError
from sseapp.messages import excerpt
from sseapp.query import groups
from sseapp.query.operators import Operator
from sseapp.query.query import PARAMETERS
from sseapp.views import current

_OPERATORS = sorted({operator.value.partition(".")[0] for operator in Operator})
_CONDITION = re.compile(rf"({'|'.join(_OPERATORS)})\..*", re.DOTALL)
_ELEMENT = Markup('<script type="module" src="{static}"></script><live-table src="{src}"{caption}></live-table>')


def live_table(table: str, /, *, caption: str | None = None, **question: Any) -> Markup:
    """The rows of ``table`` that ``question`` asks for, as a table that stays what the database holds.

    ``question`` is what the address of changes takes: ``last="15m"``, ``status="eq.paid"``. A list stands for several
    conditions on a column, or several columns. A value of a column that is no text is compared for equality:
    ``customer=7``. ``caption`` is a text above the rows.

    The page needs no code of its own. A Content-Security-Policy has to let it load scripts and data from ``'self'``.
    Raises :exc:`~sseapp.errors.BadParameterError` for a condition without an operator.
    """
    base = url_for(f"{current.NAME}.dashboard.page")
    asked = urlencode([pair for name, value in question.items() for pair in _pairs(name, value)], quote_via=quote)
    address = f"{base}tables/{quote(table, safe='')}/changes"
    return _ELEMENT.format(
        static=url_for(f"{current.NAME}.static", filename="sseapp.js"),
        src=f"{address}?{asked}" if asked else address,
        caption="" if caption is None else Markup(' caption="{}"').format(caption),
    )


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    several = list(value) if isinstance(value, list | tuple | set) else [value]
    if name in PARAMETERS:
        yield name, ",".join(map(_text, several))
    elif name in groups.NAMES:
        yield from ((name, _text(one)) for one in several)
    else:
        yield from ((name, _condition(name, one)) for one in several)


def _condition(column: str, value: Any) -> str:
    if value is None:
        return "is.null"
    if not isinstance(value, str):
        return f"eq.{_text(value)}"
    if not _CONDITION.fullmatch(value):
        raise BadParameterError(
            f"live_table: {column}={excerpt(value)} has no operator. Did you mean {column}='eq.{value[:40]}'?",
            parameter=column,
        )
    return value


def _text(value: Any) -> str:
    """As the address of changes has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case date() | time():
            return value.isoformat()
        case timedelta():
            return f"{value.total_seconds():.0f}s"
    return str(value)
