"""Puts the change log and its functions into a database, and takes them out again; watches tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b

from sseapp.errors import DatabaseError, NotInstalledError, OtherVersionError, UndefinedError
from sseapp.postgres import catalog, statements
from sseapp.postgres.database import Connection

PARTS = (
    "tables",
    "pace",
    "read",
    "triggers",
    "plain",
    "attach",
    "shape",
    "check",
    "watch",
    "prune",
    "consumer",
    "finish",
)
"""The files of an install, in order."""

PATIENCE = 30.0
"""Seconds that installing and watching may take: they wait for other transactions' locks."""

_QUIET = "SET LOCAL client_min_messages = warning;\nSET LOCAL statement_timeout = 0;\n"
_INVALID_NAME = "42602"


def printable(*, uninstall: bool = False) -> str:
    """The statements that install (or uninstall) sseapp, for review or for psql: one transaction."""
    return f"BEGIN;\n{_QUIET}\n{_uninstall() if uninstall else _install()}\nCOMMIT;\n"


def install(connection: Connection) -> bool:
    """Install sseapp, or bring it up to date; whether there was anything to do.

    Raises :exc:`~sseapp.errors.MissingRightError` without CREATE on the database.
    """
    if is_current(connection):
        return False
    # without BEGIN: one message is one transaction, and a failure leaves no open one behind
    connection.query(_QUIET + _install(), deadline=PATIENCE)
    return True


def is_installed(connection: Connection) -> bool:
    """Whether the schema is there, of whatever version."""
    return connection.query("SELECT to_regclass('sseapp.state') IS NOT NULL") == [(True,)]


def is_current(connection: Connection) -> bool:
    """Whether just this version is installed, here and not in the database that a dump was taken of."""
    if not is_installed(connection):
        return False
    statement = "SELECT to_jsonb(s) ->> 'digest', sseapp.binding() IS NOT NULL FROM sseapp.state s"
    return connection.query(statement) == [(_digest(), True)]


@contextmanager
def needed(connection: Connection) -> Iterator[None]:
    """Say what is wrong where something is missing that an install brings.

    Raises :exc:`~sseapp.errors.NotInstalledError` or :exc:`~sseapp.errors.OtherVersionError`.
    """
    try:
        yield
    except UndefinedError:
        if not is_installed(connection):
            raise NotInstalledError from None
        if not is_current(connection):
            raise OtherVersionError from None
        raise


def uninstall(connection: Connection) -> None:
    """Remove all of it: triggers, log, schema. Nothing happens where it is not installed."""
    connection.query(_QUIET + _uninstall(), deadline=PATIENCE)


def watch(
    connection: Connection,
    table: str,
    *,
    range_column: str | None = None,
    hide: Sequence[str] = (),
    only_columns: Sequence[str] | None = None,
    subscribers_see_all_rows: bool = False,
) -> int:
    """Have ``table`` (written as in SQL) watched; its number. The database's words tell why it refuses.

    Raises :exc:`~sseapp.errors.BadParameterError`, as all here that take one, where ``table`` is no name.
    """
    shown = None if only_columns is None else list(only_columns)
    parameters = (table, range_column, list(hide), shown, subscribers_see_all_rows)
    statement = f"{_QUIET} SELECT sseapp.watch(%s::regclass, %s, %s::name[], %s::name[], %s)"
    with _naming(table):
        ((number,),) = connection.query(statement, parameters, deadline=PATIENCE)
    return int(number)


def left_out(connection: Connection, table: str) -> str:
    """The columns that ``table``'s watch was told to keep from subscribers, in words; empty where there are none."""
    with _naming(table):
        ((names,),) = connection.query(statements.named("queries")["left_out"], {"table": table})
    return names or ""


def unwatch(connection: Connection, table: str) -> bool:
    """End the watch of ``table``; whether there was one. Raises what :func:`needed` does."""
    statement = f"{_QUIET} SELECT sseapp.unwatch(%s::regclass)"
    with needed(connection), _naming(table):
        ((found,),) = connection.query(statement, (table,), deadline=PATIENCE)
    return bool(found)


@contextmanager
def _naming(table: str) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        if error.sqlstate == _INVALID_NAME:
            raise catalog.misnamed(table) from None
        raise


def _install() -> str:
    mark = f"UPDATE sseapp.state SET digest = '{_digest()}';\n"  # noqa: S608 -- hexadecimal digits of our own
    return "\n".join([*map(_part, PARTS), mark])


def _uninstall() -> str:
    return _part("uninstall")


def _part(name: str) -> str:
    return statements.text(f"install/{name}")


def _digest() -> str:
    return blake2b("\n".join(map(_part, PARTS)).encode(), digest_size=8).hexdigest()
