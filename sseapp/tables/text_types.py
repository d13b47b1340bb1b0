"""Types that are text, and those that are only compared by the text that the row's JSON shows."""

from __future__ import annotations

import json
import re
from itertools import pairwise

from sseapp.messages import shown
from sseapp.tables.table import Column
from sseapp.tables.value_type import Form, Literal, Value, ValueType

_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)


def unquoted(raw: str) -> str:
    """The text of a JSON string. Raises :exc:`ValueError` where ``raw`` is none."""
    if len(raw) < 2 or raw[0] != '"':  # noqa: PLR2004 - two quotes
        raise ValueError("no JSON string")
    return str(json.loads(raw)) if "\\" in raw else raw[1:-1]


class Text(ValueType):
    """``text``, ``varchar`` and ``name``, ordered by code point."""

    form = Form.TEXT

    def _parse(self, text: str) -> Literal:
        return Literal(text, text)

    def _read(self, raw: str) -> Value:
        return unquoted(raw)


class PaddedText(Text):
    """``char(n)``: the blanks at its end mean nothing."""

    def _parse(self, text: str) -> Literal:
        return super()._parse(text.rstrip(" "))

    def _read(self, raw: str) -> Value:
        return unquoted(raw).rstrip(" ")


class Label(ValueType):
    """An enum, in the order in which its labels were declared. A value is a label's place."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._places = {label: place for place, label in enumerate(column.labels)}

    def _parse(self, text: str) -> Literal:
        if text not in self._places:
            raise ValueError(f"write one of {', '.join(map(shown, self.column.labels[:20]))}")
        return Literal(text, self._places[text])

    def _read(self, raw: str) -> Value:
        place = self._places.get(unquoted(raw))
        if place is None:
            raise ValueError("no label of this enum")
        return place


class Uuid(ValueType):
    """``uuid``: the order of its digits is that of its bytes."""

    def _parse(self, text: str) -> Literal:
        digits = text.strip().strip("{}").replace("-", "").lower()
        if not _HEX.fullmatch(digits):
            raise ValueError("write a UUID such as 123e4567-e89b-12d3-a456-426614174000")
        bounds = (0, 8, 12, 16, 20, 32)
        canonical = "-".join(digits[a:b] for a, b in pairwise(bounds))
        return Literal(canonical, canonical)

    def _read(self, raw: str) -> Value:
        return unquoted(raw)


class Shown(ValueType):
    """A type without an order that is safe to copy: equal is what shows as the same text."""

    ordered = False
    form = Form.SHOWN
    hides_null = True

    def _parse(self, text: str) -> Literal:
        return Literal(text, text)

    def _read(self, raw: str) -> Value:
        # a type of an extension may show as an object or a number
        return unquoted(raw) if raw[0] == '"' else raw


class Opaque(ValueType):
    """Arrays, composites, ranges, ``xml``: only whether there is a value can be asked."""

    ordered = False
    comparable = False

    def _parse(self, text: str) -> Literal:  # noqa: ARG002 - whatever it is
        raise ValueError("it can only be asked for is.null and is.not_null")

    def _read(self, raw: str) -> Value:
        return raw


class Json(Opaque):
    """``json`` and ``jsonb``. Their own ``null`` shows as SQL's does, and counts as it."""

    hides_null = True

    def value(self, raw: str) -> Value:
        """Whether there is a value: its text, or ``None``."""
        # the text of json keeps the blanks that were typed
        return super().value(raw.strip(" \t\n\r"))
