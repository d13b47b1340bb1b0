"""The base class of all column types. It turns a user's text and a row's JSON into values that compare alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sseapp.errors import BadParameterError, ShapeChangedError
from sseapp.messages import excerpt
from sseapp.tables.table import Column

Value = Any
"""Compares within its type as PostgreSQL compares: int, float, Decimal, str, bool, or :data:`NAN`."""

MAX_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in a filter. ``text`` is its canonical form, which PostgreSQL reads as exactly ``value``."""

    text: str
    value: Value = field(compare=False)


class NotANumber:
    """NaN as in PostgreSQL: equal to itself and greater than every other number."""

    def __lt__(self, other: object) -> bool:
        return False

    def __le__(self, other: object) -> bool:
        return other is self

    def __gt__(self, other: object) -> bool:
        return other is not self

    def __ge__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "NAN"


NAN = NotANumber()


class Comparison(Enum):
    """How SQL has to compare a column so that it agrees with Python."""

    NATIVE = "the type's own operators"
    CODE_POINT = "as text, by code point"
    JSON_TEXT = "by the text that the row's JSON shows"
    JSON_SCALAR = "as a JSON string, number or boolean"


class ValueType(ABC):
    """The type of one column. A subclass parses the user's text in ``_parse`` and the row's JSON in ``_parse_json``."""

    ordered: ClassVar[bool] = True
    """Whether ``gt``, ``gte``, ``lt`` and ``lte`` are allowed."""
    comparable: ClassVar[bool] = True
    """Whether ``eq``, ``neq`` and ``in`` are allowed."""
    comparison: ClassVar[Comparison] = Comparison.NATIVE
    may_print_null: ClassVar[bool] = False
    """Whether JSON may show ``null`` for a value that is not NULL in SQL (the ``null`` of ``json``)."""

    def __init__(self, column: Column) -> None:
        self.column = column

    @property
    @abstractmethod
    def expected(self) -> str:
        """What a user has to write, for error messages: "a number such as 12.50"."""

    @property
    def described(self) -> str:
        """The column and its type, for error messages."""
        return f"{self.column.name} is {self.column.type}"

    def literal(self, text: str, *, tz: ZoneInfo, parameter: str) -> Literal:
        """Parse what a user wrote. Raises :exc:`~sseapp.errors.BadParameterError` that says what to write instead."""
        if len(text) > MAX_CHARACTERS:
            raise BadParameterError(f"The value is longer than {MAX_CHARACTERS} characters.", parameter=parameter)
        try:
            return self._parse_in_zone(text, tz)
        except ValueError as error:
            cause = f": {error}" if str(error) else ""
            raise BadParameterError(
                f"{excerpt(text)} is not {self.expected} ({self.described}){cause}.",
                parameter=parameter,
            ) from None

    def end_literal(self, text: str, *, tz: ZoneInfo, parameter: str) -> tuple[Literal, bool]:
        """Parse an inclusive end: the bound, and whether the bound itself is included.

        It is not where the end is a whole day. Then the bound is the first instant of the next day.
        """
        return self.literal(text, tz=tz, parameter=parameter), True

    def value(self, raw: str) -> Value:
        """The value of a row's raw JSON text; ``None`` for null.

        Raises :exc:`~sseapp.errors.ShapeChangedError` where the text is not of this type.
        """
        if raw == "null":
            return None
        try:
            return self._parse_json(raw)
        except (ValueError, ArithmeticError):
            raise ShapeChangedError(
                f"{excerpt(raw)} is not of type {self.column.type}: the table's shape has changed."
            ) from None

    def _parse_in_zone(self, text: str, tz: ZoneInfo) -> Literal:  # noqa: ARG002 - only timestamps use the zone
        """Parse a literal. Raises :exc:`ValueError`; its text, if any, says what is wrong beyond :attr:`expected`."""
        return self._parse(text)

    @abstractmethod
    def _parse(self, text: str) -> Literal:
        """Parse a literal that means the same in every time zone."""

    @abstractmethod
    def _parse_json(self, raw: str) -> Value:
        """Parse raw JSON text that is not null. Raises :exc:`ValueError` or :exc:`ArithmeticError`."""
