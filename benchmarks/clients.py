"""The load generator: many clients in one process, on raw sockets and one epoll. Prints what it saw as JSON.

It counts events (blank lines after data), and takes an event's latency from the ``"sent":<seconds>`` in its data: the
writer's clock, on this machine. How busy it was itself is in the result (``busy``): beyond 0.9 the generator was the
limit, not the server.
"""

from __future__ import annotations

import argparse
import json
import re
import select
import socket
import sys
import time
from statistics import quantiles

SENT = re.compile(rb'"sent":(\d+\.\d+)')
EVENT = b"\ndata: {"


def request(path: str) -> bytes:
    """A request for an event stream."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream", "", ""]
    return "\r\n".join(lines).encode()


def connect(port: int, path: str, count: int, at_once: int = 100) -> tuple[list[socket.socket], float]:
    """Open ``count`` streams, ``at_once`` at a time; they, and the seconds until the first bytes of each were here."""
    began = time.perf_counter()
    streams: list[socket.socket] = []
    while len(streams) < count:
        batch = [socket.create_connection(("127.0.0.1", port)) for _ in range(min(at_once, count - len(streams)))]
        for stream in batch:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.sendall(request(path))
        for stream in batch:
            stream.settimeout(60)
            if b" 200 " not in stream.recv(65536):
                sys.exit("a stream was refused")
            stream.setblocking(False)
        streams += batch
    return streams, time.perf_counter() - began


def follow(streams: list[socket.socket], expected: int, seconds: float, *, latency: bool) -> dict[str, object]:
    """Read until ``expected`` events came on every stream, or ``seconds`` have passed."""
    poll = select.epoll()
    by_descriptor = {stream.fileno(): stream for stream in streams}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    counts, latencies, first, last = dict.fromkeys(by_descriptor, 0), [], None, None
    end, tail, cpu = time.perf_counter() + seconds, dict.fromkeys(by_descriptor, b""), time.process_time()
    began = time.perf_counter()
    total, wanted = 0, expected * len(streams)
    while total < wanted and (left := end - time.perf_counter()) > 0:
        for descriptor, _ in poll.poll(left):
            try:
                data = by_descriptor[descriptor].recv(1 << 18)
            except BlockingIOError:
                continue
            if not data:
                poll.unregister(descriptor)
                continue
            now = time.time()
            joined = tail[descriptor] + data
            found = joined.count(EVENT)
            # the last bytes may hold the beginning of a mark that ends in the next ones
            tail[descriptor] = joined[-len(EVENT) + 1 :] if not latency else joined[joined.rfind(b"\n") :]
            if latency:
                latencies += [now - float(sent) for sent in SENT.findall(joined)]
            if found:
                counts[descriptor] += found
                total += found
                last = time.perf_counter()
                first = first or last
    took = time.perf_counter() - began
    result: dict[str, object] = {
        "events": total,
        "missing": wanted - total,
        "seconds": (last or 0) - (first or 0),
        "busy": (time.process_time() - cpu) / took,
    }
    if latencies:
        cuts = quantiles(latencies, n=100)
        result |= {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000, "max": max(latencies) * 1000}
    return result


def main() -> None:
    """Connect, say so on standard output, wait for a line on standard input, follow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--latency", action="store_true")
    arguments = parser.parse_args()
    streams, took = connect(arguments.port, arguments.path, arguments.clients)
    print(json.dumps({"connected": took}), flush=True)
    sys.stdin.readline()
    if arguments.events:
        result = follow(streams, arguments.events, arguments.seconds, latency=arguments.latency)
        print(json.dumps(result), flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
