"""No connection or no descriptor is left: streams are told to retry, and the process still answers."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from harness.altered import altered
from harness.clusters import wait_until
from harness.site import site as serve_site
from harness.sse import Ended, Stream, Wire, request

DESCRIPTORS = 120
LIMITED = f"""
import resource

resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
from sseapp.gunicorn import *
"""
FULL = """
import os


def without_room(name):
    call = getattr(os, name)

    def called(*args):
        if (FOLDER / name).exists():
            raise OSError(24, "Too many open files")
        return call(*args)

    setattr(os, name, called)


without_room("dup")
without_room("eventfd")
"""


def test_a_pool_that_is_exhausted(pg18):
    """One connection, held by a read that waits for a lock: the others are told to retry, and later served."""
    with serve_site(pg18, pool="1", deadline="3s") as site, ExitStack() as stack:
        table = site.table(rows="(1, 'x')")
        other = site.table()
        with site.follow(other) as live, site.session() as session:
            live.event("snapshot")
            session.execute(f"LOCK TABLE {table}")
            waiting = [stack.enter_context(site.follow(table, columns=name)) for name in ("id", "a")]
            site.sql(f"INSERT INTO {other} VALUES (1, 'y')")
            live.event("insert")
            began = time.monotonic()
            assert site.get("/healthz").status == 200
            assert time.monotonic() - began < 2.5
            for stream in waiting:
                blocks = stream.rest(10)
                assert stream.status == 200
                assert blocks[-1].retry
                assert {block.name for block in blocks if block.fires} <= {"bye"}
        with site.follow(table) as stream:
            assert stream.event().name == "snapshot"
        assert site.get("/readyz").status == 200


@pytest.mark.slow
def test_descriptors_that_run_out(pg18):
    """As many streams as there is room for: the rest is refused, the listener finds room for a new connection."""
    with altered(LIMITED) as (folder, _), ExitStack() as stack:
        config = folder / "wsgi.py"
        site = stack.enter_context(serve_site(pg18, options=("--config", str(config)), max_streams="1000"))
        table = site.table(rows="(0, 'x')")
        streams, refused = [], 0
        for _ in range(DESCRIPTORS):
            stream = stack.enter_context(Stream(site.host.address, f"/tables/{table}/changes"))
            block = stream.until(lambda block: block.fires or any(block.comments))
            streams += [stream] if block.fires else []
            refused += not block.fires
        assert len(streams) == site.metric("streams_limit") == DESCRIPTORS * 3 // 4
        assert refused == DESCRIPTORS - len(streams) == site.metric("streams_refused_total")
        assert site.get("/healthz").status == 200
        site.end_sessions()
        wait_until(lambda: site.get("/readyz").status == 200, what="the listener to be back")
        site.sql(f"INSERT INTO {table} VALUES (1, 'y')")
        for stream in streams:
            assert stream.event().name == "insert"


def test_long_polls_leave_room_for_other_requests(pg18):
    """They occupy gunicorn's worker, which accepts a fixed number of connections."""
    with altered(LIMITED) as (folder, _), ExitStack() as stack:
        config = folder / "wsgi.py"
        site = stack.enter_context(serve_site(pg18, options=("--config", str(config)), max_streams="1000"))
        table = site.table()
        target = f"/tables/{table}/changes?wait=60&after={site.changes(table)['cursor']}"
        polls = []
        for _ in range(DESCRIPTORS // 6):
            polls.append(Wire(site.host.address, request("GET", target, [("Host", "localhost")], close=True)))
            stack.callback(polls[-1].close)
        site.settled(DESCRIPTORS // 6)
        for _ in range(10):
            assert site.get(target).status == 503, "at once, without a place"
        site.sql(f"INSERT INTO {table} VALUES (1, 'y')")
        for poll in polls:
            assert poll.head()[0] == 200


def test_a_stream_for_which_there_is_no_second_descriptor(pg18):
    """The stream is cut, its slot is released, and it is served when the client retries."""
    with altered(FULL) as (folder, options), serve_site(pg18, options=options) as site:
        table = site.table(rows="(1, 'x')")
        for call in ("eventfd", "dup"):
            (folder / call).touch()
            for _ in range(3):
                with site.follow(table) as stream:
                    stream.event("snapshot")
                    with pytest.raises((Ended, ConnectionError)):
                        stream.until(lambda _: False)
            site.settled()
            (folder / call).unlink()
        with site.follow(table) as stream:
            stream.event("snapshot")
            site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
            assert stream.event("insert").json["row"]["id"] == 2
