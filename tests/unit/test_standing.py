"""Who is sent the same: only those who have heard the same, and have the same from a read of their own."""

from __future__ import annotations

import pytest

from sseapp.channel import Channel
from sseapp.cursor import Snapshot
from sseapp.ring import FRAME_SIZE, Frame
from sseapp.standing import Standing, StandingInLog

CHANNEL, OTHER = Channel(limit=100), Channel(limit=100)


class Hub:
    position = Snapshot(9)


class Told:
    """A frame of one event, that ``only`` one client does not have from its own read."""

    size, events, ready = 1, ("event",), b"a"

    def __init__(self, after, upto, *, complete, only=None):
        self.after, self.upto, self.complete = Snapshot(after), Snapshot(upto), complete
        self._only = only

    def beyond(self, seen):
        return self.ready if self._only in (None, seen) else b""


def _in_log(position=0, upto=5, *, has_id=True, channel=CHANNEL):
    return StandingInLog(channel, position, Hub(), Snapshot(upto), has_id=has_id)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Standing(CHANNEL, 1), Standing(CHANNEL, 2)),
        (Standing(CHANNEL, 1), Standing(OTHER, 1)),
        (_in_log(), _in_log(position=1)),
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


def test_what_was_told_since_makes_them_alike():
    channel = Channel(limit=100)
    early, late = _in_log(upto=5, channel=channel), _in_log(upto=6, channel=channel)
    channel.append(Frame(Snapshot(6), Snapshot(7), raw=b"a"))
    assert (early.take(), late.take()) == (b"a", b"a")
    assert not early.is_like(late), "no event has told of the same yet"


def test_a_copy_goes_on_alone():
    channel = Channel(limit=100)
    standing = Standing(channel)
    copied = standing.copied()
    channel.append(Frame(Snapshot(1), Snapshot(1), raw=b"a"))
    assert standing.take() == b"a"
    assert (standing.position, copied.position) == (1, 0)
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
    other.position = one.position
    assert not one.is_like(other)


def test_a_first_take_brings_a_frame_s_worth_and_the_next_the_rest():
    """Nobody shares its bytes: of a whole ring each client that is slow would hold as much."""
    channel = Channel(limit=1 << 30)
    for number in range(10):
        channel.append(Frame(Snapshot(6 + number), Snapshot(7 + number), raw=b"%d" % number * (FRAME_SIZE // 2)))
    standing = _in_log(upto=99, channel=channel)
    taken = [standing.take() for _ in range(6)]
    assert [len(data) for data in taken] == [FRAME_SIZE] * 5 + [0]
    assert b"".join(taken) == b"".join(b"%d" % number * (FRAME_SIZE // 2) for number in range(10))
