"""Puts the change log and its functions into a database, and takes them out again; watches tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b

from sseapp.errors import NotInstalledError, OtherVersionError, UndefinedError
from sseapp.postgres import catalog, statements
from sseapp.postgres.database import Connection

PARTS = (
    "tables", "migrations", "pace", "read", "shape", "column_json", "triggers", "templates", "functions", "plain",
    "attach", "check", "neighbours", "watch", "prune", "consumer", "finish",
)  # fmt: skip
"""The files of an install, in order; ``migrations`` stands for all of that folder's."""

PATIENCE = 30.0
"""Seconds that installing and watching may take: they wait for other transactions' locks."""

_UNHURRIED = "SET LOCAL statement_timeout = 0;\n"
_QUIET = "SET LOCAL client_min_messages = warning;\nSET LOCAL statement_timeout = 0;\n"


def printable(*, uninstall: bool = False) -> str:
    """The statements that install (or uninstall) sseapp, for review or for psql: one transaction."""
    return f"BEGIN;\n{statements_of(uninstall=uninstall)}\nCOMMIT;\n"


def statements_of(*, uninstall: bool) -> str:
    """The same for a transaction that is under way."""
    return f"{_QUIET}\n{_uninstall() if uninstall else _install()}"


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
    """Have ``table`` watched; its number. The database's words tell why it refuses.

    ``table`` is a name, found as :func:`~sseapp.postgres.catalog.relation` finds it, here and below.
    """
    shown = None if only_columns is None else list(only_columns)
    parameters = (catalog.relation(connection, table), range_column, list(hide), shown, subscribers_see_all_rows)
    statement = f"{_UNHURRIED} SELECT sseapp.watch(%s::regclass, %s, %s::name[], %s::name[], %s)"
    ((number,),) = connection.query(statement, parameters, deadline=PATIENCE)
    return int(number)


def unwatch(connection: Connection, table: str) -> bool:
    """End the watch of ``table``; whether there was one. Raises what :func:`needed` does."""
    statement = f"{_QUIET} SELECT sseapp.unwatch(%s::regclass)"
    with needed(connection):
        relation = catalog.relation(connection, table)
        ((found,),) = connection.query(statement, (relation,), deadline=PATIENCE)
    return bool(found)


def _install() -> str:
    mark = f"UPDATE sseapp.state SET digest = '{_digest()}';\n"  # noqa: S608 -- hexadecimal digits of our own
    return "\n".join([*map(_part, PARTS), mark])


def _uninstall() -> str:
    return _part("uninstall")


def _part(name: str) -> str:
    return statements.migrations() if name == "migrations" else statements.text(f"install/{name}")


def _digest() -> str:
    return blake2b("\n".join(map(_part, PARTS)).encode(), digest_size=8).hexdigest()
