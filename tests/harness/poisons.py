"""Databases with three watched tables, of which one is poisoned: by something that happens to real databases."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import psycopg2
from harness.clusters import Server
from harness.servers import ROOT, Host
from harness.site import QUICK, Site
from harness.sse import Stream

SOON = 10.0  # seconds; a tick is half of one here
TABLES = ("first", "poisoned", "last")
SAD = "INSERT INTO poisoned VALUES (2, 'x', 'sad')"
CAST = """
CREATE FUNCTION shown(mood) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT '{"mood":\n[1, 2]}'::json $$;
CREATE CAST (mood AS json) WITH FUNCTION shown(mood);
"""
RAISING = """
CREATE FUNCTION shown(mood) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'no json for %', $1; END $$;
CREATE CAST (mood AS json) WITH FUNCTION shown(mood);
"""
GUARDED = """
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER application AFTER INSERT ON poisoned FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%poisoned%') THEN
        RAISE 'the schema of poisoned is frozen';
    END IF;
END $$;
CREATE EVENT TRIGGER guard ON ddl_command_end EXECUTE FUNCTION guard();
"""
UNQUALIFIED = GUARDED.replace("RAISE 'the schema of poisoned is frozen'", "INSERT INTO history VALUES ('poisoned')")


@dataclass(frozen=True)
class Poison:
    """``sql`` poisons the table ``poisoned`` of a database in ``encoding``; ``query`` is what its subscriber asks.

    It may leave the table ``gone`` under that name, or not ``readable``; ``good`` is a value of the column ``m`` that
    fits the query then. ``named`` is what the doctor has to name among what is wrong. ``setup`` comes before the
    watch, ``superuser`` says who does it.
    """

    name: str
    sql: str
    encoding: str = "UTF8"
    query: str = ""
    gone: bool = False
    readable: bool = True
    good: str = "sad"
    named: str = "poisoned"
    setup: str = ""
    superuser: bool = False

    def __str__(self) -> str:
        return self.name


POISONS = (
    # reading
    Poison("not UTF-8", r"INSERT INTO poisoned VALUES (2, E'caf\xe9')", "SQL_ASCII"),
    Poison(
        "a pack with one not UTF-8",
        r"INSERT INTO poisoned SELECT n, CASE n WHEN 77 THEN E'caf\xe9' ELSE 'x' END FROM generate_series(2, 98) n",
        "SQL_ASCII",
    ),
    Poison("undefined in WIN1252", r"INSERT INTO poisoned VALUES (2, E'x\x81y')", "WIN1252"),
    Poison(
        "a row that was deleted again",
        r"INSERT INTO poisoned VALUES (2, E'\xff'); DELETE FROM poisoned WHERE id = 2",
        "SQL_ASCII",
    ),
    # matching
    Poison("a cast that gives other JSON", f"{CAST} {SAD}", query="m=eq.sad", named=""),
    Poison("a cast that raises", f"{RAISING} {SAD}", query="m=eq.sad", named=""),
    Poison(
        "a label renamed",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'; INSERT INTO poisoned VALUES (2, 'x', 'blue')",
        query="m=gte.happy",
        good="blue",
        named="",
    ),
    Poison(
        "a label not UTF-8",
        r"INSERT INTO poisoned VALUES (2, 'x', E'\xe9')",
        "SQL_ASCII",
        setup=r"DO $$ BEGIN EXECUTE format('ALTER TYPE mood ADD VALUE %L', E'\xe9'); END $$",
    ),
    # encoding
    Poison(
        "a column's name not UTF-8",
        r"DO $$ BEGIN EXECUTE format('ALTER TABLE poisoned RENAME a TO %I', E'caf\xe9'); END $$",
        "SQL_ASCII",
        readable=False,
    ),
    Poison(
        "a table's name not UTF-8",
        r"DO $$ BEGIN EXECUTE format('ALTER TABLE poisoned RENAME TO %I', E'poisoned\xe9'); END $$",
        "SQL_ASCII",
        gone=True,
    ),
    # inspecting
    Poison("an event trigger that raises", GUARDED, named="guard", superuser=True),
    Poison(
        "an event trigger with an unqualified name",
        UNQUALIFIED,
        named="",
        superuser=True,
        setup="CREATE TABLE history (what text)",
    ),
    Poison(
        "published, and dropped",
        "CREATE PUBLICATION everything FOR ALL TABLES; DROP TABLE poisoned",
        gone=True,
        named="everything",
        superuser=True,
    ),
    Poison(
        "a policy that raises",
        """ALTER TABLE poisoned ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
           CREATE POLICY p ON poisoned FOR SELECT USING (1 / (id - id) > 0);
           CREATE POLICY q ON poisoned FOR INSERT WITH CHECK (true);
           INSERT INTO poisoned VALUES (2, 'x')""",
        readable=False,
    ),
)
"""Each of the steps (reading, matching, encoding, inspecting) has some; all are pruned."""


def command(dsn, *arguments):
    """Run the command line; what it says."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SSEAPP_")}
    done = subprocess.run(
        [sys.executable, "-m", "sseapp", *arguments],
        env=environ | {"DATABASE_URL": dsn},
        cwd=ROOT,
        check=False,
        capture_output=True,
        timeout=60,
    )
    return (done.stdout + done.stderr).decode(errors="replace")


