"""The proleptic Gregorian calendar for all of PostgreSQL's dates, from 4714 BC to the year 5874897.

A day's number counts from 1970-01-01. Years are astronomical: year 0 is 1 BC. The standard library ends at the
years 1 and 9999.
"""

from __future__ import annotations

import re
from datetime import date

_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097
_EPOCH = date(1970, 1, 1).toordinal()

DATE = r"(?P<year>\d{4,7})-(?P<month>\d\d)-(?P<day>\d\d)"
"""A pattern for a date; :data:`ERA` follows it at the end of the whole text."""

ERA = r"(?P<era> BC)?"


def day_number(year: int, month: int, day: int) -> int:
    """The day's number. Raises :exc:`ValueError` where the calendar has no such day."""
    cycles, rest = divmod(year - 1, _CYCLE_YEARS)
    return date(rest + 1, month, day).toordinal() + cycles * _CYCLE_DAYS - _EPOCH


def year_month_day(number: int) -> tuple[int, int, int]:
    """Year, month and day of a day's number."""
    cycles, rest = divmod(number + _EPOCH - 1, _CYCLE_DAYS)
    found = date.fromordinal(rest + 1)
    return found.year + cycles * _CYCLE_YEARS, found.month, found.day


def matched_day_number(match: re.Match[str]) -> int:
    """The day's number for a match of :data:`DATE` and :data:`ERA`. Raises :exc:`ValueError` as above."""
    year = int(match["year"])
    if not year:
        raise ValueError("there is no year 0")
    return day_number(1 - year if match["era"] else year, int(match["month"]), int(match["day"]))


def date_and_era(number: int) -> tuple[str, str]:
    """The day as PostgreSQL's JSON prints it, and its era (``" BC"`` or nothing), which comes last in any text."""
    year, month, day = year_month_day(number)
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}", "" if year > 0 else " BC"


def stand_in(number: int) -> int:
    """A day that the standard library can compute with, to find a time zone's offset on day ``number``.

    That is ``number`` itself in the years 2 to 9998. Otherwise it is the same date, on the same weekday, whole
    cycles of 400 years away: the zone's first (or last) rule gives it the same offset.
    """
    year = year_month_day(number)[0]
    if 2 <= year <= 9998:  # noqa: PLR2004 - one year of room, so that no offset leads out of the range
        return number
    target = 1600 if year < 2 else 9200  # noqa: PLR2004
    return number + ((target - year) // _CYCLE_YEARS) * _CYCLE_DAYS
