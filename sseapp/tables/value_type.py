"""What all types of columns have in common: how a user's text and a row's JSON become values that compare alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sseapp.errors import BadParameterError, ShapeChangedError
from sseapp.messages import shown
from sseapp.tables.table import Column

Value = Any
"""What compares within its type as PostgreSQL compares: int, float, Decimal, str, bool, or :data:`NAN`."""

MOST_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Literal:
    """A value of a filter. ``text`` is canonical, and PostgreSQL reads it as exactly ``value``."""

    text: str
    value: Value = field(compare=False)


class NotANumber:
    """NaN as PostgreSQL has it: equal to itself and above all else."""

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


class Form(Enum):
    """How SQL compares a column so that it means what Python means."""

    NATIVE = "by the type's own operators"
    TEXT = "as text, by code point"
    SHOWN = "by the text that the row's JSON shows"


class ValueType(ABC):
    """The type of one column. Subclasses say how its texts are read, in ``_parse`` and ``_read``."""

    ordered: ClassVar[bool] = True
    comparable: ClassVar[bool] = True
    """Whether ``eq``, ``neq`` and ``in`` mean something."""
    form: ClassVar[Form] = Form.NATIVE
    hides_null: ClassVar[bool] = False
    """Whether the JSON may show ``null`` for what SQL holds to be a value (the ``null`` of ``json``)."""

    def __init__(self, column: Column) -> None:
        self.column = column

    def literal(self, text: str, *, tz: ZoneInfo, parameter: str) -> Literal:
        """Read what a user wrote. Raises :exc:`~sseapp.errors.BadParameterError` that says what would do."""
        if len(text) > MOST_CHARACTERS:
            raise BadParameterError(f"The value is longer than {MOST_CHARACTERS} characters.", parameter=parameter)
        try:
            return self._parse_in(text, tz)
        except ValueError as error:
            raise BadParameterError(
                f"{shown(text)} is no value of the column {shown(self.column.name)} ({self.column.type}): {error}.",
                parameter=parameter,
            ) from None

    def until(self, text: str, *, tz: ZoneInfo, parameter: str) -> tuple[Literal, bool]:
        """Read an inclusive end; whether the literal itself is still in (a day's end is not: the next day begins)."""
        return self.literal(text, tz=tz, parameter=parameter), True

    def value(self, raw: str) -> Value:
        """The value of a row's raw JSON text; ``None`` for null.

        Raises :exc:`~sseapp.errors.ShapeChangedError` where the text is none of this type.
        """
        if raw == "null":
            return None
        try:
            return self._read(raw)
        except (ValueError, ArithmeticError):
            raise ShapeChangedError(f"{shown(raw)} is no {self.column.type}: the table's shape has changed.") from None

    def _parse_in(self, text: str, tz: ZoneInfo) -> Literal:  # noqa: ARG002 - to instants alone a zone matters
        """Read a literal. Raises :exc:`ValueError` whose text says what would do."""
        return self._parse(text)

    @abstractmethod
    def _parse(self, text: str) -> Literal:
        """Read a literal that means the same in every zone."""

    @abstractmethod
    def _read(self, raw: str) -> Value:
        """Read raw JSON text that is not null. Raises :exc:`ValueError` or :exc:`ArithmeticError`."""
