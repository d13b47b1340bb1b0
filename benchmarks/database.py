"""A scratch PostgreSQL for the benchmarks, with durability off: what is measured is not the disk.

It has core 1, beside the generator; core 0 is the server's that is measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812  # it is a class

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests")]

from harness.clusters import NEWEST, Clusters  # noqa: E402  # found by the path above

from sseapp.postgres import schema  # noqa: E402
from sseapp.postgres.database import Connection  # noqa: E402

NOTE = "x" * 60
ROW = "(id bigserial PRIMARY KEY, sent double precision, note text)"
TABLES = f"""
CREATE TABLE plain {ROW};
CREATE TABLE logged {ROW};
CREATE TABLE notified {ROW};
CREATE FUNCTION notify_payload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('payload', row_to_json(NEW)::text);
    RETURN NULL;
END $$;
CREATE TRIGGER notify_payload AFTER INSERT OR UPDATE ON notified FOR EACH ROW EXECUTE FUNCTION notify_payload();
CREATE TABLE dated (id bigserial PRIMARY KEY, at timestamptz NOT NULL, sent double precision, note text);
CREATE INDEX ON dated (at);
"""


@dataclass(frozen=True)
class Scratch:
    """The database: how to connect, PostgreSQL's programs, its server's log; and what starts further clusters."""

    dsn: str
    bindir: Path
    log: Path
    clusters: Clusters

    @property
    def told(self) -> str:
        """The same database, but what is done through this connection is in the log: see :class:`Statements`."""
        return f"{self.dsn}?options=-c%20log_statement%3Dall"


class Statements:
    """Counts the statements that came through :attr:`Scratch.told` since this was made."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._from = log.stat().st_size

    def count(self, mark: str) -> int:
        """How many statements contain ``mark``, which is on one line of them and once in each."""
        time.sleep(0.1)
        with self._log.open("rb") as log:
            log.seek(self._from)
            return log.read().count(mark.encode())


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A database with the same table thrice: plain, watched by sseapp, with a payload trigger; and a dated one."""
    clusters = Clusters()
    try:
        # with the 64 MB of the tests a log of some 100,000 rows would be written out again and again
        with clusters.own(NEWEST, shared_buffers="256MB") as server, server.database() as dsn:
            postmaster = psutil.Process(server.pid)
            for process in (postmaster, *postmaster.children()):
                with suppress(psutil.NoSuchProcess):
                    process.cpu_affinity([1])
            with closing(Connection(dsn)) as connection:
                connection.query(TABLES)
                schema.install(connection)
                schema.watch(connection, "logged")
                schema.watch(connection, "dated", range_column="at")
            yield Scratch(dsn, server.bindir, server.log, clusters)
    finally:
        clusters.close()


@contextmanager
def cursor(dsn: str) -> Iterator[Cursor]:
    """A cursor of the writer's, each statement its own transaction."""
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection.cursor()


def insert_at_once(cursor: Cursor, table: str, transactions: int) -> None:
    """Insert rows, each its own transaction: see :func:`at_once`."""
    at_once(cursor, f"INSERT INTO {table} (sent, note) VALUES (0, '{NOTE}')", transactions)


def at_once(cursor: Cursor, statement: str, transactions: int) -> None:
    """Run a statement so many times in one message, each its own transaction: the writer must not be measured."""
    cursor.execute("BEGIN;" + f"{statement}; COMMIT; BEGIN;" * transactions + "COMMIT")
