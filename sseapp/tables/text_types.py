"""Text types, and the types that can only be compared by the text that the row's JSON shows."""

from __future__ import annotations

import json
import uuid

from sseapp.messages import excerpt
from sseapp.tables.table import Column
from sseapp.tables.value_type import Comparison, Literal, Value, ValueType

_MAX_LABELS = 20


def decode_string(raw: str) -> str:
    """The text of a JSON string. Raises :exc:`ValueError` where ``raw`` is not a JSON string."""
    if len(raw) < 2 or raw[0] != '"':  # noqa: PLR2004 - two quotes
        raise ValueError
    return str(json.loads(raw)) if "\\" in raw else raw[1:-1]


class Text(ValueType):
    """``text``, ``varchar`` and ``name``, ordered by code point."""

    comparison = Comparison.CODE_POINT
    expected = "text"

    def _parse(self, text: str) -> Literal:
        return Literal(text, text)

    def _parse_json(self, raw: str) -> Value:
        return decode_string(raw)


class Char(Text):
    """``char(n)``: trailing spaces do not count."""

    def _parse(self, text: str) -> Literal:
        return super()._parse(text.rstrip(" "))

    def _parse_json(self, raw: str) -> Value:
        return super()._parse_json(raw).rstrip(" ")


class EnumLabel(ValueType):
    """An enum, ordered as its labels were declared. The value is the label's position."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._positions = {label: position for position, label in enumerate(column.labels)}

    @property
    def expected(self) -> str:
        """Names the first labels."""
        return "one of " + ", ".join(map(excerpt, self.column.labels[:_MAX_LABELS]))

    def _parse(self, text: str) -> Literal:
        if text not in self._positions:
            raise ValueError
        return Literal(text, self._positions[text])

    def _parse_json(self, raw: str) -> Value:
        position = self._positions.get(decode_string(raw))
        if position is None:
            raise ValueError
        return position


class Uuid(ValueType):
    """``uuid``: its hexadecimal digits have the same order as its bytes."""

    expected = "a UUID such as 123e4567-e89b-12d3-a456-426614174000"

    def _parse(self, text: str) -> Literal:
        try:
            canonical = str(uuid.UUID(text.strip()))
        except ValueError:
            raise ValueError from None
        return Literal(canonical, canonical)

    def _parse_json(self, raw: str) -> Value:
        return decode_string(raw)


class OtherScalar(ValueType):
    """Any other base type. Python does not know its order; equal means the same text in the row's JSON."""

    ordered = False
    comparison = Comparison.JSON_TEXT
    may_print_null = True
    expected = "text"

    def _parse(self, text: str) -> Literal:
        return Literal(text, text)

    def _parse_json(self, raw: str) -> Value:
        # some extensions' types print as an object or a number
        return decode_string(raw) if raw[0] == '"' else raw


class NullTestOnly(ValueType):
    """Arrays, composites, ranges and ``xml``: only ``is.null`` and ``is.not_null`` are allowed."""

    ordered = False
    comparable = False
    expected = "comparable; ask for is.null or is.not_null"

    def _parse(self, text: str) -> Literal:  # noqa: ARG002 - no text is allowed
        raise ValueError

    def _parse_json(self, raw: str) -> Value:
        return raw


class Json(NullTestOnly):
    """``json`` and ``jsonb``. JSON's own ``null`` prints like SQL's NULL, so the two count as one."""

    may_print_null = True

    def value(self, raw: str) -> Value:
        """The JSON text, or ``None``."""
        # json keeps the spaces that were typed
        return super().value(raw.strip(" \t\n\r"))
