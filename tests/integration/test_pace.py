"""The pace on a real PostgreSQL: no change is lost or late, whenever the bell goes off and on.

Where the tick is said to be an hour, a wake-up that is lost would stay so.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing, contextmanager

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.pooler import pooler
from harness.servers import Host
from harness.site import Site

from sseapp.cli.doctor import examine
from sseapp.config import Settings
from sseapp.log.pace import FOREVER, Mode
from sseapp.postgres import schema
from sseapp.postgres.database import Connection
from sseapp.process import Runtime
from sseapp.signals import changed


class Heard:
    """A runtime's listener, and the ids of the rows that it has sent."""

    def __init__(self, dsn, **settings):
        self.ids = set()
        self.modes = set()
        self.twice = []
        variables = {"DATABASE_URL": dsn} | {f"SSEAPP_{name.upper()}": value for name, value in settings.items()}
        self._runtime = Runtime(Settings.from_environ({"SSEAPP_TICK": "1h"} | variables))
        self._runtime.start()
        self.pace = self._runtime.listener.pace
        assert self._runtime.hub.ready.wait(10)
        changed.connect(self._take, sender="public.t")

    def _take(self, _, batch):
        self.modes.add(self.pace.mode)
        for change in batch.changes:
            row = json.loads(change.new)
            if row["id"] in self.ids:
                self.twice.append(row["id"])
            self.ids.add(row["id"])

    def become(self, mode):
        wait_until(lambda: self.pace.mode is mode, what=f"the pace to be {mode}; it is {self.pace.mode}")

    def hear(self, *ids):
        wait_until(lambda: self.ids >= set(ids), what=f"{ids} to be heard")

    def close(self):
        changed.disconnect(self._take, sender="public.t")
        self._runtime.close()


@pytest.fixture
def dsn(dsn):
    with closing(Connection(dsn)) as connection:
        schema.install(connection)
        connection.query("CREATE TABLE t (id int PRIMARY KEY)")
        schema.watch(connection, "t")
    return dsn


@pytest.fixture
def session(dsn):
    with _session(dsn) as session:
        yield session


@contextmanager
def _session(dsn, **options):
    connection = psycopg2.connect(dsn, **options)
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        yield cursor


@contextmanager
def _heard(dsn, **settings):
    with closing(Heard(dsn, **settings)) as heard:
        yield heard


def _bells(session):
    """How many notifications have come to a session."""
    session.execute("SELECT")
    rang = len(session.connection.notifies)
    session.connection.notifies.clear()
    return rang


def _write(dsn, ids):
    with _session(dsn) as session:
        for number in ids:
            session.execute("INSERT INTO t VALUES (%s)", (number,))


