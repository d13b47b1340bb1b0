"""The servers that are measured: sseapp, and what one would write by hand instead. Each is one process on one core."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Contender:
    """A server: its name, the path of its stream, the table it follows, the command that starts it on a port."""

    name: str
    path: str
    table: str
    command: tuple[str, ...]
    folder: Path = HERE / "baselines"


def all_of_them() -> list[Contender]:
    """Those that can be run on this machine; the first of the baselines is the one ratios refer to."""
    gunicorn = str(BIN / "gunicorn")
    found = [Contender("sseapp", "/tables/logged/changes?snapshot=no", "logged", (gunicorn, "wsgi"), ROOT)]
    node = HERE / "baselines" / "node"
    if shutil.which("node") and ((node / "node_modules").exists() or _npm_install(node)):
        found.append(Contender("node", "/", "notified", ("node", "server.js"), node))
    queue = (
        gunicorn,
        "-k",
        "gevent",
        "--worker-connections",
        "20000",
        "--no-control-socket",
        "queue_flask:application",
    )
    found.append(Contender("flask queue", "/", "notified", queue))
    if (BIN / "uvicorn").exists():
        found.append(
            Contender(
                "sse-starlette",
                "/",
                "notified",
                (str(BIN / "uvicorn"), "starlette_sse:application", "--log-level", "warning"),
            )
        )
    return found


def _npm_install(folder: Path) -> bool:
    if shutil.which("npm") is None:
        return False
    return subprocess.run(["npm", "install", "--silent", "--no-package-lock"], cwd=folder, check=False).returncode == 0


@dataclass
class Server:
    """A running contender: its port and the process that does the work."""

    contender: Contender
    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds of CPU used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Its proportional share of memory (PSS), in bytes."""
        return int(self.process.memory_full_info().pss)


@contextmanager
def running(contender: Contender, dsn: str, *, workers: int = 1, core: int | None = 0) -> Iterator[Server]:
    """Start ``contender``, pinned to ``core`` where there is one, and end it with all its children."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = os.environ | {
        "DATABASE_URL": dsn,
        "PORT": str(port),
        "SSEAPP_BIND": f"127.0.0.1:{port}",
        "SSEAPP_WORKERS": str(workers),
    }
    command = list(contender.command)
    if contender.folder != ROOT and "gunicorn" in command[0]:
        command += ["-b", f"127.0.0.1:{port}"]
    elif "uvicorn" in command[0]:
        command += ["--port", str(port)]
    with (HERE / f".{contender.name.replace(' ', '-')}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=contender.folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(port, process)
            worker = _worker(process.pid)
            if core is not None:
                for each in [worker, *worker.children(recursive=True)]:
                    each.cpu_affinity([core])
            yield Server(contender, port, worker)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _worker(pid: int) -> psutil.Process:
    parent = psutil.Process(pid)
    return (parent.children() or [parent])[0]


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    sys.exit(f"{process.args!r} does not answer")
