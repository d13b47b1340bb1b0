"""Connections to PostgreSQL, each statement with a deadline, and the one place that turns driver errors into ours.

The connections are psycopg2's asynchronous ones, polled here: the same code waits green and on threads, a peer that
went silent is noticed by the deadline, and no global wait callback changes the rest of the host's process (under one,
COPY fails).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

import psycopg2
from psycopg2 import extensions
from psycopg2.sql import SQL, Composable

from sseapp import concurrency, errors

T = TypeVar("T")
_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 3000,
    "application_name": "sseapp",
    # not by SET: the driver would go on in the encoding that the database or the role has by default
    "client_encoding": "UTF8",
}
_SESSION = """
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex';
SET extra_float_digits = 1; SET lc_monetary = 'C'; SET quote_all_identifiers = off; SET standard_conforming_strings = on
"""
"""What a row's text depends on: the log's triggers pin the same, so that a snapshot and a change print a row alike."""

_SOON = 4.0  # seconds for what a living server answers at once; a listener is to be back 10 s after its database

_CANCELED = "57014"
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
    """Our error for the driver's, with the server's own words."""
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
    diagnostics = [error.diag.message_primary, error.diag.message_hint]
    ours = (kind or errors.DatabaseError)(" ".join(part for part in diagnostics if part) or str(error).strip() or None)
    ours.sqlstate = state
    return ours


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise translated(error) from error


class Connection:
    """One session, autocommit. Not for two callers at once.

    ``deadline`` is in seconds, for each statement; connecting may take 4 s of it. Raises the :mod:`~sseapp.errors` that
    the database causes; after a :exc:`~sseapp.errors.ConnectionLostError` the connection is closed. ``pooled`` says
    that another process answers than the one the server said it gave us: there is a pooler in between.
    """

    def __init__(self, dsn: str, *, deadline: float = 10.0) -> None:
        self._deadline = deadline
        self.fresh = True
        with _translating():
            self._raw: extensions.connection = psycopg2.connect(dsn, async_=True, **_KEEPALIVE)
        with self._closing_on_loss():
            self._wait(min(_SOON, deadline))
        settings = f"{_SESSION}; SET statement_timeout = {int(deadline * 1000)};"
        self._settings = ""
        ((backend,),) = self.query("SELECT pg_backend_pid()")
        self.pooled = backend != self._raw.info.backend_pid
        if self.pooled:
            # the session is lent for one transaction, and others would find our settings in it
            self._settings = settings.replace("SET ", "SET LOCAL ")
        else:
            self.query(settings)

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        return bool(self._raw.closed)

    def query(
        self, statement: str | Composable, parameters: Any = None, *, deadline: float | None = None
    ) -> list[tuple[Any, ...]]:
        """Run ``statement`` and return its rows (none for a statement that has no result)."""
        with self._closing_on_loss():
            cursor = self._raw.cursor()
            if self._settings:
                # in one message, so in one transaction
                settings = self._settings
                statement = settings + statement if isinstance(statement, str) else SQL(settings) + statement
            cursor.execute(statement, parameters)
            self._wait(deadline or self._deadline)
            return cursor.fetchall() if cursor.description else []

    def wait_for_notify(self, timeout: float) -> bool:
        """Wait until a notification has come, ``timeout`` seconds at most; whether one has. Takes all there are."""
        if self._take_notifies():
            return True
        concurrency.wait_for(self._raw.fileno(), timeout=timeout)
        return self._take_notifies()

    def close(self) -> None:
        """End the session; its backend notices."""
        self._raw.close()

    def _take_notifies(self) -> bool:
        # Those that came during a statement do not make the descriptor readable. The driver has most of them; one that
        # came behind the second result of a statement waits in libpq until the next poll.
        with self._closing_on_loss():
            self._raw.poll()
        rang = bool(self._raw.notifies)
        self._raw.notifies.clear()
        return rang

    @contextmanager
    def _closing_on_loss(self) -> Iterator[None]:
        """Close the session unless its next statement can be trusted: a wait that was cut off leaves half an answer."""
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

    def _wait(self, deadline: float) -> None:
        end = monotonic() + deadline
        while (state := self._raw.poll()) != extensions.POLL_OK:
            left = end - monotonic()
            write = state == extensions.POLL_WRITE
            if left <= 0 or not concurrency.wait_for(self._raw.fileno(), write=write, timeout=left):
                raise errors.DeadlineError(f"The database did not answer within {deadline:g} s.")


class Database:
    """The connections of one process: a pool for short statements, and sessions of one's own.

    ``size`` bounds the pool; who comes when all are in use waits, up to ``deadline`` seconds.
    """

    def __init__(self, dsn: str, *, size: int = 4, deadline: float = 10.0) -> None:
        self._dsn = dsn
        self._deadline = deadline
        self._idle: list[Connection] = []
        self._places = threading.BoundedSemaphore(size)

    def connect(self, *, soon: bool = False) -> Connection:
        """Open a session that the caller closes; ``soon`` cuts its deadline to 4 s, to notice a silent peer."""
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
        """Lend a session of the pool."""
        if not self._places.acquire(timeout=self._deadline):
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
            self._places.release()

    def query(
        self, statement: str | Composable, parameters: Sequence[Any] | dict[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement on a session of the pool: see :meth:`run`."""
        return self.run(lambda connection: connection.query(statement, parameters))

    def run(self, use: Callable[[Connection], T]) -> T:
        """What ``use`` makes of a session of the pool; once more on a new one where an idle session turns out dead."""
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
