"""Servers with one thread, or too few: a stream ends once its client is up to date, and blocks no other request."""

from __future__ import annotations

import sys

import pytest
from harness import sse
from harness.servers import Host
from harness.site import site as serve_site

FEW = {
    "sync": ("--worker-class", "sync"),
    "one thread": ("--worker-class", "gthread", "--threads", "1"),
    "two threads": ("--worker-class", "gthread", "--threads", "2"),
}


@pytest.mark.parametrize("options", FEW.values(), ids=list(FEW))
def test_a_stream_ends_once_the_client_is_up_to_date_and_resumes(pg18, options):
    with serve_site(pg18, options=options) as site:
        table = site.table(rows="(1, 'x')")
        cursor = None
        for name, statement in (
            ("snapshot", f"INSERT INTO {table} VALUES (2, 'y')"),
            ("insert", f"UPDATE {table} SET a = 'z' WHERE id = 2"),
            ("update", "SELECT"),
            (None, "SELECT"),
        ):
            with site.follow(table, last_id=cursor) as stream:
                blocks = stream.rest()
            assert [block.name for block in blocks if block.fires] == ([name, "bye"] if name else ["bye"])
            assert 100 <= blocks[-1].retry <= 200
            cursor = stream.last_id
            assert site.get("/healthz", patience=5).status == 200
            site.sql(statement)
        with site.follow(table, "rows") as stream:
            rows, bye = [block for block in stream.rest() if block.fires]
        assert rows.json["rows"] == [{"id": 1, "a": "x"}, {"id": 2, "a": "z"}]
        assert bye.name == "bye"
        with site.follow(table, snapshot="no") as stream:
            assert [block.name for block in stream.rest() if block.fires] == ["bye"]
        assert stream.last_id


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--worker-class", "sync"), "sync workers serve one request at a time"),
        (("--worker-class", "gthread", "--threads", "2"), "gthread with --threads 2"),
        (("--worker-class", "gthread", "--threads", "4"), None),
        ((), None),
    ],
)
def test_too_few_threads_are_told_at_the_start(pg18, options, words):
    with pg18.database() as dsn, Host(dsn, options=options) as host:
        assert sse.ask(host.address, "/healthz").status == 200
        assert (words in host.log) if words else ("workers" not in host.log and "threads" not in host.log)


def test_gunicorn_without_our_settings_is_told_what_to_write(pg18, tmp_path):
    command = (sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "--no-control-socket", "sseapp:create_app()")
    with pg18.database() as dsn, Host(dsn, command=command, folder=tmp_path) as host:
        assert sse.ask(host.address, "/healthz").status == 200
        assert 'gunicorn -k gevent -c python:sseapp.gunicorn "sseapp:create_app()"' in host.log
