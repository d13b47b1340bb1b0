"""Clients that stand alike are a group; one that takes nothing leaves it, and is waited for."""

from __future__ import annotations

import errno
import os
import select
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from harness.clusters import wait_until

from sseapp import concurrency
from sseapp.delivery import broadcaster
from sseapp.delivery import client as client_module
from sseapp.delivery import progress as progress_module
from sseapp.delivery.broadcaster import Broadcaster
from sseapp.delivery.progress import LogProgress, Progress
from sseapp.delivery.socket_io import STALL, chunk
from sseapp.errors import HandedOverError
from sseapp.events.ring import Frame
from sseapp.live import channel
from sseapp.live.channel import Channel
from sseapp.log.cursor import Snapshot

LARGE = b"x" * (1 << 22)
either_way = pytest.mark.parametrize("chunked", [True, False], ids=["in a group", "alone"])


class Hub:
    upto = Snapshot(9)


class State:
    """That of the server, as the test sets it."""

    live = True

    def told(self):
        return self.live, str(self.live)


def _knowing(progress):
    progress.told_live = True
    return progress


def _state(text):
    return b":\nevent: state\ndata: %s\n\n" % text


class Follower:
    """What a subscription is to the broadcaster. Its client knows that the server is live."""

    handed_over = False
    follows = True

    def __init__(self, channel, frame_number=0):
        self.channel = channel
        self.progress = _knowing(Progress(channel, frame_number))
        self.closed = self.was_cut = False

    def body(self, *, follow, error):
        self.channel = Channel(limit=1 << 30)
        self.progress = _knowing(Progress(self.channel))
        yield getattr(error, "reason", "overrun").encode()
        if self.follows:
            yield from follow()

    def ending(self):
        return b"bye"

    def cut(self):
        self.was_cut = True

    def close(self):
        self.closed = True


