"""Texts whose bytes are not what their database's encoding says.

A database of ``SQL_ASCII`` takes any bytes, and one of ``WIN1252`` takes a byte that has no character. The server
cannot convert such a text to UTF-8 and fails. ``sseapp.sendable()`` (``sql/install/read.sql``) sends its bytes instead,
and here they become a text again, with U+FFFD for what is no character.
"""

from __future__ import annotations

from psycopg2.extensions import encodings

_MARK = "\x1a"  # in no JSON text, and no reason begins with it


def is_raw(text: str | None) -> bool:
    """Whether ``text`` is one of them, as ``sseapp.sendable()`` sends it."""
    return text is not None and text.startswith(_MARK)


def readable(text: str) -> str:
    """The text itself, or the one that its bytes stand for."""
    if not is_raw(text):
        return text
    encoding, _, digits = text[1:].partition(":")
    codec = "utf_8" if encoding == "SQL_ASCII" else encodings.get(encoding, "utf_8")
    return bytes.fromhex(digits).decode(codec, "replace")
