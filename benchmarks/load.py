"""The load generator's process, seen from the benchmark that gives it its orders."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from clients import Order
from contenders import Server

CLIENTS = Path(__file__).with_name("clients.py")


class Load:
    """So many clients of ``server`` on core 1, the one that is not the server's; connected when it has been made.

    With ``core`` None they are on any. ``order`` are the fields of :class:`~clients.Order`; left out, all ask for the
    contender's own path.
    """

    def __init__(self, server: Server, clients: int, *, core: int | None = 1, **order: Any) -> None:
        contender = server.contender
        defaults: dict[str, Any] = {"asks": [(contender.path, None)], "ready": contender.ready}
        self._process = subprocess.Popen(
            [*([] if core is None else ["taskset", "-c", str(core)]), sys.executable, str(CLIENTS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(json.dumps(asdict(Order(server.port, clients, **(defaults | order)))))
        found = self._line()
        self.connected: float = found["connected"]
        self.busy: float = found["busy"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Have all clients disconnect."""
        with suppress(BrokenPipeError):
            self._process.communicate("\n")

    def go(self) -> None:
        """Begin to read."""
        self._say("")

    def expect(self, events: int) -> None:
        """Say how many events there will have been for all clients together."""
        self._say(str(events))

    def result(self) -> dict[str, Any]:
        """What they saw, when they have seen all."""
        return self._line()

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit("The load generator has ended; its last words are above.")
        found: dict[str, Any] = json.loads(line)
        return found
