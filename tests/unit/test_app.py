"""The application without a database: what making it opens, and what it answers while there is none."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from json import loads
from pathlib import Path

import pytest
from harness.clusters import wait_until

from sseapp import create_app, process
from sseapp.config import Settings
from sseapp.delivery import services
from sseapp.errors import EmbeddedError, SettingError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def port():
    """The address of a port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.fixture
def settings(port):
    return Settings.from_environ({"DATABASE_URL": f"postgresql://nobody@127.0.0.1:{port}/none", "SSEAPP_RETRY": "1s"})


@pytest.fixture
def app(settings, monkeypatch):
    monkeypatch.setattr(services, "_START", 0.1)
    found = create_app(settings)
    yield found
    found.extensions["sseapp"].runtime().close()


def test_making_it_opens_nothing(settings):
    """It may be forked until the first request."""
    before = set(threading.enumerate())
    app = create_app(settings)
    assert app.test_client().get("/healthz").status_code == 200
    assert app.test_client().get("/").status_code == 200
    assert set(threading.enumerate()) == before
    assert app.extensions["sseapp"]._runtime is None


def test_importing_wsgi_opens_nothing(port):
    program = """
import socket, threading
opened = []
connect = socket.socket.connect
socket.socket.connect = lambda *a: opened.append(a)
import wsgi
assert wsgi.application is wsgi.app
assert threading.active_count() == 1, threading.enumerate()
assert not opened
"""
    environ = {"DATABASE_URL": f"postgresql://nobody@127.0.0.1:{port}/none", "PATH": ""}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environ, check=True, timeout=30)


def test_without_a_database_json_is_503_and_says_why(app):
    client = app.test_client()
    for target in ("/tables", "/tables/orders/rows", "/tables/orders/changes"):
        answer = client.get(target)
        assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
        assert 2 <= int(answer.headers["Retry-After"]) <= 4  # twice SSEAPP_RETRY, with jitter
        assert answer.json["detail"]
        assert answer.json["title"] == "Unavailable"


SECRETS = ("db.invalid", "clerk", "ledger", "topsecret", "127.0.0.1", "translate", "onnection refused")


@pytest.mark.parametrize("place", ["db.invalid:5432", "127.0.0.1:{port}"])
def test_no_answer_says_where_the_database_is_and_the_log_does(monkeypatch, caplog, port, place):
    monkeypatch.setattr(services, "_START", 1.0)
    place = place.format(port=port)
    app = create_app(Settings.from_environ({"DATABASE_URL": f"postgresql://clerk:topsecret@{place}/ledger"}))
    client, stream = app.test_client(), {"Accept": "text/event-stream"}
    runtime = app.extensions["sseapp"].runtime()
    try:
        wait_until(lambda: runtime.listener.reconnects, what="the listener's first try")
        for target in ("/tables", "/readyz", "/metrics", "/tables/orders/rows", "/tables/orders/changes"):
            for headers in ({}, stream):
                text = client.get(target, headers=headers).text
                assert not [secret for secret in SECRETS if secret in text], (target, text)
    finally:
        runtime.close()
    told = [record.getMessage() for record in caplog.records if "cannot reach the database" in record.getMessage()]
    assert len(told) == 1
    assert place.partition(":")[0] in told[0]
    assert "topsecret" not in told[0]


@pytest.mark.parametrize("resource", ["rows", "changes"])
def test_without_a_database_a_stream_is_told_to_come_back(app, resource):
    """A browser gives up for good on a 503."""
    answer = app.test_client().get(f"/tables/orders/{resource}", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.content_type) == (200, "text/event-stream")
    comment, retry, end = answer.text.split("\n\n")
    assert comment.startswith(": ")
    assert 1000 <= int(retry.removeprefix("retry: ")) <= 2000
    assert end == ""


def test_without_a_database_it_lives_but_is_not_ready(app):
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["listening"] is False
    assert answer.json["error"]
    assert answer.json["behind"] >= 0
    metrics = client.get("/metrics").text
    assert "sseapp_listening 0.0" in metrics
    assert "sseapp_streams_open 0.0" in metrics


def test_what_is_wrong_with_the_embedded_database_is_logged_once_and_not_told(monkeypatch, caplog, tmp_path):
    def refuse():
        raise EmbeddedError(f"{tmp_path} belongs to another user.")

    monkeypatch.setattr(process.server, "running_dsn", refuse)
    client = create_app(Settings.from_environ({})).test_client()
    for headers in ({}, {}, {"Accept": "text/event-stream"}):
        for target in ("/tables/orders/rows", "/readyz"):
            answer = client.get(target, headers=headers)
            assert str(tmp_path) not in answer.text
    assert [record.getMessage() for record in caplog.records] == [
        f"GET /tables/orders/rows: {tmp_path} belongs to another user."
    ]


def test_where_no_database_is_named_and_none_runs_here_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(process.server, "running_dsn", lambda: None)
    answer = create_app(Settings.from_environ({})).test_client().get("/tables")
    assert answer.status_code == 503
    assert "DATABASE_URL" in answer.json["detail"]
    assert "make demo" in answer.json["detail"]


@pytest.mark.parametrize("variable", ["SSEAPP_MAX_STREAMS", "SSEAPP_HEARTBEAT"])
def test_a_setting_that_cannot_be_used_stops_it_at_once(monkeypatch, variable):
    monkeypatch.setenv(variable, "many")
    with pytest.raises(SettingError, match=variable):
        create_app()


def test_every_answer_to_an_error_is_a_problem(app):
    client = app.test_client()
    for answer in (
        client.get("/nothing"),
        client.post("/tables"),
        client.get("/tables", headers={"Host": "evil.example"}),
    ):
        assert answer.content_type == "application/problem+json"
        assert loads(answer.text)["status"] == answer.status_code


def test_an_errors_text_is_one_line_of_json_whatever_was_asked(app):
    answer = app.test_client().get("/tables/%0a%22%5c%e2%98%83%00/rows")
    assert answer.text.count("\n") == 1
    assert loads(answer.text)["status"] == answer.status_code
