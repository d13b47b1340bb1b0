"""The listener's tries to reach a database that is not there: how soon they follow, and how patient each is."""

from __future__ import annotations

import threading

import pytest

from sseapp.errors import ConnectionLostError, DeadlineError
from sseapp.live.listener import Listener
from sseapp.log.pace import Pace


class Away:
    """A database where each try to connect fails with the next of ``errors``; notes how soon it is to answer."""

    def __init__(self, errors):
        self._errors = iter(errors)
        self.soon = []

    def __call__(self, *, soon):
        self.soon.append(soon)
        raise next(self._errors)


class Impatient(threading.Event):
    """Notes how long it was to wait, does not, and is set after so many times."""

    def __init__(self, times):
        super().__init__()
        self._times = times
        self.waits = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        if len(self.waits) == self._times:
            self.set()
        return self.is_set()


@pytest.fixture
def tried(monkeypatch):
    def tried(*errors):
        database = Away(errors)
        pace = Pace(busy=1, poll=1, tick=1, notify=None)
        listener = Listener(database, None, None, pace=pace, tick=1, batch=1, limit=1)
        waits = Impatient(len(errors))
        monkeypatch.setattr(listener, "_stopping", waits)
        listener._run()
        return database.soon, waits.waits

    return tried


def test_it_tries_again_after_two_seconds_at_the_most(tried):
    """It is to be back within 10 s of the database, however long that was away, and a try may take 4."""
    _, waits = tried(*[ConnectionLostError()] * 30)
    assert 1.0 <= max(waits[5:]) <= 2.0
    assert max(waits) <= 2.0


def test_a_server_that_is_slow_twice_gets_the_whole_deadline(tried):
    """Else a short one would keep the listener off a server that is slow for long."""
    slow, lost = DeadlineError(), ConnectionLostError()
    soon, _ = tried(slow, slow, lost, slow, lost, lost)
    assert soon == [True, False, False, True, False, True]
