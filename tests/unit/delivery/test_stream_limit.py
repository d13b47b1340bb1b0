from __future__ import annotations

import threading

import pytest

from sseapp.delivery.stream_limit import StreamLimit
from sseapp.errors import OverloadedError


def test_places_are_taken_up_to_the_limit_and_given_back():
    stream_limit = StreamLimit(2)
    stream_limit.acquire()
    stream_limit.acquire()
    with pytest.raises(OverloadedError, match="All 2 stream slots"):
        stream_limit.acquire()
    assert (stream_limit.open, stream_limit.refused, stream_limit.cut) == (2, 1, 0)
    stream_limit.release()
    stream_limit.acquire()
    assert stream_limit.open == 2


def test_fewer_may_be_held_by_the_host():
    stream_limit = StreamLimit(3, 1)
    stream_limit.acquire(occupies_host=True)
    with pytest.raises(OverloadedError, match="All 1 stream slots"):
        stream_limit.acquire(occupies_host=True)
    stream_limit.acquire()
    stream_limit.release(occupies_host=True)
    stream_limit.acquire(occupies_host=True)
    stream_limit.acquire()
    with pytest.raises(OverloadedError, match="All 3 stream slots"):
        stream_limit.acquire()
    assert (stream_limit.open, stream_limit.refused) == (3, 2)


def test_no_place_is_taken_twice_by_threads():
    stream_limit, begin, refused = StreamLimit(50), threading.Barrier(8), []

    def take_many():
        begin.wait()
        for _ in range(20):
            try:
                stream_limit.acquire()
            except OverloadedError:
                refused.append(1)

    threads = [threading.Thread(target=take_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (stream_limit.open, stream_limit.refused, len(refused)) == (50, 110, 110)
