"""Checks step by step, with a test row, that changes arrive, and says how to fix what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
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
from sseapp.postgres.raw_text import readable
from sseapp.process import Runtime

_CANARY = "sseapp_doctor.canary"
_TEXT = "chirp"  # the canary's row, as it is found again in the log and in a stream
_TIMEOUT = 5.0  # seconds that the row may take
_OLDEST = 140000


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one step: ``well`` is False if changes do not arrive, None for a hint. ``advice``: what to do."""

    step: str
    well: bool | None
    text: str
    advice: str = ""


def examine(dsn: str, settings: Settings) -> Iterator[Finding]:
    """Check all that lies between a row's commit and a subscriber, in the order in which a change passes it."""
    try:
        connection = Connection(dsn, deadline=settings.deadline)
    except SseappError as error:
        yield Finding("connect", False, str(error), "Check DATABASE_URL, and that the server is running.")
        return
    with closing(connection):
        for step in (_server, partial(_session, settings), _schema, _rights, _tables):
            for finding in step(connection):
                yield finding
                if finding.well is False and step is not _tables:
                    return
        yield from _canary(connection, replace(settings, database_url=dsn))


def _named(name: str) -> str:
    return statements.named("doctor")[name]


def _server(connection: Connection) -> Iterator[Finding]:
    ((version, number, replica, role),) = connection.query(_named("server"))
    if number < _OLDEST:
        yield Finding("connect", False, f"This is PostgreSQL {version}.", "sseapp needs PostgreSQL 14 or later.")
    elif replica:
        advice = (
            "Point DATABASE_URL at the primary: a replica has no NOTIFY, and its snapshots cannot serve as cursors."
        )
        yield Finding("connect", False, "This is a replica.", advice)
    else:
        yield Finding("connect", True, f"PostgreSQL {version}, role {role}")


