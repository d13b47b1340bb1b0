from __future__ import annotations

import threading

import pytest

from sseapp.errors import OverloadedError
from sseapp.places import Places


def test_places_are_taken_up_to_the_limit_and_given_back():
    places = Places(2)
    places.take()
    places.take()
    with pytest.raises(OverloadedError, match="All 2 places"):
        places.take()
    assert (places.taken, places.refused, places.cut) == (2, 1, 0)
    places.give_back()
    places.take()
    assert places.taken == 2


def test_fewer_may_be_held_by_the_host():
    places = Places(3, 1)
    places.take(held=True)
    with pytest.raises(OverloadedError, match="All 1 places"):
        places.take(held=True)
    places.take()
    places.give_back(held=True)
    places.take(held=True)
    places.take()
    with pytest.raises(OverloadedError, match="All 3 places"):
        places.take()
    assert (places.taken, places.refused) == (3, 2)


def test_no_place_is_taken_twice_by_threads():
    places, begin, refused = Places(50), threading.Barrier(8), []

    def take_many():
        begin.wait()
        for _ in range(20):
            try:
                places.take()
            except OverloadedError:
                refused.append(1)

    threads = [threading.Thread(target=take_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (places.taken, places.refused, len(refused)) == (50, 110, 110)
