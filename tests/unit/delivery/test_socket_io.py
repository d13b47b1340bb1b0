"""Writing to a connection: one that takes nothing is given up."""

from __future__ import annotations

import socket
import threading

import pytest

from sseapp.delivery import socket_io

LARGE = b"x" * (1 << 22)


@pytest.fixture
def pair():
    """A UNIX connection: the system ends none of those for taking nothing."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.timeout(10)
def test_a_write_that_nobody_takes_is_given_up(pair, monkeypatch):
    monkeypatch.setattr(socket_io, "STALL", 0.05)
    with pytest.raises(TimeoutError):
        socket_io.write_all(pair[0].fileno(), LARGE)


@pytest.mark.timeout(10)
def test_a_write_waits_for_who_takes_it_slowly(pair):
    ours, theirs = pair
    taken = []

    def take():
        while sum(taken) < len(LARGE):
            taken.append(len(theirs.recv(1 << 16)))

    taker = threading.Thread(target=take)
    taker.start()
    socket_io.write_all(ours.fileno(), LARGE)
    taker.join()
    assert sum(taken) == len(LARGE)


def test_what_a_client_sends_is_read_to_its_end(pair):
    ours, theirs = pair
    assert socket_io.takes_in(ours.fileno()), "nothing yet"
    theirs.send(b"GET")
    assert socket_io.takes_in(ours.fileno())
    with pytest.raises(BlockingIOError):
        ours.recv(1)
    theirs.close()
    assert not socket_io.takes_in(ours.fileno())
