"""Who is sent the same: only those who have heard the same, and have the same from a read of their own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sseapp.delivery import progress as progress_module
from sseapp.delivery.progress import LogProgress, Progress
from sseapp.events import sse
from sseapp.events.ring import FRAME_SIZE, Frame
from sseapp.live.channel import Channel
from sseapp.log.cursor import Cursor, Scope, Snapshot, encode

CHANNEL, OTHER = Channel(limit=100), Channel(limit=100)
SCOPE = Scope.of("epoch", "query")


STATE = SimpleNamespace(live=True, told=lambda: (True, "{}"))


class Hub:
    upto = Snapshot(9)


class Log(Channel):
    scope = SCOPE


class Told:
    """A frame of one event, that ``only`` one client does not have from its own read."""

    size, events, ready = 1, ("event",), b"a"

    def __init__(self, after, upto, *, complete, only=None):
        self.after, self.upto, self.complete = Snapshot(after), Snapshot(upto), complete
        self._only = only

    def cursor(self, seen=None):
        return Cursor(self.upto) if self.complete else Cursor(self.upto, 3, seen or self.after)

    def beyond(self, seen):
        return self.ready if self._only in (None, seen) else b""


def _in_log(frame_number=0, upto=5, *, has_id=True, channel=CHANNEL, hub=None):
    return LogProgress(channel, frame_number, hub or Hub(), Snapshot(upto), has_id=has_id)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Progress(CHANNEL, 1), Progress(CHANNEL, 2)),
        (Progress(CHANNEL, 1), Progress(OTHER, 1)),
        (_in_log(), _in_log(frame_number=1)),
        (_in_log(), _in_log(channel=OTHER)),
        (_in_log(), _in_log(upto=6)),
        (_in_log(), _in_log(has_id=False)),
    ],
)
def test_unlike(one, other):
    assert not one.is_like(other)
    assert not other.is_like(one)
    assert one.is_like(one.copied())
    assert other.is_like(other.copied())


@pytest.mark.parametrize("make", [lambda: Progress(CHANNEL, 1), _in_log], ids=["rows", "log"])
def test_who_knows_another_state_is_unlike(make):
    one, other = make(), make()
    assert one.lacks(STATE)
    assert one.state(STATE) == b"event: state\ndata: {}\n\n"
    assert not one.lacks(STATE)
    assert not one.is_like(other)
    other.heartbeat(STATE)
    assert one.is_like(other)


def test_who_has_no_rows_yet_lacks_no_state():
    assert not Progress(CHANNEL, 0).lacks(STATE)


def test_what_was_told_since_makes_them_alike():
    channel = Channel(limit=100)
    early, late = _in_log(upto=5, channel=channel), _in_log(upto=6, channel=channel)
    channel.append(Frame(Snapshot(6), Snapshot(7), raw=b"a"))
    assert (early.take(), late.take()) == (b"a", b"a")
    assert not early.is_like(late), "no event has told of the same yet"


def test_a_copy_goes_on_alone():
    channel = Channel(limit=100)
    progress = Progress(channel)
    copied = progress.copied()
    channel.append(Frame(Snapshot(1), Snapshot(1), raw=b"a"))
    assert progress.take() == b"a"
    assert (progress.frame_number, copied.frame_number) == (1, 0)
    assert copied.take() == b"a"


def test_what_one_has_from_its_own_read_is_not_to_be_told_it_again():
    channel = Channel(limit=100)
    early, late = _in_log(upto=5, channel=channel), _in_log(upto=7, channel=channel)
    channel.append(Told(4, 8, complete=True))
    assert (early.take(), late.take()) == (b"a", b"a")
    assert not early.is_like(late)
    channel.append(Told(8, 9, complete=True))
    assert (early.take(), late.take()) == (b"a", b"a")
    assert early.is_like(late), "both have all of it from the ring by now"


def test_who_was_told_more_may_not_be_given_an_id_that_says_less():
    channel = Channel(limit=100)
    one, other = _in_log(upto=5, channel=channel), _in_log(upto=5, channel=channel)
    channel.append(Told(4, 8, complete=False))
    one.take()
    other.frame_number = one.frame_number
    assert not one.is_like(other)


@pytest.mark.parametrize(
    "make",
    [Progress, lambda channel: _in_log(channel=channel), lambda channel: _in_log(upto=99, channel=channel)],
    ids=["no log", "for all", "its own"],
)
def test_a_take_brings_a_frame_s_worth_and_the_next_the_rest(make):
    """Of a whole ring each client that is slow would hold as much."""
    channel = Channel(limit=1 << 30)
    for number in range(10):
        channel.append(Frame(Snapshot(6 + number), Snapshot(7 + number), raw=b"%d" % number * (FRAME_SIZE // 2)))
    progress = make(channel)
    taken = [progress.take() for _ in range(6)]
    assert [len(data) for data in taken] == [FRAME_SIZE] * 5 + [0]
    assert b"".join(taken) == b"".join(b"%d" % number * (FRAME_SIZE // 2) for number in range(10))


WINDOW = Frame(Snapshot(6), Snapshot(6), raw=b"w")
PASSED = Told(5, 6, complete=True), 6, None
"""The ring is beyond what the client has from its own read: from now on it is sent what all are."""

# what comes before each take, where the hub is then, and the snapshot that a heartbeat claims after it, if any
BEATS = {
    "nothing has come": [(None, 5, None)],
    "the hub has not begun": [(None, None, None)],
    "what came is not for this stream": [(None, 9, 9), (None, 9, None), (None, 10, 10)],
    "an event says it itself": [(Told(5, 8, complete=True), 8, None), (None, 8, None), (None, 9, 9)],
    "the rest is for others": [(Told(5, 8, complete=False), 5, None), (None, 5, None), (None, 8, 8)],
    "the rest is still to come": [(Told(5, 8, complete=False), 7, None), (None, 7, None), (None, 8, 8)],
    "the ring may hold more": [(Told(5, 6, complete=True), 9, None), (None, 9, 9)],
    "nothing has come for all": [PASSED, (None, 6, None), (None, None, None)],
    "what came for all is not for this stream": [PASSED, (None, 9, 9), (None, 9, None)],
    "an event for all says it itself": [PASSED, (Told(6, 8, complete=True), 8, None), (None, 8, None), (None, 9, 9)],
    "the rest is for others than all": [PASSED, (Told(6, 8, complete=False), 6, None), (None, 6, None), (None, 8, 8)],
    "the rest is still to come for all": [PASSED, (Told(6, 8, complete=False), 7, None), (None, 7, None), (None, 8, 8)],
    "the ring may hold more for all": [PASSED, (Told(6, 8, complete=True), 9, None), (None, 9, 9)],
    "a window moves nobody": [PASSED, (None, 6, None), (WINDOW, 6, None), (None, 6, None), (None, 7, 7)],
}


@pytest.mark.parametrize("steps", BEATS.values(), ids=BEATS)
def test_a_heartbeat_claims_what_was_told_and_no_more(steps):
    hub, channel = Hub(), Log(limit=100)
    progress = _in_log(channel=channel, hub=hub)
    for frame, upto, claimed in steps:
        if frame is not None:
            channel.append(frame)
        hub.upto = upto and Snapshot(upto)
        progress.take()
        assert progress.heartbeat(STATE) == _beat(claimed)


def _beat(claimed):
    return sse.heartbeat("{}", None if claimed is None else encode(Cursor(Snapshot(claimed)), SCOPE))


@pytest.mark.parametrize("before", [[], [PASSED]], ids=["its own", "for all"])
def test_a_window_puts_no_heartbeat_off(monkeypatch, before):
    """It has no id: of a window that moves each second the cursor would stay where it was until it is pruned."""
    now = 0.0
    monkeypatch.setattr(progress_module, "monotonic", lambda: now)
    channel = Log(limit=100)
    one = _in_log(channel=channel)
    for frame, _, _ in before:
        channel.append(frame)
        one.take()
    now = 1.0
    channel.append(WINDOW)
    assert (one.take(), one.told_at) == (b"w", 0.0)
    channel.append(Told(6, 8, complete=True))
    assert (one.take(), one.told_at) == (b"a", 1.0)
    now = 2.0
    one.heartbeat(STATE)
    assert one.told_at == 2.0


def test_who_has_no_id_yet_is_given_one_when_all_of_it_was_told():
    hub, channel = Hub(), Log(limit=100)
    silent, amid = [_in_log(has_id=False, channel=channel, hub=hub) for _ in range(2)]
    assert (silent.heartbeat(STATE), silent.heartbeat(STATE)) == (_beat(5), _beat(None))
    channel.append(Told(5, 8, complete=False))
    amid.take()
    assert amid.heartbeat(STATE) == _beat(None), "its event has one, and that says more than 5"


@pytest.mark.parametrize("before", [[], [PASSED]], ids=["its own", "for all"])
def test_what_comes_while_it_looks_is_told_before_it_is_claimed(before):
    class Telling:
        @property
        def upto(self):
            channel.append(Told(6, 9, complete=True))
            return Snapshot(9)

    channel = Log(limit=100)
    progress = _in_log(channel=channel)
    for frame, _, _ in before:
        channel.append(frame)
        progress.take()
    progress._hub = Telling()
    assert progress.take() == b"a"
