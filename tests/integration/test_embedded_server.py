"""The embedded PostgreSQL, and what may happen to it.

pytest's own folders are closed to other accounts: run as root, these tests are in a folder that PostgreSQL's account
may not enter, which is what `mktemp -d` and a checkout below /root are like.
"""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg2
import pytest
from harness.clusters import scratch, wait_until
from harness.processes import ROOT, Program, is_gone

from sseapp.embedded import cluster
from sseapp.embedded.account import unprivileged
from sseapp.embedded.cluster import server_processes
from sseapp.embedded.server import Embedded, programs, running_dsn
from sseapp.errors import EmbeddedError

HOLDER = """
from pathlib import Path
from sseapp.embedded.server import Embedded
embedded = Embedded(Path(".sseapp"), lambda line: print(line, flush=True))
print(embedded.start(), flush=True)
print(embedded.pid, flush=True)
input()
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder in which the server has run once: initdb takes a second, a start a tenth of that."""
    project = tmp_path_factory.mktemp("prepared")
    with Embedded(project / ".sseapp"):
        pass
    return project


@pytest.fixture
def project(prepared):
    """The same folder for all who leave its data whole; whatever was running in it is gone after each."""
    yield prepared
    wait_until(lambda: not server_processes(_data(prepared)), 5, "the end of the last server")


@pytest.fixture
def copy(project, tmp_path):
    """A copy to be damaged, below folders with names that need quoting, on a path too long for a socket."""
    deep = tmp_path / ("it's a long name " * 8) / ('ünd "on" $HOME ' * 8)
    deep.mkdir(parents=True)
    subprocess.run(["cp", "-a", project / ".sseapp", deep], check=True)
    return deep


def _data(project: Path) -> Path:
    return project / ".sseapp" / "pg18" / "data"


def _ask(dsn: str, sql: str = "SELECT 1", **options):
    connection = psycopg2.connect(dsn, connect_timeout=5, **options)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def _keep(dsn: str) -> int:
    """Leave something in the database that has to be there later: a number."""
    number = time.monotonic_ns()
    _ask(dsn, f"DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT {number} AS number")
    return number


def _kept(dsn: str) -> int:
    return _ask(dsn, "SELECT number FROM kept")


def _answers(dsn: str) -> bool:
    try:
        return _ask(dsn) == 1
    except psycopg2.Error:
        return False


def _lock(program: Program) -> tuple[str, int]:
    """The DSN and the postmaster of a started holder."""
    while not (line := program.line()).startswith("postgresql://"):
        pass
    return line, int(program.line())


def test_starts_from_nothing_says_so_and_stops_quickly(tmp_path):
    said = []
    embedded = Embedded(tmp_path / ".sseapp", said.append)
    dsn = embedded.start()
    try:
        assert _ask(dsn, "SELECT current_setting('server_version_num')::int / 10000") == 18
        assert _ask(dsn, "SELECT lower('Ä')") == "ä"
        assert _ask(dsn, "SHOW fsync") == "on"
        began = time.monotonic()
    finally:
        embedded.stop()
    assert time.monotonic() - began < 5
    assert not server_processes(_data(tmp_path))
    assert [line.split()[0] for line in said] == ["Preparing", "Starting"]


def test_keeps_data_and_address_across_a_restart(project):
    with Embedded(project / ".sseapp") as first:
        kept = _keep(first)
    with Embedded(project / ".sseapp") as second:
        assert second == first
        assert _kept(second) == kept


def test_takes_another_port_if_that_of_last_time_is_taken(project):
    with Embedded(project / ".sseapp") as first:
        port = int(first.rpartition(":")[2].partition("/")[0])
    with socket.create_server(("127.0.0.1", port)), Embedded(project / ".sseapp") as second:
        assert second != first
        assert _answers(second)


