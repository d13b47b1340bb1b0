"""What the encodings of databases can hold."""

from __future__ import annotations

import pytest

from sseapp.tables import encodings


@pytest.mark.parametrize(
    ("encoding", "text", "holds"),
    [
        ("UTF8", "漢€", True),
        ("SQL_ASCII", "漢€", True),
        ("LATIN1", "é", True),
        ("LATIN1", "€", False),
        ("WIN1252", "€", True),
        ("WIN1252", "漢", False),
        ("KOI8R", "Ж", True),
        ("EUC_JP", "abc", True),
        ("EUC_JP", "漢", False),
    ],
)
def test_what_can_be_sent(encoding, text, holds):
    assert encodings.can_hold(encoding, text) is holds


def test_the_codecs_are_pythons():
    assert all("a".encode(codec) for codec in encodings._SINGLE_BYTE.values())
