"""Numbers and booleans."""

from __future__ import annotations

import re
import struct
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from math import inf, isinf
from typing import ClassVar

from sseapp.tables.value_type import NAN, Literal, Value, ValueType

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,6})?", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_SPECIAL: dict[str, float | None] = {
    "nan": None,
    "infinity": inf,
    "inf": inf,
    "+infinity": inf,
    "-infinity": -inf,
    "-inf": -inf,
}
_SPECIAL_TEXTS = {inf: "Infinity", -inf: "-Infinity"}
_MAX_DIGITS = 1000
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def _clean(text: str) -> str:
    """``text`` without surrounding space. The plus of an exponent comes back: form encoding makes it a space."""
    return text.strip().replace("e ", "e+").replace("E ", "E+")


def _special(text: str) -> Literal | None:
    """The literal for NaN and the infinities; ``None`` for any other text."""
    if text.lower() not in _SPECIAL:
        return None
    value = _SPECIAL[text.lower()]
    return Literal("NaN", NAN) if value is None else Literal(_SPECIAL_TEXTS[value], value)


def _special_json(raw: str) -> Value:
    """The value of a JSON string in a number column. Raises :exc:`ValueError` where it is none of the three."""
    found = _special(raw[1:-1])
    if found is None:
        raise ValueError
    return found.value


class Integer(ValueType):
    """``int2``, ``int4``, ``int8`` and ``oid``."""

    bounds: ClassVar[dict[str, tuple[int, int]]] = {
        "int2": (-(1 << 15), (1 << 15) - 1),
        "int4": (-(1 << 31), (1 << 31) - 1),
        "int8": (-(1 << 63), (1 << 63) - 1),
        "oid": (0, (1 << 32) - 1),
    }

    @property
    def expected(self) -> str:
        """Names the bounds of the type."""
        return "a whole number from {} to {}".format(*self.bounds[self.column.base])

    def _parse(self, text: str) -> Literal:
        text = text.strip()
        minimum, maximum = self.bounds[self.column.base]
        # bound the digits before int() sees them: its time grows with their square
        if not _INTEGER.fullmatch(text) or len(text.lstrip("+-0")) > len(str(maximum)):
            raise ValueError
        value = int(text)
        if not minimum <= value <= maximum:
            raise ValueError
        return Literal(str(value), value)

    def _parse_json(self, raw: str) -> Value:
        # row_to_json prints oid in quotes
        return int(raw.strip('"'))


class Numeric(ValueType):
    """``numeric``: exact, of any precision."""

    expected = f"a number such as 12.50, NaN or Infinity, of up to {_MAX_DIGITS} digits"

    def _parse(self, text: str) -> Literal:
        text = _clean(text)
        special = _special(text)
        if special:
            return special
        if not _NUMBER.fullmatch(text) or len(text) > _MAX_DIGITS:
            raise ValueError
        value = Decimal(text)
        if abs(value.adjusted()) > _MAX_DIGITS:
            raise ValueError
        value = value.normalize(_EXACT) if value else Decimal(0)
        return Literal(str(value), value)

    def _parse_json(self, raw: str) -> Value:
        return _special_json(raw) if raw[0] == '"' else Decimal(raw)


class Float8(ValueType):
    """``float8`` (double precision)."""

    @property
    def expected(self) -> str:
        """Names the type, whose range the number has to fit."""
        return f"a number such as 12.5, NaN or Infinity, within the range of {self.column.type}"

    def _parse(self, text: str) -> Literal:
        text = _clean(text)
        special = _special(text)
        if special:
            return special
        value = self._round(text) if _NUMBER.fullmatch(text) else inf
        if isinf(value):
            raise ValueError
        # 0.0 and -0.0 are equal, so they share one text
        return Literal(repr(value or 0.0), value)

    def _parse_json(self, raw: str) -> Value:
        return _special_json(raw) if raw[0] == '"' else self._round(raw)

    def _round(self, text: str) -> float:
        """The nearest value of the type; infinity beyond its range."""
        return float(text)


class Float4(Float8):
    """``float4`` (real): rounded to 24 bits of mantissa, as PostgreSQL rounds both column and literal."""

    def _round(self, text: str) -> float:
        double = float(text)
        try:
            single = _to_single(double)
            mirrored = 2 * double - single
            if mirrored == single or _to_single(mirrored) != mirrored:
                return single
        except OverflowError:
            return inf
        # The double lies halfway between two singles. Only the text itself tells which of them is nearer.
        exact, half = Decimal(text), Decimal(double)
        return single if exact == half else max(single, mirrored) if exact > half else min(single, mirrored)


def _to_single(value: float) -> float:
    """``value`` rounded to 24 bits of mantissa. Raises :exc:`OverflowError`."""
    single: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return single


class Boolean(ValueType):
    """``bool``: false is less than true."""

    expected = "true or false"

    def _parse(self, text: str) -> Literal:
        text = text.strip().lower()
        if text not in ("true", "false"):
            raise ValueError
        return Literal(text, text == "true")

    def _parse_json(self, raw: str) -> Value:
        if raw not in ("true", "false"):
            raise ValueError
        return raw == "true"