class Database:
    """Three watched tables, owned by a role that is no superuser, of which the second will be poisoned."""

    def __init__(self, server, poison):
        self.server = server
        self.poison = poison
        self.name = f"t_{uuid.uuid4().hex[:12]}"
        locale = "LOCALE_PROVIDER libc LOCALE 'C'"
        server.execute(f"CREATE DATABASE {self.name} TEMPLATE template0 ENCODING '{poison.encoding}' {locale}")
        with suppress(psycopg2.errors.DuplicateObject):
            server.execute("CREATE ROLE tenant LOGIN")
        server.execute(f"ALTER DATABASE {self.name} OWNER TO tenant")
        self.dsn = server.dsn(self.name, "tenant")
        self.owner = psycopg2.connect(self.dsn)
        self.owner.autocommit = True
        self.sql("CREATE TYPE mood AS ENUM ('happy', 'sad')")
        for table in TABLES:
            more = ", m mood" if table == "poisoned" else ""
            self.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, a text{more})")
        if poison.setup:
            self.sql(poison.setup)
        command(self.dsn, "install")
        for table in TABLES:
            self.sql(f"SELECT sseapp.watch('{table}', subscribers_see_all_rows => true)")

    def sql(self, statement):
        with self.owner.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def spoil(self):
        """Poison the table."""
        god = psycopg2.connect(self.server.dsn(self.name))
        try:
            with god, god.cursor() as cursor:
                if not self.poison.superuser:
                    cursor.execute("SET ROLE tenant")
                cursor.execute(self.poison.sql)
        finally:
            god.close()

    def close(self):
        self.owner.close()
        self.server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")


class Three:
    """The database, a server on it, and a stream of each table."""

    def __init__(self, database, host, stack):
        self.database = database
        self.host = host
        self.site = Site(database.server, database.dsn, host)
        stack.callback(self.site.close)
        query = {"poisoned": database.poison.query}
        self.streams = {
            table: stack.enter_context(Stream(host.address, f"/tables/{table}/changes?{query.get(table, '')}"))
            for table in TABLES
        }
        for stream in self.streams.values():
            stream.event("snapshot")
        self._key = 1000

    def spoil(self):
        self.database.spoil()

    def others_live(self, rounds=3):
        """A row of each of the other tables arrives soon, again and again."""
        for _ in range(rounds):
            for table in ("first", "last"):
                self._key += 1
                self.database.sql(f"INSERT INTO {table} (id) VALUES ({self._key})")
                self.streams[table].until(self._is_newest, patience=SOON)

    def _is_newest(self, block):
        # a row that is written while the log is pruned may come with the snapshot after the reset
        rows = block.json.get("rows", [block.json.get("row")]) if block.name in {"insert", "snapshot"} else []
        return any(row["id"] == self._key for row in rows)


@contextmanager
def three(server: Server, poison: Poison) -> Iterator[Three]:
    """Serve a database with such a poison, not poisoned yet."""
    with ExitStack() as stack:
        database = Database(server, poison)
        stack.callback(database.close)
        yield Three(database, stack.enter_context(Host(database.dsn, **QUICK)), stack)
