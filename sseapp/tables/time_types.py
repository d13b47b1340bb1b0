"""Date and time types. Values count microseconds since 1970-01-01; those of ``date`` count days.

They are ints, except for the two infinities: floats, which compare with any int.
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
_TIMESTAMP = re.compile(
    rf"{gregorian_calendar.DATE}(?:[T ]{_TIME}{_OFFSET})?{gregorian_calendar.ERA}", re.ASCII | re.IGNORECASE
)
_DATE = re.compile(gregorian_calendar.DATE + gregorian_calendar.ERA, re.ASCII | re.IGNORECASE)
_TIME_OF_DAY = re.compile(_TIME, re.ASCII)
_INFINITIES = {"infinity": inf, "-infinity": -inf}
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local time has no zone
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)

MIN_TIMESTAMP = -210_866_803_200_000_000
"""4714-11-24 BC, the first day that PostgreSQL knows."""
MAX_TIMESTAMP = 9_224_318_015_999_999_999
"""The end of the year 294276."""
MIN_DATE = -2_440_588
"""The same day, 4714-11-24 BC."""
MAX_DATE = 2_145_042_905
"""The end of the year 5874897."""


def _time_of_day(match: re.Match[str]) -> int:
    """The microseconds in a match of :data:`_TIME`. 24:00 is allowed, as in PostgreSQL."""
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    fraction = int((match["fraction"] or "").ljust(6, "0"))
    total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    if minute > 59 or second > 59 or total > time_zones.DAY:  # noqa: PLR2004 - minutes of an hour
        raise ValueError("there is no such time of day")
    return total


def _utc_offset(match: re.Match[str]) -> int:
    """The microseconds in a match of :data:`_OFFSET`. A space is a plus that form encoding changed."""
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


class DateTimeType(ValueType):
    """A type that contains a date. ``last`` works on these only."""

    @abstractmethod
    def literal_at(self, instant: int, tz: ZoneInfo) -> Literal:
        """The literal for ``instant`` (microseconds since 1970-01-01, UTC) as this type shows it in ``tz``."""

    @abstractmethod
    def _literal(self, value: int) -> Literal:
        """The literal for a finite value. Raises :exc:`ValueError` outside PostgreSQL's range."""

    @abstractmethod
    def _parse_finite(self, text: str, tz: ZoneInfo) -> int:
        """The value of a literal that is not an infinity. Raises :exc:`ValueError`."""

    def _parse_in_zone(self, text: str, tz: ZoneInfo) -> Literal:
        text = text.strip().lower()
        return self._parse(text) if text in _INFINITIES else self._literal(self._parse_finite(text, tz))

    def _parse(self, text: str) -> Literal:
        return Literal(text, _INFINITIES[text])


class TimestampTz(DateTimeType):
    """``timestamptz``: an instant."""

    suffix: ClassVar[str] = "+00:00"
    expected = "a date or a timestamp such as 2026-01-31T12:00:00Z, or infinity"

    def _parse_finite(self, text: str, tz: ZoneInfo) -> int:
        match = _TIMESTAMP.fullmatch(text)
        if match is None:
            raise ValueError
        local = gregorian_calendar.matched_day_number(match) * time_zones.DAY
        if match["hour"]:
            local += _time_of_day(match)
        return self._value_of(local, _utc_offset(match) if match["offset"] else None, tz)

    def _value_of(self, local: int, offset: int | None, tz: ZoneInfo) -> int:
        """The value of a literal that shows ``local``, at ``offset`` from UTC where it names one."""
        return time_zones.to_utc(local, tz) if offset is None else local - offset

    def end_literal(self, text: str, *, tz: ZoneInfo, parameter: str) -> tuple[Literal, bool]:
        """Parse an inclusive end. A bare date includes all of its day."""
        if not _DATE.fullmatch(text.strip()):
            return super().end_literal(text, tz=tz, parameter=parameter)
        # not 24 hours later: with daylight saving a day has 23, 24 or 25
        self.literal(text, tz=tz, parameter=parameter)
        day, era = gregorian_calendar.date_and_era(_parse_date(text) + 1)
        return self.literal(day + era, tz=tz, parameter=parameter), False

    def _parse_json(self, raw: str) -> Value:
        text = raw[1:-1]
        if text in _INFINITIES:
            return _INFINITIES[text]
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            # BC, or beyond the year 9999
            return self._parse_finite(text, time_zones.UTC_ZONE)
        return (moment - (_EPOCH_UTC if moment.tzinfo else _EPOCH)) // _MICROSECOND

    def literal_at(self, instant: int, tz: ZoneInfo) -> Literal:  # noqa: ARG002 - an instant is the same everywhere
        """The literal for ``instant`` itself."""
        return self._literal(instant)

    def _literal(self, value: int) -> Literal:
        if not MIN_TIMESTAMP <= value <= MAX_TIMESTAMP:
            raise ValueError("PostgreSQL's timestamps go from 4714-11-24 BC to the year 294276")
        number, time = divmod(value, time_zones.DAY)
        day, era = gregorian_calendar.date_and_era(number)
        return Literal(f"{day}T{_time_text(time)}{self.suffix}{era}", value)


class Timestamp(TimestampTz):
    """``timestamp``: local time. A literal with an offset is converted to the local time of ``tz``."""

    suffix = ""

    def _value_of(self, local: int, offset: int | None, tz: ZoneInfo) -> int:
        return local if offset is None else time_zones.to_local(local - offset, tz)

    def literal_at(self, instant: int, tz: ZoneInfo) -> Literal:
        """The local time in ``tz``."""
        return self._literal(time_zones.to_local(instant, tz))


class Date(DateTimeType):
    """``date``."""

    expected = "a date such as 2026-01-31, or infinity"

    def _parse_finite(self, text: str, tz: ZoneInfo) -> int:  # noqa: ARG002 - a date means the same in every zone
        return _parse_date(text)

    def _parse_json(self, raw: str) -> Value:
        text = raw[1:-1]
        return _INFINITIES[text] if text in _INFINITIES else _parse_date(text)

    def literal_at(self, instant: int, tz: ZoneInfo) -> Literal:
        """The date in ``tz``."""
        return self._literal(time_zones.to_local(instant, tz) // time_zones.DAY)

    def _literal(self, value: int) -> Literal:
        if not MIN_DATE <= value <= MAX_DATE:
            raise ValueError("PostgreSQL's dates go from 4714-11-24 BC to the year 5874897")
        return Literal("".join(gregorian_calendar.date_and_era(value)), value)


def _parse_date(text: str) -> int:
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError
    return gregorian_calendar.matched_day_number(match)


class Time(ValueType):
    """``time``."""

    expected = "a time such as 12:30 or 12:30:15.5"

    def _parse(self, text: str) -> Literal:
        time = self._parse_time(text.strip())
        return Literal(_time_text(time), time)

    def _parse_json(self, raw: str) -> Value:
        return self._parse_time(raw[1:-1])

    def _parse_time(self, text: str) -> int:
        match = _TIME_OF_DAY.fullmatch(text)
        if match is None:
            raise ValueError
        return _time_of_day(match)
