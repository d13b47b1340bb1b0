from __future__ import annotations

import threading

import pytest

from sseapp.errors import OverrunError, ResetError
from sseapp.events.event import Event
from sseapp.events.ring import Frame
from sseapp.live.channel import Channel
from sseapp.log.cursor import Snapshot

FOREVER = 30.0


def _frame(data=b"x"):
    return Frame(Snapshot(1), Snapshot(1), raw=data)


def _never():
    return False


@pytest.fixture
def channel():
    return Channel(limit=20)


class Beside:
    """A thread whose end is waited for, and whose result or error is kept."""

    def __init__(self, target):
        self._target = target
        self.result = self.error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.result = self._target()
        except BaseException as error:  # noqa: BLE001  # looked at by the test
            self.error = error

    def join(self):
        self._thread.join(FOREVER)
        assert not self._thread.is_alive(), "it still waits"
        return self


def test_frames_are_read_from_a_number_on(channel):
    one, two = _frame(b"1"), _frame(b"2")
    assert channel.read(0) == ([], 0)
    channel.append(one)
    channel.append(two)
    assert channel.read(0) == ([one, two], 2)
    assert channel.read(1) == ([two], 2)


def test_who_is_too_slow_is_told(channel):
    for _ in range(3):
        channel.append(_frame(b"12345"))
    with pytest.raises(OverrunError):
        channel.read(0)


def test_the_end_comes_after_what_was_there_before_it(channel):
    channel.append(_frame())
    channel.end("renamed")
    channel.end("and dropped")
    frames, after = channel.read(0)
    assert len(frames) == 1
    with pytest.raises(ResetError) as raised:
        channel.read(after)
    assert raised.value.reason == str(raised.value) == "renamed", "the first reason stays"


def test_what_follows_a_frame_is_joined_once_for_all(channel):
    channel.append(_frame(b"1"))
    assert channel.joined(0) is channel.joined(0)
    channel.append(_frame(b"2"))
    assert (channel.joined(0).data, channel.joined(1).data, channel.joined(2).data) == (b"12", b"2", b"")


def test_what_is_joined_is_about_a_frame_s_worth(channel, monkeypatch):
    """A client that does not take it holds it."""
    monkeypatch.setattr("sseapp.live.channel.FRAME_SIZE", 2)
    for data in (b"1", b"23", b"4", b"5", b"6"):
        channel.append(_frame(data))
    joined = [channel.joined(at) for at in (0, 2, 4)]
    assert [(one.data, one.end) for one in joined] == [(b"123", 2), (b"45", 4), (b"6", 5)]
    first = channel.joined(0)
    channel.append(_frame(b"7"))
    assert channel.joined(0) is first, "what comes later is none of it"


def _piece(number, *, complete=True):
    return Frame(Snapshot(1), Snapshot(number), (Event("insert", 1, 1, "now"),), complete)


# frames -> the snapshots that the last event and the last batch's end among them are of
TOLD = [
    ([_frame()], None, None),
    ([_piece(2)], 2, 2),
    ([_piece(2), _frame()], 2, 2),
    ([_piece(2, complete=False)], 2, None),
    ([_piece(2), _piece(3, complete=False), _piece(4, complete=False)], 4, 2),
    ([_piece(2, complete=False), _piece(3)], 3, 3),
]


@pytest.mark.parametrize(("frames", "told", "upto"), TOLD)
def test_what_is_joined_says_what_it_tells_of(frames, told, upto):
    channel = Channel(limit=1 << 20)
    for frame in frames:
        channel.append(frame)
    joined = channel.joined(0)
    assert [joined.cursor and joined.cursor.upto.xmax, joined.last_id and joined.last_id.xmax] == [told, upto]


@pytest.mark.parametrize(
    "happens",
    [
        lambda channel, _: channel.append(_frame()),
        lambda channel, _: channel.end("gone"),
        lambda channel, interrupted: (interrupted.set(), channel.wake()),
    ],
)
def test_a_wait_ends_when_something_happens(channel, happens):
    interrupted, asked = threading.Event(), threading.Event()

    def is_interrupted():
        asked.set()
        return interrupted.is_set()

    waits = Beside(lambda: channel.wait(0, FOREVER, is_interrupted))
    assert asked.wait(FOREVER)
    happens(channel, interrupted)
    assert waits.join().error is None


def test_a_wait_is_over_at_once_where_there_is_something(channel):
    channel.append(_frame())
    channel.wait(0, FOREVER, _never)
    channel.end("gone")
    channel.wait(1, FOREVER, _never)


def test_a_wait_lasts_no_longer_than_its_timeout(channel):
    channel.wait(0, 0.001, _never)
    assert channel.read(0) == ([], 0)
