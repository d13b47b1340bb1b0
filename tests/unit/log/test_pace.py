"""The pace: when a listener sleeps, polls, puts the bell off. That no wake-up is lost is for test_pace_model.py."""

from __future__ import annotations

import pytest

from sseapp.log.pace import FOREVER, LEASE, Mode, Pace, Rate, Reading, SleepPermit, Step

POLL, TICK, BUSY = 0.005, 2.0, 100


def reading(lease, clock=10_000, xmin=700):
    return Reading(lease, clock, f"{xmin}:{xmin + 5}:{xmin}")


def begun(*, notify=None, pooled=False):
    pace = Pace(busy=BUSY, poll=POLL, tick=TICK, notify=notify)
    pace.begin(pooled=pooled)
    return pace


def settled(pace, lease=1):
    pace.after(reading(lease), 0, 0)
    pace.fenced(600)
    pace.after(reading(lease), 0, 0)
    assert pace.mode is Mode.QUIET
    return pace


def pour(pace, rate, lease, *, seconds=3.0, every=0.05):
    """The steps that ask for a lease, while so many commit a second; the lease stays as it is."""
    count = round(seconds / every)
    steps = [pace.after(reading(lease), round(rate * every), at * every) for at in range(1, count + 1)]
    return [step.lease for step in steps if step.lease is not None]


def test_a_lease_runs_out_as_writers_see_it():
    assert [reading(lease).left for lease in (9_999, 10_000, 10_001)] == [0, 0, 1]


def test_a_new_listener_settles_first():
    pace = begun()
    assert pace.mode is Mode.SETTLING
    assert pace.after(reading(1, xmin=700), 0, 0) == Step(0.0, fence=True)
    pace.fenced(705)
    # until a snapshot sees the end of the fence, and of all before it
    assert pace.after(reading(1, xmin=705), 0, 0) == Step(POLL)
    assert pace.mode is Mode.SETTLING
    assert pace.after(reading(1, xmin=706), 0, 0) == Step(TICK)
    assert pace.mode is Mode.QUIET


def test_one_that_waits_for_an_old_transaction_looks_less_and_less_often():
    pace = begun()
    pace.after(reading(1), 0, 0)
    pace.fenced(800)
    waits = [pace.after(reading(1), 0, 0).wait for _ in range(20)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (POLL, 0.1)
    assert pace.after(reading(20_000), 0, 0).wait == POLL
    pace.after(reading(2), 0, 0)
    pace.fenced(800)
    assert pace.after(reading(2), 0, 0).wait == POLL


@pytest.mark.parametrize(("rate", "factor"), [(200, 1), (500, 1), (1000, 2), (1500, 3), (50_000, 4)])
def test_where_very_many_commit_it_reads_less_often(rate, factor):
    for pace in (begun(), begun(notify=False)):
        waits = [pace.after(reading(20_000), round(rate * 0.01), at * 0.01).wait for at in range(500)]
        assert waits[-1] == pytest.approx(factor * POLL, rel=0.05)
        assert max(waits) <= 4 * POLL
        # and as before when they have gone
        assert pace.after(reading(20_000), 0, 9).wait == POLL


def test_it_reads_often_enough_for_the_lease_however_long_the_interval():
    for poll, longest in ((0.05, 0.1), (0.3, 0.3)):
        pace = Pace(busy=BUSY, poll=poll, tick=TICK)
        assert pace.after(reading(20_000), 50_000, 1).wait == longest


def test_it_sleeps_again_at_once_while_the_lease_is_the_same():
    pace = settled(begun(), lease=1)
    assert pace.after(reading(1, xmin=10), 0, 0) == Step(TICK)


@pytest.mark.parametrize("lease", [2, 9_999])
def test_it_settles_anew_when_the_lease_has_been_another(lease):
    pace = settled(begun(), lease=1)
    assert pace.after(reading(lease), 0, 0).fence
    pace.fenced(701)
    assert pace.mode is Mode.SETTLING


def test_it_settles_anew_when_the_lease_was_in_force():
    rest = SleepPermit(5, 600, allowed=True).after(reading(20_000)).after(reading(5))
    assert (rest.allowed, rest.needs_fence) == (False, True)


def test_it_settles_anew_on_a_new_connection():
    pace = settled(begun())
    pace.begin()
    assert pace.after(reading(1), 0, 0).fence


def test_it_polls_while_the_lease_runs():
    pace = settled(begun())
    assert pace.after(reading(10_400), 0, 0) == Step(POLL)
    assert pace.mode is Mode.BUSY


def test_the_rate_is_that_of_the_last_half_second_or_so():
    rate = Rate()
    for at in range(100):
        found = rate.count(10, at * 0.05)
    assert found == pytest.approx(200, rel=0.06)
    assert rate.count(0, 100 * 0.05 + 0.5) < 80
    assert rate.count(0, 100 * 0.05 + 5) < 1


def test_a_trickle_never_puts_the_bell_off():
    assert pour(settled(begun()), 20, lease=1, seconds=60, every=0.05) == []
    assert pour(settled(begun()), 80, lease=1) == []


def test_a_stream_of_commits_puts_it_off_soon():
    pace = settled(begun())
    at = next(n for n in range(100) if pace.after(reading(1), 10, n * 0.01).lease == LEASE)
    assert at * 0.01 < 0.1


def test_one_large_transaction_is_one_commit():
    assert settled(begun()).after(reading(1), 1, 0).lease is None


@pytest.mark.parametrize(("rate", "left", "extends"), [(80, 400, True), (80, 600, False), (20, 400, False)])
def test_it_is_extended_in_time_while_half_as_many_commit(rate, left, extends):
    assert bool(pour(begun(), rate, lease=10_000 + left)) is extends


@pytest.mark.parametrize("lease", [1, 10_400])
def test_off_puts_the_bell_off_for_good(lease):
    pace = begun(notify=False)
    assert pace.deaf
    assert pace.after(reading(lease), 0, 0) == Step(POLL, FOREVER)
    assert pace.after(reading(FOREVER), 0, 0) == Step(POLL)
    assert pace.mode is Mode.POLLING
    # another has ended it
    assert pace.after(reading(1), 0, 0).lease == FOREVER


def test_on_ends_that_once():
    pace = begun(notify=True)
    assert pace.after(reading(FOREVER), 0, 0) == Step(POLL, 0)
    assert pace.after(reading(9_999), 0, 0) == Step(0.0, fence=True)
    assert pace.after(reading(FOREVER), 0, 0) == Step(POLL)


def test_unset_leaves_it_off_whatever_the_load():
    pace = begun()
    assert pour(pace, 1000, lease=FOREVER) == []
    assert pace.mode is Mode.POLLING


@pytest.mark.parametrize(("notify", "deaf"), [(None, True), (False, True), (True, False)])
def test_behind_a_pooler_it_polls_unless_told_that_the_bell_is_heard(notify, deaf):
    pace = begun(notify=notify, pooled=True)
    assert pace.deaf is deaf
    step = pace.after(reading(1), 0, 0)
    assert (step.wait, step.fence) == ((POLL, False) if deaf else (0.0, True))
    assert pace.mode is (Mode.POLLING if deaf else Mode.SETTLING)


@pytest.mark.parametrize(("rate", "lease"), [(0, 0), (80, LEASE)])
def test_a_lease_that_the_clock_was_set_back_before_is_ended_or_set_anew(rate, lease):
    pace = settled(begun())
    for at in range(50):
        pace.after(reading(10_400), rate / 10, at / 10)
    assert pace.after(reading(10_000 + 3_600_000), rate / 10, 5).lease == lease
