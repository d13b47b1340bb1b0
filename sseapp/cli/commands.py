"""The command line: ``python -m sseapp COMMAND``, and the same commands under ``flask --app wsgi``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from sseapp.cli import consume
from sseapp.cli.doctor import Finding, examine
from sseapp.config import SETTINGS, Settings
from sseapp.errors import ConnectionLostError, SseappError
from sseapp.postgres import change_log, pruner, schema, statements
from sseapp.postgres.database import Connection
from sseapp.process import dsn

_SETTINGS = "\b\nSettings, from the environment:\n" + "\n".join(
    f"  {setting.variable:20} {setting.meaning}" + (f" [{setting.default}]" if setting.default else "")
    for setting in SETTINGS.values()
)


@click.group(epilog=_SETTINGS)
def main() -> None:
    """Any PostgreSQL table, live in a browser.

    The database is DATABASE_URL; where that is unset, the embedded PostgreSQL of this folder while it runs.
    """


@main.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port on 127.0.0.1.")
def demo(port: int) -> None:
    """Show a sample shop live: an embedded PostgreSQL, a few changes a second, a dashboard. Ctrl-C ends all of it."""
    from sseapp.cli.demo import run  # noqa: PLC0415  # it needs the embedded PostgreSQL, which not every machine has

    with _errors():
        raise SystemExit(run(port))


@main.command()
def install() -> None:
    """Install sseapp in the database, or update it. What is watched stays as it is."""
    with _connected() as connection:
        if not _installed(connection):
            click.echo("sseapp is there already, in this version.")


def _installed(connection: Connection) -> bool:
    if schema.install(connection):
        click.echo("sseapp is installed in this database (schema sseapp).")
        return True
    return False


@main.command()
@click.argument("table")
@click.option("--range", "range_column", metavar="COLUMN", help="The column that start, end and last go by.")
@click.option("--hide", multiple=True, metavar="COLUMN", help="Keep a column out of the log. May be repeated.")
@click.option("--only", multiple=True, metavar="COLUMN", help="Show these columns only. May be repeated.")
@click.option("--show-all", is_flag=True, help="Show the columns, too, that it has left out so far.")
@click.option("--subscribers-see-all-rows", is_flag=True, help="Watch a table in spite of its row-level security.")
def watch(
    table: str,
    range_column: str | None,
    hide: tuple[str, ...],
    only: tuple[str, ...],
    *,
    show_all: bool,
    subscribers_see_all_rows: bool,
) -> None:
    """Watch TABLE (written as in SQL), or change how it is watched. Installs sseapp in the database where it must.

    What is not given here is taken back: the range column, and the hidden columns with --show-all.
    """
    with _connected() as connection:
        _installed(connection)
        left_out = "" if hide or only or show_all else schema.left_out(connection, table)
        if left_out:
            raise click.UsageError(
                f"{table} leaves out {left_out} so far. Say so again (--hide, --only), or --show-all."
            )
        schema.watch(
            connection,
            table,
            range_column=range_column,
            hide=hide,
            only_columns=only or None,
            subscribers_see_all_rows=subscribers_see_all_rows,
        )
        click.echo(f"{table} is watched.")


@main.command()
@click.argument("table")
def unwatch(table: str) -> None:
    """End the watch of TABLE and remove its triggers."""
    with _connected() as connection:
        found = schema.unwatch(connection, table)
        click.echo(f"{table} is no longer watched." if found else f"{table} was not watched.")


@main.command()
def status() -> None:
    """Show what is watched, and the state of the log."""
    with _connected() as connection:
        if not schema.is_installed(connection):
            click.echo("sseapp is not installed in this database; `watch TABLE` installs it.")
            return
        for watched in connection.query(statements.named("queries")["watched"]):
            click.echo("{}.{}  key: {}  range: {}  hidden: {}".format(*watched))
        ((rows, size, age),) = connection.query(statements.named("queries")["size"])
        click.echo(f"log: {rows} rows, {size / 1e6:.1f} MB on disk, the oldest {age:.0f} s old")
        for line in consume.status_lines(connection):
            click.echo(line)
        now = change_log.log_end(connection)
        click.echo(f"epoch: {now.epoch}  position: {now.upto}")


@main.command()
@click.option("--uninstall", is_flag=True, help="What would remove sseapp instead.")
def sql(*, uninstall: bool) -> None:
    """Print the SQL that installs sseapp, for review or for a migration tool."""
    click.echo(schema.printable(uninstall=uninstall))


@main.command()
def uninstall() -> None:
    """Remove sseapp from the database: triggers, log, schema."""
    with _connected() as connection:
        schema.uninstall(connection)
        click.echo("sseapp is no longer in this database.")


@main.command()
def doctor() -> None:
    """Check step by step, with a canary row, that changes arrive; say what to do about what is wrong."""
    with _errors():
        well = True
        for finding in examine(dsn(_settings()), _settings()):
            _show(finding)
            well = well and finding.well is not False
    raise SystemExit(0 if well else 1)


@main.command()
def prune() -> None:
    """Prune the log now, by SSEAPP_RETENTION and SSEAPP_LOG_SIZE. Running servers do it by themselves."""
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
        raise ConnectionLostError(f"No connection to the database of DATABASE_URL: {error.detail}") from error


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except SseappError as error:
        raise click.ClickException(error.detail) from error
