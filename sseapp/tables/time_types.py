"""Types of time. Values are microseconds since 1970-01-01, days for ``date``.

All numbers are int; the infinities are float's, which compare with any int.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from math import inf
from typing import ClassVar
from zoneinfo import ZoneInfo

from sseapp.tables import gregorian_calendar, time_zones
from sseapp.tables.value_type import Literal, Value, ValueType

_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?"
_OFFSET = r"(?P<offset>Z|(?P<sign>[+\- ])(?P<oh>\d\d)(?::?(?P<om>\d\d)(?::?(?P<os>\d\d))?)?)?"
_MOMENT = re.compile(
    rf"{gregorian_calendar.DATE}(?:[T ]{_TIME}{_OFFSET})?{gregorian_calendar.ERA}", re.ASCII | re.IGNORECASE
)
_DATE = re.compile(gregorian_calendar.DATE + gregorian_calendar.ERA, re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(_TIME, re.ASCII)
_INFINITIES = {"infinity": inf, "-infinity": -inf}
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a clock on the wall
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)

FIRST_MOMENT = -210_866_803_200_000_000
"""4714-11-24 BC, the first day that PostgreSQL knows."""
LAST_MOMENT = 9_224_318_015_999_999_999
"""The end of the year 294276."""
FIRST_DAY = -2_440_588
LAST_DAY = 2_145_042_905


def _microseconds(match: re.Match[str]) -> int:
    """The time of day in a match of :data:`_TIME`; 24:00 is allowed, as PostgreSQL does."""
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    fraction = int((match["fraction"] or "").ljust(6, "0"))
    total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    if minute > 59 or second > 59 or total > time_zones.DAY:  # noqa: PLR2004 - a clock's
        raise ValueError("there is no such time of day")
    return total


def _offset(match: re.Match[str]) -> int:
    """The offset from UTC in a match of :data:`_OFFSET`. A space is the plus that form encoding made of it."""
    if not match["sign"]:
        return 0
    hours, minutes, seconds = (int(match[name] or 0) for name in ("oh", "om", "os"))
    if hours > 15 or minutes > 59 or seconds > 59:  # noqa: PLR2004 - PostgreSQL's bounds
        raise ValueError("there is no such offset from UTC")
    total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000
    return -total if match["sign"] == "-" else total


def _time_text(time: int) -> str:
    seconds, fraction = divmod(time, 1_000_000)
    minutes, second = divmod(seconds, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


class Moment(ValueType):
    """A type with a date in it: what ``last`` can be asked of."""

    @abstractmethod
    def at(self, instant: int, tz: ZoneInfo) -> Literal:
        """The literal of ``instant``, in microseconds since 1970-01-01 (UTC), as this type shows it in ``tz``."""

    @abstractmethod
    def _of(self, value: int) -> Literal:
        """The literal of a value of this type. Raises :exc:`ValueError` beyond what PostgreSQL can hold."""

    @abstractmethod
    def _finite(self, text: str, tz: ZoneInfo) -> int:
        """The value of a literal that is no infinity. Raises :exc:`ValueError`."""

    def _parse_in(self, text: str, tz: ZoneInfo) -> Literal:
        text = text.strip().lower()
        return self._parse(text) if text in _INFINITIES else self._of(self._finite(text, tz))

    def _parse(self, text: str) -> Literal:
        return Literal(text, _INFINITIES[text])


class TimestampTz(Moment):
    """``timestamptz``: an instant."""

    suffix: ClassVar[str] = "+00:00"
    hint = "write a date or a timestamp such as 2026-01-31T12:00:00Z, or infinity"

    def _finite(self, text: str, tz: ZoneInfo) -> int:
        match = _MOMENT.fullmatch(text)
        if match is None:
            raise ValueError(self.hint)
        wall = gregorian_calendar.matched_days(match) * time_zones.DAY + (_microseconds(match) if match["hour"] else 0)
        return self._reckon(wall, _offset(match) if match["offset"] else None, tz)

    def _reckon(self, wall: int, offset: int | None, tz: ZoneInfo) -> int:
        """The value of a literal that shows ``wall``, at ``offset`` from UTC where it names one."""
        return time_zones.instant(wall, tz) if offset is None else wall - offset

    def until(self, text: str, *, tz: ZoneInfo, parameter: str) -> tuple[Literal, bool]:
        """Read an inclusive end: a bare date is in to its last microsecond."""
        if not _DATE.fullmatch(text.strip()):
            return super().until(text, tz=tz, parameter=parameter)
        # the first instant of the next day: a day has 23, 24 or 25 hours
        self.literal(text, tz=tz, parameter=parameter)
        day, era = gregorian_calendar.texts(gregorian_calendar.matched_days(_day_match(text)) + 1)
        return self.literal(day + era, tz=tz, parameter=parameter), False

    def _read(self, raw: str) -> Value:
        text = raw[1:-1]
        if text in _INFINITIES:
            return _INFINITIES[text]
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            # BC, or beyond the year 9999
            return self._finite(text, time_zones.UTC_ZONE)
        return (moment - (_EPOCH_UTC if moment.tzinfo else _EPOCH)) // _MICROSECOND

    def at(self, instant: int, tz: ZoneInfo) -> Literal:  # noqa: ARG002 - an instant is the same everywhere
        """The literal of ``instant`` itself."""
        return self._of(instant)

    def _of(self, value: int) -> Literal:
        if not FIRST_MOMENT <= value <= LAST_MOMENT:
            raise ValueError("write a moment from 4714-11-24 BC to the year 294276")
        number, time = divmod(value, time_zones.DAY)
        day, era = gregorian_calendar.texts(number)
        return Literal(f"{day}T{_time_text(time)}{self.suffix}{era}", value)


class Timestamp(TimestampTz):
    """``timestamp``: what a clock on the wall shows. A literal with an offset is read off the clock in ``tz``."""

    suffix = ""

    def _reckon(self, wall: int, offset: int | None, tz: ZoneInfo) -> int:
        return wall if offset is None else time_zones.wall(wall - offset, tz)

    def at(self, instant: int, tz: ZoneInfo) -> Literal:
        """What a clock on the wall in ``tz`` shows."""
        return self._of(time_zones.wall(instant, tz))


class Day(Moment):
    """``date``."""

    hint = "write a date such as 2026-01-31, or infinity"

    def _finite(self, text: str, tz: ZoneInfo) -> int:  # noqa: ARG002 - a day has the same name everywhere
        return gregorian_calendar.matched_days(_day_match(text))

    def _read(self, raw: str) -> Value:
        text = raw[1:-1]
        if text in _INFINITIES:
            return _INFINITIES[text]
        return gregorian_calendar.matched_days(_day_match(text))

    def at(self, instant: int, tz: ZoneInfo) -> Literal:
        """The day that it is in ``tz``."""
        return self._of(time_zones.wall(instant, tz) // time_zones.DAY)

    def _of(self, value: int) -> Literal:
        if not FIRST_DAY <= value <= LAST_DAY:
            raise ValueError("write a date from 4714-11-24 BC to the year 5874897")
        return Literal("".join(gregorian_calendar.texts(value)), value)


def _day_match(text: str) -> re.Match[str]:
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(Day.hint)
    return match


class TimeOfDay(ValueType):
    """``time``."""

    def _parse(self, text: str) -> Literal:
        time = self._time(text.strip())
        return Literal(_time_text(time), time)

    def _read(self, raw: str) -> Value:
        return self._time(raw[1:-1])

    def _time(self, text: str) -> int:
        match = _CLOCK.fullmatch(text)
        if match is None:
            raise ValueError("write a time such as 12:30 or 12:30:15.5")
        return _microseconds(match)
