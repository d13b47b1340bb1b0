"""The servers that are measured: sseapp, and what one would write by hand instead."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import database  # noqa: F401  # puts the project on the path
import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent
BASELINES = HERE / "baselines"
BIN = Path(sys.executable).parent
GUNICORN = str(BIN / "gunicorn")
BELL = {"SSEAPP_NOTIFY": "on"}
"""Its being off is kept in the database: it ends that where a benchmark before has set it."""


@dataclass(frozen=True)
class Contender:
    """A server: its name, the path of its stream, the table it follows, the command that starts it on a port.

    ``ready`` is what a client has been sent when it is served: of what commits from then on it hears.
    """

    name: str
    path: str
    table: str
    command: tuple[str, ...]
    folder: Path = BASELINES
    ready: str = "retry: "


SSEAPP = Contender("sseapp", "/tables/logged/changes?snapshot=no", "logged", (GUNICORN, "wsgi"), ROOT, "\nid: ")


def _gevent(name: str, application: str) -> Contender:
    options = ("-k", "gevent", "--worker-connections", "20000", "--no-control-socket")
    return Contender(name, "/", "notified", (GUNICORN, *options, application))


BARE = _gevent("gunicorn alone", "bare_wsgi:application")
"""It follows no table: the limit that gunicorn sets to whoever runs under it."""


def all_of_them() -> list[Contender]:
    """Those that can be run on this machine; the first of the baselines is the one ratios refer to."""
    found = [SSEAPP]
    node = BASELINES / "node"
    if shutil.which("node") and ((node / "node_modules").exists() or _npm_install(node)):
        found.append(Contender("node", "/", "notified", ("node", "server.js"), node))
    found.append(_gevent("flask queue", "queue_flask:application"))
    if (BIN / "uvicorn").exists():
        command = (str(BIN / "uvicorn"), "starlette_sse:application", "--log-level", "warning")
        found.append(Contender("sse-starlette", "/", "notified", command, ready=" 200 "))
    return found


def _npm_install(folder: Path) -> bool:
    if shutil.which("npm") is None:
        return False
    return subprocess.run(["npm", "install", "--silent", "--no-package-lock"], cwd=folder, check=False).returncode == 0


@dataclass
class Server:
    """A running contender: its port and the processes that do the work."""

    contender: Contender
    port: int
    processes: list[psutil.Process]

    def cpu(self) -> float:
        """Seconds of CPU used so far."""
        times = [process.cpu_times() for process in self.processes]
        return float(sum(each.user + each.system for each in times))

    def memory(self) -> int:
        """Their proportional share of memory (PSS), in bytes."""
        return int(sum(process.memory_full_info().pss for process in self.processes))

    def peak(self) -> int:
        """The most memory that they have had resident at once, in bytes."""
        found = [re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{p.pid}/status").read_text()) for p in self.processes]
        return sum(int(each[1]) * 1024 for each in found if each)

    def descriptors(self) -> list[int]:
        """How many each process has open."""
        return [process.num_fds() for process in self.processes]


@contextmanager
def running(
    contender: Contender,
    dsn: str,
    *,
    workers: int = 1,
    core: int | None = 0,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start ``contender``, pinned to ``core`` where there is one, and end it with all its children."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = os.environ | {
        "DATABASE_URL": dsn,
        "PORT": str(port),
        "SSEAPP_BIND": f"127.0.0.1:{port}",
        "SSEAPP_WORKERS": str(workers),
        **BELL,
        **(settings or {}),
    }
    command = list(contender.command)
    if contender.folder != ROOT and command[0] == GUNICORN:
        command += ["-b", f"127.0.0.1:{port}"]
    elif "uvicorn" in command[0]:
        command += ["--port", str(port)]
    with (HERE / f".{contender.name.replace(' ', '-')}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=contender.folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(port, process)
            # gunicorn's first process only keeps the others
            found = _children(process, workers) if command[0] == GUNICORN else [psutil.Process(process.pid)]
            if core is not None:
                for each in found:
                    _pin(each, core)
            yield Server(contender, port, found)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _pin(process: psutil.Process, core: int) -> None:
    """Pin all threads there are, and with them those they start."""
    for thread in process.threads():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, [core])


def _children(process: subprocess.Popen[bytes], count: int) -> list[psutil.Process]:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        found = psutil.Process(process.pid).children()
        if len(found) >= count:
            return found
        time.sleep(0.05)
    sys.exit(f"{process.args!r} does not start its workers")


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    sys.exit(f"{process.args!r} does not answer")
