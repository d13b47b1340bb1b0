"""The event stream as bytes: fields, their order, ids and ends."""

from __future__ import annotations

import re
import signal
import socket
import time
from contextlib import contextmanager

import pytest
from harness.clusters import wait_until
from harness.site import site as serve_site

ID = rb"[\x21-\x7e]{10,200}"
AT = rb'"at":"[0-9T:.+-]+","xid":"\d+"'
END = AT + b',"end":true'


def _matches(pattern: bytes, raw: bytes) -> None:
    assert re.fullmatch(pattern, raw), raw


def test_the_headers(newest):
    with newest.follow(newest.table()) as stream:
        stream.event("snapshot")
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-length" not in stream.headers
        assert "content-encoding" not in stream.headers


def test_the_frames_of_changes_and_their_order(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        stream.event("snapshot")
        with site.session() as session:
            session.execute(f"INSERT INTO {table} VALUES (2, 'y')")
            session.execute(f"UPDATE {table} SET a = 'z' WHERE id = 2")
            session.execute(f"UPDATE {table} SET id = 3 WHERE id = 2")
            session.execute(f"DELETE FROM {table} WHERE id = 1")
            session.execute("COMMIT")
        stream.events(5)
        retry, snapshot, *frames = [block.raw for block in stream.blocks if block.fires or block.retry]
        assert retry == b"retry: 200\n\n"
        assert stream.raw.startswith(retry)
        rows = b'"key":\\["id"\\],"part":1,"rows":\\[{"id":1,"a":"x"}\\],"more":false'
        _matches(b'event: snapshot\ndata: {"table":"public.%s",%s}\nid: %s\n\n' % (table.encode(), rows, ID), snapshot)
        _matches(b'event: insert\ndata: {"row":{"id":2,"a":"y"},%s}\nid: %s\n\n' % (AT, ID), frames[0])
        _matches(
            b'event: update\ndata: {"row":{"id":2,"a":"z"},"old":{"id":2,"a":"y"},%s}\nid: %s\n\n' % (AT, ID), frames[1]
        )
        _matches(b'event: delete\ndata: {"old":{"id":2,"a":"z"},%s}\nid: %s\n\n' % (AT, ID), frames[2])
        _matches(b'event: insert\ndata: {"row":{"id":3,"a":"z"},%s}\nid: %s\n\n' % (AT, ID), frames[3])
        _matches(b'event: delete\ndata: {"old":{"id":1,"a":"x"},%s}\nid: %s\n\n' % (END, ID), frames[4])
        site.sql(f"TRUNCATE {table}")
        _matches(b"event: truncate\ndata: {%s}\nid: %s\n\n" % (END, ID), stream.event().raw)
        ids = [block.id for block in stream.blocks if block.fires]
        assert len(set(ids)) == len(ids)
        assert len([block for block in stream.blocks if block.retry]) == 1


def test_nothing_but_events_and_heartbeats_is_in_it(site):
    """Every byte is accounted for: blocks, one after the other."""
    table = site.table()
    with site.follow(table) as stream:
        stream.event("snapshot")
        site.sql(f"INSERT INTO {table} SELECT n, 'x' FROM generate_series(1, 100) n")
        stream.events(100)
        assert b"".join(block.raw for block in stream.blocks) == stream.raw


@pytest.mark.parametrize("resource", ["changes", "rows"])
def test_line_ends_within_a_row_become_lines_of_data(site, resource):
    table = site.table("id int PRIMARY KEY, j json, t text")
    site.sql(f"INSERT INTO {table} VALUES (1, %s, %s)", '{"a":\n1,\r"b":\r\n2}', "\u2028\u0085\x0b")
    with site.follow(table, resource) as stream:
        event = stream.event()
        assert b'"j":{"a":\ndata: 1,\ndata: "b":\ndata: 2},"t":"\xe2\x80\xa8\xc2\x85\\u000b"}' in event.raw
        assert event.json["rows"] == [{"id": 1, "j": {"a": 1, "b": 2}, "t": "\u2028\u0085\x0b"}]


def test_a_row_cannot_inject_an_event(site):
    table = site.table("id int PRIMARY KEY, a text, j json")
    attack = "x\n\nevent: bye\ndata: {}\nid: \n\n"
    with site.follow(table) as stream:
        stream.event("snapshot")
        site.sql(f"INSERT INTO {table} VALUES (1, %s, %s)", attack, '{"k":"v"}\n\n')
        assert stream.event("insert").json["row"] == {"id": 1, "a": attack, "j": {"k": "v"}}
        site.sql(f"DELETE FROM {table}")
        stream.event("delete")


def test_the_frames_of_rows(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, "rows", every="100ms") as stream:
        assert stream.block().raw == b"retry: 200\n\n"
        pattern = b'event: rows\ndata: {"table":"public.%s","key":\\["id"\\],"rows":\\[%s\\],"more":%s}\nid: %s\n\n'
        _matches(pattern % (table.encode(), b'{"id":1,"a":"x"}', b"false", ID), stream.event().raw)
        site.sql(f"UPDATE {table} SET a = 'y'")
        _matches(pattern % (table.encode(), b'{"id":1,"a":"y"}', b"false", ID), stream.event().raw)


def test_a_reset_has_no_id_and_its_snapshot_follows(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, last_id="no cursor of ours") as stream:
        reset = stream.event()
        assert reset.raw == b'event: reset\ndata: {"reason":"the id is not a cursor of this server"}\n\n'
        # not even a heartbeat stands between the two: a cut there must not look complete
        assert stream.block().raw.startswith(b"event: snapshot\n")


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="the system has no TCP_CORK")
def test_the_head_and_the_first_events_share_a_packet(newest):
    table = newest.table(rows="(1, 'x')")

    def packets():
        with newest.follow(table) as stream:
            stream.event("snapshot")
            return stream.packets

    # a read that takes longer than 0.2 s is not waited for
    wait_until(lambda: packets() == 1, what="a head and a snapshot in one packet")


