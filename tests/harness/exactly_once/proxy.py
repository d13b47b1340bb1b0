"""A TCP proxy that cuts, resets, freezes and dribbles connections at chosen bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log
from random import Random

CUT, RESET, FREEZE, DRIBBLE, REQUEST = "cut", "reset", "freeze", "dribble", "request"
KINDS = (CUT, CUT, CUT, CUT, RESET, RESET, RESET, FREEZE, DRIBBLE, REQUEST)
_SHORTEST_REQUEST = 80
_REACHES = ((1, 600), (1_000, 20_000), (1_000, 20_000), (10_000, 100_000), (40_000, 200_000))


@dataclass(frozen=True)
class Fault:
    """What becomes of one connection once ``after`` bytes of its answer (``REQUEST``: of its request) have passed.

    Each kind ends the connection: at once by FIN or RST, or after ``seconds`` of silence or of a byte now and then. A
    connection on which so many never pass ends after ``life`` seconds.
    """

    kind: str
    after: int
    seconds: float
    life: float


def faults(random: Random) -> Callable[[], Fault]:
    """Faults without end: some in the headers or soon after, most in the first events, some after many of them."""

    def draw() -> Fault:
        kind = random.choice(KINDS)
        least, most = (1, _SHORTEST_REQUEST) if kind == REQUEST else random.choice(_REACHES)
        after = int(exp(random.uniform(log(least), log(most))))
        return Fault(kind, after, random.uniform(0.05, 0.8), random.uniform(0.5, 4.0))

    return draw


class Line:
    """A port whose connections go on to the port that ``target`` names, each with a fault drawn from ``draw``.

    ``made`` counts the faults that came to pass. To be used in one event loop.
    """

    def __init__(self, target: Callable[[], int], draw: Callable[[], Fault | None]) -> None:
        self._target = target
        self._draw = draw
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.made: list[Fault] = []
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def heal(self) -> None:
        """Break what is open, for the last time."""
        self._draw = lambda: None
        self.drop()

    def drop(self) -> None:
        """Break what is open."""
        for task in self._open:
            task.cancel()

    async def close(self) -> None:
        self._server.close()
        self.drop()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                upstream = await asyncio.open_connection("127.0.0.1", self._target())
                try:
                    await self._carry((reader, writer), upstream, self._draw())
                finally:
                    upstream[1].transport.abort()
            finally:
                writer.transport.abort()

    async def _carry(self, client: tuple, server: tuple, fault: Fault | None) -> None:
        """Pass bytes on in both directions until one of them ends."""
        asked = fault if fault and fault.kind == REQUEST else None
        answered = None if asked else fault
        ways = [
            asyncio.create_task(self._pump(client[0], server[1], asked)),
            asyncio.create_task(self._pump(server[0], client[1], answered)),
        ]
        try:
            life = None if fault is None else fault.life
            done, _ = await asyncio.wait(ways, timeout=life, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self.made.append(fault)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, fault: Fault | None) -> None:
        left = None if fault is None else fault.after
        while data := await source.read(1 << 16):
            if left is not None and len(data) > left:
                await _send(sink, data[:left])
                self.made.append(fault)
                await _strike(source, sink, fault, data[left:])
                return
            left = None if left is None else left - len(data)
            await _send(sink, data)
        await _finish(sink)


async def _strike(source: asyncio.StreamReader, sink: asyncio.StreamWriter, fault: Fault, data: bytes) -> None:
    if fault.kind == RESET:
        sink.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif fault.kind == FREEZE:
        await asyncio.sleep(fault.seconds)
    elif fault.kind == DRIBBLE:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(fault.seconds):
                await _dribble(source, sink, data)
    else:
        await _finish(sink)


async def _dribble(source: asyncio.StreamReader, sink: asyncio.StreamWriter, data: bytes) -> None:
    while data:
        for at in range(len(data)):
            await _send(sink, data[at : at + 1])
            await asyncio.sleep(0.003)
        data = await source.read(100)


async def _send(sink: asyncio.StreamWriter, data: bytes) -> None:
    sink.write(data)
    await sink.drain()


async def _finish(sink: asyncio.StreamWriter) -> None:
    """Let all that was written arrive, then FIN."""
    sink.close()
    await sink.wait_closed()
