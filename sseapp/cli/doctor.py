"""Checks step by step, with a canary row, that changes arrive; and says what to do about what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic

from sseapp import concurrency
from sseapp.config import Settings
from sseapp.delivery.changes_stream import ChangesStream
from sseapp.errors import MissingRightError, SseappError
from sseapp.log.cursor import Cursor
from sseapp.postgres import change_log, schema, statements
from sseapp.postgres.change_log import ChangeLog
from sseapp.postgres.database import Connection
from sseapp.process import Runtime

_CANARY = "sseapp_doctor.canary"
_SONG = 5.0  # seconds that the canary's row may take
_OLDEST = 140000


@dataclass(frozen=True, slots=True)
class Finding:
    """One step's outcome: ``well`` is false where changes do not arrive, ``None`` a hint; ``advice``: what to do."""

    step: str
    well: bool | None
    text: str
    advice: str = ""


class _IncurableError(Exception):
    """Nothing further can be checked."""


def examine(dsn: str, settings: Settings) -> Iterator[Finding]:
    """Check everything there is between a row's commit and a subscriber, in the order that the row goes."""
    try:
        connection = Connection(dsn, deadline=settings.deadline)
    except SseappError as error:
        yield Finding("connect", False, error.detail, "Is DATABASE_URL right, and the server running?")
        return
    with closing(connection), suppress(_IncurableError):
        for step in (_server, partial(_pooler, settings), _schema, _rights, _tables):
            for finding in step(connection):
                yield finding
                if finding.well is False and step is not _tables:
                    raise _IncurableError
        yield from _canary(connection, replace(settings, database_url=dsn))


def _named(name: str) -> str:
    return statements.named("doctor")[name]


def _server(connection: Connection) -> Iterator[Finding]:
    ((version, number, replica, read_only, role),) = connection.query(_named("server"))
    if number < _OLDEST:
        yield Finding("connect", False, f"This is PostgreSQL {version}.", "sseapp needs PostgreSQL 14 or later.")
    elif replica:
        advice = (
            "Point DATABASE_URL at the primary: a replica's snapshots cannot serve as cursors, and it has no NOTIFY."
        )
        yield Finding("connect", False, "This is a replica.", advice)
    elif read_only:
        yield Finding(
            "connect", False, "Transactions are read-only.", "Unset default_transaction_read_only for the role."
        )
    else:
        yield Finding("connect", True, f"PostgreSQL {version}, as {role}")


