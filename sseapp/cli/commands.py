"""The command line: ``python -m sseapp COMMAND``, and the same commands under ``flask --app wsgi``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from sseapp.cli import consume
from sseapp.cli import status as state
from sseapp.cli.doctor import Finding, examine
from sseapp.cli.watch_options import check_contradictions, watch_options
from sseapp.config import FOR_GUNICORN, SETTINGS, Settings
from sseapp.errors import ConnectionLostError, OtherVersionError, SseappError
from sseapp.postgres import pruner, schema
from sseapp.postgres.database import Connection
from sseapp.process import dsn
from sseapp.version import __version__

GUNICORN = ("-m", "gunicorn", "-k", "gevent", "-c", "python:sseapp.gunicorn", "sseapp.wsgi")
"""What Python is to run to serve; options may follow."""


@click.group()
@click.version_option(__version__, prog_name="sseapp")
def main() -> None:
    """Any PostgreSQL table, live in a browser.

    The database is DATABASE_URL; if that is unset, the embedded PostgreSQL of this folder, which must be running.
    `settings` lists all settings.
    """


@main.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port on 127.0.0.1.")
def demo(port: int) -> None:
    """Run a sample shop: an embedded PostgreSQL, a few changes a second, the dashboard. Ctrl-C stops it all."""
    from sseapp.cli.demo import run  # noqa: PLC0415  # needs the embedded PostgreSQL, which not every machine has

    with _errors():
        raise SystemExit(run(port))


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--bind", metavar="HOST:PORT", help="Address to serve; 127.0.0.1:8000 by default.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes; 1 by default.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[GUNICORN OPTIONS]...")
def serve(bind: str | None, workers: int | None, options: tuple[str, ...]) -> None:
    """Serve the page and the API with gunicorn and gevent. Further options go to gunicorn as they are."""
    _settings()  # so that a mistake is told here, and not by each worker
    given = [*(["--bind", bind] if bind else []), *(["--workers", str(workers)] if workers else []), *options]
    os.execv(sys.executable, [sys.executable, *GUNICORN, *given])  # noqa: S606  # no shell: a program of our own


@main.command()
def settings() -> None:
    """List all settings, which come from the environment, with their defaults."""
    rows = [(each.variable, each.default, each.meaning) for each in SETTINGS.values()]
    rows += [(variable, *rest) for variable, rest in FOR_GUNICORN.items()]
    for variable, default, meaning in rows:
        click.echo(f"{variable:20} {meaning}" + (f" [{default}]" if default else ""))


@main.command()
def install() -> None:
    """Install sseapp in the database, or update it. Watched tables stay watched."""
    with _connected() as connection:
        if not _installed(connection):
            click.echo("sseapp is already installed, in this version.")


def _installed(connection: Connection) -> bool:
    if schema.install(connection):
        click.echo("sseapp is installed in this database (schema sseapp).")
        return True
    return False


@main.command()
@click.argument("table")
@click.option("--range", "range_column", metavar="COLUMN", help="Date, time or number column for start, end and last.")
@click.option("--no-range", is_flag=True, help="Remove the range column.")
@click.option("--hide", multiple=True, metavar="COLUMN", help="Keep a column out of the log. May be repeated.")
@click.option("--only", multiple=True, metavar="COLUMN", help="Show only these columns. May be repeated.")
@click.option("--show-all", is_flag=True, help="Show all columns, those hidden so far too.")
@click.option("--subscribers-see-all-rows", is_flag=True, help="Watch a table in spite of its row-level security.")
def watch(  # one for each option
    table: str,
    range_column: str | None,
    hide: tuple[str, ...],
    only: tuple[str, ...],
    *,
    no_range: bool,
    show_all: bool,
    subscribers_see_all_rows: bool,
) -> None:
    """Watch TABLE, or change how it is watched. Installs sseapp in the database if needed.

    If TABLE is watched already, only what the options name changes.
    """
    check_contradictions(no_range=no_range, range_column=range_column, hide=hide, only=only, show_all=show_all)
    with _connected() as connection:
        _installed(connection)
        so_far = watch_options(connection, table)
        if range_column or no_range:
            so_far = so_far.with_range(None if no_range else range_column)
        wanted = so_far.with_columns(hide=hide, only=only, show_all=show_all)
        schema.watch(
            connection,
            table,
            range_column=wanted.range_column,
            hide=wanted.hide,
            only_columns=wanted.only,
            subscribers_see_all_rows=subscribers_see_all_rows or wanted.sees_all_rows,
        )
        for notice in connection.notices:
            click.echo(notice.strip(), err=True)
        click.echo(f"{table} is watched.")
        if not so_far.is_watched:
            click.echo("Next: `python -m sseapp serve` shows it at http://127.0.0.1:8000/; `doctor` checks the way.")


@main.command()
@click.argument("table")
def unwatch(table: str) -> None:
    """Stop watching TABLE and remove its triggers."""
    with _connected() as connection:
        found = schema.unwatch(connection, table)
        click.echo(f"{table} is no longer watched." if found else f"{table} was not watched.")


@main.command()
@click.option("--verbose", is_flag=True, help="Show also how servers learn of changes, their sessions, the log's end.")
@click.option("--json", "as_json", is_flag=True, help="Show all of this as JSON.")
def status(*, verbose: bool, as_json: bool) -> None:
    """Show the watched tables and the state of the log."""
    with _connected() as connection:
        if not schema.is_installed(connection):
            click.echo("sseapp is not installed in this database; `watch TABLE` installs it.")
            return
        if not schema.is_current(connection):
            click.echo(f"Warning: {OtherVersionError().detail}", err=True)
        with schema.needed(connection):
            if as_json:
                click.echo(state.as_json(connection))
                return
            for watched in state.tables(connection):
                click.echo(watched)
                if verbose:
                    click.echo(watched.details())
            click.echo(state.log(connection))
            for line in consume.status_lines(connection):
                click.echo(line)
            if verbose:
                click.echo("\n".join(state.details(connection).lines()))


@main.command()
@click.argument("table", required=False)
@click.option("--uninstall", is_flag=True, help="Print the SQL that removes sseapp.")
def sql(table: str | None, *, uninstall: bool) -> None:
    """Print the SQL that installs sseapp, for review or for a migration tool.

    With TABLE, print instead the functions and triggers of that table's watch, for review.
    """
    if table is None:
        click.echo(schema.printable(uninstall=uninstall))
        return
    if uninstall:
        raise click.UsageError("Give TABLE or --uninstall, not both. `unwatch TABLE` removes its triggers.")
    with _connected() as connection, schema.needed(connection):
        click.echo(state.firing(connection, table))


@main.command()
def uninstall() -> None:
    """Remove sseapp from the database: its triggers, log and schema."""
    with _connected() as connection:
        schema.uninstall(connection)
        click.echo("sseapp has been removed from this database.")


@main.command()
def doctor() -> None:
    """Check step by step, with a test row, that changes arrive, and say how to fix what is wrong."""
    with _errors():
        well = True
        for finding in examine(dsn(_settings()), _settings()):
            _show(finding)
            well = well and finding.well is not False
    raise SystemExit(0 if well else 1)


@main.command()
def prune() -> None:
    """Prune the log now, by SSEAPP_RETENTION and SSEAPP_LOG_SIZE. Running servers do this themselves."""
    settings = _settings()
    total = 0
    with _connected() as connection, schema.needed(connection):
        for count in pruner.steps(connection, retention=settings.retention, size=settings.log_size):
            total += count
            click.echo(f"\r{total} rows pruned", nl=False, err=True)
    click.echo(f"\r{total} rows pruned.")


main.add_command(consume.consume)


def _show(finding: Finding) -> None:
    mark, colour = {True: ("ok", "green"), False: ("FAIL", "red"), None: ("note", "yellow")}[finding.well]
    click.echo(f"{click.style(f'{mark:5}', fg=colour)}{finding.step}: {finding.text}")
    if finding.advice:
        click.echo(f"     -> {finding.advice}")


def _settings() -> Settings:
    with _errors():
        return Settings.from_environ(os.environ)


@contextmanager
def _connected() -> Iterator[Connection]:
    settings = _settings()
    with _errors(), closing(_connect(settings)) as connection:
        yield connection


def _connect(settings: Settings) -> Connection:
    try:
        return Connection(dsn(settings), deadline=max(30.0, settings.deadline))
    except ConnectionLostError as error:
        raise ConnectionLostError(f"Cannot connect to the database of DATABASE_URL: {error}") from error


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except SseappError as error:
        raise click.ClickException(str(error)) from error
