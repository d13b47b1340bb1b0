"""No connection, no descriptor left: streams are told to come again, and the process still answers."""

from __future__ import annotations

import time
from contextlib import ExitStack

from support.altered import altered
from support.clusters import wait_until
from support.servers import ROOT
from support.site import site as serve_site
from support.sse import Stream

DESCRIPTORS = 120
LIMITED = f"""
import resource

resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
exec(open("{ROOT}/gunicorn.conf.py").read())
"""


def test_a_pool_that_is_exhausted(pg18):
    """One connection, held by a read that waits for a lock: the others are told to retry, and later served."""
    with serve_site(pg18, pool="1", deadline="1s") as site, ExitStack() as stack:
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
            assert time.monotonic() - began < 1.0
            for stream in waiting:
                blocks = stream.rest(10)
                assert stream.status == 200
                assert blocks[-1].retry
                assert not any(block.fires for block in blocks)
        with site.follow(table) as stream:
            assert stream.event().name == "snapshot"
        assert site.get("/readyz").status == 200


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
