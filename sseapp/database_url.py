"""Checks ``DATABASE_URL``, and says what to write instead of what only other tools understand.

No message holds a part of the address that could belong to its password.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import psycopg2
from psycopg2 import extensions

_SCHEME = re.compile(
    r"(?P<jdbc>jdbc:)?(?P<name>[a-z][a-z0-9.]*)(?P<driver>\+[a-z0-9_]+)?:(?P<slashes>//)?", re.IGNORECASE
)
_OURS = {"postgresql", "postgres"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,39}")
_INTEGER = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+[ \t\n\v\f\r]*")
_EXAMPLE = "such as postgresql://user:password@localhost/mydb"
_INSTEAD = {
    "schema": "write options=-csearch_path%3DNAME",
    "currentschema": "write options=-csearch_path%3DNAME",
    "search_path": "write options=-csearch_path%3DNAME",
    "pgbouncer": "leave it out, and set SSEAPP_NOTIFY=off for PgBouncer's transaction mode",
    "preparethreshold": "leave it out, and set SSEAPP_NOTIFY=off for PgBouncer's transaction mode",
    "connection_limit": "leave it out, and set SSEAPP_POOL",
    "pool_size": "leave it out, and set SSEAPP_POOL",
    "max_connections": "leave it out, and set SSEAPP_POOL",
    "statement_timeout": "leave it out, and set SSEAPP_DEADLINE",
    "socket_timeout": "leave it out, and set SSEAPP_DEADLINE",
    "sockettimeout": "leave it out, and set SSEAPP_DEADLINE",
    "pool_timeout": "leave it out, and set SSEAPP_DEADLINE",
    "logintimeout": "write connect_timeout",
    "connecttimeout": "write connect_timeout",
    "timeout": "write connect_timeout",
    "ssl": "write sslmode=require",
    "sslaccept": "write sslmode=require or sslmode=verify-full",
    "ssl_mode": "write sslmode",
    "sslrootcertificate": "write sslrootcert",
    "targetservertype": "write target_session_attrs=primary",
    "loadbalancehosts": "write load_balance_hosts=random",
    "applicationname": "write application_name",
    "username": "write user",
    "database": "write dbname",
}
_STANDBYS = {"read-only", "standby", "prefer-standby"}


def check(text: str) -> str:
    """``text`` if it leads to a primary of PostgreSQL. Raises :exc:`ValueError` with what to write."""
    _check_scheme(text)
    _check_password(text)
    try:
        parameters = extensions.parse_dsn(text)
    except psycopg2.ProgrammingError:
        raise ValueError(_unknown_parameter(text) or f"use a PostgreSQL URL {_EXAMPLE}") from None
    wanted = parameters.get("target_session_attrs")
    if wanted in _STANDBYS:
        raise ValueError(f"target_session_attrs={wanted} leads to a standby, but sseapp needs the primary")
    timeout = parameters.get("connect_timeout", "")
    if timeout and not is_integer(timeout):
        raise ValueError("connect_timeout has to be a whole number of seconds")
    return text


def is_integer(text: str) -> bool:
    """Whether libpq takes ``text`` for a parameter that is an integer of 32 bits."""
    return bool(_INTEGER.fullmatch(text)) and -(1 << 31) <= int(text) < 1 << 31


def _check_scheme(text: str) -> None:
    scheme = _SCHEME.match(text)
    if scheme is None:
        return
    name = scheme["name"].lower()
    if scheme["jdbc"]:
        raise ValueError(f'leave out "jdbc:", {_EXAMPLE}')
    if scheme["driver"] and scheme["slashes"]:
        raise ValueError(f'leave out "{scheme["driver"]}": write postgresql:// ({_EXAMPLE})')
    if name not in _OURS and scheme["slashes"]:
        raise ValueError(f'write postgresql:// in place of "{scheme["name"]}://", {_EXAMPLE}')


def _check_password(text: str) -> None:
    """Refuse an "@" behind the one that libpq takes for the end of the password: the rest would pass for a host."""
    rest = text.partition("://")[2]
    user = re.match("[^@/]*@", rest)  # as libpq finds it: a "/" ends the search, a "?" does not
    place = (rest[user.end() :] if user else rest).partition("?")[0]
    if "@" in place:
        raise ValueError(
            'write "@" as %40 and "/" as %2F in the user name, the password and the name of the database, '
            "such as postgresql://user:p%40ss@localhost/mydb"
        )


def _unknown_parameter(text: str) -> str | None:
    for name in _names(text):
        if not _is_known(name):
            instead = _INSTEAD.get(name.lower().replace("-", "_"), "leave it out")
            return f'"{name}" is not a parameter of PostgreSQL\'s URLs; {instead}'
    return None


def _names(text: str) -> list[str]:
    """The names of the parameters, as far as they are surely no part of a password."""
    if "://" in text:
        query = text.partition("?")[2]
        parts = [] if "@" in query else query.split("&")
        return [name for part in parts if _NAME.fullmatch(name := unquote(part.partition("=")[0]))]
    # a password may hold anything, so here only names that are known to be another tool's
    return [name for name in re.findall(r"(?:^|\s)([A-Za-z_]+)\s*=", text) if name.lower() in _INSTEAD]


def _is_known(name: str) -> bool:
    try:
        extensions.parse_dsn(f"{name}=''")
    except psycopg2.ProgrammingError:
        return False
    return True
