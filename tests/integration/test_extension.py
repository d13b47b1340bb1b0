"""LiveTables at work in applications of the test's own process."""

from __future__ import annotations

import importlib
import subprocess
import sys
from contextlib import ExitStack

import psycopg2
import pytest
from flask import Flask
from harness import sse
from harness.clusters import wait_until
from harness.running import prepare
from harness.servers import Host

from sseapp import LiveTables
from sseapp.errors import BadParameterError

HOST = """
from flask import Flask
from sseapp import LiveTables

heard = []
live = LiveTables()

def create_app():
    app = Flask(__name__)
    app.get("/heard")(lambda: heard)
    live.init_app(app)
    live.start()
    return app

@live.changed.connect
def note(table, batch):
    heard.append(table)
"""


@pytest.fixture
def made():
    """Makes applications with live tables; all of them are closed at the end."""
    with ExitStack() as stack:

        def make(dsn, live=None, **config):
            app = Flask("host")
            app.config.update({"DATABASE_URL": dsn, "SSEAPP_TICK": "200ms"} | config)
            live = live or LiveTables()
            live.init_app(app)
            stack.callback(lambda: app.extensions["sseapp"].runtime().close())
            return app, live

        yield make


@pytest.fixture
def database(pg18):
    with pg18.database() as dsn:
        prepare(dsn)
        yield dsn


def _write(dsn, statement):
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def _read(dsn, statement):
    connection = psycopg2.connect(dsn)
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchall()
    connection.close()
    return found


def _listening(app):
    wait_until(lambda: app.extensions["sseapp"].runtime().listener.error is None, what="the listener")


def test_start_listens_without_a_request_and_each_object_hears_its_own(made, database, pg18):
    heard = {"one": [], "two": []}
    with pg18.database() as other:
        prepare(other)
        for name, dsn in (("one", database), ("two", other)):
            app, live = made(dsn)

            def note(table, batch, name=name):
                heard[name] += [(table, change.new) for change in batch.changes]

            live.changed.connect(note, weak=False)
            live.start()
            live.start()
            _listening(app)
        _write(database, "INSERT INTO orders VALUES (1, 'x')")
        _write(other, "INSERT INTO customers VALUES (2, 'y')")
        wait_until(lambda: all(heard.values()), what="both changes")
    assert heard == {
        "one": [("public.orders", '{"id":1,"a":"x"}')],
        "two": [("public.customers", '{"id":2,"a":"y"}')],
    }


def test_two_applications_of_a_factory_hear_a_change_once(made, database):
    live, heard = LiveTables(), []

    def note(table, batch):
        heard.extend((table, change.new) for change in batch.changes)

    live.changed.connect(note)
    for _ in range(2):
        app, _ = made(database, live)
        app.test_client().get("/live/tables")
    _listening(app)
    for number in (1, 2):
        _write(database, f"INSERT INTO orders VALUES ({number})")
        wait_until(lambda number=number: len(heard) >= number, what="the change")
    assert heard == [("public.orders", f'{{"id":{number},"a":null}}') for number in (1, 2)]


def test_the_test_client_reads_rows_and_streams(made, database):
    app, _ = made(database)
    _write(database, "INSERT INTO orders VALUES (1, 'x')")
    client = app.test_client()
    assert [table["name"] for table in client.get("/live/tables").json["tables"]] == ["customers", "orders"]
    assert client.get("/live/tables/orders/rows").json["rows"] == [{"id": 1, "a": "x"}]
    with client.get("/live/tables/orders/changes", headers={"Accept": "text/event-stream"}) as answer:
        assert answer.headers["Cache-Control"] == "no-store, no-transform"
        text = ""
        for part in answer.response:
            text += part.decode()
            if "snapshot" in text:
                break
    assert '"rows":[{"id":1,"a":"x"}]' in text
    assert client.get("/live/tables/nothing/rows").content_type == "application/problem+json"


def test_under_flask_run_and_gunicorn_it_hears_without_a_request(database, tmp_path):
    (tmp_path / "shop.py").write_text(HOST)
    gunicorn = (*(sys.executable, "-m", "gunicorn"), *("-c", "python:sseapp.gunicorn", "shop:create_app()"))
    with Host(database, command=gunicorn, folder=tmp_path) as host:
        _hears(database, host.address)
    flask = (sys.executable, "-c", "import logging, flask.cli; flask.cli.main()", "--app", "shop", "run", "--port", "0")
    with Host(database, "werkzeug", command=flask, folder=tmp_path) as host:
        _hears(database, host.address)


def _hears(database, address):
    def heard():
        # what is written before it listens is not told
        _write(database, "INSERT INTO orders SELECT coalesce(max(id), 0) + 1 FROM orders")
        return sse.ask(address, "/heard").json

    assert set(wait_until(heard, what="a change", pause=0.2)) == {"public.orders"}
    assert sse.ask(address, "/live/tables/orders/rows").json["rows"]


def test_a_consumer_runs_once_started_in_one_of_two_processes(made, database):
    """Two objects here are as two processes are: each has sessions of its own."""
    _write(database, "CREATE TABLE effect (name text, change text)")

    def note(name):
        def mailer(change, connection):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO effect VALUES (%s, %s)", (name, change.new))

        return mailer

    for name in ("one", "two"):
        app, live = made(database)
        function = note(name)
        assert live.consumer("mailer", "orders")(function) is function
        with pytest.raises(BadParameterError, match="mailer"):
            live.consumer("mailer", "orders")(function)
        live.start()
        live.start()
    wait_until(lambda: _read(database, "SELECT count(*) FROM sseapp.consumer") == [(1,)], what="the consumer")
    _write(database, "INSERT INTO orders SELECT n FROM generate_series(1, 5) n")
    wait_until(lambda: _read(database, "SELECT count(*) FROM effect") == [(5,)], what="five effects")
    assert len(_read(database, "SELECT DISTINCT name FROM effect")) == 1
    assert [change for (change,) in _read(database, "SELECT change FROM effect")] == [
        f'{{"id":{number},"a":null}}' for number in range(1, 6)
    ]
    metrics = app.test_client().get("/live/metrics").text
    assert 'sseapp_consumer_running{consumer="mailer"} 1.0' in metrics
    assert 'sseapp_consumer_lag_seconds{consumer="mailer"}' in metrics


def _needed(*modules):
    for module in modules:
        pytest.importorskip(module, reason=f"{module} is not here (requirements-dev.txt)")
    return [importlib.import_module(module) for module in modules]


def test_beside_flask_sqlalchemy(made, database):
    (sqlalchemy,) = _needed("flask_sqlalchemy")
    app, _ = made(database, SQLALCHEMY_DATABASE_URI=database.replace("postgresql:", "postgresql+psycopg2:"))
    db = sqlalchemy.SQLAlchemy(app)
    with app.app_context():
        db.session.execute(db.text("INSERT INTO orders VALUES (1, 'from a model')"))
        db.session.commit()
        rows = app.test_client().get("/live/tables/orders/rows").json["rows"]
        db.engine.dispose()
    assert rows == [{"id": 1, "a": "from a model"}]


def test_beside_flask_talisman(made, database):
    (talisman,) = _needed("flask_talisman")
    app, _ = made(database)
    talisman.Talisman(app, force_https=False)
    client = app.test_client()
    assert client.get("/live/tables").status_code == 200
    policy = client.get("/live/").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy or "default-src 'self'" in policy


def test_importing_the_package_alone_imports_no_flask():
    program = "import sys, sseapp; assert not {'flask', 'gevent', 'psycopg2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
