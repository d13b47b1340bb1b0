"""A query: what a subscriber asks of a table, parsed from the parameters of its URL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sseapp import messages
from sseapp.errors import BadParameterError, MalformedCursorError
from sseapp.log import cursor
from sseapp.query import after_key, groups, operands, parameters, window
from sseapp.query.conditions import Condition, Source
from sseapp.query.conditions import parse as parse_condition
from sseapp.query.filters import Filter
from sseapp.query.groups import Term
from sseapp.query.operands import Operand
from sseapp.query.operators import Operator
from sseapp.query.parameters import OrderTerm
from sseapp.tables import time_zones
from sseapp.tables.column_types import DateTimeType, column_type, is_sortable
from sseapp.tables.row_json import json_string
from sseapp.tables.table import Column, Table
from sseapp.tables.value_type import Literal

PARAMETERS = (
    "start",
    "end",
    "tz",
    "last",
    "columns",
    "order",
    "limit",
    "snapshot",
    "after",
    "after-key",
    "wait",
    "every",
)
MAX_CONDITIONS = 100
MAX_WAIT = 60.0
MIN_EVERY = 0.1
MAX_EVERY = 3600.0


@dataclass(frozen=True, slots=True)
class Query:
    """What a subscriber asks of ``table``.

    ``filter`` lacks the moving bound of ``last``, which :meth:`filter_at` adds. ``columns`` include the key and have
    the table's order; ``None`` means all. ``order`` ends with the key, so that ``limit`` always cuts at the same row.
    ``whole`` says that no limit was given: then an event stream of changes begins with all rows. ``wait`` and ``every``
    are seconds. ``after_key`` is the key after which the rows begin. Queries with equal ``canonical`` share their
    changes; those with equal ``result_key`` also share their rows.
    """

    table: Table
    filter: Filter = field(default_factory=Filter)
    last: timedelta | None = None
    tz: ZoneInfo = field(default=time_zones.UTC_ZONE, hash=False)
    columns: tuple[str, ...] | None = None
    order: tuple[OrderTerm, ...] = ()
    limit: int = 10_000
    whole: bool = False
    snapshot: bool = True
    after: str | None = None
    wait: float = 20.0
    every: float = 1.0
    after_key: tuple[Literal, ...] | None = None

    @property
    def canonical(self) -> str:
        """The filter, the window and the columns as one short text."""
        parts = [self.filter.canonical] if self.filter.terms else []
        if self.last is not None:
            # a timestamptz window is the same in every time zone
            local = self.table.range is None or self.table.by_name[self.table.range].base != "timestamptz"
            parts.append(f"last={self.last.total_seconds():.0f}s" + (f"&tz={self.tz.key}" if local else ""))
        if self.columns is not None:
            parts.append("columns=" + ",".join(map(json_string, self.columns)))
        return "&".join(parts)

    @property
    def result_key(self) -> str:
        """The canonical text plus the order and the limit."""
        terms = ",".join(
            json_string(term.column) + ("d" if term.descending else "a") + ("f" if term.nulls_first else "l")
            for term in self.order
        )
        behind = "" if self.after_key is None else "&after-key=" + ",".join(json_string(v.text) for v in self.after_key)
        return f"{self.canonical}&order={terms}&limit={self.limit}{behind}"

    @property
    def changes_query(self) -> Query:
        """The query to follow for changes of this one's rows: a change of an order column moves a row, too."""
        if self.columns is None:
            return self
        seen = {*self.columns, *(term.column for term in self.order)}
        return replace(self, columns=tuple(column.name for column in self.table.columns if column.name in seen))

    def window_start(self, now: datetime) -> datetime | None:
        """The start of the moving window at ``now`` (aware); ``None`` without ``last``."""
        return None if self.last is None else window.start(self.last, now)

    def filter_at(self, now: datetime) -> tuple[Filter, str | None]:
        """The filter at ``now`` (aware), and its moving bound as JSON text; ``None`` without ``last``."""
        start = self.window_start(now)
        if start is None:
            return self.filter, None
        column, moment = _moving(self.table)
        bound = moment.literal_at(window.microseconds(start), self.tz)
        return self.filter.with_conditions([Condition(Operand(column), Operator.GTE, (bound,))]), json_string(
            bound.text
        )


def parse(
    table: Table, arguments: Iterable[tuple[str, str]], *, default_limit: int = 10_000, max_limit: int = 10_000
) -> Query:
    """Parse the parameters of a request. Raises :exc:`~sseapp.errors.BadParameterError`, which names one of them."""
    try:
        return _parse(table, arguments, default_limit, max_limit)
    except BadParameterError as error:
        name = error.parameter
        if name in (*PARAMETERS, *groups.NAMES) and name in table.by_name:
            hint = f'For a condition on the column of that name, quote it: "{name}"=eq.1.'
            raise BadParameterError(f"{error.detail} {hint}", parameter=name) from None
        raise


