"""From a commit to a thousand clients: latency, CPU, bursts; memory and time to connect."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import database
from contenders import Contender, Server, running

NOTE = "x" * 60
CLIENTS = Path(__file__).with_name("clients.py")


class Load:
    """The load generator's process, on the core that is not the server's."""

    def __init__(
        self, server: Server, clients: int, *, events: int = 0, seconds: float = 60, latency: bool = False
    ) -> None:
        command = [sys.executable, str(CLIENTS), "--port", str(server.port), "--path", server.contender.path]
        command += ["--clients", str(clients), "--events", str(events), "--seconds", str(seconds)]
        command += ["--latency"] if latency else []
        self._process = subprocess.Popen(
            ["taskset", "-c", "1", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.connected: float = self._line()["connected"]

    def go(self) -> None:
        """Begin to read."""
        self._say()

    def result(self) -> dict[str, Any]:
        """What it saw, when it has seen all."""
        return self._line()

    def end(self) -> None:
        """Let it disconnect."""
        self._say()
        self._process.wait()

    def _say(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def latency(
    contender: Contender, dsn: str, *, clients: int = 1000, rate: float = 20, seconds: float = 8
) -> dict[str, float]:
    """Milliseconds from before the INSERT to the client, at ``rate`` single-row transactions a second; CPU an event."""
    count = round(rate * seconds)
    with running(contender, dsn) as server, database.cursor(dsn) as cursor:
        load = Load(server, clients, events=count, latency=True)
        load.go()
        time.sleep(0.5)
        cpu, due = server.cpu(), time.monotonic()
        for _ in range(count):
            cursor.execute(f"INSERT INTO {contender.table} (sent, note) VALUES (%s, %s)", (time.time(), NOTE))
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))
        result = load.result()
        used = server.cpu() - cpu
        load.end()
    return {
        "p50 ms": result["p50"],
        "p99 ms": result["p99"],
        "CPU us/event": 1e6 * used / max(1, result["events"]),
        "missing": result["missing"],
        "generator busy": result["busy"],
    }


def burst(contender: Contender, dsn: str, *, clients: int = 1000, transactions: int = 2000) -> dict[str, float]:
    """Delivered events a second while single-row transactions come as fast as one writer can."""
    with running(contender, dsn) as server, database.cursor(dsn) as cursor:
        load = Load(server, clients, events=transactions)
        load.go()
        time.sleep(0.5)
        cpu = server.cpu()
        # all of them in one message, each its own transaction: the writer must not be what is measured
        statement = f"INSERT INTO {contender.table} (sent, note) VALUES (0, '{NOTE}'); COMMIT; BEGIN;"
        cursor.execute("BEGIN;" + statement * transactions + "COMMIT")
        result = load.result()
        used = server.cpu() - cpu
        load.end()
    return {
        "events/s": result["events"] / max(1e-9, result["seconds"]),
        "CPU us/event": 1e6 * used / max(1, result["events"]),
        "missing": result["missing"],
        "generator busy": result["busy"],
    }


def idle(contender: Contender, dsn: str, *, clients: int = 9000) -> dict[str, float]:
    """Memory an idle connection costs, and how many connect in a second."""
    with running(contender, dsn) as server:
        warm = Load(server, 50)
        warm.end()
        time.sleep(1)
        before = server.memory()
        load = Load(server, clients)
        time.sleep(2)
        grown = server.memory() - before
        load.end()
    return {"KiB/connection": grown / clients / 1024, "connects/s": clients / load.connected}
