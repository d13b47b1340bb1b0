"""Text: the one check of what a request brings in, and how a message shows it."""

from __future__ import annotations

import re

from sseapp.errors import BadParameterError

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_SHOWN = 60


def shown(text: str) -> str:
    """``text`` in quotes for a message: shortened, on one line, and encodable whatever it holds."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + "'"


def check(name: str, text: str) -> None:
    """Refuse what no text of PostgreSQL can hold. Raises :exc:`~sseapp.errors.BadParameterError`."""
    if _UNUSABLE.search(name) or _UNUSABLE.search(text):
        raise BadParameterError(
            "A NUL character or half a surrogate pair is in it, which no text in PostgreSQL can hold; leave it out.",
            parameter=shown(name) if _UNUSABLE.search(name) else name,
        )
