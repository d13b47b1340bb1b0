"""Time zones: from the clock on the wall to the instant and back, both in microseconds since 1970-01-01 (UTC)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sseapp.errors import BadParameterError
from sseapp.messages import shown
from sseapp.tables import gregorian_calendar

DAY = 86_400_000_000
_SECOND = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9_+-]{1,40}(?:/[A-Za-z0-9_+-]{1,40}){0,3}")
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock has no zone
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

UTC_ZONE = ZoneInfo("UTC")


def zone(name: str, *, parameter: str = "tz") -> ZoneInfo:
    """The time zone ``name`` of the IANA database. Raises :exc:`~sseapp.errors.BadParameterError`."""
    try:
        if _NAME.fullmatch(name):
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # ZoneInfo opens what the name leads to: a folder, a file that holds no zone
        pass
    raise BadParameterError(
        f"{shown(name)} is no time zone; write a name such as Europe/Berlin or UTC.", parameter=parameter
    )


def instant(wall: int, tz: ZoneInfo) -> int:
    """When a clock on the wall in ``tz`` shows ``wall``; the first time, where it shows it twice."""
    return wall - _offset(_at(_twin(wall), _NAIVE_EPOCH).replace(tzinfo=tz))


def wall(instant: int, tz: ZoneInfo) -> int:
    """What a clock on the wall in ``tz`` shows at ``instant``."""
    return instant + _offset(_at(_twin(instant), _EPOCH).astimezone(tz))


def _twin(moment: int) -> int:
    day, time = divmod(moment, DAY)
    return gregorian_calendar.twin(day) * DAY + time


def _at(moment: int, epoch: datetime) -> datetime:
    return epoch + timedelta(microseconds=moment)


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)
