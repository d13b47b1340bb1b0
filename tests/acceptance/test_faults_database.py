"""Faults of the database, under load: clients stay connected, are informed, and then get what they missed, once.

Each fault strikes one run of the rig, whose verdict (nothing lost, nothing twice) falls at the end of the module.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack, contextmanager

import psutil
import psycopg2
import pytest
from harness.clusters import NEWEST, bindir
from harness.exactly_once import rig
from harness.fault_run import LIVE, PACE, FaultRun, judged, ready
from harness.network import Network
from harness.servers import Host
from harness.sse import Stream, ask

# as much shorter than the defaults as the tests' outages are
QUICK = PACE | {"deadline": "2s"}
LAZY = {"wal_writer_delay": "10s", "autovacuum": "off"}
STREAM = "/tables/item/changes?snapshot=no"


@pytest.fixture(scope="module")
def cluster(clusters):
    if bindir(NEWEST) is None:
        pytest.skip("the newest PostgreSQL is not here")
    with clusters.own(**LAZY) as server:
        yield server


@pytest.fixture(scope="module")
def network(cluster):
    """The network between the server and the database; the writers have one of their own."""
    with Network(cluster.port) as network:
        yield network


@pytest.fixture(scope="module")
def fault_run(cluster, network):
    dsn = cluster.dsn()
    rig.prepare(dsn)
    with Host(network.dsn(dsn), **QUICK) as host:
        ready(host)
        with FaultRun(dsn, [host], rig.seed(), subscribers=8, writers=3, calm=3) as fault_run:
            yield fault_run
            judged(fault_run)
            assert "Traceback" not in host.log, host.log


@pytest.fixture
def host(fault_run):
    return fault_run.hosts[0]


@pytest.fixture
def steady(fault_run):
    """A client whose line was not broken does not have to reconnect."""
    before = fault_run.connections()
    yield
    assert fault_run.connections() == before


def sessions(cluster):
    """The processes that serve the server's sessions."""
    found = cluster.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'sseapp'")
    return [psutil.Process(pid) for (pid,) in found]


@contextmanager
def outage(host):
    """While the fault lasts, connected clients get heartbeats, and new ones are told to retry."""
    with Stream(host.address, STREAM) as stream:
        stream.until(lambda block: block.id is not None)
        yield
        ready(host, 503)
        answer = ask(host.address, "/readyz")
        assert not answer.json["listening"]
        assert answer.json["error"]
        with Stream(host.address, "/tables/item/changes") as late:
            comes_again(late)
        assert ask(host.address, "/healthz").status == 200
        for _ in range(3):
            stream.until(lambda block: "" in block.comments)


def comes_again(stream):
    """An answer that makes clients retry: 200, a time to wait that differs from client to client, and the end."""
    assert stream.status == 200
    blocks = stream.rest(15)
    assert {block.name for block in blocks if block.fires} <= {"bye"}, blocks
    assert blocks[-1].retry, blocks
    assert any(any(block.comments) for block in blocks), blocks


@pytest.mark.usefixtures("steady")
def test_sessions_that_are_ended_are_replaced(fault_run, cluster):
    def end():
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sseapp'")

    for _ in range(3):
        assert fault_run.strike(end) < LIVE


@pytest.mark.usefixtures("steady")
def test_a_postmaster_that_is_killed(fault_run, cluster, host):
    def kill():
        with outage(host):
            cluster.kill()
        cluster.again()
        return time.monotonic()

    assert fault_run.strike(kill) < LIVE


@pytest.mark.usefixtures("steady")
def test_an_immediate_stop_behind_rollbacks(fault_run, cluster):
    """Their transaction ids are assigned again."""

    def stop():
        connection = psycopg2.connect(cluster.dsn())
        with connection.cursor() as cursor:
            for _ in range(50):
                cursor.execute("SELECT pg_current_xact_id()")
                connection.rollback()
        process = psutil.Process(cluster.pid)
        process.send_signal(signal.SIGQUIT)
        process.wait(10)
        connection.close()
        cluster.stop()
        cluster.again()
        return time.monotonic()

    assert fault_run.strike(stop) < LIVE


@pytest.mark.usefixtures("steady")
def test_refused_connections(fault_run, cluster, host):
    def refuse():
        with outage(host):
            cluster.stop()
        cluster.again()
        return time.monotonic()

    assert fault_run.strike(refuse) < LIVE


@pytest.mark.usefixtures("steady")
def test_sessions_that_are_stopped(fault_run, cluster):
    """Their connections stay open but nothing answers: a deadline notices it, and new connections are made."""
    with ExitStack() as stack:

        def stop():
            for process in sessions(cluster):
                process.suspend()
                stack.callback(process.resume)

        assert fault_run.strike(stop) < LIVE


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("kind", ["freeze", pytest.param("cut", marks=pytest.mark.slow)])
def test_a_network_that_falls_silent(fault_run, network, host, kind):
    """First the far end still acknowledges, then not even that. What was connected stays dead when it is mended."""

    def fall_silent():
        with outage(host):
            getattr(network, kind)()
        network.mend()
        return time.monotonic()

    assert fault_run.strike(fall_silent) < LIVE
