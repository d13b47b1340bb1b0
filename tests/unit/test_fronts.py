"""What stands between a browser and us: other origins, frames, proxies that forward."""

from __future__ import annotations

import pytest

from sseapp import create_app
from sseapp.config import Settings
from sseapp.errors import SettingError

APP, OTHER = "https://app.example:8443", "https://evil.example"


def _client(**variables):
    return create_app(
        Settings.from_environ({f"SSEAPP_{name}": value for name, value in variables.items()})
    ).test_client()


def _cors(answer):
    return {name.lower(): value for name, value in answer.headers if name.lower().startswith("access-control-")}


@pytest.mark.parametrize("target", ["/healthz", "/nothing", "/"])
def test_a_named_origin_may_read_and_send_credentials(target):
    client = _client(ORIGINS=f"http://localhost:5173, {APP}")
    answer = client.get(target, headers={"Origin": APP})
    assert _cors(answer) == {
        "access-control-allow-origin": APP,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "Retry-After",
    }
    assert "Origin" in answer.vary
    for headers in ({}, {"Origin": OTHER}, {"Origin": "null"}, {"Origin": APP.replace("https", "http")}):
        answer = client.get(target, headers=headers)
        assert _cors(answer) == {}
        assert "Origin" in answer.vary, "a cache must not give this answer to the other"


def test_a_preflight_is_answered_for_a_named_origin_only():
    client, asked = _client(ORIGINS=APP), {"Access-Control-Request-Method": "GET"}
    answer = client.options("/tables/x/changes", headers={"Origin": APP} | asked)
    assert (answer.status_code, answer.data) == (204, b"")
    told = _cors(answer)
    assert "GET" in told["access-control-allow-methods"]
    assert {"last-event-id", "authorization"} <= set(told["access-control-allow-headers"].lower().split(", "))
    assert int(told["access-control-max-age"]) > 0
    assert _cors(client.options("/tables/x/changes", headers={"Origin": OTHER} | asked)) == {}


def test_any_origin_may_read_but_without_credentials():
    told = _cors(_client(ORIGINS="*").get("/healthz", headers={"Origin": OTHER}))
    assert told["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in told


def test_without_the_setting_no_other_origin_may():
    answer = _client().get("/healthz", headers={"Origin": APP})
    assert _cors(answer) == {}
    assert "Origin" not in answer.vary


@pytest.mark.parametrize(
    ("frame", "ancestors"),
    [("", "'none'"), ("self", "'self'"), (f"self,{APP}", f"'self' {APP}"), ("*", "*")],
)
def test_who_may_show_the_page_in_a_frame(frame, ancestors):
    policy = _client(FRAME=frame).get("/").headers["Content-Security-Policy"]
    assert f"frame-ancestors {ancestors}" in [part.strip() for part in policy.split(";")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORIGINS", "app.example"),
        ("ORIGINS", "https://app.example/"),
        ("ORIGINS", "https://app.example; script-src *"),
        ("FRAME", "'self'"),
        ("FRAME", "https://a.example;default-src *"),
        ("PROXIES", "-1"),
        ("PROXIES", "all"),
    ],
)
def test_what_is_no_origin_and_no_number_is_refused(name, value):
    with pytest.raises(SettingError, match=f"^SSEAPP_{name}="):
        _client(**{name: value})


FORWARDED = {"X-Forwarded-Host": "tables.example", "X-Forwarded-Prefix": "/live", "X-Forwarded-Proto": "https"}


def test_a_proxys_headers_are_believed_only_where_it_is_said_that_there_is_one():
    inside = {"Host": "sseapp.internal:8000"}
    assert _client(HOSTS="tables.example").get("/", headers=inside | FORWARDED).status_code == 403
    behind = _client(HOSTS="tables.example", PROXIES="1")
    assert behind.get("/", headers=inside | FORWARDED).status_code == 200
    assert behind.get("/", headers=inside).status_code == 403
    # who comes through two proxies may not claim a host to the outer one
    forged = FORWARDED | {"X-Forwarded-Host": "localhost, tables.example"}
    assert _client(PROXIES="1").get("/", headers=inside | forged).status_code == 403


@pytest.mark.parametrize("prefix", ["SCRIPT_NAME", "HTTP_X_FORWARDED_PREFIX"])
def test_below_a_path_the_page_asks_for_what_lies_beside_it(prefix):
    client = _client(PROXIES="1")
    answer = client.get("/", environ_overrides={prefix: "/live"})
    assert answer.status_code == 200
    assert 'src="static/dashboard.js"' in answer.text
    assert '"/static' not in answer.text
