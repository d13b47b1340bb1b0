"""A database with sseapp installed by a role that is no superuser, and sessions that write to its tables."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager

import psycopg2

from sseapp.postgres import schema
from sseapp.postgres.database import Connection

KEEPER = "keeper"
PINNED = """SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex';
SET extra_float_digits = 1; SET lc_monetary = 'C'; SET quote_all_identifiers = off"""


def as_user(dsn, user):
    return dsn.replace("//postgres@", f"//{user}@")


def execute(session, statement, parameters=None):
    with session.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def open_session(dsn, setup=""):
    session = psycopg2.connect(dsn)
    session.autocommit = True
    if setup:
        execute(session, setup)
    return session


def make_keeper(dsn):
    """Let the role that is to own everything make schemas in the database; whose DSN is returned."""
    with closing(open_session(dsn)) as session:
        execute(
            session,
            f"""DO $$ BEGIN CREATE ROLE {KEEPER} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
            DO $$ BEGIN
                EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO {KEEPER}', current_database());
            END $$""",
        )
    return as_user(dsn, KEEPER)


@contextmanager
def installed(server):
    """A database of ``server`` where the keeper has installed sseapp; yields the keeper's DSN."""
    with server.database() as dsn:
        keeper = make_keeper(dsn)
        with closing(Connection(keeper)) as connection:
            schema.install(connection)
            # as if a listener were there: writers ring
            connection.query("SELECT sseapp.attend(3600000, 3600000)")
        yield keeper


class Ground:
    """A database with sseapp installed, and two sessions that many tests share: warm ones, which makes them quick."""

    def __init__(self, dsn):
        self.dsn = dsn
        self.main = open_session(dsn)
        self.reader = open_session(dsn, PINNED)

    def close(self):
        self.main.close()
        self.reader.close()


class Site:
    """A schema of one test's own, and the log of the tables it has watched."""

    def __init__(self, ground, name):
        self.dsn = ground.dsn
        self.name = name
        self.watches = []
        self._sessions = []
        self._main, self._reader = ground.main, ground.reader
        self.run(f"RESET ALL; CREATE SCHEMA {name}; SET search_path = {name}")

    def session(self, user=KEEPER, setup=""):
        """A session of its own, closed with the test."""
        session = open_session(self.dsn.replace(f"//{KEEPER}@", f"//{user}@"))
        execute(session, f"SET search_path = {self.name}; {setup}")
        self._sessions.append(session)
        return session

    def run(self, statement, parameters=None):
        return execute(self._main, statement, parameters)

    def value(self, statement, parameters=None):
        ((value,),) = self.run(statement, parameters)
        return value

    def watch(self, table, range_column=None, **options):
        names = {"hide": "name[]", "only_columns": "name[]", "subscribers_see_all_rows": "boolean"}
        extra = "".join(f", {name} => %({name})s::{names[name]}" for name in options)
        parameters = {"table": table, "range": range_column, **options}
        number = self.value(f"SELECT sseapp.watch(%(table)s::regclass, %(range)s{extra})", parameters)
        if number not in self.watches:
            self.watches.append(number)
        return number

    def log(self, columns="kind::text, old::text, new::text", kinds="iudt", watch=None):
        return self.run(
            f"""SELECT {columns} FROM (
                SELECT c.id + r.place - 1 AS id, c.xid, c.watch, c.kind, r.old::json, r.new::json, c.reason, c.at
                FROM sseapp.change c, LATERAL ROWS FROM (
                    generate_series(1, c.changes), string_to_table(c.old, E'\\x1e'), string_to_table(c.new, E'\\x1e')
                ) r(place, old, new)) c
                WHERE watch = ANY (%s) AND kind::text = ANY (%s) ORDER BY id""",
            ([watch] if watch else self.watches, list(kinds)),
        )

    def events(self):
        """The log as (kind, old, new) with the rows as objects."""
        return [(kind, old and json.loads(old), new and json.loads(new)) for kind, old, new in self.log()]

    def resets(self, watch=None):
        return [reason for (reason,) in self.log("reason", "r", watch)]

    def rows(self, table):
        """What SELECT shows, as the log would write it."""
        execute(self._reader, f"SET search_path = {self.name}")
        return sorted(text for (text,) in execute(self._reader, f"SELECT row_to_json(t.*)::text FROM {table} t"))

    def replayed(self):
        """The rows that are left when the log is applied, each change in its turn; fails where one does not fit."""
        rows = []
        for kind, old, new in self.log():
            if kind == "t":
                rows = []
            if old is not None:
                rows.remove(old)
            if new is not None:
                rows.append(new)
        return sorted(rows)

    def clear(self):
        self.run("DELETE FROM sseapp.change")

    def close(self):
        for session in self._sessions:
            session.close()
        self.run(f"ROLLBACK; DROP SCHEMA {self.name} CASCADE; SELECT sseapp.check_shapes()")
