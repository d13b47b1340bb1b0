"""Processes die, end, are replaced, or fail inside: clients continue elsewhere, and lose nothing."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack

import pytest
from harness.altered import altered
from harness.clusters import NEWEST, bindir, wait_until
from harness.exactly_once import rig
from harness.fault_run import LIVE, PACE, FaultRun, judged, ready
from harness.servers import Host
from harness.site import site as serve_site
from harness.sse import Ended, Stream, ask

BYE = 2.0
"""Seconds within which every stream has its bye."""


@pytest.fixture(scope="module")
def dsn(clusters):
    if bindir(NEWEST) is None:
        pytest.skip("the newest PostgreSQL is not here")
    with clusters.shared(NEWEST).database() as dsn:
        rig.prepare(dsn)
        yield dsn


@pytest.fixture(scope="module")
def start(dsn):
    """Start a server; all end with the module."""
    with ExitStack() as stack:

        def start(workers=1):
            host = stack.enter_context(Host(dsn, workers=str(workers), **PACE))
            ready(host)
            return host

        yield start


@pytest.fixture(scope="module")
def fault_run(dsn, start):
    """Two servers, one of two workers, and the verdict of all faults at the end."""
    hosts = [start(2), start()]
    with FaultRun(dsn, hosts, rig.seed(), subscribers=8, writers=3, calm=4) as fault_run:
        yield fault_run
        judged(fault_run)
    for host in hosts:
        assert "Traceback" not in host.log, host.log


def test_a_worker_that_is_killed(fault_run):
    for host in fault_run.hosts:
        assert fault_run.strike(host.worker.kill) < LIVE


def test_a_reload(fault_run):
    before = fault_run.hosts[0].master.children()
    assert fault_run.strike(lambda: fault_run.hosts[0].signal(signal.SIGHUP)) < LIVE
    wait_until(lambda: not any(worker.is_running() for worker in before), what="the old workers' end")


def test_a_rolling_restart(fault_run, start):
    """One port after the other: its streams are told to go within 2 s, and the other port or the new one takes them."""

    def restart(at):
        old = fault_run.hosts[at]
        with Stream(old.address, "/tables/item/changes?snapshot=no") as stream:
            stream.until(lambda block: block.id is not None)
            fault_run.hosts[at] = start()
            began = time.monotonic()
            old.signal(signal.SIGTERM)
            assert stream.rest()[-1].name == "bye"
            assert time.monotonic() - began < BYE
            old.wait(5)
        return began

    for at in range(2):
        assert fault_run.strike(lambda at=at: restart(at)) < LIVE


BROKEN = """
from sseapp.live import hub
from sseapp.live.hub import Hub

dispatch = Hub.dispatch


def failing(self, batch, *rest):
    if batch.changes and (FOLDER / "error").exists():
        error = (FOLDER / "error").read_text()
        (FOLDER / "error").unlink()
        raise {"SystemExit": SystemExit, "ValueError": ValueError}[error]
    dispatch(self, batch, *rest)


Hub.dispatch = failing
"""


@pytest.mark.parametrize("kind", ["gevent", "gthread"])
@pytest.mark.parametrize("error", ["ValueError", "SystemExit"])
def test_a_listener_that_fails_within_starts_anew(pg18, kind, error):
    """It may have lost the change it had in hand: all streams are reset, and it is in the log."""
    with altered(BROKEN) as (folder, options), serve_site(pg18, kind, options) as site:
        table, other = site.table(rows="(1, 'x')"), site.table()
        with site.follow(table) as stream, site.follow(other) as bystander:
            stream.event("snapshot")
            bystander.event("snapshot")
            (folder / "error").write_text(error)
            site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
            assert stream.event("reset").json["reason"]
            assert [row["id"] for row in stream.event("snapshot").json["rows"]] == [1, 2]
            bystander.event("reset")
            bystander.event("snapshot")
            site.sql(f"INSERT INTO {table} VALUES (3, 'z')")
            assert stream.event("insert").json["row"]["id"] == 3
        assert "The listener failed; every stream is reset." in site.host.log
        assert ask(site.host.address, "/readyz").status == 200


TROUBLED = """
from sseapp.delivery.progress import LogProgress

take = LogProgress.take


def failing(self):
    if (FOLDER / "error").exists():
        (FOLDER / "error").unlink()
        raise ValueError
    return take(self)


LogProgress.take = failing
"""


def test_a_broadcaster_that_fails_within_cuts_its_clients_and_goes_on(pg18):
    """Nobody may wait for what is not coming; their cursors bring them back."""
    with altered(TROUBLED) as (folder, options), serve_site(pg18, options=options, heartbeat="1m") as site:
        table = site.table(rows="(1, 'x')")
        with site.follow(table) as one, site.follow(table, columns="id") as two:
            ids = [stream.event("snapshot").id for stream in (one, two)]
            (folder / "error").touch()
            site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
            for stream in (one, two):
                with pytest.raises((Ended, ConnectionError)):
                    stream.until(lambda _: False)
        site.settled()
        with site.follow(table, last_id=ids[0]) as one, site.follow(table, columns="id", last_id=ids[1]) as two:
            for stream in (one, two):
                assert stream.event("insert").json["row"]["id"] == 2
            site.sql(f"INSERT INTO {table} VALUES (3, 'z')")
            for stream in (one, two):
                assert stream.event("insert").json["row"]["id"] == 3
        assert "The broadcaster failed; its clients are cut." in site.host.log


LATE = """
import time

from sseapp.process import Runtime

close = Runtime.close


def late(self):
    time.sleep(1.3)
    close(self)


Runtime.close = late
"""


def test_a_worker_that_ends_waits_for_the_bye(pg18):
    """The streams are no requests to gunicorn, which looks once a second whether any are left."""
    with altered(LATE) as (_, options), serve_site(pg18, options=options) as site:
        table = site.table(rows="(1, 'x')")
        with site.follow(table) as stream:
            stream.event("snapshot")
            site.host.signal(signal.SIGTERM)
            assert stream.rest()[-1].name == "bye"