def test_tries_again_when_somebody_takes_the_chosen_port_first(project, monkeypatch):
    (project / ".sseapp" / "database_url").unlink()
    free = cluster._free_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        choices = iter([other.getsockname()[1], free()])
        monkeypatch.setattr(cluster, "_free_port", lambda: next(choices))
        with Embedded(project / ".sseapp") as dsn:
            assert _answers(dsn)
    assert list(choices) == []


def test_a_long_path_with_spaces_and_quotes_serves(copy):
    with Embedded(copy / ".sseapp") as dsn:
        assert _answers(dsn)


def test_lets_nobody_in_without_the_password_and_keeps_that_secret(project):
    with Embedded(project / ".sseapp") as dsn:
        head, _, tail = dsn.partition("@")
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(f"{head.rpartition(':')[0]}@{tail}")
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(f"{head}x@{tail}")
        for name in ("database_url", "pg18/password", "pg18/data", "postgres.log"):
            assert (project / ".sseapp" / name).stat().st_mode & 0o077 == 0, name
        assert _ask(dsn, "SHOW listen_addresses") == "127.0.0.1"


def test_others_find_it_while_it_runs(project):
    with Program(HOLDER, project) as holder:
        dsn, _ = _lock(holder)
        assert running_dsn(project / ".sseapp") == dsn
        assert _answers(dsn)


def test_who_asks_while_it_starts_waits_for_it(project):
    (project / ".sseapp" / "database_url").write_text("postgresql://the.address.of/last-time")
    with Program(HOLDER, project) as holder:
        assert holder.line().startswith("Starting")
        found = running_dsn(project / ".sseapp")
        assert found == _lock(holder)[0]
        assert _answers(found)


def test_a_second_start_in_the_folder_is_refused_and_names_the_first(project):
    with Program(HOLDER, project) as holder:
        dsn, _ = _lock(holder)
        with pytest.raises(EmbeddedError, match=f"in use by process {holder.process.pid}"):
            Embedded(project / ".sseapp").start()
        assert _answers(dsn)
        assert running_dsn(project / ".sseapp") == dsn


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_stops_within_5_seconds_of_a_killed_parent_and_starts_again(project, number):
    with Program(HOLDER, project) as holder:
        dsn, postmaster = _lock(holder)
        kept = _keep(dsn)
        holder.process.send_signal(number)
        wait_until(lambda: is_gone(postmaster), 5, "the end of the server")
    with Embedded(project / ".sseapp") as dsn:
        assert _kept(dsn) == kept


def test_ends_with_a_parent_that_just_returns(project):
    program = HOLDER.replace("input()", "")
    with Program(program, project) as holder:
        _, postmaster = _lock(holder)
        assert holder.process.wait(10) == 0
        wait_until(lambda: is_gone(postmaster), 5, "the end of the server")


def test_survives_the_kill_of_everything_at_once(project):
    with Program(HOLDER, project) as holder:
        dsn, postmaster = _lock(holder)
        kept = _keep(dsn)
        supervisor, *servers = psutil.Process(holder.process.pid).children(recursive=True)
        for process in (*servers, supervisor):  # the supervisor last: it would stop the server in good order
            with suppress(psutil.NoSuchProcess):
                process.kill()
        holder.kill()
        wait_until(lambda: is_gone(postmaster), 5)
    assert (_data(project) / "postmaster.pid").exists()
    with Embedded(project / ".sseapp") as dsn:
        assert _kept(dsn) == kept


def test_a_killed_server_comes_back_at_the_same_address(project):
    embedded = Embedded(project / ".sseapp")
    dsn = embedded.start()
    try:
        kept = _keep(dsn)
        first = embedded.pid
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: is_gone(first))
        wait_until(lambda: _answers(dsn), 20, "the server's return")
        assert embedded.running
        assert embedded.pid != first
        assert _kept(dsn) == kept
    finally:
        embedded.stop()


