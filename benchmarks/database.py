"""A scratch PostgreSQL for the benchmarks, with durability off: what is measured is not the disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests")]

from support.clusters import NEWEST, Clusters  # noqa: E402  # found by the path above

from sseapp import schema  # noqa: E402
from sseapp.database import Connection  # noqa: E402

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
"""


@contextmanager
def scratch() -> Iterator[tuple[str, Path]]:
    """A database with the same table thrice: plain, watched by sseapp, with a payload trigger; and the programs."""
    clusters = Clusters()
    try:
        server = clusters.shared(NEWEST)
        with server.database() as dsn:
            with closing(Connection(dsn)) as connection:
                connection.query(TABLES)
                schema.install(connection)
                schema.watch(connection, "logged")
            yield dsn, server.bindir
    finally:
        clusters.close()


@contextmanager
def cursor(dsn: str) -> Iterator[psycopg2.extensions.cursor]:
    """A cursor of the writer's, each statement its own transaction."""
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection.cursor()
