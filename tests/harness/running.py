"""A runtime at work in the test's own process: a listener, its hub, two watched tables and a session to write with."""

from __future__ import annotations

from contextlib import closing, contextmanager

from harness.clusters import wait_until

from sseapp.config import Settings
from sseapp.postgres import schema
from sseapp.postgres.database import Connection
from sseapp.process import Runtime
from sseapp.query.query import parse as parse_query

TABLES = ("orders", "customers")


def prepare(dsn):
    """Install sseapp in an empty database and watch two tables."""
    with closing(Connection(dsn)) as connection:
        schema.install(connection)
        for table in TABLES:
            connection.query(f"CREATE TABLE {table} (id int PRIMARY KEY, a text)")
            schema.watch(connection, table)


class Running:
    """``settings`` are variables without their ``SSEAPP_``."""

    def __init__(self, server, dsn, **settings):
        self.server = server
        self.dsn = dsn
        self._name = dsn.rsplit("/", 1)[1]
        self._connection = Connection(dsn)
        variables = {f"SSEAPP_{name.upper()}": value for name, value in ({"tick": "200ms"} | settings).items()}
        self.runtime = Runtime(Settings.from_environ(variables | {"DATABASE_URL": dsn}))
        self.runtime.start()
        self._wait()

    def _wait(self):
        wait_until(lambda: self.runtime.listener.error is None, what="the listener")

    def sql(self, statement):
        return self._connection.query(statement)

    def session(self):
        return closing(Connection(self.dsn))

    def table(self, name):
        return next(table for table in self.runtime.registry.refresh().values() if table.name == name)

    def join(self, name, *arguments):
        """A stream of the table's changes."""
        table = self.table(name)
        return self.runtime.hub.join(table, parse_query(table, arguments))

    def _told(self, stream, count, frame_number=0):
        def told():
            return [event for frame in stream.read(frame_number)[0] for event in frame.events]

        wait_until(lambda: len(told()) >= count, what=f"{count} events")
        return told()

    def events(self, stream, count):
        """The names of the stream's events, once there are so many."""
        return [event.name for event in self._told(stream, count)]

    def rows(self, stream, count, frame_number=0):
        """The rows of its events."""
        return [event.row for event in self._told(stream, count, frame_number)]

    def cut(self):
        """End the application's sessions."""
        self.sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'sseapp' AND pid <> pg_backend_pid()"
            " AND state <> 'idle in transaction'"
        )

    @contextmanager
    def away(self):
        """Keep the application off the database."""
        tries = self.runtime.listener.reconnects
        self.server.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        self.cut()
        wait_until(lambda: self.runtime.listener.reconnects > tries, what="the listener to lose its connection")
        yield
        self.server.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")
        self._wait()

    def close(self):
        self.runtime.close()
        self._connection.close()
