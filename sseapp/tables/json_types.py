"""The types of values at the end of a path into JSON.

``->>`` gives text. ``->`` gives a JSON value: equality works on strings, numbers and booleans, order on numbers only.
A path that leads nowhere gives NULL, and so does JSON's ``null``.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from decimal import Decimal

from sseapp.messages import is_storable
from sseapp.tables.json_path import JsonPath
from sseapp.tables.number_types import Numeric
from sseapp.tables.row_json import json_string
from sseapp.tables.table import Column
from sseapp.tables.text_types import Text, decode_string
from sseapp.tables.value_type import Comparison, Literal, Value, ValueType

MAX_NUMBER = 1000
"""A JSON number of more characters, or with an exponent of more than 3 digits, compares as no number."""
LARGE_EXPONENT = r"[eE][+-]?0*[1-9][0-9]{3}"
NUMBER, STRING, BOOLEAN, OTHER = "number", "string", "boolean", "other"

_LARGE_EXPONENT = re.compile(LARGE_EXPONENT)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)


class PathType(ValueType):
    """The type of what a path leads to."""

    def __init__(self, column: Column, path: JsonPath) -> None:
        super().__init__(column)
        self.path = path

    @property
    def described(self) -> str:
        """The path, for error messages."""
        return f"{self.column.name}{self.path} is a path into {self.column.type}"

    def _parse_json(self, raw: str) -> Value:
        found = self.path.raw(raw)
        return None if found is None else self._parse_found(found)

    @abstractmethod
    def _parse_found(self, raw: str) -> Value:
        """The value of the JSON text at the end of the path, which is not null."""


class JsonText(PathType, Text):
    """What ``->>`` gives: a string as its text, anything else as its JSON text."""

    def _parse_found(self, raw: str) -> Value:
        return decode_string(raw) if raw[0] == '"' else raw


class JsonNumber(PathType, Numeric):
    """What ``->`` gives, where it is a number: the only JSON values with an order."""

    def _parse_found(self, raw: str) -> Value:
        return _number(raw)

    def _parse(self, text: str) -> Literal:
        found = super()._parse(text)
        if not isinstance(found.value, Decimal):
            raise ValueError("JSON has no such number")  # noqa: TRY004 - it is what the user wrote
        return found


class JsonScalar(PathType):
    """What ``->`` gives. A value is a pair of its JSON type and itself, because Python holds ``True == 1``."""

    ordered = False
    comparison = Comparison.JSON_SCALAR
    expected = 'a JSON string, number or boolean such as "paid", 3 or true; ->> compares text'

    def _parse(self, text: str) -> Literal:
        text = text.strip()
        if text in ("true", "false"):
            return Literal(text, (BOOLEAN, text == "true"))
        if text.startswith('"'):
            return _string_literal(text)
        number = Numeric(self.column)._parse(text)  # noqa: SLF001 - the same spellings
        if not isinstance(number.value, Decimal):
            raise ValueError  # noqa: TRY004 - it is what the user wrote
        return Literal(number.text, (NUMBER, number.value))

    def _parse_found(self, raw: str) -> Value:
        if raw[0] == '"':
            return STRING, decode_string(raw)
        if raw in ("true", "false"):
            return BOOLEAN, raw == "true"
        number = _number(raw)
        return (OTHER, raw) if number is None else (NUMBER, number)


def _string_literal(text: str) -> Literal:
    try:
        value = json.loads(text)
    except ValueError:
        raise ValueError from None
    if not is_storable(value):
        raise ValueError("PostgreSQL cannot store such a character")
    return Literal(json_string(value), (STRING, value))


def _number(raw: str) -> Decimal | None:
    if len(raw) > MAX_NUMBER or not _NUMBER.fullmatch(raw) or _LARGE_EXPONENT.search(raw):
        return None
    return Decimal(raw)
