"""How a table is watched so far, and how the options of ``watch`` change that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from sseapp.postgres import catalog, statements
from sseapp.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """The options of one table's watch: the columns to ``hide``, or ``only`` the columns to show.

    ``hide`` holds the names of hidden columns that were dropped, too: a new column of that name is hidden again.
    """

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

        Raises :exc:`click.UsageError` where that contradicts what is shown so far.
        """
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


def check_contradictions(
    *, no_range: bool, range_column: str | None, hide: Sequence[str], only: Sequence[str], show_all: bool
) -> None:
    """Raise :exc:`click.UsageError` where two options of one call contradict each other."""
    for first, second, clash in (
        ("--range", "--no-range", range_column is not None and no_range),
        ("--hide", "--only", hide and only),
        ("--only", "--show-all", only and show_all),
    ):
        if clash:
            raise click.UsageError(f"Give {first} or {second}, not both.")


def watch_options(connection: Connection, table: str) -> WatchOptions:
    """The options that ``table`` is watched with; the defaults if it is not watched."""
    relation = catalog.relation(connection, table)
    found = connection.query(statements.named("status")["watched_as"], {"table": relation})
    if not found:
        return WatchOptions(table)
    ((range_column, hidden, only, sees_all_rows),) = found
    shown = None if only is None else tuple(only)
    return WatchOptions(table, range_column, tuple(hidden or ()), shown, sees_all_rows, is_watched=True)