def test_head_and_a_client_that_goes_leave_no_stream_behind(newest):
    table = newest.table(rows="(1, 'x')")
    newest.settled()
    for resource in ("changes", "rows"):
        answer = newest.head(f"/tables/{table}/{resource}", {"Accept": "text/event-stream"})
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        with newest.follow(table, resource) as stream:
            stream.event()
            assert newest.metric("streams_open") == 1
            stream.cut()
        newest.settled()
    # what streams shared goes with the last of them
    wait_until(lambda: newest.metric("channels") == 0, what="the end of the channels")


def test_a_stream_that_is_refused_holds_no_place(newest):
    table = newest.table()
    newest.settled()
    for path in (f"{table}/changes?nonsense=1", f"{table}/changes?after=x", "nothing/changes", f"{table}/rows?limit=x"):
        assert newest.get(f"/tables/{path}", {"Accept": "text/event-stream"}).status in (400, 404)
    assert newest.metric("streams_open") == 0


@pytest.fixture(params=["gevent", "gthread"])
def mortal(request, pg18):
    """A server that the test may end; waitress has no signal of its own, it just ends."""
    with serve_site(pg18, request.param) as found:
        yield found


@contextmanager
def _ends_with_bye(found, seconds):
    """Open streams; within so many seconds of what the caller does they say bye, and the worker is gone."""
    table = found.table(rows="(1, 'x')")
    with found.follow(table) as changes, found.follow(table) as more, found.follow(table, "rows") as rows:
        streams = (changes, more, rows)
        for stream in streams:
            stream.event("snapshot", "rows")
        worker = found.host.worker
        end = time.monotonic() + seconds
        yield table, changes
        retries = set()
        for stream in streams:
            last = stream.rest(3)[-1]
            _matches(b"retry: \\d+\nevent: bye\ndata: {}\n\n", last.raw)
            assert 100 <= last.retry <= 200
            retries.add(last.retry)
        assert len(retries) > 1, "all come back at once"
        worker.wait(end - time.monotonic())


def test_a_server_that_closes_says_bye_to_every_stream(mortal):
    # gunicorn's gthread worker leaves kept connections 2 s by itself, and looks once a second
    promised = 3 if mortal.host.kind == "gevent" else 6
    with _ends_with_bye(mortal, promised) as (table, changes):
        mortal.host.signal(signal.SIGHUP)
    # the new worker carries on where the old one left off
    mortal.sql(f"INSERT INTO {table} VALUES (2, 'y')")
    with mortal.follow(table, last_id=changes.last_id) as stream:
        assert stream.event("insert").json["row"] == {"id": 2, "a": "y"}
    with _ends_with_bye(mortal, promised):
        mortal.host.signal(signal.SIGTERM)
    mortal.host.wait(3)


def test_without_a_snapshot_what_commits_behind_the_first_byte_is_told(site):
    table = site.table()
    for number in range(20):
        with site.follow(table, snapshot="no") as stream:
            stream.block()
            site.sql(f"INSERT INTO {table} VALUES ({number})")
            assert stream.event("insert").json["row"]["id"] == number
