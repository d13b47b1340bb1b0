"""The application on each kind of WSGI host, its life tied to the test run's."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Self

import psutil
from harness.clusters import scratch, wait_until
from harness.sse import Address

from sseapp.embedded.child import Child

ROOT = Path(__file__).parents[2]
THREADS = 16
_GUNICORN = [sys.executable, "-m", "gunicorn", "wsgi"]
_WAITRESS = f"""
import logging, waitress, wsgi
logging.basicConfig(level="INFO")
waitress.serve(wsgi.application, listen="127.0.0.1:0", threads={THREADS}, channel_timeout=3600)
"""
_COMMANDS = {
    "gevent": _GUNICORN,
    "gthread": [*_GUNICORN, "--worker-class", "gthread", "--threads", str(THREADS)],
    "waitress": [
        sys.executable,
        "-c",
        _WAITRESS,
    ],
}
KINDS = tuple(_COMMANDS)
_ADDRESS = re.compile(r"(?:Listening at:|Serving on|Running on) http://127\.0\.0\.1:(\d+)")
_HOLDING = """
import os, sys
for _ in range(int(sys.argv[1])):
    os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
os.execv(sys.argv[2], sys.argv[2:])
"""
_PLANS = {"waitress": "INT:3"}  # gunicorn: QUIT is at once, TERM waits for what is under way


class Host:
    """One server of the application on the database ``dsn``; ``settings`` are variables without their ``SSEAPP_``.

    ``command`` starts another one than that of ``kind``, in ``folder``.

    ``held`` descriptors are open in it from the start, so that those it opens lie above them.
    """

    def __init__(
        self,
        dsn: str,
        kind: str = "gevent",
        options: tuple[str, ...] = (),
        *,
        held: int = 0,
        command: tuple[str, ...] = (),
        folder: Path = ROOT,
        **settings: str,
    ) -> None:
        self.kind = kind
        self._folder = scratch()
        self._log = self._folder / "log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SSEAPP_")}
        environ |= {"DATABASE_URL": dsn, "SSEAPP_BIND": "127.0.0.1:0", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        if kind == "waitress":
            environ["SSEAPP_THREADS"] = str(THREADS)
        environ |= {f"SSEAPP_{name.upper()}": value for name, value in settings.items()}
        plan = _PLANS.get(kind, "QUIT:3")
        command = [*(command or _COMMANDS[kind]), *options]
        if held:
            command = [sys.executable, "-c", _HOLDING, str(held), *command]
        self._tether = Child(command, plan=plan, log=self._log, environ=environ, folder=folder)
        try:
            self.address: Address = ("127.0.0.1", int(wait_until(self._listening, 20, "the server's start")[1]))
        except BaseException:
            self.stop()
            raise

    def _listening(self) -> re.Match[str] | None:
        assert self._tether.running, self.log
        return _ADDRESS.search(self.log)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def master(self) -> psutil.Process:
        """The process that was started: gunicorn's arbiter, or the one process there is."""
        return psutil.Process(self._tether.pid).children()[0]

    @property
    def worker(self) -> psutil.Process:
        """The process that answers."""
        master = self.master
        return master if self.kind == "waitress" else wait_until(master.children, what="a worker")[0]

    def signal(self, number: signal.Signals) -> None:
        self.master.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait for its end."""
        wait_until(lambda: not self._tether.running, seconds, "the server's end")

    def stop(self) -> None:
        self._tether.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
