from __future__ import annotations

import pytest

from sseapp import backoff
from sseapp.backoff import Backoff, jittered


@pytest.fixture(params=["shortest", "longest"])
def steps(request, monkeypatch):
    """Each delay without its jitter, which is known then."""
    share = 0.5 if request.param == "shortest" else 1.0
    monkeypatch.setattr(backoff, "uniform", lambda low, high: low if request.param == "shortest" else high)
    return share


def test_delays_double_up_to_the_longest(steps):
    wait = Backoff(first=0.1, longest=1.0)
    assert [wait.delay() / steps for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_a_success_starts_anew(steps):
    wait = Backoff(first=0.1, longest=5)
    for _ in range(4):
        wait.delay()
    wait.reset()
    assert wait.delay() / steps == pytest.approx(0.1)


def test_many_do_not_come_back_at_once():
    delays = {jittered(10) for _ in range(50)}
    assert len(delays) > 40
    assert all(5 <= delay <= 10 for delay in delays)
    assert max(delays) - min(delays) > 1
