"""The demo: an embedded PostgreSQL, a sample shop with a workload, and gunicorn. All end with this process."""

from __future__ import annotations

import http.client
import itertools
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Self

from sseapp.embedded.child import Child
from sseapp.embedded.server import FOLDER, Embedded
from sseapp.errors import EmbeddedError, SseappError
from sseapp.postgres import schema, statements
from sseapp.postgres.database import Connection

_PACKAGES = Path(__file__).resolve().parents[2]
"""The folder that holds the package sseapp: python -m looks for modules there first."""
# gunicorn and PostgreSQL together have to stop within the promised 5 s.
STOP_PLAN = "TERM:1.5,QUIT:0.5"
ANSWER_SECONDS = 30.0
CUSTOMERS, ORDERS, MOST_ORDERS = 60, 400, 1500
PAUSE, BULK_SECONDS, RETRY_SECONDS = 0.35, 20.0, 1.0
STEPS = {"order": 8, "advance": 8, "note": 2, "cancel": 3, "remove": 3, "move": 1}
BULK = ("rush", "lorry")

log = logging.getLogger(__name__)


def run(port: int) -> int:
    """Run the demo on 127.0.0.1 until SIGINT, SIGTERM or SIGHUP; the exit status.

    Raises EmbeddedError if the port, the folder or PostgreSQL cannot be used.
    """
    began = time.monotonic()
    logging.basicConfig(format="%(message)s")
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        stack.enter_context(_ending_by_signals())
        _check_port(port)
        if os.environ.get("DATABASE_URL"):
            _say("The demo does not use DATABASE_URL; it has its own PostgreSQL.")
        embedded = Embedded(report=_say)
        stack.callback(embedded.stop)
        dsn = embedded.start()
        _say("Opening the shop ...")
        with closing(Connection(dsn)) as connection:
            open_shop(connection)
        _say("Starting gunicorn ...")
        server = _serve(port, dsn)
        stack.callback(server.stop)
        _wait_for_answer(port, server)
        stack.enter_context(Workload(dsn))
        took = time.monotonic() - began
        _say(f"\n  The shop is open, after {took:.1f} s:  http://127.0.0.1:{port}/\n\n  Ctrl-C ends all of it.\n")
        while server.running and embedded.running:
            time.sleep(0.5)
        what = "PostgreSQL" if server.running else "gunicorn"
        raise EmbeddedError(f"{what} has stopped and could not be restarted; see its log in {FOLDER}/.")
    _say("The shop is closed.")
    return 0


def open_shop(connection: Connection) -> None:
    """Create and fill the shop's tables, install sseapp and watch the tables; skips what is already there."""
    sql = statements.named("demo")
    connection.query(sql["shop"])
    connection.query(sql["tidy"], {"most": MOST_ORDERS})
    connection.query(sql["customers"], {"customers": CUSTOMERS})
    connection.query(sql["seed"], {"orders": ORDERS})
    schema.install(connection)
    schema.watch(connection, "orders", range_column="created_at")
    schema.watch(connection, "customers", range_column="joined", hide=["email"])


class Workload:
    """Makes a few changes a second, and a bulk change now and then, in a thread; retries while the database is away."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._sql = statements.named("demo")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workload", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with closing(Connection(self._dsn, deadline=5.0)) as connection:
                    for name in self._names():
                        connection.query(self._sql[name], {"most": MOST_ORDERS})
            except SseappError as error:
                log.warning("The demo cannot reach its database and tries again: %s", error)
                self._stopped.wait(RETRY_SECONDS)

    def _names(self) -> Iterator[str]:
        """Yield the name of each next statement when it is due, until the workload is stopped."""
        names, weights = list(STEPS), list(STEPS.values())
        turns = itertools.cycle(BULK)
        bulk = time.monotonic() + BULK_SECONDS / 4
        while not self._stopped.wait(random.uniform(0, 2 * PAUSE)):  # noqa: S311
            if time.monotonic() > bulk:
                bulk += BULK_SECONDS
                yield next(turns)
                yield "tidy"
            yield random.choices(names, weights)[0]  # noqa: S311


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


@contextmanager
def _ending_by_signals() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C. Only the first signal counts: a second must not interrupt the stopping."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    got: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        got.append(number)
        if len(got) == 1:
            _say("\nClosing ...")
            signal.default_int_handler(number, frame)

    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise EmbeddedError(
                f"Port {port} on 127.0.0.1 cannot be used ({error.strerror}). Choose another: make demo PORT={port + 1}"
            ) from None


def _serve(port: int, dsn: str) -> Child:
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "python:sseapp.gunicorn",
        "-b",
        f"127.0.0.1:{port}",
        "sseapp.wsgi",
    ]
    environ = os.environ | {"DATABASE_URL": dsn}
    return Child(command, plan=STOP_PLAN, log=FOLDER / "gunicorn.log", environ=environ, folder=_PACKAGES)


def _wait_for_answer(port: int, server: Child) -> None:
    end = time.monotonic() + ANSWER_SECONDS
    while not _answers(port):
        if not server.running or time.monotonic() > end:
            words = (FOLDER / "gunicorn.log").read_text(errors="replace").splitlines()[-12:]
            raise EmbeddedError("gunicorn does not answer. The end of its log:\n" + "\n".join(words))
        time.sleep(0.05)
    server.keep()


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