@pytest.fixture
def orphan(project):
    """A server on the project's data that no supervisor watches."""
    account = unprivileged(_data(project), [programs() / "postgres"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = [f"--port={port}", "--unix_socket_directories=", "--shared_buffers=1MB"]
    command = account.command([programs() / "postgres", "-D", _data(project), *flags])
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd="/")
    try:
        status = _data(project) / "postmaster.pid"
        wait_until(lambda: status.exists() and "ready" in status.read_text(), what="the orphan's start")
        yield process
    finally:
        process.kill()
        process.wait()


def test_stops_a_server_left_over_on_its_own_data(project, orphan):
    said = []
    with Embedded(project / ".sseapp", said.append) as dsn:
        assert is_gone(orphan.pid)
        assert _answers(dsn)
    assert "A PostgreSQL of an earlier run is still running; stopping it." in said


def test_stops_one_that_does_not_listen_any_more(project, orphan):
    orphan.send_signal(signal.SIGSTOP)
    with Embedded(project / ".sseapp") as dsn:
        assert is_gone(orphan.pid)
        assert _answers(dsn)


def test_a_stale_pid_file_with_the_number_of_another_process_harms_neither(project):
    account = unprivileged(_data(project), [])
    stranger = subprocess.Popen(account.command(["sleep", "600"]))
    status = _data(project) / "postmaster.pid"
    status.write_text(f"{stranger.pid}\n{_data(project)}\n1700000000\n5432\n\n127.0.0.1\n  1 2\nready   \n")
    account.own(status)
    try:
        with Embedded(project / ".sseapp") as dsn:
            assert _answers(dsn)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_initdb_is_done_again(tmp_path):
    folder = tmp_path / ".sseapp"
    with Program(HOLDER, tmp_path) as holder:
        wait_until(lambda: list(folder.glob("pg18.new-*/data/base")), what="initdb's first files")
        holder.kill()
    assert not (folder / "pg18").exists()
    with Embedded(folder) as dsn:
        assert _answers(dsn)
    assert not list(folder.glob("pg18.new-*"))


def test_a_server_that_cannot_start_shows_its_last_words(copy):
    (_data(copy) / "PG_VERSION").write_text("9.1\n")
    with pytest.raises(EmbeddedError, match=r"did not start[\s\S]*incompatible with server"):
        Embedded(copy / ".sseapp").start()
    assert running_dsn(copy / ".sseapp") is None


def test_what_belongs_to_another_account_is_told(project, monkeypatch):
    secret = project / ".sseapp" / "pg18" / "password"

    def closed(self: Path) -> str:
        if self == secret:
            raise PermissionError(13, "Permission denied", str(self))
        return self.read_bytes().decode()

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(EmbeddedError, match=f"{secret} belongs to another user"):
        Embedded(project / ".sseapp").start()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_where_nothing_can_be_written_it_says_what_to_set(tmp_path, monkeypatch, number):
    def refused(self: Path, *_, **__) -> None:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(EmbeddedError, match="cannot be written") as told:
        Embedded(tmp_path / ".sseapp").start()
    assert "Set DATABASE_URL, such as postgresql://" in str(told.value)
    assert "remove" not in str(told.value)
    assert os.strerror(number) in str(told.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_an_ordinary_user_needs_no_other_account():
    project = scratch()
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    imports = ["sh", "-c", '"$0" -c "import sseapp.embedded.server"', sys.executable]
    if subprocess.run([*prefix, *imports], check=False, capture_output=True, cwd=ROOT).returncode:
        pytest.skip("the checkout, or Python itself, is closed to other accounts")
    os.chown(project, 65534, 65534)
    try:
        with Program(HOLDER, project, prefix) as holder:
            dsn, postmaster = _lock(holder)
            assert _answers(dsn)
            assert psutil.Process(postmaster).uids().effective == 65534
        wait_until(lambda: is_gone(postmaster), 5)
    finally:
        shutil.rmtree(project)
