"""The event ``state``: streams tell how the server stands, and soon when that changes."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

import pytest
from harness.clusters import NEWEST, bindir
from harness.network import Network
from harness.servers import Host
from harness.site import Site
from harness.sse import Stream

from sseapp.postgres import schema
from sseapp.postgres.database import Connection

SOON = 3.0
DEFAULTS = {"heartbeat": "15s", "tick": "2s", "retry": "2s"}


@pytest.fixture(scope="module")
def cluster(clusters):
    if bindir(NEWEST) is None:
        pytest.skip("the newest PostgreSQL is not here")
    with clusters.own() as server:
        yield server


@pytest.fixture(scope="module")
def network(cluster):
    with Network(cluster.port) as network:
        yield network


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def sited(request, cluster, network):
    """A server that reaches its database through ``network``."""
    with cluster.database() as dsn:
        with closing(Connection(dsn)) as connection:
            schema.install(connection)
        with Host(network.dsn(dsn), request.param, **DEFAULTS) as host, closing(Site(cluster, dsn, host)) as site:
            site.sql("CREATE TABLE orders (id int PRIMARY KEY)")
            site.watch("orders")
            yield site


def _told(stream, live):
    """The next state of that kind."""
    return stream.until(lambda block: block.name == "state" and block.json["live"] is live).json


def test_the_state_follows_the_snapshot(sited):
    for resource, first in (("changes", "snapshot"), ("rows", "rows")):
        with sited.follow("orders", resource) as stream:
            told = [stream.event("snapshot", "rows", "state") for _ in range(2)]
        assert [block.name for block in told] == [first, "state"]
        state = told[1].json
        assert set(state) == {"live", "lag"}
        assert state["live"] is True
        assert 0 <= state["lag"] < SOON


@pytest.mark.parametrize("fault", ["it stops", "silence"])
def test_the_loss_of_the_database_and_its_return_are_told_soon(sited, network, fault):
    with ExitStack() as stack:
        streams = [
            stack.enter_context(Stream(sited.host.address, f"/tables/orders/{resource}"))
            for resource in ("changes", "changes?snapshot=no", "rows")
        ]
        for stream in streams:
            _told(stream, live=True)
        lost = datetime.now(UTC)
        network.freeze() if fault == "silence" else sited.server.stop()
        began = time.monotonic()
        for stream in streams:
            state = _told(stream, live=False)
            assert set(state) == {"live", "since", "reason"}
            assert abs(datetime.fromisoformat(state["since"]) - lost) < timedelta(seconds=SOON)
            assert "127.0.0.1" not in state["reason"]
        assert time.monotonic() - began < SOON
        network.mend() if fault == "silence" else sited.server.again()
        began = time.monotonic()
        for stream in streams:
            assert _told(stream, live=True)["lag"] < SOON
        assert time.monotonic() - began < SOON