def _hammer(dsn, ids, writers=4):
    threads = [threading.Thread(target=_write, args=(dsn, ids[at::writers])) for at in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_under_load_the_bell_is_off_and_every_change_arrives(dsn, session):
    session.execute("LISTEN sseapp")
    with _heard(dsn) as heard:
        for storm in range(2):
            heard.become(Mode.QUIET)
            first = 1_000_000 * storm
            _hammer(dsn, range(first, first + 800))
            # alone, at any moment of the way back
            for number in range(first + 800, first + 808):
                _write(dsn, [number])
                heard.hear(number)
                time.sleep(0.15)
            heard.hear(*range(first, first + 808))
            assert _bells(session) < 400, "the bell was off for most of them"
        heard.become(Mode.QUIET)
        assert Mode.BUSY in heard.modes
        assert not heard.twice


def test_who_puts_the_bell_off_does_not_sleep_itself(dsn):
    """One writer alone: no other's ring, of before the lease, wakes the listener that has set it."""
    with _heard(dsn) as heard:
        for storm in range(5):
            heard.become(Mode.QUIET)
            ids = range(1000 * storm, 1000 * storm + 150)
            _write(dsn, ids)
            heard.hear(*ids)
        assert Mode.BUSY in heard.modes
        assert not heard.twice


@pytest.mark.parametrize("others", [False, True], ids=["with the greatest id", "below others"])
def test_who_looked_while_the_bell_was_off_is_waited_for(dsn, session, others):
    with _heard(dsn) as heard, _session(dsn) as late, _session(dsn) as other:
        heard.become(Mode.QUIET)
        # its snapshot is older than the lease
        late.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
        session.execute("SELECT sseapp.quicken(300)")
        heard.become(Mode.BUSY)
        late.execute("LISTEN sseapp")
        late.execute("INSERT INTO t VALUES (1)")
        heard.become(Mode.SETTLING)
        if others:
            for number in range(2, 5):
                other.execute("INSERT INTO t VALUES (%s)", (number,))
            heard.hear(2, 3, 4)
        time.sleep(0.3)
        assert heard.pace.mode is Mode.SETTLING
        late.execute("COMMIT")
        heard.hear(1)
        heard.become(Mode.QUIET)


def test_a_writer_sees_the_newest_lease_whatever_its_snapshot(session, dsn):
    session.execute("LISTEN sseapp; SELECT sseapp.attend(60000, 60000)")
    with _session(dsn) as writer:
        for number, (at_first, then, rings) in enumerate([(0, 60_000, False), (60_000, 0, True), (0, FOREVER, False)]):
            session.execute("SELECT sseapp.quicken(%s)", (at_first,))
            writer.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
            session.execute("SELECT sseapp.quicken(%s)", (then,))
            _bells(session)
            writer.execute("INSERT INTO t VALUES (%s); COMMIT", (number,))
            assert _bells(session) == rings, (at_first, then)


def test_a_setter_that_dies_before_it_rings_delays_a_change_until_the_tick(dsn, session):
    with _heard(dsn, tick="1s") as heard, _session(dsn) as setter:
        heard.become(Mode.QUIET)
        setter.execute("BEGIN; SELECT sseapp.quicken(5000)")
        session.execute("SELECT pg_terminate_backend(%s, 5000)", (setter.connection.info.backend_pid,))
        session.execute("INSERT INTO t VALUES (1)")
        heard.become(Mode.BUSY)
        session.execute("INSERT INTO t VALUES (2)")
        heard.hear(1, 2)


def test_a_listener_that_connects_polls_until_it_knows_better(dsn, session):
    session.execute("SELECT sseapp.quicken(1000)")
    with _session(dsn) as late:
        late.execute("BEGIN; INSERT INTO t VALUES (1)")
        with _heard(dsn) as heard:
            heard.become(Mode.SETTLING)
            late.execute("COMMIT")
            heard.hear(1)
            heard.become(Mode.QUIET)


def test_without_the_bell_transactions_can_be_prepared(dsn, session):
    with _heard(dsn, notify="off") as heard:
        wait_until(lambda: not _asked(session, "SELECT sseapp.is_quiet()"), what="the bell to be off for good")
        session.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'one'")
        session.execute("INSERT INTO t VALUES (2)")
        heard.hear(2)
        assert heard.pace.mode is Mode.POLLING
        assert 1 not in heard.ids
        session.execute("COMMIT PREPARED 'one'")
        heard.hear(1)
        session.execute("BEGIN; INSERT INTO t VALUES (3); TRUNCATE t; PREPARE TRANSACTION 'two'")
        session.execute("ROLLBACK PREPARED 'two'")
    # the next process leaves it as it is, until one is told otherwise
    with _heard(dsn) as heard:
        heard.become(Mode.POLLING)
        session.execute("INSERT INTO t VALUES (4)")
        heard.hear(4)
    with _heard(dsn, notify="on") as heard:
        heard.become(Mode.QUIET)
        session.execute("INSERT INTO t VALUES (5)")
        heard.hear(5)
        with pytest.raises(psycopg2.errors.FeatureNotSupported, match="NOTIFY"):
            session.execute("BEGIN; INSERT INTO t VALUES (6); PREPARE TRANSACTION 'three'")
        session.execute("ROLLBACK")


def _asked(session, statement):
    session.execute(statement)
    return session.fetchone()[0]


@pytest.fixture(scope="module")
def pooled(clusters):
    """A database of the newest version, and the DSN that leads to it through PgBouncer."""
    server = clusters.shared("pg18")
    with pooler(server) as through:
        yield server, through


@contextmanager
def _served(server, through, **settings):
    """A server of the application that knows its database by the pooler only."""
    with server.database() as dsn, closing(Connection(through(dsn))) as connection:
        schema.install(connection)
        with Host(through(dsn), **settings) as host, closing(Site(server, dsn, host)) as site:
            yield site


@pytest.mark.parametrize("notify", ["off", ""], ids=["off", "unset"])
def test_through_pgbouncer_in_transaction_mode(pooled, notify):
    server, through = pooled
    with _served(server, through, notify=notify, tick="1h") as site:
        table = site.table(
            "id int PRIMARY KEY, at timestamptz, span interval, n float8",
            rows="(0, '2026-01-31 12:00+02', '1 day', 0.1)",
        )
        row = {"id": 0, "at": "2026-01-31T10:00:00+00:00", "span": "1 day", "n": 0.1}
        with site.follow(table) as stream:
            assert stream.event("snapshot").json["rows"] == [row]
            with _session(through(site.dsn)) as writer:
                writer.execute("SET IntervalStyle = 'iso_8601'")
                for number in range(1, 50):
                    writer.execute(f"INSERT INTO {table} VALUES (%s, '2026-01-31 12:00+02', '1 day', 0.1)", (number,))
                    assert stream.event("insert").json["row"] == row | {"id": number}
                assert _asked(writer, "SHOW statement_timeout") == "0", (
                    "the application's own sessions stay as they were"
                )
        assert site.get("/readyz").json["pace"] == "polling"
        assert site.metric('pace{mode="polling"}') == 1
        findings = {f.step: f for f in examine(through(site.dsn), Settings.from_environ({"SSEAPP_NOTIFY": notify}))}
        assert [finding for finding in findings.values() if finding.well is False] == []
        assert findings["session"].well is (True if notify else None)