def _pooler(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """A pooler in transaction mode lends a session for one transaction: LISTEN would be heard by somebody else."""
    pooler = "There is a pooler (PgBouncer?) between us and PostgreSQL"
    if not connection.pooled:
        yield Finding("session", True, "a session of our own")
    elif settings.notify is False:
        yield Finding("session", True, "a pooler's; with SSEAPP_NOTIFY=off the log is polled")
    elif settings.notify:
        advice = "In transaction mode no NOTIFY reaches us: then SSEAPP_NOTIFY=off is right."
        yield Finding("session", None, f"{pooler}, in session mode by SSEAPP_NOTIFY=on.", advice)
    else:
        advice = (
            "SSEAPP_NOTIFY=off spares the writers a NOTIFY that is not heard. Or connect to PostgreSQL itself; or to a "
            "pool in session mode, and say so by SSEAPP_NOTIFY=on. Only sseapp's few connections need that."
        )
        yield Finding("session", None, f"{pooler}: the log is polled all the time.", advice)


def _schema(connection: Connection) -> Iterator[Finding]:
    if connection.query(_named("entrance")) == [(False,)]:
        yield _no_rights()
    elif not schema.is_installed(connection):
        advice = "`python -m sseapp watch TABLE` installs it; `python -m sseapp sql` prints what that does."
        yield Finding("schema", False, "sseapp is not installed in this database.", advice)
    elif schema.is_current(connection):
        yield Finding("schema", True, "installed, of this version")
    else:
        advice = "`python -m sseapp install`, or the output of `python -m sseapp sql`, updates it, or says why not."
        yield Finding("schema", False, "It is of another version, or came out of a dump.", advice)


def _rights(connection: Connection) -> Iterator[Finding]:
    if connection.query(_named("rights")) == [(True,)]:
        yield Finding("rights", True, "this role may read the log")
        return
    yield _no_rights()


def _no_rights() -> Finding:
    advice = "Connect as the role that installed sseapp, or GRANT that role to this one."
    return Finding("rights", False, "This role may not read the log.", advice)


def _tables(connection: Connection) -> Iterator[Finding]:
    rows = connection.query(_named("tables"))
    if not rows:
        yield Finding("tables", None, "No table is watched yet.", "`python -m sseapp watch TABLE --range COLUMN`")
    for name, readable, in_place, has_key, range_column, indexed in rows:
        step = f"table {name}"
        if not readable:
            yield Finding(step, False, "This role may not read it.", f"GRANT SELECT ON {name} to the role.")
        elif not in_place:
            advice = "`python -m sseapp unwatch` and `watch` make them anew; ENABLE ALWAYS TRIGGER switches them on."
            yield Finding(step, False, "Its triggers are disabled or gone.", advice)
        elif not has_key:
            yield Finding(step, None, "It has no key: a row is told from others by all its columns.", "Give it one.")
        elif not indexed:
            advice = f"An index on {range_column} makes snapshots of a range quick."
            yield Finding(step, None, f"The range column {range_column} has no index.", advice)
        else:
            yield Finding(step, True, "watched, its triggers in place")


def _canary(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Make a table of our own, watch it, write a row, and follow it to a stream."""
    try:
        connection.query(_named("canary_in"))
        connection.query(_named("canary_out"))
        schema.watch(connection, _CANARY)
    except MissingRightError as error:
        yield Finding(
            "trigger", None, f"No canary: {error.detail}.", "GRANT CREATE ON DATABASE lets the doctor check it."
        )
        return
    try:
        yield from _sing(connection, settings)
    finally:
        connection.query("SELECT sseapp.unwatch(%s)", (_CANARY,))
        connection.query(_named("canary_in"))


def _sing(connection: Connection, settings: Settings) -> Iterator[Finding]:
    before = change_log.log_end(connection)
    runtime = Runtime(settings)
    runtime.start()
    stands, heard = threading.Event(), threading.Event()
    try:
        subscription = ChangesStream(runtime.services, _CANARY, [("snapshot", "no")])
        concurrency.start("canary", _follower(subscription, stands, heard))
        stands.wait(_SONG)
        reading = ChangeLog(connection).read(Cursor(before.upto), batch=1, sent=0).reading
        polls = runtime.listener.pace.deaf or (reading is not None and reading.left > 0)
        if not polls:
            connection.query("LISTEN sseapp")
        began = monotonic()
        connection.query(f"INSERT INTO {_CANARY} VALUES (1, 'tweet')")  # noqa: S608  # a name of our own
        rang = not polls and connection.wait_for_notify(_SONG)
        batch = ChangeLog(connection).read(Cursor(before.upto), batch=1000, sent=before.greatest_id)
        logged = any(change.new and "tweet" in change.new for change in batch.changes)
        yield _step(
            "trigger", logged, "the canary's row is in the log", "Its trigger did not fire: see the server's log."
        )
        if polls:
            yield Finding("bell", True, "not needed: the log is polled")
        else:
            advice = "Does a pooler stand between? Then SSEAPP_NOTIFY=off."
            yield _step("bell", rang, "its NOTIFY arrived", advice)
        arrived = heard.wait(_SONG)
        took = f"the row was in a stream {1000 * (monotonic() - began):.0f} ms after its commit"
        yield _step("stream", arrived, took, "See this program's log; then please report it.")
    finally:
        runtime.close()


def _follower(subscription: ChangesStream, stands: threading.Event, heard: threading.Event) -> Callable[[], None]:
    def follow() -> None:
        with closing(subscription):
            for number, data in enumerate(subscription.body()):
                if number:
                    # the second piece says where it stands: what is written from now on is to come
                    stands.set()
                if b"tweet" in data:
                    heard.set()
                    return

    return follow


def _step(step: str, well: bool, text: str, advice: str) -> Finding:
    return Finding(step, True, text) if well else Finding(step, False, f"Not so: {text}.", advice)
