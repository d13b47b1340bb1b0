"""The encodings of databases: which text a database can hold, and whether its bytes sort by code point."""

from __future__ import annotations

UTF8 = "UTF8"
SQL_ASCII = "SQL_ASCII"
"""No encoding at all: the database keeps the UTF-8 that it is sent."""

_SINGLE_BYTE = {
    "LATIN1": "latin-1",
    "LATIN2": "iso8859-2",
    "LATIN3": "iso8859-3",
    "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9",
    "LATIN6": "iso8859-10",
    "LATIN7": "iso8859-13",
    "LATIN8": "iso8859-14",
    "LATIN9": "iso8859-15",
    "LATIN10": "iso8859-16",
    "ISO_8859_5": "iso8859-5",
    "ISO_8859_6": "iso8859-6",
    "ISO_8859_7": "iso8859-7",
    "ISO_8859_8": "iso8859-8",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "WIN866": "cp866",
    "WIN874": "cp874",
    **{f"WIN{page}": f"cp{page}" for page in range(1250, 1259)},
}
"""Python's codec for each. In the encodings of several bytes, Python and PostgreSQL differ in single characters."""


def is_utf8(encoding: str) -> bool:
    """Whether a database's bytes are those of UTF-8, which sort by code point."""
    return encoding in (UTF8, SQL_ASCII)


def can_hold(encoding: str, text: str) -> bool:
    """Whether PostgreSQL can certainly convert ``text`` to ``encoding``."""
    if text.isascii() or is_utf8(encoding):
        return True
    try:
        text.encode(_SINGLE_BYTE.get(encoding, "ascii"))
    except UnicodeEncodeError:
        return False
    return True
