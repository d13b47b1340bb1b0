"""The same contract on every kind of host; what happens without free slots, a database or descriptors."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack

import psutil
import pytest
from harness import sse
from harness.clusters import wait_until
from harness.servers import THREADS, Host
from harness.site import QUICK, Site
from harness.site import site as serve_site

from sseapp.postgres import schema
from sseapp.postgres.database import Connection


def test_a_stream_from_snapshot_to_resume(hosted):
    table = hosted.table("id int PRIMARY KEY, n int", rows="(1, 5), (2, 50)")
    with hosted.follow(table, n="gte.10") as stream:
        assert stream.block().retry == 200
        assert stream.event("snapshot").json["rows"] == [{"id": 2, "n": 50}]
        hosted.sql(f"UPDATE {table} SET n = 60 WHERE id = 2; UPDATE {table} SET n = 10 WHERE id = 1")
        assert [event for event, _ in stream.told(2)] == ["update", "insert"]
        hosted.sql(f"UPDATE {table} SET id = 3 WHERE id = 1")
        last_id = stream.event("delete").id
    hosted.sql(f"TRUNCATE {table}")
    with hosted.follow(table, n="gte.10", last_id=last_id) as stream:
        assert [event for event, _ in stream.told(2)] == ["insert", "truncate"]
    with hosted.follow(table, last_id=last_id) as stream:
        assert [event for event, _ in stream.told(2)] == ["reset", "snapshot"]


def test_a_large_change_reaches_a_client_that_reads_slowly(hosted):
    table = hosted.table()
    with hosted.follow(table) as stream:
        stream.event("snapshot")
        hosted.sql(f"INSERT INTO {table} SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n")
        assert [data["row"]["id"] for _, data in stream.told(2000)] == list(range(1, 2001))


def test_results_and_the_long_poll(hosted):
    table = hosted.table(rows="(1, 'x')")
    with hosted.follow(table, "rows", every="100ms") as stream:
        stream.event("rows")
        cursor = hosted.changes(table)["cursor"]
        threading.Timer(0.2, hosted.sql, [f"UPDATE {table} SET a = 'y'"]).start()
        (change,) = hosted.changes(table, after=cursor, wait=5)["changes"]
        assert change["row"] == {"id": 1, "a": "y"}
        assert stream.event("rows").json["rows"] == [{"id": 1, "a": "y"}]


def test_errors(hosted):
    table = hosted.table()
    assert hosted.refused(table, limit="x")["parameter"] == "limit"
    assert hosted.get("/tables/nothing/changes", {"Accept": "text/event-stream"}).status == 404
    assert sse.ask(hosted.host.address, "/tables", host="evil.example").status == 403
    assert hosted.get(f"/tables/{table}/rows", {"Accept": "text/html"}).status == 406


def test_a_plain_old_http_client(hosted):
    """HTTP/1.0 knows no chunks: the stream ends with the connection."""
    table = hosted.table(rows="(1, 'x')")
    with socket.create_connection(hosted.host.address, timeout=10) as old:
        old.sendall(
            f"GET /tables/{table}/changes HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        received = b""
        while b"event: snapshot" not in received or not received.endswith(b"\n\n"):
            received += old.recv(4096)
        hosted.sql(f"INSERT INTO {table} VALUES (2, 'y')")
        while b"event: insert" not in received or not received.endswith(b"\n\n"):
            received += old.recv(4096)
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    blocks = list(sse.Parser().feed(body))
    assert [block.name for block in blocks if block.fires] == ["snapshot", "insert"]


def test_the_listener_comes_back_from_a_cut_and_nothing_is_missed(hosted):
    table = hosted.table("id int PRIMARY KEY")
    with hosted.follow(table) as stream:
        stream.event("snapshot")
        for number in range(3):
            hosted.renew_pool()
            hosted.sql(f"INSERT INTO {table} VALUES ({number})")
            assert stream.event("insert").json["row"]["id"] == number


def _refused(stream):
    """200, retry, close: a browser would give up on a 503 for good."""
    blocks = stream.rest()
    assert stream.status == 200
    assert not any(block.fires or block.id for block in blocks)
    retry = next(block.retry for block in blocks if block.retry)
    assert 200 <= retry <= 400  # twice the usual, with jitter
    comment = next(comment for block in blocks for comment in block.comments)
    assert "slots" in comment


def _fill(found, stack, table, places):
    for number in range(places):
        stream = stack.enter_context(found.follow(table, "rows" if number % 2 else "changes"))
        stream.event("snapshot", "rows")


def test_past_the_cap_a_stream_is_told_to_come_back(pg18):
    with serve_site(pg18, max_streams="3") as found, ExitStack() as stack:
        table = found.table(rows="(1, 'x')")
        _fill(found, stack, table, 2)
        with found.follow(table) as third:
            third.event("snapshot")
            for resource in ("changes", "rows"):
                with found.follow(table, resource) as refused:
                    _refused(refused)
            # what would be wrong at any time is said at once: it would come back for ever
            assert found.get(f"/tables/{table}/changes?limit=x", {"Accept": "text/event-stream"}).status == 400
            assert found.get("/tables/nowhere/rows", {"Accept": "text/event-stream"}).status == 404
            assert found.get("/healthz").status == 200
            assert found.ids(table) == [1]
            cursor = found.changes(table)["cursor"]
            poll = found.get(f"/tables/{table}/changes?after={cursor}")
            assert (poll.status, int(poll.headers["retry-after"]) > 0) == (503, True)
            assert found.changes(table, after=cursor, wait=0)["changes"] == []
            assert (found.metric("streams_open"), found.metric("streams_limit")) == (3, 3)
            assert found.metric("streams_refused_total") == 5
            # who is in stays in
            found.sql(f"UPDATE {table} SET a = 'y'")
            third.event("update")
            third.cut()
        found.settled(2)
        with found.follow(table) as third:
            third.event("snapshot")


def test_on_threads_two_are_kept_from_streams(threaded):
    threaded.settled()
    with ExitStack() as stack:
        table = threaded.table(rows="(1, 'x')")
        _fill(threaded, stack, table, THREADS - 2)
        with threaded.follow(table) as refused:
            _refused(refused)
        assert threaded.get("/healthz", patience=3).status == 200
        # a long poll is served all the same; but those that wait must not take the last threads either
        cursor = threaded.changes(table)["cursor"]
        for _ in range(3):
            # kept alive: a thread that closes a connection waits up to 2 s for the client to close it, too
            target = f"/tables/{table}/changes?wait=20&after={cursor}"
            poll = sse.Wire(threaded.host.address, sse.request("GET", target, [("Host", "localhost")], close=False))
            stack.callback(poll.close)
        assert threaded.get("/healthz", patience=3).status == 200
        threaded.sql(f"UPDATE {table} SET a = 'y'")
        # one that shares a read from before the update finds nothing, and has no thread to wait on
        wait_until(lambda: _changes(threaded, table, cursor), what="the change")


def _changes(site, table, cursor):
    answer = site.get(f"/tables/{table}/changes", after=cursor, wait=20)
    return answer.status == 200 and answer.json["changes"]


@pytest.fixture
def outage(own_cluster):
    """A server on a cluster of its own."""
    own_cluster.execute("CREATE DATABASE app")
    dsn = own_cluster.dsn("app")
    connection = Connection(dsn)
    schema.install(connection)
    connection.close()
    with Host(dsn, **QUICK) as host:
        found = Site(own_cluster, dsn, host)
        yield found
        found.close()


def test_an_outage_of_the_database_is_reported_and_survived(outage):
    table = outage.table(rows="(1, 'x')")
    with outage.follow(table) as changes, outage.follow(table, "rows", every="100ms") as rows:
        changes.event("snapshot")
        rows.event("rows")
        assert outage.get("/readyz").json["listening"] is True
        outage.close()
        outage.server.stop()
        wait_until(lambda: outage.get("/readyz").status == 503, what="the listener to notice")
        assert outage.get("/readyz").json["error"]
        assert outage.get("/healthz").status == 200
        answer = outage.get(f"/tables/{table}/rows")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.problem
        assert outage.get("/tables").status == 503
        with outage.follow(table) as stream:
            assert not any(block.fires for block in stream.rest())
            assert stream.blocks[-1].retry
        outage.server.again()
        outage.server.execute(f"INSERT INTO {table} VALUES (2, 'while nobody listened')", "app")
        end = time.monotonic() + 10
        wait_until(lambda: outage.get("/readyz").status == 200, 10, what="the listener to be back")
        assert time.monotonic() < end
        # the same streams, nothing missed
        assert changes.event("insert").json["row"]["id"] == 2
        assert len(rows.event("rows").json["rows"]) == 2
        outage.server.execute(f"INSERT INTO {table} VALUES (3, 'now')", "app")
        assert changes.event("insert").json["row"]["id"] == 3


def test_with_a_thousand_descriptors_open_the_listener_still_reconnects(pg18):
    """select() takes none above 1023: every socket of this server lies there, its database's and its clients'."""
    with serve_site(pg18, held=1050) as found:
        table = found.table("id int PRIMARY KEY")
        with found.follow(table) as stream, found.follow(table, "rows", every="100ms") as rows:
            stream.event("snapshot")
            rows.event("rows")
            for number in range(2):
                found.renew_pool()
                found.sql(f"INSERT INTO {table} VALUES ({number})")
                assert stream.event("insert").json["row"]["id"] == number
                assert len(rows.event("rows").json["rows"]) == number + 1
            sockets = [one for one in found.host.worker.net_connections() if one.status == psutil.CONN_ESTABLISHED]
            assert len(sockets) >= 4
            assert min(one.fd for one in sockets) > 1023


def test_each_worker_listens_for_itself(pg18):
    with serve_site(pg18, options=("--workers", "2")) as found, ExitStack() as stack:
        table = found.table("id int PRIMARY KEY")
        streams = [stack.enter_context(found.follow(table)) for _ in range(12)]
        for stream in streams:
            stream.event("snapshot")
        found.sql(f"INSERT INTO {table} VALUES (1)")
        for stream in streams:
            assert stream.event("insert").json["row"]["id"] == 1
        # a worker that dies is replaced, and its streams resume at another
        workers = found.host.master.children()
        assert len(workers) == 2
        workers[0].kill()
        found.sql(f"INSERT INTO {table} VALUES (2)")
        for stream in streams:
            try:
                assert stream.event("insert").json["row"]["id"] == 2
            except (sse.Ended, ConnectionError):
                with found.follow(table, last_id=stream.last_id) as resumed:
                    assert resumed.event("insert").json["row"]["id"] == 2
