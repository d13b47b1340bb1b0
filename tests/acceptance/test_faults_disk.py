"""The disk of the log or of the WAL is full: writes fail and say why, and nothing is lost or told twice."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress

import psycopg2
import pytest
from harness.clusters import NEWEST, wait_until
from harness.disks import disk, put_log, put_wal
from harness.exactly_once import rig
from harness.exactly_once.checker import query
from harness.fault_run import LIVE, PACE, FaultRun, judged, ready
from harness.servers import Host
from harness.sse import Stream, ask
from harness.versions import require

NOISE = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 30000))"  # 1 MB that does not compress
OTHER = "CREATE TABLE other (n bigint, what text)"


@pytest.fixture
def cluster(clusters):
    require(NEWEST)
    with clusters.own(wal_recycle="off", max_wal_size="64MB", min_wal_size="32MB") as server:
        yield server


@pytest.fixture
def small():
    with disk() as found:
        yield found


@contextmanager
def ordeal_on(dsn):
    with Host(dsn, deadline="2s", **PACE) as host:
        ready(host)
        with FaultRun(dsn, [host], rig.seed(), subscribers=6, writers=3, calm=2) as fault_run:
            yield fault_run
            judged(fault_run)
            assert "Traceback" not in host.log, host.log


def refused(dsn, statement):
    """What the application's write fails with, at the latest when the disk is full."""
    for _ in range(100):
        try:
            query(dsn, statement)
        except psycopg2.Error as error:
            return error
    raise AssertionError("100 MB found room on a full disk")


@pytest.mark.timeout(180)
def test_the_disk_of_the_log_is_full(cluster, small):
    """Writes of watched tables fail, with PostgreSQL's own words; all else goes on."""
    dsn = cluster.dsn()
    rig.prepare(dsn)
    query(dsn, OTHER)
    put_log(cluster, small)
    with ordeal_on(dsn) as fault_run:
        host = fault_run.hosts[0]
        before = fault_run.connections()
        with Stream(host.address, "/tables/entry/changes?snapshot=no&item=lt.-1") as stream:
            stream.until(lambda block: block.id is not None)

            def fill():
                small.fill()
                error = refused(dsn, f"INSERT INTO entry (item, what) SELECT -1, {NOISE}")
                assert isinstance(error, psycopg2.errors.DiskFull), error
                assert "No space left on device" in str(error)
                query(dsn, "INSERT INTO other VALUES (1, 'goes on')")
                assert ask(host.address, "/readyz").status == 200
                stream.until(lambda block: "" in block.comments)
                assert ask(host.address, "/tables/item/rows?limit=1").status == 200
                small.empty()
                return time.monotonic()

            assert fault_run.strike(fill) < LIVE
            query(dsn, "INSERT INTO entry (item, what) VALUES (-2, 'there is room again')")
            stream.until(lambda block: block.name == "insert" and block.json["row"]["item"] == -2)
        assert fault_run.connections() == before


@pytest.mark.timeout(180)
def test_the_disk_of_the_wal_is_full(cluster, small):
    """PostgreSQL itself ends then. It is back once there is room, and so are all subscribers."""
    put_wal(cluster, small)
    dsn = cluster.dsn()
    rig.prepare(dsn)
    with ordeal_on(dsn) as fault_run:
        host = fault_run.hosts[0]
        before = fault_run.connections()

        def fill():
            small.fill()
            refused(dsn, f"INSERT INTO entry (item, what) SELECT -1, {NOISE}")
            assert "No space left on device" in cluster.tail(200)
            with suppress(AssertionError):  # it may come back for a moment, where the last segment has room
                ready(host, 503, 10)
                assert ask(host.address, "/readyz").json["error"]
            small.empty()
            cluster.stop()
            cluster.again()
            return time.monotonic()

        assert fault_run.strike(fill, 60.0) < LIVE
        wait_until(lambda: ask(host.address, "/readyz").status == 200, what="the listener to be back")
        assert fault_run.connections() == before
