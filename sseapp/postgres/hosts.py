"""Connects to the first of a DSN's hosts that answers, by the rules of libpq ("Specifying Multiple Hosts").

libpq's asynchronous interface ignores ``connect_timeout``: one silent host would use up all the time there is. So each
address is tried by a connection of its own, with a time of its own.
"""

from __future__ import annotations

import os
import random
import re
import socket
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

import psycopg2
from psycopg2 import extensions

from sseapp import concurrency
from sseapp.database_url import is_integer
from sseapp.errors import ConnectionLostError, DeadlineError

Parameters = Mapping[str, str]

_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
_LEAST = 2  # seconds: libpq rounds a shorter connect_timeout up
# The server refuses us (a wrong password, no such database): libpq then tries no other host.
_REFUSED = re.compile(r"(?:^|: )[^\s:]+:  ")  # "FATAL:  ...", in the language of the server
_NOT_YET = re.compile(r"the database system is (starting up|shutting down|in recovery mode|not (yet )?accepting)")


def connect(dsn: str, *, patience: float, **options: Any) -> extensions.connection:
    """Open an asynchronous connection and wait until it is ready; ``options`` are further connection parameters.

    Each address has ``connect_timeout`` seconds, or ``patience`` where the DSN has none. Raises
    :exc:`~sseapp.errors.ConnectionLostError` with what each address said.
    """
    parameters = _parameters(dsn)
    seconds = _timeout(parameters) or patience
    failures: list[ConnectionLostError] = []
    for place in _places(parameters):
        try:
            return _connected(dsn, seconds, place, options)
        except ConnectionLostError as error:
            failures.append(error)
            if _REFUSED.search(str(error)) and not _NOT_YET.search(str(error)):
                break
    late = all(isinstance(failure, DeadlineError) for failure in failures)
    raise (DeadlineError if late else ConnectionLostError)(cause="; ".join(map(str, failures)))


def wait(raw: extensions.connection, seconds: float) -> None:
    """Wait until ``raw`` has nothing left to do. Raises :exc:`~sseapp.errors.DeadlineError` after ``seconds``."""
    end = monotonic() + seconds
    while (state := raw.poll()) != extensions.POLL_OK:
        left = end - monotonic()
        write = state == extensions.POLL_WRITE
        if left <= 0 or not concurrency.wait_for(raw.fileno(), write=write, timeout=left):
            raise DeadlineError(f"The database did not answer within {seconds:g} s.")


def _connected(
    dsn: str, seconds: float, place: Parameters | OSError, options: Mapping[str, Any]
) -> extensions.connection:
    if isinstance(place, OSError):
        raise ConnectionLostError(cause=str(place))
    chosen: dict[str, Any] = {**options, **place}
    try:
        raw: extensions.connection = psycopg2.connect(dsn, async_=True, **chosen)
    except psycopg2.Error as error:
        raise ConnectionLostError(cause=_said(error, place)) from error
    try:
        wait(raw, seconds)
    except (psycopg2.Error, DeadlineError) as error:
        raw.close()
        kind = DeadlineError if isinstance(error, DeadlineError) else ConnectionLostError
        raise kind(cause=_said(error, place)) from error
    except BaseException:
        raw.close()
        raise
    return raw


def _said(error: Exception, place: Parameters) -> str:
    """What went wrong, on one line. The driver leaves out where, unless it is asked to wait by itself."""
    text = re.sub(r"\s*\n\s*", " ", str(error).strip())
    where = place.get("hostaddr") or place.get("host")
    if not where or where in text:
        return text
    name = f"{place['host']} ({where})" if place.get("host") not in {None, where} else where
    return f"{name}, port {place.get('port') or 5432}: {text}"


def _parameters(dsn: str) -> Parameters:
    """The parameters that choose a host: the DSN's, a service file's, the environment's, in this order."""
    found: dict[str, str] = extensions.parse_dsn(dsn)
    if "service" in found or "PGSERVICE" in os.environ:
        # only libpq itself reads these files, and tells what it has read once it has begun to connect
        raw = psycopg2.connect(dsn, async_=True)
        found = raw.info.dsn_parameters
        raw.close()
    return {name: os.environ[variable] for name, variable in _VARIABLES.items() if variable in os.environ} | found


def _timeout(parameters: Parameters) -> float:
    text = parameters.get("connect_timeout") or "0"
    if not is_integer(text):
        # libpq's asynchronous interface does not look at it
        raise ConnectionLostError(cause="connect_timeout has to be a whole number of seconds.")
    given = int(text)
    return max(given, _LEAST) if given > 0 else 0


def _places(parameters: Parameters) -> Iterator[dict[str, str] | OSError]:
    """The addresses to try as connection parameters; in place of a host's, the error that it has none."""
    hosts = _hosts(parameters)
    random_order = parameters.get("load_balance_hosts") == "random"
    if random_order:
        random.shuffle(hosts)
    for attributes in _passes(parameters, several=len(hosts) > 1):
        for host in hosts:
            addresses = _addresses(host)
            if random_order:
                random.shuffle(addresses)
            for address in addresses:
                yield address if isinstance(address, OSError) else address | attributes


def _passes(parameters: Parameters, *, several: bool) -> list[dict[str, str]]:
    """What a session has to be like. A standby is preferred by asking all hosts for one before taking any."""
    wanted = parameters.get("target_session_attrs")
    if wanted == "prefer-standby":
        return [{"target_session_attrs": "standby"}, {"target_session_attrs": "any"}]
    # where there is a choice and nothing is said, only the primary will do for sseapp
    return [{} if wanted or not several else {"target_session_attrs": "primary"}]


def _hosts(parameters: Parameters) -> list[dict[str, str]]:
    """One ``host``, ``hostaddr`` and ``port`` for each in the lists; the DSN as it is where the lists do not match."""
    names, addresses, ports = (_list(parameters.get(name)) for name in ("host", "hostaddr", "port"))
    count = max(len(names), len(addresses), 1)
    if len(ports) == 1:
        ports *= count
    given = [(name, values) for name, values in (("host", names), ("hostaddr", addresses), ("port", ports)) if values]
    if any(len(values) != count for _, values in given):
        return [{}]
    return [{name: values[number] for name, values in given} for number in range(count)]


def _list(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _addresses(host: dict[str, str]) -> list[dict[str, str] | OSError]:
    """``host`` once for each address that its name has."""
    name = host.get("host", "")
    if host.get("hostaddr") or not name or name.startswith(("/", "@")):
        return [host]
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        return [OSError(f'could not translate host name "{name}" to address: {why}')]
    return [host | {"hostaddr": address} for address in dict.fromkeys(str(place[0]) for *_, place in found)]
