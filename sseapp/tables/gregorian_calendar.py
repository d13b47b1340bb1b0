"""The proleptic Gregorian calendar without an end: PostgreSQL's dates reach from 4714 BC to the year 5874897.

Days count from 1970-01-01. Years are astronomical: 0 is 1 BC.
"""

from __future__ import annotations

import re
from datetime import date

_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097
_EPOCH = date(1970, 1, 1).toordinal()

DATE = r"(?P<year>\d{4,7})-(?P<month>\d\d)-(?P<day>\d\d)"
"""A pattern of a date; an era (:data:`ERA`) follows at the end of the whole text."""

ERA = r"(?P<era> BC)?"


def days(year: int, month: int, day: int) -> int:
    """The day's number. Raises :exc:`ValueError` where the calendar has no such day."""
    cycles, rest = divmod(year - 1, _CYCLE_YEARS)
    return date(rest + 1, month, day).toordinal() + cycles * _CYCLE_DAYS - _EPOCH


def civil(number: int) -> tuple[int, int, int]:
    """Year, month and day of a day's number."""
    cycles, rest = divmod(number + _EPOCH - 1, _CYCLE_DAYS)
    found = date.fromordinal(rest + 1)
    return found.year + cycles * _CYCLE_YEARS, found.month, found.day


def matched_days(match: re.Match[str]) -> int:
    """The day's number of a match of :data:`DATE` and :data:`ERA`. Raises :exc:`ValueError` for a day that is none."""
    year = int(match["year"])
    if not year:
        raise ValueError("there is no year 0")
    return days(1 - year if match["era"] else year, int(match["month"]), int(match["day"]))


def texts(number: int) -> tuple[str, str]:
    """The day as PostgreSQL's JSON has it, and its era (``" BC"`` or nothing), which goes to the very end."""
    year, month, day = civil(number)
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}", "" if year > 0 else " BC"


def twin(number: int) -> int:
    """``number`` itself, or in years that the standard library does not know (1 to 9999) a day of that weekday there.

    What a time zone's last (or first) rule says of the twin, it says of ``number``.
    """
    year = civil(number)[0]
    if 2 <= year <= 9998:  # noqa: PLR2004 - a year's distance from the ends, so that no zone's offset leads beyond
        return number
    goal = 1600 if year < 2 else 9200  # noqa: PLR2004
    return number + ((goal - year) // _CYCLE_YEARS) * _CYCLE_DAYS
