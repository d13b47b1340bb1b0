"""The configurations of docs/deploy, run by the programs that they are for."""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import contextmanager

import pytest
from harness import sse
from harness.clusters import NEWEST, scratch, wait_until
from harness.servers import ROOT
from harness.site import site as served

from sseapp.embedded.child import Child

HOST = {"Host": "live.example.com"}
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    gzip on; gzip_types text/event-stream application/json;
    {site}
}}
"""


@pytest.fixture(scope="module")
def behind(clusters):
    """A server for the public name, with the heartbeat of a real one in proportion to the timeouts below."""
    with served(clusters.shared(NEWEST), hosts="live.example.com", heartbeat="500ms") as found:
        yield found


def _found(program):
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if path is None:
        pytest.skip(f"{program} is not here (Debian: apt-get install {program})")
    return path


def _port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _text(name, behind, port):
    """The file with our addresses, and timeouts of 2 s in place of 60."""
    text = (ROOT / "docs" / "deploy" / name).read_text("utf-8").replace("60s", "2s")
    assert "127.0.0.1:8000" in text
    text = text.replace("127.0.0.1:8000", "{}:{}".format(*behind.host.address))
    return text.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("bind :80", f"bind 127.0.0.1:{port}")


@contextmanager
def _running(folder, port, *command):
    child = Child(command, plan="TERM:3", log=folder / "log", folder=folder)
    address = "127.0.0.1", port

    def answers():
        assert child.running, (folder / "log").read_text()
        try:
            return sse.ask(address, "/readyz", HOST).status == 200
        except OSError:
            return False

    try:
        wait_until(answers, 10, "an answer through the front")
        yield address
    finally:
        child.stop()


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def front(request, behind):
    """The address of each front."""
    program, port, folder = _found(request.param), _port(), scratch()
    try:
        if request.param == "nginx":
            (folder / "conf").write_text(NGINX.format(folder=folder, site=_text("nginx.conf", behind, port)))
            command = (program, "-c", folder / "conf", "-p", folder, "-e", "stderr")
        else:
            (folder / "conf").write_text(_text("haproxy.cfg", behind, port))
            command = (program, "-db", "-f", folder / "conf")
        with _running(folder, port, *command) as address:
            yield address
    finally:
        shutil.rmtree(folder)


def _stream(front, path):
    return sse.Stream(front, path, HOST)


def test_a_stream_comes_at_once_and_outlives_the_timeouts(front, behind):
    table = behind.table()
    with _stream(front, f"/tables/{table}/changes") as stream:
        assert stream.event("snapshot").json["rows"] == []
        for number in range(3):
            behind.sql(f"INSERT INTO {table} VALUES ({number})")
            assert stream.event("insert", patience=1).json["row"]["id"] == number
        seen = len(stream.blocks)
        stream.until(lambda _: len(stream.blocks) >= seen + 7)  # heartbeats of 3 s
        behind.sql(f"INSERT INTO {table} VALUES (9)")
        assert stream.event("insert", patience=1).json["row"]["id"] == 9


def test_a_client_that_leaves_is_noticed(front, behind):
    table = behind.table()
    with _stream(front, f"/tables/{table}/changes") as stream:
        stream.event("snapshot")
    behind.settled()


def test_a_long_poll_and_the_page_come_through(front, behind):
    table = behind.table()
    cursor = json.loads(sse.ask(front, f"/tables/{table}/changes", HOST).body)["cursor"]
    behind.sql(f"INSERT INTO {table} VALUES (1)")
    answer = sse.ask(front, f"/tables/{table}/changes?after={cursor}&wait=1s", HOST)
    assert [change["event"] for change in json.loads(answer.body)["changes"]] == ["insert"]
    assert b"static/dashboard.js" in sse.ask(front, "/", HOST).body


def test_it_may_be_served_below_a_path(request, front, behind):
    if "haproxy" in request.node.name:
        pytest.skip("the file of HAProxy has no path")
    table = behind.table()
    assert b"static/dashboard.js" in sse.ask(front, "/live/", HOST).body
    assert sse.ask(front, "/live/static/dashboard.js", HOST).status == 200
    with _stream(front, f"/live/tables/{table}/changes") as stream:
        assert stream.event("snapshot").json["rows"] == []
