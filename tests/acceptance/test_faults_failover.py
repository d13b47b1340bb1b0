"""Faults after which the log is another one, or cannot be read: a reset, or everything continues."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager

import psycopg2
import pytest
from acceptance.test_faults_database import comes_again, outage
from harness.exactly_once import rig
from harness.exactly_once.checker import query
from harness.fault_run import LIVE, PACE, FaultRun, judged, ready
from harness.servers import Host
from harness.sse import Stream, ask
from harness.standby import standby

from sseapp.postgres import schema

RESETS = 100
"""A client whose line breaks between the reset and the snapshot hears the reset again."""
QUICK = PACE | {"deadline": "2s"}


@contextmanager
def struck(dsn, served=None):
    """A fault run on a new server."""
    with Host(served or dsn, **QUICK) as host:
        ready(host)
        with FaultRun(dsn, [host], rig.seed(), subscribers=6, writers=3, calm=2) as fault_run:
            yield fault_run, host
        assert "Traceback" not in host.log, host.log


def test_a_promoted_standby(own_cluster):
    """The timeline is another one: every client gets a reset, including those that stayed connected."""
    rig.prepare(own_cluster.dsn())
    with standby(own_cluster) as second:
        ports = f"127.0.0.1:{own_cluster.port},127.0.0.1:{second.port}"
        dsn = f"postgresql://postgres@{ports}/postgres?target_session_attrs=read-write"
        with struck(dsn) as (fault_run, host):

            def promote():
                with outage(host):
                    own_cluster.kill()
                second.promote()
                return time.monotonic()

            assert fault_run.strike(promote) < LIVE
            report = judged(fault_run, resets=RESETS)
        assert any("failed over" in reason for reason in report.resets), report.resets


@pytest.mark.slow
def test_a_crash_with_an_unlogged_log(own_cluster):
    """The crash has emptied the log: every client gets a reset, after each crash."""
    rig.prepare(own_cluster.dsn())
    own_cluster.execute("SELECT sseapp.set_unlogged(true)")

    def crash():
        with outage(host):
            own_cluster.kill()
        own_cluster.again()
        return time.monotonic()

    with struck(own_cluster.dsn()) as (fault_run, host):
        for _ in range(2):
            assert fault_run.strike(crash) < LIVE
        report = judged(fault_run, resets=RESETS)
    assert any("failed over" in reason for reason in report.resets), report.resets


@pytest.mark.slow
def test_a_replica_that_cannot_be_written(own_cluster):
    """A listener cannot use a replica: clients are told to retry, and are served after its promotion."""
    rig.prepare(own_cluster.dsn())
    with standby(own_cluster) as second, Host(second.dsn(), **QUICK) as host:
        ready(host, 503)
        assert "25006" in ask(host.address, "/readyz").json["error"]  # read-only
        with Stream(host.address, "/tables/item/changes", patience=15) as stream:
            comes_again(stream)
        refused = ask(host.address, "/tables/item/rows", patience=15)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        own_cluster.stop()
        second.promote()
        since = time.monotonic()
        ready(host)
        with Stream(host.address, "/tables/item/changes") as stream:
            assert stream.event().name == "snapshot"
        assert time.monotonic() - since < LIVE


def test_rights_that_are_taken_away_and_given_back(own_cluster):
    """The log has lost nothing, so nobody gets a reset."""
    rig.prepare(own_cluster.dsn())
    query(own_cluster.dsn(), "CREATE ROLE serving LOGIN IN ROLE postgres")
    with struck(own_cluster.dsn(), own_cluster.dsn(user="serving")) as (fault_run, host):

        def take():
            with outage(host):
                query(own_cluster.dsn(), "REVOKE postgres FROM serving")
            query(own_cluster.dsn(), "GRANT postgres TO serving")
            return time.monotonic()

        before = fault_run.connections()
        assert fault_run.strike(take) < LIVE
        assert fault_run.connections() == before
        judged(fault_run)


@pytest.mark.slow
def test_a_log_that_is_dropped_and_installed_again(own_cluster):
    """Changes in the meantime were not logged: clients get a reset, and a snapshot that has them."""
    dsn = own_cluster.dsn()
    rig.prepare(dsn)
    with struck(dsn) as (fault_run, host):

        def drop():
            with outage(host):
                query(dsn, "DROP SCHEMA sseapp CASCADE")
            install(dsn)
            return time.monotonic()

        assert fault_run.strike(drop) < LIVE
        report = judged(fault_run, resets=RESETS)
    assert any("another log" in reason for reason in report.resets), report.resets


def install(dsn):
    """Install and watch in one transaction: no table is missing in between."""
    watches = "SELECT sseapp.watch('item', 'at'), sseapp.watch('entry');\nCOMMIT;"
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(schema.printable().replace("COMMIT;", watches))


@pytest.mark.parametrize("kind", ["gthread", pytest.param("waitress", marks=pytest.mark.slow)])
def test_a_host_on_threads_stays_true_to_its_clients(own_cluster, kind):
    """The same through other hosts: one outage each."""
    rig.prepare(own_cluster.dsn())
    with Host(own_cluster.dsn(), kind, **QUICK) as host:
        ready(host)
        with FaultRun(own_cluster.dsn(), [host], rig.seed(), subscribers=1, writers=2, calm=2) as fault_run:
            fault_run.subscribers[-1].line.heal()

            def kill():
                own_cluster.kill()
                ready(host, 503)
                own_cluster.again()
                return time.monotonic()

            before = fault_run.connections()
            assert fault_run.strike(kill) < LIVE
            assert fault_run.connections() == before
            judged(fault_run)
