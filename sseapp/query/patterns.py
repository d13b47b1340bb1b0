r"""Patterns of ``like``: ``%`` (or PostgREST's ``*``) for any text, ``_`` for any one character, ``\`` to escape."""

from __future__ import annotations

import re

MAX_PATTERN = 500

_TOKEN = re.compile(r"\\(?P<escaped>.)|(?P<any>[%*])|(?P<one>_)|(?P<plain>[^\\])", re.DOTALL)
_SPECIAL = re.compile(r"([\\%_])")
_LAST_CHARACTER = 0x10FFFF


class Pattern:
    """A parsed pattern. ``text`` is its canonical form, which means the same to SQL's LIKE.

    ``prefix`` is the text that every match starts with; ``has_one`` says whether there is a ``_``.
    Raises :exc:`ValueError` for a pattern that ends in a backslash or is too long.
    """

    __slots__ = ("_first", "_last", "_last_length", "_middle", "has_one", "prefix", "text")

    def __init__(self, written: str) -> None:
        if len(written) > MAX_PATTERN:
            raise ValueError(f"a pattern has {MAX_PATTERN} characters at most")
        segments = _segments(written)
        self.text = "%".join("".join(map(_canonical, segment)) for segment in segments)
        self.prefix = _prefix(segments[0])
        self.has_one = any(character is None for segment in segments for character in segment)
        first, *rest = [re.compile("".join(map(_regex, segment)), re.DOTALL) for segment in segments]
        self._first = first
        self._middle = rest[:-1]
        self._last = rest[-1] if rest else None
        self._last_length = len(segments[-1])

    @property
    def bounds(self) -> tuple[str | None, str | None]:
        """A closed interval, in order of code points, that contains every match; no bounds without a prefix."""
        if not self.prefix:
            return None, None
        last = ord(self.prefix[-1])
        return self.prefix, None if last == _LAST_CHARACTER else self.prefix[:-1] + chr(last + 1)

    def matches(self, text: str) -> bool:
        """Whether the pattern takes ``text``.

        Each segment between two ``%`` is searched once, behind the one before. The first place leaves the most text
        for the segments that follow, so no choice has to be taken back, and no pattern is slow.
        """
        if self._last is None:
            return self._first.fullmatch(text) is not None
        match = self._first.match(text)
        for segment in self._middle:
            if match is None:
                return False
            match = segment.search(text, match.end())
        start = len(text) - self._last_length
        return match is not None and start >= match.end() and self._last.match(text, start) is not None


_Segment = list[str | None]
"""The characters between two ``%``; ``None`` stands for any one."""


def _segments(written: str) -> list[_Segment]:
    segments: list[_Segment] = [[]]
    position = 0
    while position < len(written):
        match = _TOKEN.match(written, position)
        if match is None:
            raise ValueError("a pattern cannot end in a backslash")
        if match["any"] is None:
            segments[-1].append(None if match["one"] else match["escaped"] or match["plain"])
        elif segments[-1] or len(segments) == 1:
            segments.append([])
        position = match.end()
    return segments


def _canonical(character: str | None) -> str:
    return "_" if character is None else _SPECIAL.sub(r"\\\1", character)


def _regex(character: str | None) -> str:
    return "." if character is None else re.escape(character)


def _prefix(segment: _Segment) -> str:
    found = ""
    for character in segment:
        if character is None:
            break
        found += character
    return found
