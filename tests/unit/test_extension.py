"""LiveTables in an application that exists: what it serves, and all that it leaves alone."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest
from flask import Blueprint, Flask, abort, jsonify
from flask.json.provider import DefaultJSONProvider
from flask.signals import request_started

from sseapp import LiveTables, create_app, signals
from sseapp.errors import BadParameterError, SettingError

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def host(**config):
    """An application with pages, error pages and hooks of its own."""
    app = Flask("host", static_folder=None)
    app.config.update({"DATABASE_URL": NOWHERE, "SECRET_KEY": "x"} | config)
    app.hooked = []

    @app.get("/")
    def home():
        return "home"

    @app.get("/json")
    def as_json():
        return jsonify(b=1, a=2)

    @app.get("/tables")
    def furniture():
        return "four legs"

    @app.get("/fails")
    def fails():
        raise ZeroDivisionError

    @app.errorhandler(404)
    def lost(_):
        return "the host's 404", 404

    @app.errorhandler(405)
    def refused(_):
        return "the host's 405", 405

    @app.errorhandler(Exception)
    def failed(_):
        return "the host's failure", 500

    @app.before_request
    def before():
        app.hooked.append("before")

    @app.after_request
    def after(response):
        response.headers["X-Host"] = "1"
        return response

    return app


@pytest.fixture
def app():
    found = host()
    LiveTables(found)
    yield found
    found.extensions["sseapp"].runtime().close()


def test_it_serves_below_its_prefix(app):
    client = app.test_client()
    assert client.get("/live/healthz").json == {"status": "ok"}
    page = client.get("/live/")
    assert page.content_type == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    with client.get("/live/static/sseapp.js") as module:
        assert module.content_type.startswith("text/javascript")
    assert client.get("/live").headers["Location"].endswith("/live/")
    assert client.get("/live/tables").status_code == 503


@pytest.mark.parametrize("prefix", ["", "/", "/a/b", "/a/b/"])
def test_any_prefix_will_do(prefix):
    app = Flask("host", static_folder=None)
    app.config["DATABASE_URL"] = NOWHERE
    LiveTables(app, url_prefix=prefix)
    base = prefix.rstrip("/")
    client = app.test_client()
    assert client.get(f"{base}/healthz").status_code == 200
    assert f"{base}/tables," in client.get(f"{base}/nothing").json["detail"]


@pytest.mark.parametrize("prefix", ["live", "/<x>", "/a//b", "/a?b"])
def test_a_prefix_that_is_no_path_is_refused(prefix):
    with pytest.raises(BadParameterError, match="url_prefix"):
        LiveTables(url_prefix=prefix)


def test_identify_must_be_a_function():
    with pytest.raises(BadParameterError, match="identify"):
        LiveTables(identify="me")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/live/nothing", 404, None),
        ("GET", "/live//tables", 404, None),
        ("GET", "/live/static/none.js", 404, None),
        ("POST", "/live/tables", 405, {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/live/", 405, {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/live/tables/a%2Fb/rows", 405, {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/live/nothing", 404, None),
    ],
)
def test_its_error_pages_are_its_own_whatever_the_hosts_are(app, method, path, status, allow):
    answer = app.test_client().open(path, method=method)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert (set(answer.headers["Allow"].split(", ")) if "Allow" in answer.headers else None) == allow


def test_its_hosts_check_and_headers_are_for_its_own_addresses(app):
    client = app.test_client()
    elsewhere = {"Host": "example.org"}
    assert client.get("/live/tables", headers=elsewhere).status_code == 403
    assert client.get("/live/nothing", headers=elsewhere).status_code == 403
    assert client.get("/live/healthz", headers=elsewhere).status_code == 200
    assert client.get("/", headers=elsewhere).text == "home"


def test_the_hosts_own_pages_stay_as_they_were(app):
    plain, client = host().test_client(), app.test_client()
    for method, path in [
        ("GET", "/"),
        ("GET", "/json"),
        ("GET", "/tables"),
        ("GET", "/fails"),
        ("GET", "/nothing"),
        ("GET", "//tables"),
        ("POST", "/tables"),
        ("GET", "/healthz"),
        ("GET", "/static/sseapp.js"),
    ]:
        before, after = plain.open(path, method=method), client.open(path, method=method)
        assert (after.status_code, after.data, list(after.headers)) == (
            before.status_code,
            before.data,
            list(before.headers),
        )


def test_the_hosts_hooks_run_for_its_addresses_too(app):
    """So a login that the host asks for everywhere holds here as well."""
    answer = app.test_client().get("/live/healthz")
    assert answer.headers["X-Host"] == "1"
    assert app.hooked == ["before"]
    app.before_request_funcs[None].append(lambda: abort(401))
    answer = app.test_client().get("/live/tables")
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")


def test_nothing_else_of_the_host_is_touched():
    plain, app = host(), host()
    logger = logging.getLogger("host")
    LiveTables(app)
    for name in ("before_request_funcs", "after_request_funcs", "error_handler_spec", "teardown_request_funcs"):
        assert set(getattr(app, name)) - {"sseapp"} == set(getattr(plain, name))
    assert len(app.before_request_funcs[None]) == 1
    assert set(app.error_handler_spec[None]) == set(plain.error_handler_spec[None])
    assert type(app.json) is DefaultJSONProvider
    assert app.url_map.merge_slashes
    assert not app.cli.commands
    assert logger.handlers == []
    assert [name for name in app.view_functions if not name.startswith("sseapp.")] == list(plain.view_functions)


def test_its_answers_do_not_depend_on_the_hosts_json_provider():
    class Loud(DefaultJSONProvider):
        def dumps(self, obj, **kwargs):
            return super().dumps({"loud": obj}, **kwargs)

    app = host()
    app.json = Loud(app)
    LiveTables(app)
    assert app.test_client().get("/live/healthz").json == {"status": "ok"}


def test_the_hosts_signals_are_sent_once(app):
    seen = []

    def note(sender, **_):
        seen.append(sender)

    with request_started.connected_to(note):
        app.test_client().get("/live/healthz")
    assert seen == [app]


def test_a_factory_makes_several_applications():
    live = LiveTables(url_prefix="/rows")
    first, second = host(), host()
    for app in (first, second):
        live.init_app(app)
    other = host(SSEAPP_TICK="1s")
    LiveTables(other)
    assert first.extensions["sseapp"] is second.extensions["sseapp"]
    assert other.extensions["sseapp"] is not first.extensions["sseapp"]
    assert second.test_client().get("/rows/healthz").status_code == 200
    assert other.test_client().get("/rows/healthz").status_code == 404


def test_one_application_takes_it_once(app):
    with pytest.raises(BadParameterError, match="already"):
        LiveTables(app)


def test_making_it_opens_nothing():
    before = set(threading.enumerate())
    app = host()
    LiveTables(app)
    app.test_client().get("/live/")
    assert set(threading.enumerate()) <= before


def test_it_cannot_start_without_an_application():
    with pytest.raises(BadParameterError, match="init_app"):
        LiveTables().start()


def test_settings_come_from_the_configuration_then_from_the_environment(monkeypatch):
    monkeypatch.setenv("SSEAPP_HOSTS", "from.environ")
    monkeypatch.setenv("SSEAPP_RETRY", "7s")
    app = host(
        SSEAPP_HOSTS=["one.example", "two.example"],
        SSEAPP_TICK=timedelta(milliseconds=300),
        SSEAPP_MAX_STREAMS=50,
        SSEAPP_NOTIFY=False,
        SSEAPP_HEARTBEAT=2.5,
        SSEAPP_POLL=None,
        SSEAPP_RETRY=None,
    )
    LiveTables(app)
    found = app.extensions["sseapp"].settings
    assert found.hosts == ("one.example", "two.example")
    assert (found.tick, found.max_streams, found.notify, found.heartbeat) == (0.3, 50, False, 2.5)
    assert (found.poll, found.retry) == (0.005, 7.0)
    assert found.database_url == NOWHERE


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"SSEAPP_TICK": "soon"}, "SSEAPP_TICK"),
        ({"SSEAPP_TICK": object()}, "SSEAPP_TICK is of type object"),
        ({"SSEAPP_HOST": "a"}, "Did you mean SSEAPP_HOSTS"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_it_at_once(config, words):
    with pytest.raises(SettingError, match=words):
        LiveTables(host(**config))


def test_a_blueprint_of_the_host_may_have_any_of_our_childrens_names():
    app = host()
    own = Blueprint("api", __name__)
    own.add_url_rule("/api", view_func=lambda: "the host's api", endpoint="rows")
    app.register_blueprint(own)
    LiveTables(app)
    assert app.test_client().get("/api").text == "the host's api"


def test_its_signal_is_not_the_modules():
    live, other = LiveTables(), LiveTables()
    assert live.changed is not other.changed
    assert live.changed is not signals.changed
    assert live.changed.name == "changed"


def test_create_app_is_it_on_an_empty_application(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    app = create_app()
    assert set(app.blueprints) == {f"sseapp{part}" for part in ("", ".api", ".dashboard", ".operations")}
    assert all(endpoint.startswith("sseapp.") for endpoint in app.view_functions)


def test_a_coroutine_function_cannot_be_a_consumer():
    async def send(change, connection):
        pass

    with pytest.raises(BadParameterError, match="coroutine"):
        LiveTables().consumer("mailer", "orders")(send)
