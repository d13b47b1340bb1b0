"""The moving window's steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseapp.query import window

MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
LENGTHS = st.integers(1, 3660 * 86_400).map(lambda seconds: timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("last", "step"),
    [(30, 1), (60, 1), (90, 1.5), (900, 15), (3600, 60), (86_400, 60)],
)
def test_a_step_is_a_sixtieth_between_a_second_and_a_minute(last, step):
    assert window.step(timedelta(seconds=last)) == timedelta(seconds=step)


def test_a_window_begins_on_a_step():
    now = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)
    assert window.start(timedelta(minutes=15), now) == datetime(2026, 1, 1, 11, 45, tzinfo=UTC)


@given(LENGTHS, MOMENTS)
def test_a_window_holds_all_that_was_asked_for_and_at_most_a_step_more(last, now):
    start = window.start(last, now)
    assert timedelta(0) <= now - last - start < window.step(last)


@given(LENGTHS, MOMENTS)
def test_a_window_moves_by_a_step(last, now):
    moves = window.start(last, now) + last + window.step(last)
    microsecond = timedelta(microseconds=1)
    assert window.start(last, moves - microsecond) == window.start(last, now) < window.start(last, moves)
    assert now < moves <= now + window.step(last)


def test_microseconds_count_from_1970():
    assert window.microseconds(datetime(1970, 1, 2, tzinfo=UTC)) == 86_400_000_000
