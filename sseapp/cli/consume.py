"""``sseapp consume``: runs one consumer without a web server."""

from __future__ import annotations

import logging
import os
import pkgutil
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import click

from sseapp.config import Settings
from sseapp.errors import SseappError
from sseapp.live.consumer import Consumer, pace_of
from sseapp.live.consumer_run import Function
from sseapp.postgres import catalog, consumer_state, schema
from sseapp.postgres.database import Connection, Database
from sseapp.process import dsn


@click.command()
@click.argument("name")
@click.argument("function", metavar="MODULE:FUNCTION")
@click.option("--table", required=True, help="The watched table, as in HTTP addresses: orders, shop.orders.")
@click.option(
    "--batch", default=1, show_default=True, type=click.IntRange(1), help="Changes in one transaction: more is faster."
)
def consume(name: str, function: str, table: str, batch: int) -> None:
    """Call a Python function for each change of a table: each exactly once, in order.

    FUNCTION(change, connection) is called in the transaction that moves the consumer NAME on. Start it twice and one of
    the two works, the other waits to take over. With --batch, a killed process has a whole batch told again: its
    effects in the database are still there once. MODULE is found in the current folder, too. Ctrl-C or SIGTERM ends it
    after the change that is being consumed.
    """
    try:
        settings = Settings.from_environ(os.environ)
        database = Database(dsn(settings), size=1, deadline=settings.deadline)
        _check(database, table)
        consumer = Consumer(
            name,
            table,
            _imported(function),
            database=database,
            pace=pace_of(settings),
            piece=settings.batch,
            batch=batch,
            retention=settings.retention,
        )
    except SseappError as error:
        raise click.ClickException(str(error)) from error
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: consumer.stop())
    click.echo(f"Consumer {name} consumes the changes of {table}.", err=True)
    consumer.run()


def status_lines(connection: Connection) -> Iterator[str]:
    """What ``sseapp status`` shows of the consumers."""
    for one in consumer_state.status(connection):
        runs = "runs" if one.pid else "stopped"
        failing = f"  failing since {one.failing_since}: {one.error}" if one.failing_since else ""
        yield f"consumer {one.name}: {one.table}  {runs}  {one.lag:.1f} s behind{failing}"


def _check(database: Database, table: str) -> None:
    with closing(database.connect()) as connection, schema.needed(connection):
        catalog.served(connection, catalog.load(connection), table)


def _imported(name: str) -> Function:
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise click.BadParameter(f"{name!r} is not of the form MODULE:FUNCTION.", param_hint="MODULE:FUNCTION")
    sys.path.insert(0, "")
    try:
        found: Any = pkgutil.resolve_name(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        raise click.BadParameter(f"There is no module {error.name}.", param_hint="MODULE:FUNCTION") from None
    except (AttributeError, ValueError):
        raise click.BadParameter(f"{module} has no {attribute}.", param_hint="MODULE:FUNCTION") from None
    if not callable(found):
        raise click.BadParameter(f"{name} cannot be called.", param_hint="MODULE:FUNCTION")
    function: Function = found
    return function
