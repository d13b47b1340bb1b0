"""Connections to PostgreSQL with a deadline for each statement; the only place that translates driver errors.

The connections are psycopg2's asynchronous ones, and this module polls them. So the same code works with greenlets and
threads, the deadline detects a silent peer, and the rest of the process is unaffected: psycopg2's global wait callback
would break COPY there.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg2
from psycopg2 import extensions
from psycopg2.sql import SQL, Composable

from sseapp import concurrency, errors
from sseapp.postgres import hosts

T = TypeVar("T")
_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 3000,
    "application_name": "sseapp",
    # not by SET: the driver would keep using the default encoding of the database or role
    "client_encoding": "UTF8",
}
_SESSION = """
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex';
SET extra_float_digits = 1; SET lc_monetary = 'C'; SET quote_all_identifiers = off;
SET standard_conforming_strings = on; SET row_security = off; SET default_transaction_read_only = off
"""
"""Settings that a row's text depends on; the triggers pin the same, so that a snapshot and a change print a row alike.

With ``row_security`` off PostgreSQL refuses a read of which a policy would leave rows out: a snapshot is complete or is
none. Nor may the role's default make half of what we do fail: pruning writes, and so does looking for changed shapes.
"""
_READ_WRITE = "SET TRANSACTION READ WRITE; "  # for the transaction that has begun already

_SOON = 4.0  # seconds for what a live server does at once; a listener must be back 10 s after its database

_CANCELED = "57014"
_ROW_SECURITY = "check_enable_rls"  # the one function of PostgreSQL that says so; its SQLSTATE is that of any right
_BY_STATE: dict[str, type[errors.DatabaseError]] = {
    "42501": errors.MissingRightError,
    "42P01": errors.UndefinedError,
    "42703": errors.UndefinedError,
    "42883": errors.UndefinedError,
    "42704": errors.UndefinedError,
    "3F000": errors.UndefinedError,
    "55P03": errors.LockedError,
    _CANCELED: errors.DeadlineError,
    "57P01": errors.ConnectionLostError,
    "57P02": errors.ConnectionLostError,
    "57P03": errors.ConnectionLostError,
}
_BY_CLASS: dict[str, type[errors.DatabaseError]] = {
    "08": errors.ConnectionLostError,
    "22": errors.DataRejectedError,
    "53": errors.ConnectionLostError,
}


def translated(error: psycopg2.Error) -> errors.DatabaseError:
    """Our error for the driver's error; its cause is the server's message and hint."""
    state = error.pgcode
    kind: type[errors.DatabaseError] | None
    if state is None:
        kind = (
            errors.ConnectionLostError
            if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
            else None
        )
    else:
        kind = _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    if error.diag.source_function == _ROW_SECURITY:
        return _row_security(error)
    diagnostics = [error.diag.message_primary, error.diag.message_hint]
    cause = " ".join(part for part in diagnostics if part) or str(error).strip()
    return (kind or errors.DatabaseError)(cause=cause, sqlstate=state)


def _row_security(error: psycopg2.Error) -> errors.RowSecurityError:
    said = error.diag.message_primary or ""
    quoted = re.search('"(.+)"', said)
    table = f"the table {quoted[1]}" if quoted else "this table"
    return errors.RowSecurityError(
        f"Row-level security hides rows of {table} from sseapp, so its rows cannot be read completely. Have sseapp "
        "connect as the table's owner (without FORCE ROW LEVEL SECURITY) or as a role with BYPASSRLS.",
        sqlstate=error.pgcode,
    )


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise translated(error) from error


class Connection:
    """One session in autocommit mode, for one caller at a time.

    ``deadline`` is in seconds, for each statement; connecting may take at most 4 s. The database's errors are raised as
    :exc:`~sseapp.errors.DatabaseError`; a :exc:`~sseapp.errors.ConnectionLostError` closes the connection. ``pooled``
    is true behind a pooler: the backend that answers is not the one that the server announced.
    """

    def __init__(self, dsn: str, *, deadline: float = 10.0) -> None:
        self._deadline = deadline
        self.fresh = True
        with _translating():
            self._raw: extensions.connection = hosts.connect(dsn, patience=min(_SOON, deadline), **_KEEPALIVE)
        settings = f"{_SESSION}; SET statement_timeout = {int(deadline * 1000)};"
        self._settings = ""
        ((backend,),) = self.query("SELECT pg_backend_pid()")
        self.pooled = backend != self._raw.info.backend_pid
        if self.pooled:
            # the pooler lends the session for one transaction; our settings must not stay in it
            self._settings = _READ_WRITE + settings.replace("SET ", "SET LOCAL ")
        else:
            self.query(settings)

    @property
    def notices(self) -> list[str]:
        """What the server has told beside results so far, a warning for example; the last 50."""
        return list(self._raw.notices)

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        return bool(self._raw.closed)

    def query(
        self, statement: str | Composable, parameters: Any = None, *, deadline: float | None = None
    ) -> list[tuple[Any, ...]]:
        """Run ``statement`` and return its rows; none for a statement without a result."""
        with self._closing_on_loss():
            cursor = self._raw.cursor()
            if self._settings and self._raw.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE:
                # one message is one transaction; within an open one they hold already
                settings = self._settings
                statement = settings + statement if isinstance(statement, str) else SQL(settings) + statement
            cursor.execute(statement, parameters)
            hosts.wait(self._raw, deadline or self._deadline)
            return cursor.fetchall() if cursor.description else []

    def wait_for_notify(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a notification; whether one has arrived. Consumes all that have."""
        if self._take_notifies():
            return True
        concurrency.wait_for(self._raw.fileno(), timeout=timeout)
        return self._take_notifies()

    def close(self) -> None:
        """End the session."""
        self._raw.close()

    def _take_notifies(self) -> bool:
        # A notification that arrived during a statement does not make the descriptor readable. The driver holds it, or
        # libpq does until the next poll if it arrived after the second result of a statement.
        with self._closing_on_loss():
            self._raw.poll()
        rang = bool(self._raw.notifies)
        self._raw.notifies.clear()
        return rang

    @contextmanager
    def _closing_on_loss(self) -> Iterator[None]:
        """Close the session if an interrupted wait has left half an answer in it."""
        try:
            with _translating():
                yield
        except errors.ConnectionLostError as error:
            if error.sqlstate != _CANCELED:
                self.close()
            raise
        except errors.DatabaseError:
            raise
        except BaseException:
            self.close()
            raise


