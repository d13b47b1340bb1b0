"""Time zones: local time to UTC and back, both in microseconds since 1970-01-01."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sseapp.errors import BadParameterError
from sseapp.messages import excerpt
from sseapp.tables import gregorian_calendar

DAY = 86_400_000_000
"""in microseconds"""
_NAME = re.compile(r"[A-Za-z0-9_+-]{1,40}(?:/[A-Za-z0-9_+-]{1,40}){0,3}")
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local time has no zone
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

UTC_ZONE = ZoneInfo("UTC")


def zone(name: str, *, parameter: str = "tz") -> ZoneInfo:
    """The time zone ``name`` of the IANA database. Raises :exc:`~sseapp.errors.BadParameterError`."""
    try:
        if _NAME.fullmatch(name):
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # ZoneInfo opens whatever file the name leads to: a folder, a file without a zone
        pass
    raise BadParameterError(
        f"{excerpt(name)} is not a time zone. Write an IANA name such as Europe/Berlin or UTC.", parameter=parameter
    )


def to_utc(local: int, tz: ZoneInfo) -> int:
    """When clocks in ``tz`` show ``local``. Where they show it twice, as in autumn, the first time."""
    return local - _offset(_datetime(_stand_in(local), _NAIVE_EPOCH).replace(tzinfo=tz))


def to_local(instant: int, tz: ZoneInfo) -> int:
    """What clocks in ``tz`` show at ``instant`` (UTC)."""
    return instant + _offset(_datetime(_stand_in(instant), _EPOCH).astimezone(tz))


def _stand_in(microseconds: int) -> int:
    day, time = divmod(microseconds, DAY)
    return gregorian_calendar.stand_in(day) * DAY + time


def _datetime(microseconds: int, epoch: datetime) -> datetime:
    return epoch + timedelta(microseconds=microseconds)


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)
