"""Safe by default: which hosts are served, what the page may do, and what never leaves the database."""

from __future__ import annotations

import json
import re
import runpy
import socket

import pytest
from harness import sse
from harness.servers import ROOT

from sseapp import create_app
from sseapp.config import Settings


def _status(site, host, target="/tables"):
    return sse.ask(site.host.address, target, host=host)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:1", "localhost.", "[::1]", "[::1]:8000", "127.0.0.1.:80"],
)
def test_loopback_names_are_served(newest, host):
    assert _status(newest, host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "evil.example#localhost",
        "localhost@evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0",  # noqa: S104 - it is a name here
        "127.0.0.2",
        "[::2]",
        "::1",
        "localhost:http",
        "localhost, evil.example",
        "lo\xe9calhost",
        "..",
        ":8000",
    ],
)
@pytest.mark.parametrize("target", ["/", "/tables", "/tables/x/changes", "/metrics", "/static/view.js", "/nothing"])
def test_other_names_are_not(newest, host, target):
    """A page of another site, its name rebound to a loopback address, would read the tables."""
    answer = _status(newest, host, target)
    assert answer.status == 403, answer
    assert "SSEAPP_HOSTS" in answer.problem["detail"]


def test_a_request_without_a_host_is_refused(newest):
    assert _status(newest, None).status in (400, 403)
    with socket.create_connection(newest.host.address, timeout=5) as old:
        old.sendall(b"GET /tables HTTP/1.0\r\n\r\n")
        assert b" 403 " in old.recv(100)