class Database:
    """The connections of one process: a pool for short statements, and dedicated sessions.

    The pool lends at most ``size`` at a time; a caller waits up to ``deadline`` seconds for one.
    """

    def __init__(self, dsn: str, *, size: int = 4, deadline: float = 10.0) -> None:
        self._dsn = dsn
        self._deadline = deadline
        self._idle: list[Connection] = []
        self._available = threading.BoundedSemaphore(size)

    def connect(self, *, soon: bool = False) -> Connection:
        """Open a session that the caller closes; ``soon`` shortens its deadline to 4 s, to detect a silent peer."""
        return Connection(self._dsn, deadline=min(_SOON, self._deadline) if soon else self._deadline)

    def blocking_session(self) -> extensions.connection:
        """Open an ordinary session of psycopg2 that the caller closes, for code that expects one. It blocks greenlets.

        Its settings are the role's, but its transactions may write.
        """
        with _translating():
            session: extensions.connection = psycopg2.connect(self._dsn, connect_timeout=round(_SOON), **_KEEPALIVE)
            session.set_session(readonly=False)
            return session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a pooled session."""
        if not self._available.acquire(timeout=self._deadline):
            raise errors.UnavailableError("All database connections are in use; try again.")
        try:
            connection = self._idle.pop() if self._idle else self.connect()
            try:
                yield connection
            finally:
                connection.fresh = False
                if not connection.closed:
                    self._idle.append(connection)
        finally:
            self._available.release()

    def query(
        self, statement: str | Composable, parameters: Sequence[Any] | dict[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement on a pooled session: see :meth:`run`."""
        return self.run(lambda connection: connection.query(statement, parameters))

    def run(self, use: Callable[[Connection], T]) -> T:
        """Call ``use`` with a pooled session and return its result; retries with a new one if an idle one is dead."""
        with self.connection() as connection:
            fresh = connection.fresh
            try:
                return use(connection)
            except errors.ConnectionLostError:
                if fresh or not connection.closed:
                    raise
        self.close()
        with self.connection() as connection:
            return use(connection)

    def close(self) -> None:
        """Close the idle sessions."""
        while self._idle:
            self._idle.pop().close()