def _parse(table: Table, arguments: Iterable[tuple[str, str]], default_limit: int, max_limit: int) -> Query:
    single, asked = _split(arguments)
    tz = time_zones.zone(single["tz"]) if "tz" in single else time_zones.UTC_ZONE
    return Query(
        table=table,
        filter=_filter(table, asked, single, tz),
        last=_last(table, single),
        tz=tz,
        columns=parameters.columns(single["columns"], table, parameter="columns") if "columns" in single else None,
        order=_order(table, single.get("order")),
        limit=parameters.count(single.get("limit", str(default_limit)), parameter="limit", maximum=max_limit),
        whole="limit" not in single,
        snapshot=parameters.switch(single.get("snapshot", "yes"), parameter="snapshot"),
        after=_after(single),
        after_key=_after_key(table, single),
        wait=parameters.seconds(single.get("wait", "20"), parameter="wait", minimum=0, maximum=MAX_WAIT),
        every=parameters.seconds(single.get("every", "1"), parameter="every", minimum=MIN_EVERY, maximum=MAX_EVERY),
    )


def _split(arguments: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The named parameters, and all others: conditions and groups."""
    single: dict[str, str] = {}
    asked: list[tuple[str, str]] = []
    for name, text in arguments:
        messages.require_text(name, text)
        if name in single:
            raise BadParameterError("Given twice; give it once.", parameter=name)
        if name in PARAMETERS:
            single[name] = text
        else:
            asked.append((name, text))
    return single, asked


def _filter(table: Table, asked: list[tuple[str, str]], single: dict[str, str], tz: ZoneInfo) -> Filter:
    terms: list[Term] = []
    count = 0
    for name, text in asked:
        terms.append(_term(table, name, text, tz))
        count += sum(1 for _ in groups.leaves(terms[-1:]))
        if count > MAX_CONDITIONS:
            raise BadParameterError(f"The filter has more than {MAX_CONDITIONS} conditions.", parameter=name)
    return Filter((*terms, *_range(table, single, tz)))


def _term(table: Table, name: str, text: str, tz: ZoneInfo) -> Term:
    if name in groups.NAMES:
        return groups.parse(table, name, text, tz=tz)
    operand = operands.parse(table, name, parameter=name, hint=f" The parameters are {', '.join(PARAMETERS)}.")
    return parse_condition(operand, text, Source(name, f"{name}=", tz, table.encoding))


def _range(table: Table, single: dict[str, str], tz: ZoneInfo) -> Iterable[Condition]:
    """The conditions that ``start`` and ``end`` stand for."""
    if "start" in single:
        column = _range_column(table, "start")
        start = column_type(column).literal(single["start"], tz=tz, parameter="start")
        yield Condition(Operand(column), Operator.GTE, (start,))
    if "end" in single:
        column = _range_column(table, "end")
        end, included = column_type(column).end_literal(single["end"], tz=tz, parameter="end")
        yield Condition(Operand(column), Operator.LTE if included else Operator.LT, (end,))


def _range_column(table: Table, parameter: str) -> Column:
    if table.range is None or table.range not in table.by_name:
        raise BadParameterError(
            f"{table} is watched without a range column. Use a condition such as id=gte.1 instead.",
            parameter=parameter,
        )
    column = table.by_name[table.range]
    if not column_type(column).ordered:
        raise BadParameterError(
            f"The range column {messages.excerpt(column.name)} ({column.type}) has no order that SQL and live changes "
            "agree on. Watch the table with another range column.",
            parameter=parameter,
        )
    return column


def _last(table: Table, single: dict[str, str]) -> timedelta | None:
    if "last" not in single:
        return None
    if "start" in single:
        raise BadParameterError("`last` sets the start by itself. Give start or last, not both.", parameter="last")
    _moving(table)
    return parameters.window_length(single["last"], parameter="last")


def _moving(table: Table) -> tuple[Column, DateTimeType]:
    """The range column and its type, where a window can move along it."""
    column = _range_column(table, "last")
    moment = column_type(column)
    if not isinstance(moment, DateTimeType):
        raise BadParameterError(
            f"The range column {messages.excerpt(column.name)} ({column.type}) contains no date. Use start and end.",
            parameter="last",
        )
    return column, moment


def _after(single: dict[str, str]) -> str | None:
    after = single.get("after")
    if after is not None:
        try:
            cursor.decode(after)
        except MalformedCursorError:
            raise BadParameterError(
                f"{messages.excerpt(after)} is not a cursor. Use an answer's `cursor` or an event's id.",
                parameter="after",
            ) from None
    return after


def _after_key(table: Table, single: dict[str, str]) -> tuple[Literal, ...] | None:
    if after_key.NAME not in single:
        return None
    if "order" in single:
        raise BadParameterError(
            "Pages follow the order of the key; leave out order or after-key.", parameter=after_key.NAME
        )
    return after_key.parse(single[after_key.NAME], table)


def _order(table: Table, text: str | None) -> tuple[OrderTerm, ...]:
    terms = parameters.order(text, table, parameter="order") if text is not None else ()
    for term in terms:
        column = table.by_name[term.column]
        if not (is_sortable(column) or term.column in (table.key or ())):
            raise BadParameterError(
                f"The column {messages.excerpt(column.name)} ({column.type}) has no order.", parameter="order"
            )
    named = {term.column for term in terms}
    return terms + tuple(OrderTerm(name) for name in table.key or () if name not in named)
