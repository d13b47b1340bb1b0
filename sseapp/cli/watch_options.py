"""How a table is watched so far, and how the options of ``watch`` change that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from sseapp.postgres import catalog, statements
from sseapp.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """The options of one table's watch: the columns to ``hide``, or ``only`` the columns to show."""

    table: str
    range_column: str | None = None
    hide: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    sees_all_rows: bool = False
    is_watched: bool = False

    def with_range(self, column: str | None) -> WatchOptions:
        """The same with another range column, or with none."""
        return replace(self, range_column=column)

    def with_columns(self, *, hide: Sequence[str], only: Sequence[str], show_all: bool) -> WatchOptions:
        """The same with columns hidden, besides those hidden so far unless ``show_all``; or with ``only`` these shown.

        Raises :exc:`click.UsageError` where the two contradict each other.
        """
        if hide and only:
            raise click.UsageError("Give --hide or --only, not both.")
        if only:
            return replace(self, hide=(), only=tuple(only))
        if show_all:
            return replace(self, hide=tuple(hide), only=None)
        if hide and self.only is not None:
            raise click.UsageError(
                f"{self.table} shows only {', '.join(self.only)} so far. Change that list with --only, "
                "or begin with all columns: --show-all --hide COLUMN."
            )
        return replace(self, hide=(*self.hide, *(column for column in hide if column not in self.hide)))


def watch_options(connection: Connection, table: str) -> WatchOptions:
    """The options that ``table`` is watched with; the defaults if it is not watched."""
    relation = catalog.relation(connection, table)
    found = connection.query(statements.named("status")["watched_as"], {"table": relation})
    if not found:
        return WatchOptions(table)
    ((range_column, hidden, only, sees_all_rows),) = found
    shown = None if only is None else tuple(only)
    return WatchOptions(table, range_column, tuple(hidden or ()), shown, sees_all_rows, is_watched=True)
