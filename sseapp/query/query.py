"""A query: what a subscriber asks of a table, read from the parameters of its address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sseapp import messages
from sseapp.errors import BadParameterError, MalformedCursorError
from sseapp.log import cursor
from sseapp.query import after_key, conditions, parameters, window
from sseapp.query.conditions import Condition
from sseapp.query.filters import Filter
from sseapp.query.operators import Operator
from sseapp.query.parameters import OrderTerm
from sseapp.tables import time_zones
from sseapp.tables.column_types import Moment, column_type
from sseapp.tables.row_json import name_text
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
MOST_CONDITIONS = 100
LONGEST_WAIT = 60.0
SHORTEST_EVERY = 0.1
LONGEST_EVERY = 3600.0
SORTABLE = frozenset(
    ("bit", "bytea", "char", "cidr", "inet", "interval", "macaddr", "macaddr8", "money", "timetz", "varbit", "xid8")
)
"""Types whose filters go by the text that they show, and that PostgreSQL sorts all the same."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a subscriber asks of ``table``.

    ``filter`` is without the moving bound of ``last``: :meth:`resolved` adds it. ``columns`` are in the table's order,
    the key among them; ``None`` is all. ``order`` ends with the key, so that ``limit`` always takes the same rows.
    ``whole`` says that no limit was given: then an event stream of changes begins with all rows. ``wait`` and ``every``
    are seconds; ``after_key`` is that of the row behind which the rows begin. Queries of equal ``canonical`` hear the
    same changes; those of equal ``result`` read the same rows.
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
        """The filter, the window and the columns, as short as they can be told."""
        parts = [self.filter.canonical] if self.filter.conditions else []
        if self.last is not None:
            # an instant moves alike in every zone
            local = self.table.range is None or self.table.by_name[self.table.range].base != "timestamptz"
            parts.append(f"last={self.last.total_seconds():.0f}s" + (f"&tz={self.tz.key}" if local else ""))
        if self.columns is not None:
            parts.append("columns=" + ",".join(map(name_text, self.columns)))
        return "&".join(parts)

    @property
    def result(self) -> str:
        """The canonical text with the order and the limit."""
        terms = ",".join(
            name_text(term.column) + ("d" if term.descending else "a") + ("f" if term.nulls_first else "l")
            for term in self.order
        )
        behind = "" if self.after_key is None else "&after-key=" + ",".join(name_text(v.text) for v in self.after_key)
        return f"{self.canonical}&order={terms}&limit={self.limit}{behind}"

    @property
    def heard(self) -> Query:
        """The query whose changes may change the rows of this one: it sees the columns of the order, too."""
        if self.columns is None:
            return self
        seen = {*self.columns, *(term.column for term in self.order)}
        return replace(self, columns=tuple(column.name for column in self.table.columns if column.name in seen))

    def begin(self, now: datetime) -> datetime | None:
        """Where the moving window begins at ``now`` (aware), ``None`` without ``last``."""
        return None if self.last is None else window.start(self.last, now)

    def resolved(self, now: datetime) -> tuple[Filter, str | None]:
        """The filter as it is at ``now`` (aware), and the moving bound as JSON text, ``None`` without ``last``."""
        begin = self.begin(now)
        if begin is None:
            return self.filter, None
        column, moment = _moving(self.table)
        bound = moment.at(window.microseconds(begin), self.tz)
        return self.filter.narrowed([Condition(column, Operator.GTE, (bound,))]), name_text(bound.text)


def parse(
    table: Table, arguments: Iterable[tuple[str, str]], *, default_limit: int = 10_000, max_limit: int = 10_000
) -> Query:
    """Read the parameters of a request. Raises :exc:`~sseapp.errors.BadParameterError` naming the one at fault."""
    try:
        return _read(table, arguments, default_limit, max_limit)
    except BadParameterError as error:
        name = error.parameter
        if name in PARAMETERS and name in table.by_name:
            hint = f'A condition on the column of that name is written "{name}"=eq.1, with the quotes.'
            raise BadParameterError(f"{error.detail} {hint}", parameter=name) from None
        raise


