"""Clients that never read, trickle, vanish, come and go by the thousand: memory is bounded, and nobody else notices."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing

import pytest
from harness.altered import altered
from harness.clusters import wait_until
from harness.network import deafen
from harness.site import site as serve_site
from harness.sse import request

STALL = 2.0
IMPATIENT = f"""
from sseapp.delivery import socket_io

socket_io.STALL = {STALL}
"""
MIB = 1 << 20
BOUND = 64 * MIB
"""What a worker may grow by: the rings (here 16 MiB), a piece of the log and a snapshot, twice while they are made."""
READER = """
import socket, sys, time
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
sock.sendall(sys.argv[2].encode())
while True:
    print(sock.recv(4096).decode(), end="", flush=True)
"""


@pytest.fixture(scope="module")
def site(clusters):
    """A server that gives clients 2 s instead of 30."""
    with (
        altered(IMPATIENT) as (_, options),
        serve_site(clusters.shared("pg18"), options=options, ring="8m", rings="16m") as found,
    ):
        yield found


def asked(table, *headers, query="", body=b""):
    target = f"/tables/{table}/changes{query}"
    named = [("Host", "localhost"), ("Accept", "text/event-stream"), *headers]
    return request("GET", target, named, close=False) + body


class Slow:
    """A client with a small buffer, which has read its snapshot when it is made."""

    def __init__(self, site, table):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(site.host.address)
        self.socket.sendall(asked(table))
        self.id = snapshot_id(lambda: self.socket.recv(4096))

    def trickle(self, stop):
        """A byte a moment."""
        while not stop.wait(0.1) and self.socket.recv(1):
            pass


def snapshot_id(read):
    """The id of the snapshot that ``read`` returns in pieces."""
    seen = b""
    while b"\nid: " not in seen or not seen.endswith(b"\n\n\r\n"):
        seen += read()
    return seen.rsplit(b"\nid: ", 1)[1].split(b"\n")[0].decode()


def stopped_reader(site, table, stack):
    """A process that reads until it is stopped. Its kernel still accepts bytes until its buffer is full."""
    command = [sys.executable, "-c", READER, str(site.host.address[1]), asked(table).decode()]
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    stack.callback(process.kill)
    found = snapshot_id(lambda: process.stdout.readline().replace(b"\n", b"\n"))
    process.send_signal(signal.SIGSTOP)
    return found


def test_clients_that_take_nothing_are_cut_and_come_back_right(site):
    """Four clients: one never reads, one reads single bytes, one has lost its machine, one has a stopped process."""
    table = site.table(rows="(0, 'x')")
    site.settled()
    cut = site.metric("streams_cut_total")
    with ExitStack() as stack:
        good = stack.enter_context(site.follow(table))
        good.event("snapshot")
        slow = [Slow(site, table) for _ in range(3)]
        for client in slow:
            stack.callback(client.socket.close)
        ids = [client.id for client in slow] + [stopped_reader(site, table, stack)]
        deafen(slow[2].socket)
        stop = threading.Event()
        trickle = threading.Thread(target=slow[1].trickle, args=(stop,), daemon=True)
        trickle.start()
        before = site.host.worker.memory_full_info().uss
        grown = [flood(site, table, good, number) - before for number in range(1, 16)]
        wait_until(lambda: site.metric("streams_open") == 1, 5 * STALL, "the end of those that take nothing")
        stop.set()
        assert max(grown) < BOUND, f"{max(grown) / MIB:.0f} MiB"
        # who has acknowledged nothing for that long may be ended by the kernel first
        assert site.metric("streams_cut_total") > cut
        wanted = dict(site.sql(f"SELECT id, length(a) FROM {table}"))
        for id_ in ids:
            assert {row: len(text) for row, text in told(site, table, id_).items()} == wanted


def flood(site, table, good, number):
    """A megabyte in a few rows; the good client has them within a second. The memory that the worker holds then."""
    began = time.monotonic()
    site.sql(f"INSERT INTO {table} SELECT {number} * 10 + n, repeat('y', 100000) FROM generate_series(0, 9) n")
    for _ in range(10):
        good.event("insert")
    assert time.monotonic() - began < 1.0 + STALL / 2
    return site.host.worker.memory_full_info().uss


def told(site, table, last_id):
    """The rows of a client that reconnects with ``last_id`` and the first row."""
    rows = {0: "x"}
    with site.follow(table, last_id=last_id) as stream:
        for block in iter(stream.block, None):
            if block.name == "snapshot":
                rows = {row["id"]: row["a"] for row in block.json["rows"]}
            elif block.name == "insert":
                rows[block.json["row"]["id"]] = block.json["row"]["a"]
            elif block.comments:
                return rows
    return rows


def test_a_client_that_reads_slowly_gets_its_snapshot(site):
    """A slow client is not cut while it takes some bytes, even if the whole takes longer than a stall."""
    table = site.table()
    site.sql(f"INSERT INTO {table} SELECT n, repeat('z', 10000) FROM generate_series(1, 2000) n")
    began = time.monotonic()
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.connect(site.host.address)
        client.sendall(asked(table))
        size, seen = 0, b""
        while not seen.endswith(b"\n\n\r\n") or b"\nid: " not in seen:
            time.sleep(0.015)
            data = client.recv(65536)
            assert data, f"cut off after {size} bytes and {time.monotonic() - began:.1f} s"
            size, seen = size + len(data), (seen + data)[-1000:]
    assert time.monotonic() - began > 1.5 * STALL, "too quick to prove anything"
    assert size > 2000 * 10000


def test_a_client_that_never_reads_its_snapshot_is_given_up(site):
    table = site.table()
    site.sql(f"INSERT INTO {table} SELECT n, repeat('z', 10000) FROM generate_series(1, 1000) n")
    site.settled()
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(site.host.address)
        client.sendall(asked(table))
        wait_until(lambda: site.metric("streams_open") == 1, what="its stream")
        wait_until(lambda: site.metric("streams_open") == 0, 5 * STALL, "the stream's end")


def test_a_client_on_a_unix_socket_that_never_reads_is_given_up(pg18):
    """On a Unix socket the system never ends a connection whose bytes are not taken."""
    with altered(IMPATIENT) as (folder, options):
        path = str(folder / "socket")
        binds = ("--bind", "127.0.0.1:0", "--bind", f"unix:{path}")
        with serve_site(pg18, options=(*options, *binds)) as site, closing(socket.socket(socket.AF_UNIX)) as client:
            table = site.table()
            site.sql(f"INSERT INTO {table} SELECT n, repeat('z', 10000) FROM generate_series(1, 1000) n")
            client.connect(path)
            client.sendall(asked(table))
            wait_until(lambda: site.metric("streams_open") == 1, what="its stream")
            wait_until(lambda: site.metric("streams_open") == 0, 5 * STALL, "the stream's end")


def test_a_client_that_never_reads_the_snapshot_of_a_reset_is_given_up(site):
    table = site.table(rows="(0, 'x')")
    site.sql(f"INSERT INTO {table} SELECT n FROM generate_series(1, 1000) n")
    site.settled()
    with closing(Slow(site, table).socket):
        assert site.metric("streams_open") == 1
        site.sql(f"ALTER TABLE {table} ADD b text DEFAULT repeat('z', 10000)")
        wait_until(lambda: site.metric("streams_open") == 0, 5 * STALL, "the stream's end")


def test_a_client_that_goes_while_it_is_reset_holds_no_place(site):
    """During a reset nobody watches its connection: only writing the snapshot notices."""
    table = site.table(rows="(0, 'x')")
    site.settled()
    descriptors = site.host.worker.num_fds()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'sseapp'"
    with site.follow(table) as stream, site.session() as session:
        stream.event("snapshot")
        site.sql(f"ALTER TABLE {table} ADD b text")
        session.execute(f"LOCK TABLE {table}")
        wait_until(lambda: site.sql(waiting) == [(1,)], what="the read of the snapshot")
        stream.cut()
        session.execute("COMMIT")
        site.settled()
    wait_until(lambda: site.host.worker.num_fds() <= descriptors + 1, what="its descriptor's end")


def test_a_client_that_is_too_slow_for_the_ring_gets_the_rest_from_the_log(site):
    """It has taken what it was sent, and what came next is gone from the ring."""
    table = site.table(rows="(0, 'x')")
    site.settled()
    cut = site.metric("streams_cut_total")
    with closing(Slow(site, table).socket) as client:
        for number in range(1, 4):
            # by far more than the ring, and than what the kernel takes: it stands behind when it reads on
            site.sql(
                f"INSERT INTO {table} SELECT {number} * 100 + n, repeat('y', 100000) FROM generate_series(1, 99) n"
            )
        site.caught_up()
        client.settimeout(10)
        seen, count, mark = bytearray(), 0, b"event: insert"
        while count < 3 * 99 or not seen.endswith(b"\n\n\r\n"):
            data = client.recv(1 << 20)
            count += (seen[1 - len(mark) :] + data).count(mark)
            seen += data
        told = [int(id_) for id_ in re.findall(rb'event: insert\ndata: {"row":{"id":(\d+)', seen)]
        assert told == [number * 100 + n for number in range(1, 4) for n in range(1, 100)]
    assert site.metric("streams_cut_total") == cut


def test_a_client_that_vanished_is_noticed_by_the_heartbeats(site):
    """It gets heartbeats only. They fit into the kernel's buffers for days, and nobody acknowledges them."""
    table = site.table(rows="(0, 'x')")
    site.settled()
    with closing(Slow(site, table).socket) as client:
        assert site.metric("streams_open") == 1
        deafen(client)
        wait_until(lambda: site.metric("streams_open") == 0, 5 * STALL, "the stream's end")


