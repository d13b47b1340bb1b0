"""One PostgreSQL server with its own data directory, which ends with this process."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from sseapp.embedded.child import Child
from sseapp.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sseapp.embedded.account import Account

# A fast shutdown first. If it hangs (a checkpoint on a slow disk), all still has to end within the promised 5 s.
STOP_PLAN = "INT:2,QUIT:0.5"
START_SECONDS = 120.0  # recovery after a crash may take a while
PORT_TRIES = 5
READY_LINE = 7  # of postmaster.pid, see "utils/pidfile.h" in PostgreSQL


class Cluster:
    """A server and the supervisor that stops it when this process ends.

    ``data`` is an initialised data directory that belongs to ``account``; ``settings`` go on the command line.
    It listens on 127.0.0.1 only. It has no Unix socket, as a project's path may exceed the 107 bytes of its name.
    """

    def __init__(self, bindir: Path, data: Path, account: Account, settings: Mapping[str, str], log: Path) -> None:
        self.bindir = bindir
        self.data = data
        self.account = account
        self.settings = settings
        self.log = log
        self.port: int | None = None
        self._child: Child | None = None

    def start(self, port: int | None = None, report: Callable[[str], None] = lambda _: None) -> int:
        """Start the server and return its port once it answers: ``port`` if that is free, else another.

        Stops a server that an earlier run has left on the data directory. Raises EmbeddedError.
        """
        self.stop_leftovers(report)
        for attempt in range(PORT_TRIES):
            self.port = port if port and attempt == 0 and _is_free(port) else _free_port()
            self._spawn(self.port)
            if self._wait_ready(report):
                return self.port
            if "could not bind" not in self.tail():
                break
        raise EmbeddedError(f"PostgreSQL did not start. The end of its log ({self.log}):\n{self.tail()}")

    def keep(self) -> None:
        """From now on, restart the server on the same port whenever it ends."""
        if self._child is not None:
            self._child.keep()

    def stop(self) -> None:
        """Stop the server within 5 s; does nothing in a forked process."""
        if self._child is not None:
            self._child.stop()

    @property
    def running(self) -> bool:
        """Whether the server is running, or is being restarted after a crash."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None if it does not run."""
        lines = self._pid_file()
        return int(lines[0]) if lines and self.running else None

    def tail(self, lines: int = 8) -> str:
        """Return the last lines of the server's log."""
        with suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"

    def stop_leftovers(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Stop a server that an earlier run has left on our data directory, and remove its pid file.

        It is recognised by its working directory: by now another process may have the number in the pid file. The file
        has to go, because PostgreSQL refuses to start while any process of the account has that number.
        """
        left = server_processes(self.data)
        if left:
            report("A PostgreSQL of an earlier run is still running; stopping it.")
        for number, patience in ((signal.SIGINT, 3.0), (signal.SIGKILL, 5.0)):
            for process in left if number == signal.SIGKILL else _heads(left):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            _, left = psutil.wait_procs(left, patience)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _spawn(self, port: int) -> None:
        options = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **self.settings}
        flags = [f"--{key}={value}" for key, value in options.items()]
        command = self.account.command([self.bindir / "postgres", "-D", self.data, *flags])
        self._child = Child(command, plan=STOP_PLAN, log=self.log)

    def _wait_ready(self, report: Callable[[str], None]) -> bool:
        began = told = time.monotonic()
        while self.running:
            lines = self._pid_file()
            if len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready":
                return True
            now = time.monotonic()
            if now - told > START_SECONDS / 24:
                told = now
                report("PostgreSQL is still starting ...")
            if now - began > START_SECONDS:
                break
            time.sleep(0.02)
        self.stop()
        return False

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []


def initialise(bindir: Path, data: Path, account: Account, options: Sequence[str]) -> None:
    """Make a data directory with initdb, in English and UTF-8. Raises EmbeddedError with initdb's output."""
    common = ["--encoding=UTF8", "--lc-messages=C", "--no-instructions", *options]
    command = account.command([bindir / "initdb", "-D", data, *common])
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")  # noqa: S603  # no shell
    if done.returncode:
        raise EmbeddedError(f"initdb failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")


def server_processes(data: Path) -> list[psutil.Process]:
    """Return all PostgreSQL processes that work in ``data``."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "postgres" and Path(process.cwd()) == data.resolve():
                found.append(process)
    return found


def _heads(processes: list[psutil.Process]) -> list[psutil.Process]:
    # The postmaster, or its children if it has died. To a child of a running postmaster SIGINT means something else.
    pids = {process.pid for process in processes}
    heads = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.ppid() not in pids:
                heads.append(process)
    return heads


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
