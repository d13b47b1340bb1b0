"""Where the moving window of ``last`` begins. It moves in steps, which all processes take at the same moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SHORTEST = timedelta(seconds=1)
_LONGEST = timedelta(seconds=60)
_STEPS = 60


def step(last: timedelta) -> timedelta:
    """How far the window moves in one step: a sixtieth of its length, between a second and a minute."""
    return min(max(last / _STEPS, _SHORTEST), _LONGEST)


def start(last: timedelta, now: datetime) -> datetime:
    """The window's start at ``now`` (aware): at most one :func:`step` before ``now - last``."""
    moved = now - last - _EPOCH
    return _EPOCH + moved // step(last) * step(last)


def microseconds(moment: datetime) -> int:
    """``moment`` (aware) in microseconds since 1970-01-01 (UTC)."""
    return (moment - _EPOCH) // _MICROSECOND