def _read(table: Table, arguments: Iterable[tuple[str, str]], default_limit: int, max_limit: int) -> Query:
    single, asked = _sorted_out(table, arguments)
    tz = time_zones.zone(single["tz"]) if "tz" in single else time_zones.UTC_ZONE
    found = [conditions.parse(column, text, tz=tz, parameter=name) for name, column, text in asked]
    return Query(
        table=table,
        filter=Filter((*found, *_range(table, single, tz))),
        last=_last(table, single),
        tz=tz,
        columns=parameters.columns(single["columns"], table, parameter="columns") if "columns" in single else None,
        order=_order(table, single.get("order")),
        limit=parameters.count(single.get("limit", str(default_limit)), parameter="limit", most=max_limit),
        whole="limit" not in single,
        snapshot=parameters.switch(single.get("snapshot", "yes"), parameter="snapshot"),
        after=_after(single),
        after_key=_after_key(table, single),
        wait=parameters.seconds(single.get("wait", "20"), parameter="wait", least=0, most=LONGEST_WAIT),
        every=parameters.seconds(single.get("every", "1"), parameter="every", least=SHORTEST_EVERY, most=LONGEST_EVERY),
    )


def _sorted_out(
    table: Table, arguments: Iterable[tuple[str, str]]
) -> tuple[dict[str, str], list[tuple[str, Column, str]]]:
    """The parameters that are single values, and the conditions: parameter, column, text."""
    single: dict[str, str] = {}
    asked: list[tuple[str, Column, str]] = []
    for name, text in arguments:
        messages.check(name, text)
        if name in single:
            raise BadParameterError("It is there twice; leave one of them out.", parameter=name)
        if name in PARAMETERS:
            single[name] = text
        else:
            asked.append((name, _column(table, name), text))
    if len(asked) > MOST_CONDITIONS:
        raise BadParameterError(f"There are more than {MOST_CONDITIONS} conditions.", parameter=asked[-1][0])
    return single, asked


def _column(table: Table, name: str) -> Column:
    column = table.by_name.get(parameters.unquoted(name))
    if column is None:
        raise BadParameterError(
            f"There is no such parameter, and {table} has no such column: {parameters.has(table)}; "
            f"the parameters are {', '.join(PARAMETERS)}.",
            parameter=name,
        )
    return column


def _range(table: Table, single: dict[str, str], tz: ZoneInfo) -> Iterable[Condition]:
    """The conditions that ``start`` and ``end`` are short for."""
    if "start" in single:
        column = _range_column(table, "start")
        start = column_type(column).literal(single["start"], tz=tz, parameter="start")
        yield Condition(column, Operator.GTE, (start,))
    if "end" in single:
        column = _range_column(table, "end")
        end, included = column_type(column).until(single["end"], tz=tz, parameter="end")
        yield Condition(column, Operator.LTE if included else Operator.LT, (end,))


def _range_column(table: Table, parameter: str) -> Column:
    if table.range is None or table.range not in table.by_name:
        raise BadParameterError(
            f"{table} is watched without a range column; write a condition such as id=gte.1 in its stead.",
            parameter=parameter,
        )
    column = table.by_name[table.range]
    if not column_type(column).ordered:
        raise BadParameterError(
            f"The range column {messages.shown(column.name)} ({column.type}) has no order that SQL and live changes "
            "share; watch the table with another one.",
            parameter=parameter,
        )
    return column


def _last(table: Table, single: dict[str, str]) -> timedelta | None:
    if "last" not in single:
        return None
    if "start" in single:
        raise BadParameterError("It sets the start itself; leave out one of start and last.", parameter="last")
    _moving(table)
    return parameters.span(single["last"], parameter="last")


def _moving(table: Table) -> tuple[Column, Moment]:
    """The range column, where a window can move along it."""
    column = _range_column(table, "last")
    moment = column_type(column)
    if not isinstance(moment, Moment):
        raise BadParameterError(
            f"The range column {messages.shown(column.name)} ({column.type}) has no date in it; use start and end.",
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
                f"{messages.shown(after)} is no cursor; use an answer's `cursor` or an event's id, or leave it out.",
                parameter="after",
            ) from None
    return after


def _after_key(table: Table, single: dict[str, str]) -> tuple[Literal, ...] | None:
    if after_key.NAME not in single:
        return None
    if "order" in single:
        raise BadParameterError("It goes by the order of the key; leave out one of both.", parameter=after_key.NAME)
    return after_key.parse(single[after_key.NAME], table)


def _order(table: Table, text: str | None) -> tuple[OrderTerm, ...]:
    terms = parameters.order(text, table, parameter="order") if text is not None else ()
    for term in terms:
        column = table.by_name[term.column]
        if not (column_type(column).ordered or column.base in SORTABLE or term.column in (table.key or ())):
            raise BadParameterError(
                f"The column {messages.shown(column.name)} ({column.type}) has no order.", parameter="order"
            )
    named = {term.column for term in terms}
    return terms + tuple(OrderTerm(name) for name in table.key or () if name not in named)
