r"""Follows a path into JSON text, as PostgreSQL's ``->`` does.

Text stays raw on the way, so ``->>`` shows a number exactly as PostgreSQL shows it. Of a repeated key the last one
counts, and a negative index counts from the end of an array.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from sseapp.tables.row_json import elements, members

Step = str | int
"""A key of an object, or an index of an array."""

HARMLESS = r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
"""Escaped backslashes and surrogate pairs. They are set aside before the search for unreadable escapes."""
UNREADABLE = r"\\u(0000|[dD][89a-fA-F])"
"""A NUL and unpaired surrogates: PostgreSQL keeps them in ``json``, but no path can lead into a document with one."""
UNREADABLE_UNLESS_UTF8 = r"\\u(0000|00[89a-fA-F]|0[1-9a-fA-F]|[1-9a-fA-F])"
"""In a database that is not UTF-8 that goes for the escape of any character beyond ASCII."""

_HARMLESS = re.compile(HARMLESS)
_UNREADABLE = {True: re.compile(UNREADABLE), False: re.compile(UNREADABLE_UNLESS_UTF8)}


@dataclass(frozen=True, slots=True)
class JsonPath:
    """The ``steps`` from a document to a value. ``as_text`` is for ``->>``.

    ``is_jsonb`` is the document's type, ``is_utf8`` the database's encoding.
    """

    steps: tuple[Step, ...]
    as_text: bool
    is_jsonb: bool = False
    is_utf8: bool = True

    def __str__(self) -> str:
        """The path in canonical form; an index is in brackets, to be told apart from a key."""
        texts = [f"[{step}]" if isinstance(step, int) else quote(step, safe="") for step in self.steps]
        arrows = ["->"] * (len(texts) - 1) + ["->>" if self.as_text else "->"]
        return "".join(arrow + text for arrow, text in zip(arrows, texts, strict=True))

    def raw(self, document: str) -> str | None:
        """The raw JSON text at the end of the path; ``None`` where there is nothing, or JSON's ``null``."""
        if "\\u" in document and not (self.is_jsonb or is_readable(document, is_utf8=self.is_utf8)):
            return None
        found = document.strip(" \t\n\r")
        for step in self.steps:
            below = _member(found, step) if isinstance(step, str) else self._element(found, step)
            if below is None:
                return None
            found = below
        return None if found == "null" else found

    def _element(self, text: str, index: int) -> str | None:
        found = elements(text) if text.startswith("[") else []
        if self.is_jsonb and not text.startswith(("[", "{")):
            # to jsonb a scalar is an array of one: '3'::jsonb -> 0 is 3
            found = [text]
        return found[index] if -len(found) <= index < len(found) else None


def is_readable(document: str, *, is_utf8: bool) -> bool:
    """Whether PostgreSQL can follow a path in ``document``, the text of a ``json`` value."""
    return not _UNREADABLE[is_utf8].search(_HARMLESS.sub(" ", document))


def _member(text: str, key: str) -> str | None:
    return members(text).get(key) if text.startswith("{") else None
