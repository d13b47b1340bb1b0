"""What streams are told of the server, and when they are woken to tell it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from sseapp.live import lag as lag_module
from sseapp.live import server_state
from sseapp.live.lag import Lag
from sseapp.live.server_state import ServerState


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    for module in (server_state, lag_module):
        monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    return clock


class Ground:
    def __init__(self):
        self.listener = SimpleNamespace(error=None, seen_at=100.0, lag=SimpleNamespace(seconds=0.0042))
        self.woken = 0
        self.state = ServerState(self.listener, self._wake)

    def _wake(self):
        self.woken += 1

    def told(self):
        live, data = self.state.told()
        data = json.loads(data)
        assert data.pop("live") is live
        return live, data


@pytest.fixture
def ground(clock):  # noqa: ARG001  # it has to stand before
    return Ground()


def test_live_comes_with_the_lag(ground):
    assert ground.told() == (True, {"lag": 0.004})


@pytest.mark.parametrize(
    ("error", "silence", "reason"),
    [("It is away.", 1, "It is away."), (None, 2.5, "The database does not answer.")],
)
def test_a_loss_comes_with_its_time_and_reason(ground, clock, error, silence, reason):
    ground.listener.error = error
    clock.now += silence
    live, data = ground.told()
    assert (live, data["reason"]) == (False, reason)
    since = datetime.now(UTC) - timedelta(seconds=silence)
    assert abs(datetime.fromisoformat(data["since"]) - since) < timedelta(seconds=1)


def test_streams_are_woken_where_some_were_told_another(ground):
    def woken_for(error):
        before = ground.woken
        ground.listener.error = error
        ground.state.work()
        return ground.woken > before

    assert not woken_for(None), "nobody was told anything"
    ground.told()
    assert not woken_for(None)
    assert woken_for("away")
    assert not woken_for("away"), "all are told by now"
    assert woken_for(None)
    ground.listener.error = "away"
    ground.told()
    assert woken_for("away"), "the first one does not know it"


def test_the_lag_is_that_of_the_last_round_or_the_one_under_way(clock):
    lag = Lag()
    clock.now = 101
    lag.begin(notified=True)
    clock.now = 103
    assert lag.seconds == 2
    lag.end()
    clock.now = 110
    assert lag.seconds == 2


def test_without_a_notification_changes_may_have_waited_since_the_last_round(clock):
    lag = Lag()
    for notified, expected in ((False, 5), (True, 1)):
        lag.begin(notified=True)
        lag.end()
        clock.now += 4
        lag.begin(notified=notified)
        clock.now += 1
        lag.end()
        assert lag.seconds == expected