@pytest.mark.slow
def test_thousands_that_connect_and_drop(site):
    """They drop at every stage of the answer and leave nothing behind; a client that stays is served in time."""
    table = site.table(rows="(1, 'x')")
    site.settled()
    with site.follow(table) as good:
        good.event("snapshot")
        worker = site.host.worker
        group(site, table, 100)
        descriptors, before = worker.num_fds(), worker.memory_full_info().uss
        thread = threading.Thread(target=group, args=(site, table, 1500))
        thread.start()
        number = 1
        while thread.is_alive():
            number += 1
            began = time.monotonic()
            site.sql(f"INSERT INTO {table} VALUES ({number}, 'y')")
            good.event("insert")
            assert time.monotonic() - began < 5.0
        thread.join()
        site.settled(1)
        wait_until(lambda: worker.num_fds() <= descriptors + 5, what="their descriptors' end")
        assert worker.memory_full_info().uss - before < BOUND / 2


def group(site, table, count):
    for number in range(count):
        client = socket.create_connection(site.host.address, timeout=10)
        client.sendall(asked(table)[: None if number % 3 else 40])
        if number % 3 == 1:
            client.recv(100)
        if number % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()


@pytest.mark.parametrize("way", ["FIN", "RST"])
def test_a_client_that_goes_is_noticed_at_once(pg18, way):
    """At once, not at the next heartbeat, which comes much later."""
    with serve_site(pg18, heartbeat="1m") as site:
        table = site.table(rows="(1, 'x')")
        streams = [site.follow(table) for _ in range(5)]
        for stream in streams:
            stream.event("snapshot")
        assert site.metric("streams_open") == 5
        for stream in streams:
            if way == "RST":
                stream.cut()
            else:
                stream.__exit__()
        site.settled()


def test_a_body_on_a_stream_is_read_and_forgotten(site):
    """The body does not stop the stream, and none of it is taken for another request."""
    table = site.table(rows="(1, 'x')")
    body = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20000
    with closing(socket.create_connection(site.host.address, timeout=10)) as client:
        client.sendall(asked(table, ("Content-Length", str(len(body)))))
        assert snapshot_id(lambda: client.recv(65536))
        client.sendall(body)
        site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
        seen = b""
        while b"event: insert" not in seen:
            seen += client.recv(65536)
        assert b"HTTP/1.1" not in seen


def test_ten_megabytes_of_headers_are_refused(site):
    worker = site.host.worker
    before = worker.memory_full_info().uss
    for header in (b"X: " + b"y" * 10 * MIB, b"X: y\r\n" * (10 * MIB // 6)):
        with closing(socket.create_connection(site.host.address, timeout=10)) as client:
            try:
                client.sendall(b"GET /tables HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
                answer = client.recv(4096)
            except ConnectionError:
                answer = b""  # it did not wait for the end of them
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")), answer
    assert worker.memory_full_info().uss - before < BOUND / 2
    assert site.get("/healthz").status == 200
