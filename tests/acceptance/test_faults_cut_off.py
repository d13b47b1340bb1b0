"""One of three servers is cut off from the database: the others go on, it says so, and comes back without loss."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from harness.exactly_once import rig
from harness.exactly_once.checker import query
from harness.fault_run import LIVE, PACE, FaultRun, judged, ready
from harness.network import Network
from harness.servers import Host
from harness.sse import Stream, ask

SERVERS = 3
FIRST = 2_000_000  # above the keys of the workload and of the fault_run's canaries
OWN = f"/tables/item/changes?id=gte.{FIRST}&snapshot=no"


def insert(dsn, key):
    query(dsn, "INSERT INTO item VALUES (%s, 0, NULL, 0, '2026-01-01', NULL)", str(key))


def next_key(stream):
    """The key of the next row that is inserted; the workload truncates the table now and then."""
    while (event := stream.event()).name == "truncate":
        pass
    assert event.name == "insert"
    return event.json["row"]["id"]


@pytest.mark.timeout(180)
def test_one_server_that_is_cut_off_holds_up_none_of_the_others(own_cluster):
    dsn = own_cluster.dsn()
    rig.prepare(dsn)
    with ExitStack() as stack:
        gates = [stack.enter_context(Network(own_cluster.port)) for _ in range(SERVERS)]
        hosts = [stack.enter_context(Host(gate.dsn(dsn), deadline="2s", **PACE)) for gate in gates]
        for host in hosts:
            ready(host)
        fault_run = stack.enter_context(FaultRun(dsn, hosts, rig.seed(), subscribers=6, writers=3, calm=SERVERS))
        before = fault_run.connections()
        *others, lost = [stack.enter_context(Stream(host.address, OWN)) for host in hosts]
        for stream in (*others, lost):
            stream.until(lambda block: block.id is not None)

        gates[-1].cut()
        ready(hosts[-1], 503)
        assert ask(hosts[-1].address, "/readyz").json["error"]
        for key in range(FIRST, FIRST + 5):
            insert(dsn, key)
            began = time.monotonic()
            assert [next_key(stream) for stream in others] == [key] * len(others)
            assert time.monotonic() - began < 2
        assert [ask(host.address, "/readyz").status for host in hosts] == [200, 200, 503]
        lost.until(lambda block: "" in block.comments)

        gates[-1].mend()
        mended = time.monotonic()
        assert [next_key(lost) for _ in range(5)] == list(range(FIRST, FIRST + 5))
        assert time.monotonic() - mended < LIVE
        ready(hosts[-1])
        assert fault_run.recovered(mended, 30.0) < 2 * LIVE
        assert fault_run.connections() == before, "a line that held was given up"
        judged(fault_run)
        for host in hosts:
            assert "Traceback" not in host.log, host.log