class Ground:
    """A broadcaster whose passes the test makes and whose clock it sets, and its clients' far ends."""

    now = 0.0

    def __init__(self):
        self.channel = Channel(limit=1 << 30)
        self.state = State()
        self.broadcaster = Broadcaster(heartbeat=8.0, state=self.state, closing=lambda: False)
        self.sockets = []

    def pair(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.sockets += [ours, theirs]
        return ours, theirs

    def client(self, frame_number=0, *, progress=None, pair=None, chunked=True):
        ours, theirs = pair or self.pair()
        follower = Follower(self.channel, frame_number)
        follower.progress = progress or follower.progress
        with pytest.raises(HandedOverError):
            self.broadcaster.hand_over(ours.fileno(), follower, chunked=chunked)
        ours.close()
        return follower, theirs

    def append(self, data):
        self.channel.append(Frame(Snapshot(1), Snapshot(1), raw=data))

    def tell(self, data):
        self.append(data)
        self.broadcaster._pass()

    def is_called(self):
        """Whether another pass would begin at once."""
        return concurrency.wait_for(self.broadcaster._poll.fileno(), timeout=0)

    def taken(self, stream, size):
        """What has come of ``size`` bytes, with a pass after each look."""
        data = bytearray()

        def is_all():
            data.extend(_taken(stream))
            self.broadcaster._pass()
            return len(data) >= size

        wait_until(is_all, pause=0)
        return bytes(data)


@pytest.fixture
def ground(monkeypatch):
    monkeypatch.setattr(concurrency, "epoll", select.epoll)
    monkeypatch.setattr(concurrency, "start", lambda *_: None)
    found = Ground()
    for module in (broadcaster, client_module, progress_module):
        monkeypatch.setattr(module, "monotonic", lambda: found.now)
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


def _sent(chunked, *pieces):
    """``pieces`` as they go to a client."""
    return b"".join(map(chunk if chunked else bytes, pieces))


def test_those_who_stand_alike_share_their_standing(ground):
    (one, first), (two, second) = ground.client(), ground.client()
    ground.tell(b"a")
    ground.tell(b"b")
    assert _taken(first) == _taken(second) == chunk(b"a") + chunk(b"b")
    assert one.progress is two.progress


def test_who_stands_elsewhere_is_told_what_it_lacks_and_then_comes_in(ground):
    (one, first), _ = ground.client(), ground.tell(b"a")
    (two, second), (three, third) = ground.client(frame_number=0), ground.client(frame_number=1)
    ground.broadcaster._pass()
    assert [_taken(stream) for stream in (first, second, third)] == [chunk(b"a"), chunk(b"a"), b""]
    ground.tell(b"b")
    assert [_taken(stream) for stream in (first, second, third)] == [chunk(b"b")] * 3
    assert one.progress is two.progress is three.progress


def test_who_stands_otherwise_stays_alone(ground):
    """They are sent the same now, but their heartbeats will not be the same."""
    progresses = [
        _knowing(LogProgress(ground.channel, 0, Hub(), Snapshot(5), has_id=has_id)) for has_id in (True, False)
    ]
    (one, first), (two, second) = [ground.client(progress=progress) for progress in progresses]
    ground.tell(b"a")
    assert _taken(first) == _taken(second) == chunk(b"a")
    assert one.progress is not two.progress


def test_who_went_before_it_was_served_leaves_its_descriptor_to_another(ground):
    gone, _ = ground.client()
    (client,) = ground.broadcaster._clients.values()
    pair = ground.pair()
    ground.broadcaster._drop(client)
    ground.append(b"a")
    _, stream = ground.client(pair=pair)
    (successor,) = ground.broadcaster._clients.values()
    assert (gone.closed, successor.descriptor) == (True, client.descriptor)
    ground.broadcaster._pass()
    assert _taken(stream) == chunk(b"a")


def test_who_takes_nothing_leaves_the_crowd_and_comes_back(ground):
    (one, first), (two, second) = ground.client(), ground.client()
    ground.tell(b"a")
    ground.tell(LARGE)
    had = chunk(b"a") + chunk(LARGE)
    assert ground.taken(first, len(had)) == had
    ground.tell(b"b")
    assert _taken(first) == chunk(b"b")
    assert one.progress is not two.progress
    assert ground.taken(second, len(had + chunk(b"b"))) == had + chunk(b"b")
    ground.tell(b"c")
    assert _taken(first) == _taken(second) == chunk(b"c")
    assert one.progress is two.progress


def test_who_goes_leaves_the_others_where_they_are(ground):
    (one, first), (two, second) = ground.client(), ground.client()
    ground.tell(b"a")
    first.close()
    ground.tell(b"b")
    assert (one.closed, two.closed, _taken(second)) == (True, False, chunk(b"a") + chunk(b"b"))
    second.close()
    ground.broadcaster._pass()
    assert two.closed
    assert (ground.channel.watcher, ground.broadcaster._groups, ground.broadcaster._clients) == (None, {}, {})


@either_way
def test_who_goes_between_the_look_and_the_sending_is_dropped(ground, monkeypatch, chunked):
    (gone, stream), (one, other) = ground.client(chunked=chunked), ground.client(chunked=chunked)
    ground.tell(b"a")
    monkeypatch.setattr(ground.broadcaster, "_on_events", lambda *_: None)
    stream.close()
    ground.tell(b"b")
    assert (gone.closed, one.closed, _taken(other)) == (True, False, _sent(chunked, b"a", b"b"))


def test_who_goes_while_it_is_behind_is_dropped(ground):
    follower, stream = ground.client()
    ground.tell(LARGE)
    (client,) = ground.broadcaster._clients.values()
    stream.close()
    ground.broadcaster._send_backlog(client)
    assert follower.closed


@either_way
def test_who_has_taken_all_calls_for_no_further_pass(ground, chunked):
    """It could be sent more at any time: the broadcaster would turn in circles."""
    _, stream = ground.client(chunked=chunked)
    ground.tell(LARGE)
    assert not ground.is_called(), "it takes nothing"
    ground.taken(stream, len(LARGE))
    assert not ground.is_called()


@either_way
def test_one_pass_brings_all_however_much(ground, monkeypatch, chunked):
    """A take brings a frame's worth, and the next event may be hours away."""
    for module in (broadcaster, channel):
        monkeypatch.setattr(module, "FRAME_SIZE", 2)
    _, stream = ground.client(chunked=chunked)
    ground.tell(b"a")
    for data in (b"bc", b"de", b"f"):
        ground.append(data)
    ground.broadcaster._pass()
    assert _taken(stream) == _sent(chunked, b"a", b"bc", b"de", b"f")


def test_the_bell_can_be_rung_again_after_each_pass(ground):
    ground.client()
    for data in (b"a", b"b"):
        ground.broadcaster._pass()
        assert not ground.is_called()
        ground.append(data)
        assert ground.is_called()


def test_what_a_client_sends_is_read_and_forgotten(ground):
    follower, stream = ground.client()
    ground.tell(b"a")
    stream.send(b"GET / HTTP/1.1\r\n\r\n")
    assert ground.is_called()
    ground.broadcaster._pass()
    assert (follower.closed, ground.is_called()) == (False, False)


def test_a_reset_is_everybodys(ground, monkeypatch):
    followers = [ground.client()[0] for _ in range(3)]
    ground.tell(b"a")
    again = []
    monkeypatch.setattr(ground.broadcaster, "_catch_up", lambda client, reset: again.append((client, reset.reason)))
    ground.channel.end("over")
    ground.broadcaster._pass()
    assert sorted(id(client.subscription) for client, _ in again) == sorted(map(id, followers))
    assert {reason for _, reason in again} == {"over"}


@either_way
def test_each_comes_back_after_a_reset(ground, monkeypatch, chunked):
    follower, stream = ground.client(chunked=chunked)
    ground.tell(b"a")
    monkeypatch.setattr(concurrency, "start", lambda _, target: target())
    ground.channel.end("over")
    ground.broadcaster._pass()
    ground.channel = follower.channel
    ground.tell(b"b")
    assert (follower.closed, _taken(stream)) == (False, _sent(chunked, b"a", b"over", b"b"))


@either_way
def test_who_does_not_come_back_after_a_reset_is_let_go(ground, monkeypatch, chunked):
    (follower, stream), (gone, closed) = ground.client(chunked=chunked), ground.client(chunked=chunked)
    ground.tell(b"a")
    monkeypatch.setattr(concurrency, "start", lambda _, target: target())
    monkeypatch.setattr(ground.broadcaster, "_on_events", lambda *_: None)
    follower.follows = False
    closed.close()
    ground.channel.end("over")
    ground.broadcaster._pass()
    assert (follower.closed, gone.closed) == (True, True)
    assert _taken(stream) == _sent(chunked, b"a", b"over", b"")
    assert stream.recv(1) == b""


@either_way
def test_who_is_too_slow_for_its_ring_reads_the_log_and_comes_back(ground, monkeypatch, chunked):
    clients = [ground.client(chunked=chunked) for _ in range(2)]
    ground.tell(b"a")
    for _ in range(3):
        ground.append(b"b")
    ground.channel.resize(1)
    monkeypatch.setattr(concurrency, "start", lambda _, target: target())
    ground.broadcaster._pass()
    assert [(follower.was_cut, follower.closed) for follower, _ in clients] == [(False, False)] * 2
    assert [_taken(stream) for _, stream in clients] == [_sent(chunked, b"a", b"overrun")] * 2


@either_way
def test_a_heartbeat_goes_to_all_who_heard_nothing(ground, chunked):
    clients = [ground.client(chunked=chunked)[1] for _ in range(3)]

    def sent_at(now):
        ground.now = now
        ground.broadcaster._beat()
        (sent,) = {_taken(client) for client in clients}
        return sent

    ground.tell(b"a")
    assert sent_at(6.75) == _sent(chunked, b"a")
    ground.tell(b"b")
    assert sent_at(13.5) == _sent(chunked, b"b")
    assert sent_at(13.75) == _sent(chunked, _state(b"True"))
    assert sent_at(20.5) == b""
    assert sent_at(20.75) == _sent(chunked, _state(b"True"))


@either_way
def test_another_state_goes_to_all_at_once_and_once(ground, chunked):
    clients = [ground.client(chunked=chunked)[1] for _ in range(3)]
    ground.tell(b"a")
    for live in (False, True):
        ground.state.live = live
        ground.channel.wake()
        assert ground.is_called()
        ground.broadcaster._pass()
        ground.tell(b"b")
        expected = _sent(chunked, *[b"a"][live:], _state(str(live).encode()), b"b")
        assert {_taken(client) for client in clients} == {expected}


def test_who_has_a_backlog_is_told_the_state_behind_it(ground):
    _, stream = ground.client()
    ground.tell(LARGE)
    ground.state.live = False
    ground.channel.wake()
    ground.broadcaster._pass()
    expected = chunk(LARGE) + chunk(_state(b"False"))
    assert ground.taken(stream, len(expected)) == expected


def test_the_state_waits_for_the_first_rows(ground):
    """A result's stream tells it behind them."""
    follower, stream = ground.client()
    follower.progress.told_live = None
    ground.channel.wake()
    ground.broadcaster._pass()
    assert _taken(stream) == b""
    ground.tell(b"a")
    assert _taken(stream) == chunk(b"a") + chunk(_state(b"True"))


@either_way
def test_who_takes_nothing_for_long_is_cut_and_who_takes_little_is_not(ground, chunked):
    follower, stream = ground.client(chunked=chunked)
    ground.tell(b"a")
    ground.now = 10 * STALL
    ground.tell(LARGE)
    for _ in range(3):
        ground.now += STALL - 1
        ground.broadcaster._beat()
        assert _taken(stream)
        ground.broadcaster._pass()
    ground.now += STALL - 1
    ground.broadcaster._beat()
    assert not follower.was_cut
    ground.now += 1
    ground.broadcaster._beat()
    assert (follower.was_cut, follower.closed) == (True, True)


def test_a_fault_cuts_all_without_a_word(ground, monkeypatch, caplog):
    """Nobody may wait for what is not coming, and no bye may say that all was told."""
    clients = [ground.client(chunked=chunked) for chunked in (True, False)]
    monkeypatch.setattr(ground.broadcaster, "_closing", iter([False, True]).__next__)
    monkeypatch.setattr(ground.channel, "joined", None)
    ground.broadcaster._run()
    assert "its clients are cut" in caplog.text
    assert [(follower.closed, _taken(stream)) for follower, stream in clients] == [(True, b"")] * 2


@either_way
def test_one_that_comes_when_all_were_sent_off_is_sent_off_too(ground, chunked):
    """Its snapshot took longer than the end of the process: it would wait for ever."""
    ground.broadcaster.done.set()
    follower, stream = ground.client(chunked=chunked)
    assert _taken(stream) == _sent(chunked, b"bye", b"")
    assert follower.closed
    assert stream.recv(1) == b""


def test_a_bye_does_not_break_into_what_is_still_to_be_sent(ground):
    follower, stream = ground.client()
    ground.tell(LARGE)
    (client,) = ground.broadcaster._clients.values()
    had = _taken(stream)  # there is room for a bye now
    ground.broadcaster._send_end(client)
    assert chunk(LARGE).startswith(had + _taken(stream))
    assert follower.closed
    assert stream.recv(1) == b""


def test_the_end_of_an_answer_goes_to_nobody_else(ground):
    """Who is not there for its bye leaves its descriptor to another."""
    (follower, stream), (ours, theirs) = ground.client(), ground.pair()
    (client,) = ground.broadcaster._clients.values()
    follower.close = lambda: os.dup2(ours.fileno(), client.descriptor)
    stream.close()
    ground.broadcaster._send_end(client)
    os.close(client.descriptor)
    assert _taken(theirs) == b""


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


def test_a_heartbeat_goes_to_no_one_who_got_the_descriptor_meanwhile(ground):
    """A lone client is dropped as its heartbeat is due, and while its subscription closes another gets its number."""
    follower, stream = ground.client(chunked=False)
    ground.tell(b"a")
    pair, close, came = ground.pair(), follower.close, []

    def closed_while_another_comes():
        close()
        came.append(ground.client(frame_number=4, pair=pair)[1])

    follower.close = closed_while_another_comes
    ground.channel.watcher = None
    ground.append(b"b")
    stream.close()
    ground.now = 7.5
    ground.broadcaster._beat()
    assert follower.closed
    assert _taken(came[0]) == b""
