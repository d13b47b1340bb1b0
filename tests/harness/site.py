"""A server of the application with a database of its own: what the acceptance tests act upon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

import psycopg2
from harness import sse
from harness.clusters import Server, wait_until
from harness.servers import Host

from sseapp.postgres import schema
from sseapp.postgres.database import Connection

QUICK = {"heartbeat": "300ms", "tick": "500ms", "retry": "200ms"}
_numbers = count(1)


def name(stem: str = "t") -> str:
    """A table's name that no other test uses."""
    return f"{stem}_{next(_numbers)}"


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def query(parameters: dict[str, Any]) -> str:
    return "?" + urlencode(parameters, doseq=True, quote_via=quote) if parameters else ""


class Site:
    """``host`` serves the database of ``dsn`` in ``server``."""

    def __init__(self, server: Server, dsn: str, host: Host) -> None:
        self.server = server
        self.dsn = dsn
        self.host = host
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True

    def sql(self, statement: str, *values: Any) -> list[tuple]:
        """Run a statement, committed at once."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def session(self) -> Iterator[psycopg2.extensions.cursor]:
        """A session of its own, in a transaction that the test commits."""
        connection = psycopg2.connect(self.dsn)
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def table(
        self, columns: str = "id int PRIMARY KEY, a text", *, stem: str = "t", watch: str = "", rows: str = ""
    ) -> str:
        """A new watched table; ``watch`` holds further arguments of sseapp.watch, ``rows`` VALUES of its first rows."""
        table = name(stem)
        self.sql(f"CREATE TABLE {table} ({columns})")
        if rows:
            self.sql(f"INSERT INTO {table} VALUES {rows}")
        self.watch(table, watch)
        return table

    def watch(self, table: str, arguments: str = "") -> None:
        self.sql(f"SELECT sseapp.watch(%s{', ' if arguments else ''}{arguments})", table)

    def get(
        self, path: str, headers: dict[str, str] | None = None, *, patience: float = sse.PATIENCE, **parameters: Any
    ) -> sse.Answer:
        """``path`` as it is, ``parameters`` encoded."""
        return sse.ask(self.host.address, path + query(parameters), headers, patience=patience)

    def head(self, target: str, headers: dict[str, str] | None = None) -> sse.Answer:
        return sse.ask(self.host.address, target, headers, method="HEAD")

    def rows(self, table: str, **parameters: Any) -> list[Any]:
        """The rows of a table, over HTTP."""
        answer = self.get(f"/tables/{table}/rows", **parameters)
        assert answer.status == 200, answer
        return answer.json["rows"]

    def ids(self, table: str, **parameters: Any) -> list[int]:
        """The column id of those rows."""
        return [row["id"] for row in self.rows(table, **parameters)]

    def changes(self, table: str, **parameters: Any) -> Any:
        """The JSON of the long poll."""
        answer = self.get(f"/tables/{table}/changes", **parameters)
        assert answer.status == 200, answer
        return answer.json

    def refused(self, table: str, resource: str = "rows", /, **parameters: Any) -> Any:
        """The problem that answers a bad parameter."""
        answer = self.get(f"/tables/{table}/{resource}", **parameters)
        assert answer.status == 400, answer
        return answer.problem

    def follow(
        self, table: str, resource: str = "changes", /, *, last_id: str | None = None, **parameters: Any
    ) -> sse.Stream:
        """An open stream."""
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        return sse.Stream(self.host.address, f"/tables/{table}/{resource}{query(parameters)}", headers)

    def metric(self, metric: str) -> float:
        """A number of /metrics."""
        text = self.get("/metrics").body.decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"sseapp_{metric} "))

    def settled(self, streams: int = 0) -> None:
        """Wait until only so many streams are open."""
        wait_until(lambda: self.metric("streams_open") == streams, what=f"{streams} open streams")

    def caught_up(self) -> None:
        """Wait until the listener has read what was committed before."""
        for _ in range(2):  # a read that is under way may have begun before
            now = time.monotonic()
            wait_until(lambda now=now: time.monotonic() - self.metric("behind_seconds") > now, what="a read of the log")

    def prune(self) -> None:
        """Empty the log, as its retention would in time; the listener has read it by then."""
        self.caught_up()
        while self.sql("SELECT sseapp.prune('0 s')") != [(0,)]:
            pass

    def end_sessions(self) -> None:
        """End the server's sessions in the database."""
        self.sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'sseapp'"
        )

    def renew_pool(self) -> None:
        """The same, and wait until the listener is back: settings of the database hold for new sessions."""
        self.end_sessions()
        wait_until(lambda: self.get("/readyz").status == 200, what="the listener to be back")

    def shapes_told(self) -> None:
        """Wait until subscribers have heard what was done to the tables so far: the listener looks on its tick."""
        wait_until(lambda: self.sql("SELECT sseapp.check_shapes()") == [(0,)], what="all changes of shape to be told")

    def close(self) -> None:
        self._connection.close()


@contextmanager
def site(
    server: Server, kind: str = "gevent", options: tuple[str, ...] = (), database: str = "", **settings: Any
) -> Iterator[Site]:
    """Serve a fresh database with sseapp installed, created with the options ``database``.

    The rest is as :class:`~harness.servers.Host` takes it.
    """
    with server.database(database) as dsn:
        connection = Connection(dsn)
        schema.install(connection)
        connection.close()
        with Host(dsn, kind, options, **QUICK | settings) as host:
            found = Site(server, dsn, host)
            try:
                yield found
            finally:
                found.close()
