"""Clients that stand alike are a crowd; one that takes nothing leaves it, and is waited for."""

from __future__ import annotations

import errno
import select
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from sseapp import broadcaster, concurrency
from sseapp.broadcaster import Broadcaster, HandedOverError
from sseapp.channel import Channel
from sseapp.cursor import Snapshot
from sseapp.ring import Frame
from sseapp.standing import Standing, StandingInLog
from sseapp.wire import chunk

LARGE = b"x" * (1 << 22)


class Hub:
    position = Snapshot(9)


class Follower:
    """What a subscription is to the broadcaster."""

    handed_over = False

    def __init__(self, channel, position=0):
        self.channel = channel
        self.standing = Standing(channel, position)
        self.closed = self.was_cut = False

    def ending(self):
        return b"bye"

    def cut(self):
        self.was_cut = True

    def close(self):
        self.closed = True


class Ground:
    """A broadcaster whose passes the test makes, and its clients' far ends."""

    def __init__(self):
        self.channel = Channel(limit=1 << 30)
        self.broadcaster = Broadcaster(heartbeat=8.0, closing=lambda: False)
        self.sockets = []

    def pair(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.sockets += [ours, theirs]
        return ours, theirs

    def client(self, position=0, *, standing=None, pair=None):
        ours, theirs = pair or self.pair()
        follower = Follower(self.channel, position)
        follower.standing = standing or follower.standing
        with pytest.raises(HandedOverError):
            self.broadcaster.hand_over(ours.fileno(), follower, chunked=True)
        ours.close()
        return follower, theirs

    def tell(self, data):
        self.channel.append(Frame(Snapshot(1), Snapshot(1), raw=data))
        self.broadcaster._pass()


@pytest.fixture
def ground(monkeypatch):
    monkeypatch.setattr(concurrency, "epoll", select.epoll)
    monkeypatch.setattr(concurrency, "start", lambda *_: None)
    found = Ground()
    yield found
    for client in list(found.broadcaster._clients.values()):
        found.broadcaster._drop(client)
    for one in found.sockets:
        one.close()


def _taken(stream):
    """All that has come."""
    data = b""
    while True:
        try:
            data += (piece := stream.recv(1 << 20))
        except BlockingIOError:
            return data
        if not piece:
            return data


def test_those_who_stand_alike_share_their_standing(ground):
    (one, first), (two, second) = ground.client(), ground.client()
    ground.tell(b"a")
    ground.tell(b"b")
    assert _taken(first) == _taken(second) == chunk(b"a") + chunk(b"b")
    assert one.standing is two.standing


def test_who_stands_elsewhere_is_told_what_it_lacks_and_then_comes_in(ground):
    (one, first), _ = ground.client(), ground.tell(b"a")
    (two, second), (three, third) = ground.client(position=0), ground.client(position=1)
    ground.broadcaster._pass()
    assert [_taken(stream) for stream in (first, second, third)] == [chunk(b"a"), chunk(b"a"), b""]
    ground.tell(b"b")
    assert [_taken(stream) for stream in (first, second, third)] == [chunk(b"b")] * 3
    assert one.standing is two.standing is three.standing


def test_who_stands_otherwise_stays_alone(ground):
    """They are sent the same now, but their heartbeats will not be the same."""
    standings = [StandingInLog(ground.channel, 0, Hub(), Snapshot(5), has_id=has_id) for has_id in (True, False)]
    (one, first), (two, second) = [ground.client(standing=standing) for standing in standings]
    ground.tell(b"a")
    assert _taken(first) == _taken(second) == chunk(b"a")
    assert one.standing is not two.standing


def test_who_went_before_it_was_served_leaves_its_descriptor_to_another(ground):
    gone, _ = ground.client()
    (client,) = ground.broadcaster._clients.values()
    pair = ground.pair()
    ground.broadcaster._drop(client)
    ground.channel.append(Frame(Snapshot(1), Snapshot(1), raw=b"a"))
    _, stream = ground.client(pair=pair)
    (successor,) = ground.broadcaster._clients.values()
    assert (gone.closed, successor.descriptor) == (True, client.descriptor)
    ground.broadcaster._pass()
    assert _taken(stream) == chunk(b"a")


def test_who_takes_nothing_leaves_the_crowd_and_comes_back(ground):
    (one, first), (two, second) = ground.client(), ground.client()
    ground.tell(b"a")
    ground.tell(LARGE)
    had = _taken(first)
    while len(had) < len(chunk(b"a") + chunk(LARGE)):
        ground.broadcaster._pass()
        had += _taken(first)
    ground.tell(b"b")
    assert had + _taken(first) == chunk(b"a") + chunk(LARGE) + chunk(b"b")
    assert one.standing is not two.standing
    had = b""
    while not had.endswith(chunk(b"b")):
        had += _taken(second)
        ground.broadcaster._pass()
    assert had == chunk(b"a") + chunk(LARGE) + chunk(b"b")
    ground.tell(b"c")
    assert _taken(first) == _taken(second) == chunk(b"c")
    assert one.standing is two.standing


def test_who_goes_leaves_the_others_where_they_are(ground):
    (one, first), (two, second) = ground.client(), ground.client()
    ground.tell(b"a")
    first.close()
    ground.tell(b"b")
    assert (one.closed, two.closed, _taken(second)) == (True, False, chunk(b"a") + chunk(b"b"))
    second.close()
    ground.broadcaster._pass()
    assert two.closed
    assert (ground.channel.watcher, ground.broadcaster._crowds, dict(ground.broadcaster._by_channel)) == (None, {}, {})


def test_a_reset_is_everybodys(ground, monkeypatch):
    followers = [ground.client()[0] for _ in range(3)]
    ground.tell(b"a")
    again = []
    monkeypatch.setattr(ground.broadcaster, "_start_again", lambda client, reset: again.append((client, reset.reason)))
    ground.channel.end("over")
    ground.broadcaster._pass()
    assert sorted(id(client.subscription) for client, _ in again) == sorted(map(id, followers))
    assert {reason for _, reason in again} == {"over"}


def test_a_crowd_that_is_too_slow_for_its_ring_is_cut(ground):
    (one, _), (two, _) = ground.client(), ground.client()
    ground.tell(b"a")
    for _ in range(3):
        ground.channel.append(Frame(Snapshot(1), Snapshot(1), raw=b"b"))
    ground.channel.resize(1)
    ground.broadcaster._pass()
    assert (one.was_cut, two.was_cut, one.closed, two.closed) == (True, True, True, True)


def test_a_heartbeat_goes_to_all_who_heard_nothing(ground, monkeypatch):
    clients = [ground.client()[1] for _ in range(3)]
    ground.tell(b"a")
    assert [_taken(client) for client in clients] == [chunk(b"a")] * 3
    now = broadcaster.monotonic() + 6.9
    monkeypatch.setattr(broadcaster, "monotonic", lambda: now)
    ground.broadcaster._beat()
    assert [_taken(client) for client in clients] == [b""] * 3
    ground.tell(b"b")
    assert [_taken(client) for client in clients] == [chunk(b"b")] * 3
    monkeypatch.setattr(broadcaster, "monotonic", lambda: now + 6.9)
    ground.broadcaster._beat()
    assert [_taken(client) for client in clients] == [b""] * 3
    monkeypatch.setattr(broadcaster, "monotonic", lambda: now + 7.1)
    ground.broadcaster._beat()
    beats = [_taken(client) for client in clients]
    assert beats == [chunk(Standing(ground.channel).heartbeat())] * 3


def test_one_that_comes_when_all_were_sent_off_is_sent_off_too(ground):
    """Its snapshot took longer than the end of the process: it would wait for ever."""
    ground.broadcaster.done.set()
    follower, stream = ground.client()
    assert _taken(stream) == chunk(b"bye") + chunk(b"")
    assert follower.closed
    assert stream.recv(1) == b""


def test_one_that_cannot_be_watched_stays_its_host_s(ground, monkeypatch):
    ground.client()
    clients = len(ground.broadcaster._clients)
    follower, (ours, _) = Follower(ground.channel), ground.pair()
    before = set(Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(ground.broadcaster, "_poll", SimpleNamespace(register=_refuse))
    with pytest.raises(OSError, match="no room"):
        ground.broadcaster.hand_over(ours.fileno(), follower, chunked=True)
    monkeypatch.undo()
    assert not follower.handed_over
    assert len(ground.broadcaster._clients) == clients
    assert set(Path("/proc/self/fd").iterdir()) == before


def _refuse(*_):
    raise OSError(errno.ENOSPC, "no room")