def _session(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Look for a pooler in transaction mode: it lends a session for one transaction, so LISTEN hears nothing."""
    if not connection.pooled:
        yield Finding("session", True, "direct connection")
    elif settings.notify is False:
        yield Finding("session", True, "through a pooler; the log is polled (SSEAPP_NOTIFY=off)")
    elif settings.notify:
        advice = "This works in session mode only. For transaction mode set SSEAPP_NOTIFY=off."
        yield Finding("session", None, "Connected through a pooler (PgBouncer?), with SSEAPP_NOTIFY=on.", advice)
    else:
        advice = (
            "Set SSEAPP_NOTIFY=off, so that writers do not NOTIFY in vain. Or connect sseapp directly to PostgreSQL "
            "(it needs only a few connections), or to a pool in session mode with SSEAPP_NOTIFY=on."
        )
        yield Finding("session", None, "Connected through a pooler (PgBouncer?), so the log is always polled.", advice)


def _schema(connection: Connection) -> Iterator[Finding]:
    if connection.query(_named("entrance")) == [(False,)]:
        yield _no_rights()
    elif not schema.is_installed(connection):
        advice = "`python -m sseapp watch TABLE` installs it; `python -m sseapp sql` prints the SQL."
        yield Finding("schema", False, "sseapp is not installed in this database.", advice)
    elif schema.is_current(connection):
        yield Finding("schema", True, "installed, this version")
    else:
        advice = "Run `python -m sseapp install`, or the SQL that `python -m sseapp sql` prints."
        yield Finding("schema", False, "sseapp is installed in another version, or was restored from a dump.", advice)


def _rights(connection: Connection) -> Iterator[Finding]:
    if connection.query(_named("rights")) == [(True,)]:
        yield Finding("rights", True, "this role may read the log")
        return
    yield _no_rights()


def _no_rights() -> Finding:
    advice = "Connect as the role that installed sseapp, or GRANT that role to this one."
    return Finding("rights", False, "This role may not read the log.", advice)


def _tables(connection: Connection) -> Iterator[Finding]:
    ((publications,),) = connection.query(_named("publications"))
    if publications:
        advice = (
            "Publish your tables by name or by schema instead of FOR ALL TABLES, or install sseapp on the subscriber."
        )
        yield Finding("publications", None, f"{publications} publishes the change log.", advice)
    for name, count in connection.query(_named("damaged")):
        text = f"{count} of its changes in the log hold bytes that are not valid in this database's encoding."
        advice = "Subscribers get U+FFFD in their place. Correct the rows, or use a database with the encoding UTF8."
        yield Finding(f"table {readable(name)}", None, text, advice)
    rows = connection.query(_named("tables"))
    if not rows:
        yield Finding("tables", None, "No table is watched yet.", "`python -m sseapp watch TABLE --range COLUMN`")
    for raw_name, may_read, trouble, has_key, range_column, indexed, children in rows:
        name = readable(raw_name)
        step = f"table {name}"
        if not may_read:
            yield Finding(step, False, "This role may not read the table.", f"GRANT SELECT ON {name} to the role.")
        elif trouble:
            advice = f"Run `watch {name}` again, or enable the triggers (ENABLE ALWAYS TRIGGER)."
            yield Finding(step, False, readable(trouble), advice if "trigger" in trouble else "")
        elif children:
            text = f"Tables that inherit from it are not included: {readable(children)}."
            yield Finding(step, None, text, "Watch each of them, or make the table a partitioned one.")
        elif not has_key:
            advice = "Add a primary key, so that an update need not compare all columns."
            yield Finding(step, None, "It has no key, so its rows are told apart by all their columns.", advice)
        elif not indexed:
            advice = f"An index on {range_column} makes snapshots of a range fast."
            yield Finding(step, None, f"The range column {range_column} has no index.", advice)
        else:
            yield Finding(step, True, "watched, triggers in place")


def _canary(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Create a table, watch it, insert a row, and follow that row to a stream."""
    try:
        connection.query(_named("drop_canary"))
        connection.query(_named("create_canary"))
        schema.watch(connection, _CANARY)
    except MissingRightError as error:
        advice = "GRANT CREATE ON DATABASE lets the doctor create a table to test with."
        yield Finding("trigger", None, f"Not tested: {error}.", advice)
        return
    try:
        yield from _follow_canary(connection, settings)
    finally:
        schema.unwatch(connection, _CANARY)
        connection.query(_named("drop_canary"))


def _follow_canary(connection: Connection, settings: Settings) -> Iterator[Finding]:
    before = change_log.log_end(connection)
    runtime = Runtime(settings)
    runtime.start()
    delivered = threading.Event()
    try:
        # it holds its position from here on: all that is written now will come
        subscription = ChangesStream(runtime.services, _CANARY, [("snapshot", "no")])
        concurrency.start("canary", _follower(subscription, delivered))
        reading = ChangeLog(connection).read(Cursor(before.upto), batch=1, sent=0).reading
        polls = runtime.listener.pace.deaf or (reading is not None and reading.left > 0)
        if not polls:
            connection.query("LISTEN sseapp")
        began = monotonic()
        connection.query(_named("insert_canary"), {"text": _TEXT})
        notified = not polls and connection.wait_for_notify(_TIMEOUT)
        batch = ChangeLog(connection).read(Cursor(before.upto), batch=1000, sent=before.greatest_id)
        logged = any(change.new and _TEXT in change.new for change in batch.changes)
        yield _trigger(logged)
        yield Finding("notify", True, "not needed: the log is polled") if polls else _notify(notified)
        yield _stream(delivered.wait(_TIMEOUT), monotonic() - began)
    finally:
        runtime.close()


def _follower(subscription: ChangesStream, delivered: threading.Event) -> Callable[[], None]:
    def follow() -> None:
        with closing(subscription):
            for data in subscription.body():
                if _TEXT.encode() in data:
                    delivered.set()
                    return

    return follow


def _trigger(logged: bool) -> Finding:
    if logged:
        return Finding("trigger", True, "test row logged")
    return Finding("trigger", False, "The test row was not logged.", "See PostgreSQL's log.")


def _notify(received: bool) -> Finding:
    if received:
        return Finding("notify", True, "NOTIFY received")
    advice = "If there is a pooler in between, set SSEAPP_NOTIFY=off."
    return Finding("notify", False, f"No NOTIFY received within {_TIMEOUT:g} s.", advice)


def _stream(delivered: bool, seconds: float) -> Finding:
    if delivered:
        return Finding("stream", True, f"test row delivered to a stream {1000 * seconds:.0f} ms after its commit")
    advice = "See the output above; if that does not explain it, please report it."
    return Finding("stream", False, f"The test row was not delivered within {_TIMEOUT:g} s.", advice)
