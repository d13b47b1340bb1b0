"""Reads durations, for settings and for request parameters alike."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "": 1.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhdw]?)", re.ASCII)

DAY = _UNITS["d"]
"""in seconds"""


def seconds(text: str, *, minimum: float, maximum: float) -> float:
    """Read ``500ms``, ``15s``, ``2m``, ``1h``, ``7d`` or ``2w``; a number without a unit counts seconds.

    Raises :exc:`ValueError` for other text, and for less than ``minimum`` or more than ``maximum`` seconds.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not a duration")
    found = float(match[1]) * _UNITS[match[2]]
    if not minimum <= found <= maximum:
        raise ValueError("out of range")
    return found
