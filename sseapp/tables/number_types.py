"""Numbers and booleans."""

from __future__ import annotations

import re
import struct
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from math import inf, isinf
from typing import ClassVar

from sseapp.tables.value_type import NAN, Literal, Value, ValueType

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,6})?", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_SPECIAL: dict[str, float | None] = {
    "nan": None,
    "infinity": inf,
    "inf": inf,
    "+infinity": inf,
    "-infinity": -inf,
    "-inf": -inf,
}
_SPECIAL_TEXTS = {inf: "Infinity", -inf: "-Infinity"}
_MOST_DIGITS = 1000
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def _clean(text: str) -> str:
    """``text`` without what surrounds it, and with the plus of an exponent that form encoding made a space."""
    return text.strip().replace("e ", "e+").replace("E ", "E+")


def _special(text: str) -> Literal | None:
    """The literal of NaN and the infinities; ``None`` for any other text."""
    if text.lower() not in _SPECIAL:
        return None
    value = _SPECIAL[text.lower()]
    return Literal("NaN", NAN) if value is None else Literal(_SPECIAL_TEXTS[value], value)


def _raw_special(raw: str) -> Value:
    """The value of a JSON string that a number's column shows. Raises :exc:`ValueError` for any other text."""
    found = _special(raw[1:-1])
    if found is None:
        raise ValueError("no number")
    return found.value


class Whole(ValueType):
    """``int2``, ``int4``, ``int8`` and ``oid``."""

    bounds: ClassVar[dict[str, tuple[int, int]]] = {
        "int2": (-(1 << 15), (1 << 15) - 1),
        "int4": (-(1 << 31), (1 << 31) - 1),
        "int8": (-(1 << 63), (1 << 63) - 1),
        "oid": (0, (1 << 32) - 1),
    }

    def _parse(self, text: str) -> Literal:
        text = text.strip()
        least, most = self.bounds[self.column.base]
        # the digits are bounded before int() sees them
        value = int(text) if _WHOLE.fullmatch(text) and len(text.lstrip("+-0")) <= len(str(most)) else None
        if value is None or not least <= value <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return Literal(str(value), value)

    def _read(self, raw: str) -> Value:
        # oid is no number to row_to_json: it comes in quotes
        return int(raw.strip('"'))


class Numeric(ValueType):
    """``numeric``: exact, of any precision."""

    def _parse(self, text: str) -> Literal:
        text = _clean(text)
        special = _special(text)
        if special:
            return special
        value = Decimal(text) if _NUMBER.fullmatch(text) and len(text) <= _MOST_DIGITS else None
        if value is None or abs(value.adjusted()) > _MOST_DIGITS:
            raise ValueError(f"write a number of up to {_MOST_DIGITS} digits such as 12.50, or NaN or Infinity")
        value = value.normalize(_EXACT) if value else Decimal(0)
        return Literal(str(value), value)

    def _read(self, raw: str) -> Value:
        return _raw_special(raw) if raw[0] == '"' else Decimal(raw)


class Real(ValueType):
    """``float8``."""

    def _parse(self, text: str) -> Literal:
        text = _clean(text)
        special = _special(text)
        if special:
            return special
        value = self._rounded(text) if _NUMBER.fullmatch(text) else inf
        if isinf(value):
            raise ValueError(f"write a number within the range of {self.column.type} such as 12.5, or NaN or Infinity")
        # zero has two signs that are equal
        return Literal(repr(value or 0.0), value)

    def _read(self, raw: str) -> Value:
        return _raw_special(raw) if raw[0] == '"' else self._rounded(raw)

    def _rounded(self, text: str) -> float:
        """The nearest value of the type; infinity beyond its range."""
        return float(text)


class SingleReal(Real):
    """``float4``: rounded to 24 bits of mantissa, as PostgreSQL does with column and literal alike."""

    def _rounded(self, text: str) -> float:
        wide = float(text)
        try:
            narrow = _single(wide)
            mirrored = 2 * wide - narrow
            if mirrored == narrow or _single(mirrored) != mirrored:
                return narrow
        except OverflowError:
            return inf
        # rounded to 53 bits, the text lies halfway between two singles: only the text itself knows which is nearer
        exact, half = Decimal(text), Decimal(wide)
        return narrow if exact == half else max(narrow, mirrored) if exact > half else min(narrow, mirrored)


def _single(value: float) -> float:
    """``value`` in 24 bits of mantissa. Raises :exc:`OverflowError`."""
    narrow: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return narrow


class Boolean(ValueType):
    """``bool``: false is less than true."""

    def _parse(self, text: str) -> Literal:
        text = text.strip().lower()
        if text not in ("true", "false"):
            raise ValueError("write true or false")
        return Literal(text, text == "true")

    def _read(self, raw: str) -> Value:
        if raw not in ("true", "false"):
            raise ValueError("no boolean")
        return raw == "true"
