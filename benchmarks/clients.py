"""The load generator: many clients in one process, on raw sockets and one epoll; prints what it saw, as JSON.

Its first line of input is its order, an :class:`Order` as JSON. When all are connected it prints that, waits for a
line, follows, prints the result, and waits for a line to end with. How busy it was itself is in both (``busy``, CPU
seconds a second): beyond 0.9 the generator was the limit, not the server.

A latency ends when the kernel has the event for the client (``SO_TIMESTAMPNS``, socket(7)), not when this process comes
to read it: with a thousand clients in one process that would be its own queue. Where several events are read at once,
all have the time of the last.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from statistics import quantiles

SENT = re.compile(rb'"sent":(\d+\.\d+)')
EVENT = b"\ndata: {"
RECEIVE = 1 << 18
SO_TIMESTAMPNS = 35  # of asm-generic/socket.h, which Python does not have
TIMESPEC = struct.Struct("ll")
_LINE_END = ord("\n")
ANCILLARY = socket.CMSG_SPACE(TIMESPEC.size)


@dataclass(frozen=True)
class Order:
    """What the clients are to do.

    Client n asks the n-th of ``asks``, round and round: a path and a ``Last-Event-ID``, or none. It is connected when
    ``ready`` and then ``first`` events are there. No more than ``window`` at a time wait for that. The clients follow
    until they have had ``events`` all together, or for ``seconds``; without ``events`` a line of input tells them in
    between. ``timed`` takes each event's latency from the ``"sent":<seconds>`` in its data, the writer's clock on this
    machine; ``results`` counts rows instead of events, those that were sent after all that came before on the stream.
    ``together``: connecting and following are one.
    """

    port: int
    clients: int
    asks: Sequence[tuple[str, str | None]]
    ready: str = " 200 "
    first: int = 0
    window: int = 100
    events: int | None = 0
    seconds: float = 60
    timed: bool = False
    results: bool = False
    together: bool = False

    def request(self, number: int) -> bytes:
        """What client ``number`` sends."""
        path, last = self.asks[number % len(self.asks)]
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream"]
        return "\r\n".join([*lines, *([] if last is None else [f"Last-Event-ID: {last}"]), "", ""]).encode()


class Client:
    """A stream: its socket, its last line as far as it has come, how many events it has had, the newest one's time."""

    __slots__ = ("events", "newest", "ready", "stream", "tail")

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.tail = b""
        self.events = 0
        self.newest = 0.0
        self.ready = False


class Group:
    """All clients."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._ready = order.ready.encode()
        self._poll = select.epoll()
        self._buffer = memoryview(bytearray(RECEIVE))
        self._clients: dict[int, Client] = {}
        self._begin()
        self._lost = 0

    def _begin(self) -> None:
        self._total = 0
        self._latencies: list[float] = []
        self._first = self._last = 0.0
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def _busy(self) -> float:
        return (time.process_time() - self._cpu) / (time.perf_counter() - self._began)

    def connect(self) -> dict[str, float]:
        """Open all streams, and hear what each begins with; the seconds it took."""
        order, connected = self._order, 0
        while connected < order.clients:
            while len(self._clients) < order.clients and len(self._clients) - connected < order.window:
                self._open(len(self._clients))
            for descriptor, _ in self._poll.poll(60) or sys.exit("the server does not answer"):
                client = self._clients[descriptor]
                was_ready = self._is_ready(client)
                if not self._hear(client):
                    sys.exit(f"a stream was refused: {client.tail!r}")
                connected += not was_ready and self._is_ready(client)
        return {"connected": time.perf_counter() - self._began, "busy": self._busy()}

    def follow(self, orders: FileIO) -> dict[str, float]:
        """Read until all have had what was ordered; a line of ``orders`` may tell how much that is."""
        if not self._order.together:
            self._begin()
        wanted = self._order.events
        end = time.perf_counter() + self._order.seconds
        self._poll.register(orders, select.EPOLLIN)
        while (wanted is None or self._total < wanted) and (left := end - time.perf_counter()) > 0:
            for descriptor, _ in self._poll.poll(left):
                if descriptor != orders.fileno():
                    self._hear(self._clients[descriptor])
                elif wanted is None and (line := orders.readline()):
                    wanted = int(line)
                else:
                    sys.exit("told to end before all had come")
        result = {
            "events": self._total,
            "missing": (wanted or 0) - self._total,
            "lost": self._lost,
            "seconds": self._last - self._first,
            "all": self._last - self._began,
            "busy": self._busy(),
        }
        if len(self._latencies) > 1:
            cuts = quantiles(self._latencies, n=100)
            result |= {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000, "max": max(self._latencies) * 1000}
        return result

    def _open(self, number: int) -> None:
        stream = socket.create_connection(("127.0.0.1", self._order.port))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.sendall(self._order.request(number))
        if self._order.timed:
            stream.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        stream.setblocking(False)
        self._clients[stream.fileno()] = Client(stream)
        self._poll.register(stream.fileno(), select.EPOLLIN)

    def _is_ready(self, client: Client) -> bool:
        return client.ready and client.events >= self._order.first

    def _hear(self, client: Client) -> bool:
        """Read what has come; whether the stream goes on."""
        try:
            size, stamps, _, _ = client.stream.recvmsg_into([self._buffer], ANCILLARY)
        except BlockingIOError:
            return True
        except OSError:
            size = 0
        if not size:
            self._poll.unregister(client.stream.fileno())
            self._lost += 1
            return False
        data = bytes(self._buffer[:size])
        if client.tail or data[-1] != _LINE_END:
            # whole lines only: what comes of the last one is counted with the rest of it
            data = client.tail + data
            cut = max(0, data.rfind(b"\n"))
            data, client.tail = data[:cut], data[cut:]
        if not client.ready:
            client.ready = self._ready in data
        found = data.count(EVENT)
        client.events += found
        if found and self._order.timed:
            found = self._time(client, data, found, _arrival(stamps))
        if found:
            self._total += found
            self._last = time.perf_counter()
            self._first = self._first or self._last
        return True

    def _time(self, client: Client, data: bytes, found: int, arrival: float) -> int:
        """Take the latencies of what has come; how many events count."""
        sent = [float(text) for text in SENT.findall(data)]
        if self._order.results and sent:
            sent = [each for each in sent if each > client.newest]
            client.newest = max([client.newest, *sent])
            found = len(sent)
        self._latencies += [arrival - each for each in sent]
        return found


def _arrival(stamps: list[tuple[int, int, bytes]]) -> float:
    """When the last of what was read came; now where the kernel does not say, as before its first stamps."""
    if not stamps:
        return time.time()
    seconds, nanoseconds = TIMESPEC.unpack(stamps[0][2][: TIMESPEC.size])
    return float(seconds + nanoseconds / 1e9)


def main() -> None:
    """Take the order, connect, follow."""
    # unbuffered: what is not read yet must be seen by the poll
    orders = FileIO(0, closefd=False)
    order = Order(**json.loads(orders.readline()))
    group = Group(order)
    print(json.dumps(group.connect()), flush=True)
    if not order.together:
        orders.readline()
    if order.events != 0:
        print(json.dumps(group.follow(orders)), flush=True)
        orders.readline()


if __name__ == "__main__":
    main()
