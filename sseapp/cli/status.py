"""What ``status`` shows: the watched tables, the log, and with ``--verbose`` all that a running server depends on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sseapp.errors import NotFoundError
from sseapp.postgres import catalog, change_log, statements
from sseapp.postgres.database import Connection
from sseapp.postgres.raw_text import readable

_FIRING = (
    "-- For review. sseapp writes these for this one table in this one database, and again when its columns change."
)


@dataclass(frozen=True, slots=True)
class WatchedTable:
    """One watched table. ``trouble`` says why changes are missed, if they are; ``log_share`` is between 0 and 1.

    ``children`` are the tables that inherit from it, whose rows are not included.
    """

    name: str
    key: list[str] | None
    range: str | None
    hidden: list[str]
    only: list[str] | None
    trouble: str | None
    since: datetime
    watch: int
    generation: int
    sees_all_rows: bool
    log_share: float
    children: str | None

    def __str__(self) -> str:
        hidden = ", ".join(self.hidden) or "none"
        parts = [
            self.name,
            f"key: {', '.join(self.key or ['the whole row'])}",
            f"range: {self.range or 'none'}",
            f"hidden: {hidden if self.only is None else 'all but ' + ', '.join(self.only)}",
            f"log: {self.log_share:.0%}",
        ]
        if self.children:
            parts.append(f"without the rows of tables that inherit from it: {self.children}")
        if self.trouble:
            parts.append(f"PROBLEM: {self.trouble}")
        return "  ".join(parts)

    def details(self) -> str:
        """What ``--verbose`` adds."""
        rows = "all rows, in spite of row-level security" if self.sees_all_rows else "all rows"
        return f"    watch {self.watch}, generation {self.generation}, since {self.since:%Y-%m-%d %H:%M:%S}, {rows}"


@dataclass(frozen=True, slots=True)
class Log:
    """The change log: its rows, its size on disk in bytes, the age of its oldest change in seconds."""

    rows: int
    size: int
    age: float

    def __str__(self) -> str:
        return f"log: {self.rows} rows, {self.size / 1e6:.1f} MB on disk, oldest change {self.age:.0f} s old"


@dataclass(frozen=True, slots=True)
class Sessions:
    """The database sessions of the servers at one address; the newest was active ``idle`` seconds ago at the latest."""

    client: str
    count: int
    idle: float

    def __str__(self) -> str:
        return f"servers at {self.client}: {self.count} sessions, idle for up to {self.idle:.0f} s"


@dataclass(frozen=True, slots=True)
class Details:
    """What ``--verbose`` adds: how long writers do not NOTIFY, who reads the log, and what keeps it from pruning."""

    polled_for: float | None
    sessions: list[Sessions]
    oldest_transaction: float | None
    horizon: str
    epoch: str
    position: str

    def lines(self) -> Iterator[str]:
        """The details in words, one a line."""
        yield f"servers learn of changes by: {self._mode()}"
        yield from map(str, self.sessions) if self.sessions else ["servers: none connected"]
        if self.oldest_transaction is not None:
            yield f"oldest open transaction: {self.oldest_transaction:.0f} s (the log is pruned up to what it may see)"
        yield f"log pruned up to: {self.horizon}"
        yield f"log at: {self.position}, epoch {self.epoch}"

    def _mode(self) -> str:
        if self.polled_for is None:
            return "polling, always (SSEAPP_NOTIFY=off)"
        return f"polling, for another {self.polled_for:g} s at least" if self.polled_for else "NOTIFY"


def tables(connection: Connection) -> list[WatchedTable]:
    """All watched tables, sorted by name."""
    changes: dict[int, int] = dict(connection.query(_named("shares")))
    total = sum(changes.values()) or 1
    return [_table(row, changes, total) for row in connection.query(_named("watched"))]


def log(connection: Connection) -> Log:
    """The state of the log."""
    ((rows, size, age),) = connection.query(statements.named("log")["size"])
    return Log(rows, size, age)


def firing(connection: Connection, table: str) -> str:
    """The functions and triggers of the watch of ``table``, as SQL, to be read.

    Raises :exc:`~sseapp.errors.NotFoundError` where it is not watched.
    """
    relation = catalog.relation(connection, table)
    texts = connection.query(_named("firing"), {"table": relation})
    if not texts:
        raise NotFoundError(f"{table} is not watched, so nothing fires on it. Watch it first: `watch {table}`.")
    return "\n\n".join([_FIRING, *(str(_readable(text)).strip() for (text,) in texts)])


def as_json(connection: Connection) -> str:
    """All of it, as one JSON object."""
    parts = {
        "tables": [asdict(table) for table in tables(connection)],
        "log": asdict(log(connection)),
        "details": asdict(details(connection)),
    }
    return json.dumps(parts, indent=2, ensure_ascii=False, default=str)


def details(connection: Connection) -> Details:
    """What a running server depends on."""
    ((milliseconds, always),) = connection.query(_named("lease"))
    ((horizon, oldest),) = connection.query(_named("horizon"))
    end = change_log.log_end(connection)
    return Details(
        None if always else milliseconds / 1000,
        [Sessions(*row) for row in connection.query(_named("sessions"))],
        oldest,
        horizon,
        str(end.epoch),
        str(end.upto),
    )


def _table(row: tuple[Any, ...], changes: dict[int, int], total: int) -> WatchedTable:
    schema, name, key, range_, hidden, only, trouble, since, watch, generation, see_all, children = map(_readable, row)
    share = changes.get(watch, 0) / total
    return WatchedTable(
        f"{schema}.{name}", key, range_, hidden or [], only, trouble, since, watch, generation, see_all, share, children
    )


def _readable(value: Any) -> Any:
    """``value`` without bytes that are no text, whether it is a text, a list of texts, or something else."""
    if isinstance(value, list):
        return [readable(each) for each in value]
    return readable(value) if isinstance(value, str) else value


def _named(name: str) -> str:
    return statements.named("status")[name]
