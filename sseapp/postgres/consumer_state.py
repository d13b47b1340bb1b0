"""How far each consumer has come: kept in the database, and moved by the transactions of the consumers' functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import psycopg2
from psycopg2 import extensions

from sseapp.errors import EndedTransactionError, OvertakenError, UndefinedError
from sseapp.log.cursor import Cursor, Snapshot
from sseapp.log.log import OTHER_LOG
from sseapp.postgres import change_log, statements
from sseapp.postgres.database import Connection, translated
from sseapp.tables.table import Table

T = TypeVar("T")
Session: TypeAlias = extensions.connection
"""An ordinary session of psycopg2, which blocks."""

REWATCHED = "this is another watch than the one that the consumer has followed"
_ERROR_LENGTH = 500  # characters of a function's error that are kept


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """One consumer's cursor, in the log of ``epoch``, for the table of ``watch``. ``moves`` counts its moves."""

    watch: int
    epoch: str
    cursor: Cursor
    moves: int


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """What people are shown of a consumer.

    ``lag`` is the age of the oldest change that it has not consumed, in seconds. ``pid`` is the server process of the
    session that runs it, ``None`` while none does or where a pooler lends sessions. ``error`` is what its function
    raised last, ``failing_since`` when that began (ISO 8601).
    """

    name: str
    table: str
    lag: float
    pid: int | None
    failing_since: str | None
    error: str | None


def lock(connection: Connection, name: str) -> bool:
    """Whether ``connection`` may run the consumer: the one session of all that holds its lock."""
    ((locked,),) = connection.query(_named("lock"), {"name": name})
    return bool(locked)


def load(connection: Connection, name: str, table: Table) -> tuple[ConsumerState, str | None]:
    """Where the consumer stands, and why that is no place in the log of ``table``, if so.

    A new consumer stands at the log's end. Raises as :func:`~sseapp.postgres.change_log.log_end` does.
    """
    end = change_log.log_end(connection)
    new = {"name": name, "table": str(table), "watch": table.watch, "epoch": end.epoch, "upto": str(end.upto)}
    connection.query(_named("register"), new)
    ((watch, epoch, upto, number, after, moves),) = connection.query(_named("load"), {"name": name})
    cursor = Cursor(Snapshot.parse(upto), number, None if after is None else Snapshot.parse(after))
    reason = REWATCHED if watch != table.watch else OTHER_LOG if epoch != end.epoch else None
    return ConsumerState(watch, epoch, cursor, moves), reason


def status(connection: Connection) -> list[ConsumerStatus]:
    """All consumers in order of their names; none where the installed sseapp has no consumers yet."""
    try:
        return [ConsumerStatus(*row) for row in connection.query(_named("status"))]
    except UndefinedError:
        return []


def forget(connection: Connection, name: str) -> bool:
    """Remove a consumer's cursor, so that it begins at the log's end when it next runs; whether there was one."""
    return bool(connection.query(_named("forget"), {"name": name}))


def failed(connection: Connection, name: str, moves: int, error: BaseException) -> None:
    """Note that the function raised for the change after the cursor's last move."""
    text = f"{type(error).__name__}: {error}".replace("\0", "")[:_ERROR_LENGTH]
    connection.query(_named("failed"), {"name": name, "moves": moves, "error": text})


class Transaction:
    """One transaction of a consumer: it moves the cursor, then the function works in it, then it is committed.

    The cursor comes first: a transaction that another process has overtaken ends before its function is called.
    The calls here block, as ``session`` does.
    """

    def __init__(self, session: Session, name: str, table: str) -> None:
        self._session = session
        self._name = name
        self._table = table

    def move(self, to: ConsumerState, call: Callable[[], object]) -> None:
        """Move the cursor to ``to`` and call the function, both or neither.

        Raises what the function raises, :exc:`~sseapp.errors.OvertakenError`,
        :exc:`~sseapp.errors.EndedTransactionError`, or a :exc:`~sseapp.errors.DatabaseError`.
        """
        self._whole(lambda: self._moved(to, call))

    def move_to_end(self, watch: int, moves: int, call: Callable[[str], object]) -> ConsumerState:
        """Move the cursor to the log's end and call the function with the time (ISO 8601).

        What the function reads is the database as of that end: it will be told all changes that it does not see here.
        """

        def work() -> ConsumerState:
            self._query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            ((epoch, snapshot, greatest, now),) = self._query(_named("log_end"))
            state = ConsumerState(watch, epoch, Cursor(Snapshot.parse(snapshot).cut(int(greatest))), moves)
            self._moved(state, lambda: call(now))
            return state

        return self._whole(work)

    def _whole(self, work: Callable[[], T]) -> T:
        try:
            done = work()
            with _translating():
                self._session.commit()
        except BaseException:
            if not self._session.closed:
                self._session.rollback()
            raise
        return done

    def _moved(self, to: ConsumerState, call: Callable[[], object]) -> None:
        moved = self._query(
            _named("move"),
            {
                "name": self._name,
                "table": self._table,
                "watch": to.watch,
                "epoch": to.epoch,
                "upto": str(to.cursor.upto),
                "number": to.cursor.event_number,
                "after": None if to.cursor.after is None else str(to.cursor.after),
                "moves": to.moves - 1,
            },
        )
        if not moved:
            raise OvertakenError
        call()
        ((is_same,),) = self._query(_named("is_same_transaction"), {"xid": moved[0][0]})
        if not is_same:
            raise EndedTransactionError

    def _query(self, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        # a plain cursor, whatever the function has made the session's default
        with _translating(), self._session.cursor(cursor_factory=extensions.cursor) as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise translated(error) from error


def _named(name: str) -> str:
    return statements.named("consumer")[name]
