"""How error messages quote what a request sent, and the check that all text of a request goes through."""

from __future__ import annotations

import re

from sseapp.errors import BadParameterError

_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
_MAX_LENGTH = 60


def excerpt(text: str) -> str:
    """``text`` in quotes for an error message: at most 60 characters, on one line, always encodable as UTF-8."""
    short = text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + "'"


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store ``text``: it has no NUL character and no unpaired surrogate."""
    return not _NOT_STORABLE.search(text)


def require_text(name: str, text: str) -> None:
    """Check that PostgreSQL could store a parameter's ``name`` and its ``text``.

    Raises :exc:`~sseapp.errors.BadParameterError` where one of them has a NUL character or an unpaired surrogate.
    """
    if not (is_storable(name) and is_storable(text)):
        raise BadParameterError(
            "It contains a NUL character or an unpaired surrogate. PostgreSQL cannot store either in text.",
            parameter=name if is_storable(name) else excerpt(name),
        )
