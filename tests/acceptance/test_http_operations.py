"""For those who run it: /healthz, /readyz and /metrics."""

from __future__ import annotations

import re
from contextlib import closing

from harness.clusters import wait_until
from harness.servers import Host
from harness.sse import ask

from sseapp.postgres import schema
from sseapp.postgres.database import Connection


def test_readiness_says_how_far_behind_it_is(newest):
    wait_until(lambda: newest.get("/readyz").status == 200, what="the listener")
    answer = newest.get("/readyz")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["listening"] is True
    assert answer.json["error"] is None
    # it looks at least once in a tick, 500 ms here
    assert 0 <= answer.json["behind"] < 5


def test_the_first_request_waits_for_the_listener(pg18):
    """A 503 from each new process would make a health check take it out of service."""
    with pg18.database() as dsn:
        with closing(Connection(dsn)) as connection:
            schema.install(connection)
        for kind in ("gevent", "gthread"):
            with Host(dsn, kind) as host:
                assert ask(host.address, "/readyz").status == 200


def test_metrics_are_in_prometheus_format(newest):
    answer = newest.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.body.decode().splitlines()
    typed = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    for line in lines:
        assert re.fullmatch(r"# (HELP|TYPE) sseapp_\w+ .+|sseapp_\w+(\{[^}]*\})? [0-9.e+-]+", line), line
    assert typed["sseapp_streams_open"] == "gauge"
    assert typed["sseapp_changes_total"] == "counter"
    for name in typed:
        assert f"# HELP {name} " in answer.body.decode()


def test_metrics_count(newest):
    table = newest.table(rows="(1, 'x')")
    newest.settled()
    newest.caught_up()
    names = ("changes_total", "batches_total", "streams_open", "channels")
    before = {name: newest.metric(name) for name in names}
    assert newest.metric("listening") == 1
    with newest.follow(table) as one, newest.follow(table) as two, newest.follow(table, a="eq.x") as three:
        for stream in (one, two, three):
            stream.event("snapshot")
        assert newest.metric("streams_open") == 3
        assert newest.metric("channels") == before["channels"] + 2
        newest.sql(f"UPDATE {table} SET a = 'y'")
        one.event("update")
    wait_until(lambda: newest.metric("changes_total") == before["changes_total"] + 1, what="the count")
    assert newest.metric("batches_total") == before["batches_total"] + 1
    newest.settled()