def test_a_forwarded_host_does_not_count(newest):
    evil = {"X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
    assert sse.ask(newest.host.address, "/tables", evil, host="evil.example").status == 403
    evil = {"X-Forwarded-Host": "evil.example"}
    assert sse.ask(newest.host.address, "/tables", evil).status == 200


def test_whether_the_process_lives_may_be_asked_by_any_name(newest):
    answer = _status(newest, "10.1.2.3", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("host", ["10.1.2.3:8000", "pod.example", None])
def test_whether_it_is_ready_may_be_asked_by_any_name(newest, host):
    newest.caught_up()
    with socket.create_connection(newest.host.address, timeout=5) as probe:
        probe.sendall(b"GET /readyz HTTP/1.0\r\n" + (f"Host: {host}\r\n".encode() if host else b"") + b"\r\n")
        answer = b"".join(iter(lambda: probe.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head
    assert json.loads(body) == {"listening": True}, "a stranger hears yes or no, and nothing else"
    assert set(newest.get("/readyz").json) == {"listening", "behind", "pace", "error"}


def test_named_hosts_are_served():
    app = create_app(Settings.from_environ({"SSEAPP_HOSTS": "Tables.example, other.example"}))
    for host, status in (("tables.example", 200), ("OTHER.example:443", 200), ("localhost", 200), ("x.example", 403)):
        assert app.test_client().get("/", headers={"Host": host}).status_code == status


def test_no_other_site_may_read(newest):
    table = newest.table()
    for target in ("/tables", f"/tables/{table}/rows", f"/tables/{table}/changes", "/"):
        answer = newest.get(target, {"Origin": "https://evil.example"})
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_without_a_setting_it_listens_on_loopback_only(monkeypatch):
    monkeypatch.delenv("SSEAPP_BIND", raising=False)
    assert runpy.run_path(str(ROOT / "gunicorn.conf.py"))["bind"].startswith("127.0.0.1:")


def test_the_page_may_run_its_own_scripts_alone(newest):
    answer = newest.get("/")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert {value for name, value in policy.items() if name.endswith("-src")} <= {"'none'", "'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_page_needs_no_exception_from_its_policy(newest):
    page = newest.get("/").body.decode()
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    for source in sources:
        assert source.startswith(("static/", "#")) or source == ".", source  # relative: a front may serve it anywhere
        if source.startswith("static/"):
            assert newest.get(f"/{source}").status == 200


def test_what_the_address_asks_is_not_in_the_page(newest):
    attack = "<script>alert(1)</script>"
    assert attack not in newest.get("/", table=attack, q=attack).body.decode()
    answer = newest.get(f"/tables/{attack}/rows".replace("<", "%3C").replace(">", "%3E"))
    assert answer.headers["content-type"] == "application/problem+json"


HIDDEN = "hunter2-in-every-row"


@pytest.fixture
def hiding(site):
    return site.table(
        "id int PRIMARY KEY, a text, secret text, at timestamptz DEFAULT now()",
        watch="hide => '{secret}', range_column => 'at'",
        rows=f"(1, 'x', '{HIDDEN}'), (2, 'y', '{HIDDEN}')",
    )


def test_a_hidden_column_is_shown_nowhere(site, hiding):
    table = hiding
    cursor = site.changes(table)["cursor"]
    with site.follow(table) as changes, site.follow(table, "rows", every="100ms") as rows:
        changes.event("snapshot")
        rows.event("rows")
        site.sql(f"UPDATE {table} SET a = 'z', secret = '{HIDDEN}!' WHERE id = 1")
        site.sql(f"UPDATE {table} SET id = 3 WHERE id = 2")
        site.sql(f"INSERT INTO {table} VALUES (4, 'w', '{HIDDEN}')")
        site.sql(f"DELETE FROM {table} WHERE id = 4")
        site.sql(f"INSERT INTO {table} SELECT n, 'v', '{HIDDEN}' FROM generate_series(11, 60) n")
        changes.events(55)
        rows.event("rows")
        seen = changes.raw + rows.raw
    for target in ("/tables", f"/tables/{table}/rows", f"/tables/{table}/changes?after={cursor}", "/metrics", "/"):
        seen += site.get(target).body
    assert HIDDEN.encode() not in seen
    assert b"secret" not in seen
    assert site.sql("SELECT count(*) FROM sseapp.change WHERE concat(old, new) LIKE %s", f"%{HIDDEN}%") == [(0,)]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"secret": "eq.hunter2"}, "secret"),
        ({'"secret"': "is.null"}, '"secret"'),
        ({"columns": "id,secret"}, "columns"),
        ({"order": "secret"}, "order"),
        ({"order": 'a,"secret".desc'}, "order"),
    ],
)
def test_a_hidden_column_cannot_be_asked_for_and_looks_like_none(site, hiding, parameters, named):
    problem = site.refused(hiding, **parameters)
    assert problem["parameter"] == named
    like_none = {k.replace("secret", "nothing"): v.replace("secret", "nothing") for k, v in parameters.items()}
    other = site.refused(hiding, **like_none)
    assert other["detail"] == problem["detail"].replace("secret", "nothing")


def test_a_hidden_column_stays_hidden_when_it_is_renamed_or_made_anew(site, hiding):
    table = hiding
    with site.follow(table) as stream:
        stream.event("snapshot")
        site.sql(f"ALTER TABLE {table} RENAME COLUMN secret TO plain")
        site.sql(f"UPDATE {table} SET plain = '{HIDDEN}2', a = 'renamed' WHERE id = 1")
        assert "plain" not in str(site.rows(table))
        site.sql(f"ALTER TABLE {table} DROP COLUMN plain")
        site.sql(f"ALTER TABLE {table} ADD COLUMN secret text DEFAULT '{HIDDEN}'")
        site.sql(f"UPDATE {table} SET secret = '{HIDDEN}3', a = 'made anew' WHERE id = 1")
        assert "secret" not in str(site.rows(table))
        stream.until(lambda block: "made anew" in (block.data or ""))
        assert HIDDEN.encode() not in stream.raw


def test_an_allow_list_shows_no_column_that_comes_later(site):
    table = site.table("id int PRIMARY KEY, a text, b text", watch="only_columns => '{id,a}'", rows="(1, 'x', 'y')")
    with site.follow(table) as stream:
        assert stream.event("snapshot").json["rows"] == [{"id": 1, "a": "x"}]
        site.sql(f"ALTER TABLE {table} ADD COLUMN later text DEFAULT '{HIDDEN}'")
        site.shapes_told()
        site.sql(f"UPDATE {table} SET a = 'z'")
        stream.until(lambda block: '"z"' in (block.data or ""))
        assert HIDDEN.encode() not in stream.raw
    assert site.rows(table) == [{"id": 1, "a": "z"}]


def test_a_table_that_is_given_row_level_security_is_not_shown_any_more(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table) as stream:
        stream.event("snapshot")
        site.sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        assert [block.name for block in stream.rest() if block.fires] == ["reset", "bye"]
    assert site.get(f"/tables/{table}/rows").status == 404
