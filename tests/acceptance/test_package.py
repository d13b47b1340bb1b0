"""The wheel, installed beside an older Flask into an environment of its own, and used from another folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from contextlib import contextmanager

import pytest
from harness import sse
from harness.clusters import scratch, wait_until
from harness.servers import ROOT

from sseapp.embedded.child import Child
from sseapp.version import __version__

FLASK = "3.0.0"
_LISTENING = re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)")

pytestmark = pytest.mark.timeout(300)


def _run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, **options)


def _pip(*arguments):
    return _run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, cwd="/")


@pytest.fixture(scope="module")
def installed():
    """The folder of an environment with the wheel in it, and nothing of the checkout on its path."""
    folder = scratch()
    try:
        if _pip("download", "--quiet", "--no-deps", "--dest", folder / "reach", "hatchling").returncode:
            pytest.skip("no package registry can be reached: the wheel is neither built nor installed")
        built = _pip("wheel", "--no-deps", "--wheel-dir", folder / "dist", ROOT)
        assert built.returncode == 0, built.stderr
        (wheel,) = (folder / "dist").glob("*.whl")
        venv.create(folder / "env", symlinks=True)
        done = _pip("--python", folder / "env" / "bin" / "python", "install", "--no-compile", wheel, f"Flask=={FLASK}")
        assert done.returncode == 0, done.stdout + done.stderr
        yield folder / "env" / "bin"
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def elsewhere(tmp_path, pg18_dsn):
    """An empty folder, and the variables of a user who has a database."""
    ours = ("SSEAPP_", "PYTHON", "DATABASE_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {"cwd": tmp_path, "env": environ | {"DATABASE_URL": pg18_dsn}}


@contextmanager
def _serving(command, elsewhere):
    log = elsewhere["cwd"] / "log"
    child = Child(command, plan="QUIT:3", log=log, environ=elsewhere["env"], folder=elsewhere["cwd"])

    def listening():
        assert child.running, log.read_text()
        return _LISTENING.search(log.read_text())

    try:
        yield "127.0.0.1", int(wait_until(listening, 30, "the server's start")[1])
    finally:
        child.stop()
    assert "Traceback" not in log.read_text()
    assert "Warning" not in log.read_text()


COMMANDS = {
    "serve": ("sseapp", "serve", "--bind", "127.0.0.1:0"),
    "factory": (
        *("gunicorn", "-k", "gevent", "-c", "python:sseapp.gunicorn"),
        *("-b", "127.0.0.1:0", "sseapp:create_app()"),
    ),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_a_table_is_watched_served_and_shown(installed, elsewhere, command):
    version = "import importlib.metadata as m; print(m.version('flask'))"
    assert _run(installed / "python", "-c", version, **elsewhere).stdout.strip() == FLASK
    sql = (
        "import os, psycopg2; c = psycopg2.connect(os.environ['DATABASE_URL']); c.autocommit = True\n"
        "c.cursor().execute('CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, at date DEFAULT now())')\n"
        "c.cursor().execute('INSERT INTO orders DEFAULT VALUES')"
    )
    assert _run(installed / "python", "-c", sql, **elsewhere).returncode == 0
    watched = _run(installed / "sseapp", "watch", "orders", "--range", "at", **elsewhere)
    assert "orders is watched.\n" in watched.stdout, watched.stderr
    with _serving([installed / command[0], *command[1:]], elsewhere) as address:
        page = sse.ask(address, "/")
        assert page.status == 200
        for target in re.findall(r'(?:src|href)="([^"#]+)"', page.body.decode()):
            assert sse.ask(address, "/" + target.removeprefix(".").removeprefix("/")).status == 200, target
        with sse.Stream(address, "/tables/orders/changes") as stream:
            assert [row["id"] for row in stream.event("snapshot").json["rows"]] == [1]
            assert _run(installed / "python", "-c", sql, **elsewhere).returncode == 0
            assert stream.event("insert").json["row"]["id"] == 2


def test_the_checks_of_types_and_the_version_come_along(installed, elsewhere):
    found = _run(
        installed / "python", "-c", "import sseapp, pathlib; print(pathlib.Path(sseapp.__file__).parent)", **elsewhere
    )
    assert "site-packages" in found.stdout
    assert (installed.parent / "lib").is_dir()
    assert [*installed.parent.glob("lib/*/site-packages/sseapp/py.typed")]
    assert _run(installed / "sseapp", "--version", **elsewhere).stdout == f"sseapp, version {__version__}\n"


def test_without_the_embedded_postgresql_it_says_how_to_get_one(installed, elsewhere):
    del elsewhere["env"]["DATABASE_URL"]
    for command in (("demo", "--port", "0"), ("serve",), ("demo",)):
        ended = _run(installed / "sseapp", *command, **elsewhere)
        assert ended.returncode != 0
        assert "Traceback" not in ended.stderr
    assert "pip install 'sseapp[embedded]'" in ended.stdout + ended.stderr
    assert "DATABASE_URL" in ended.stdout + ended.stderr
