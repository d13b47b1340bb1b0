"""Hypothesis strategies for the texts of values: what SQL is fed, and what a user may write in a filter."""

from __future__ import annotations

import uuid
from decimal import Decimal
from math import isinf, isnan

from hypothesis import strategies as st

from sseapp.tables.table import Column
from sseapp.tables.time_types import MAX_DATE, MAX_TIMESTAMP, MIN_DATE, MIN_TIMESTAMP, Date, Timestamp, TimestampTz

ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "America/Havana", "Pacific/Apia")


def _moments() -> st.SearchStrategy[int]:
    # the hours around changes of the clock, the ends of what PostgreSQL and what Python can hold, and any other
    day = 86_400_000_000
    turns = [1_774_746_000_000_000, 1_792_890_000_000_000, -62_135_596_800_000_000, 253_402_300_800_000_000, 0]
    near = st.builds(
        lambda turn, delta: turn + delta,
        st.sampled_from(turns),
        st.sampled_from([-day, -3_600_000_000, -1, 0, 1, 500_000, 1_000_000, 3_600_000_000, day]),
    )
    ends = st.sampled_from([MIN_TIMESTAMP, MIN_TIMESTAMP + 1, MAX_TIMESTAMP, MAX_TIMESTAMP - 1])
    return near | near | ends | st.integers(MIN_TIMESTAMP, MAX_TIMESTAMP)


@st.composite
def instants(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(["infinity", "-infinity"]))
    return TimestampTz(Column("v", "timestamptz", "timestamptz"))._literal(draw(_moments())).text


@st.composite
def walls(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(["infinity", "-infinity"]))
    return Timestamp(Column("v", "timestamp", "timestamp"))._literal(draw(_moments())).text


@st.composite
def moment_literals(draw: st.DrawFn) -> str:
    """A moment in one of the spellings that users bring."""
    text = draw(walls())
    if "infinity" in text:
        return text
    era = " BC" if text.endswith(" BC") else ""
    text = text.removesuffix(" BC")
    offset = draw(st.sampled_from(["", "Z", "+00:00", "+02:00", " 02:00", "-0330", "+14", "-11:30:15"]))
    spelt = draw(st.sampled_from([text, text.replace("T", " "), text.split("T")[0]]))
    return spelt + (offset if ":" in spelt else "") + era


def days() -> st.SearchStrategy[str]:
    column = Date(Column("v", "date", "date"))
    near = st.integers(20_450, 20_460) | st.integers(MIN_DATE, MAX_DATE)
    ends = st.sampled_from([MIN_DATE, MAX_DATE, -719_163, -719_162, 2_932_896, 2_932_897])
    return st.sampled_from(["infinity", "-infinity"]) | (near | ends).map(lambda day: column._literal(day).text)


def times() -> st.SearchStrategy[str]:
    return st.sampled_from(["00:00", "24:00:00", "23:59:59.999999", "12:30"]) | st.times().map(
        lambda time: time.replace(tzinfo=None).isoformat()
    )


def whole(bits: int) -> st.SearchStrategy[str]:
    least, most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    near = st.integers(-3, 12) | st.sampled_from([least, most, least + 1, most - 1])
    return (near | st.integers(least, most)).map(str)


def whole_literals(bits: int) -> st.SearchStrategy[str]:
    return st.builds(
        lambda text, spell: spell(text),
        whole(bits),
        st.sampled_from(
            [str, lambda t: " " + t, lambda t: "+" + t if t[0] != "-" else t, lambda t: "00" + t.lstrip("-")]
        ),
    )


_SPECIAL = st.sampled_from(["NaN", "Infinity", "-Infinity"])
CLOSE = st.sampled_from(
    """
    0 -0 0.0 0.1 0.10 0.1000000000000000055511151231257827 1 1.0 1.00 1e0 10 9 9.99 10.000000000000000000001 2.5
    16777217 16777216 9007199254740993 9007199254740992 1e-45 1e-40 3.4028235e38 1.7976931348623157e308 5e-324 1e20
    123456789012345678901234567890.123456789 0.30000000000000004 0.3 33554433 8388608.5 1e-7 -1e20
    """.split()  # noqa: SIM905 - a list is easier to read without quotes
)


def numerics() -> st.SearchStrategy[str]:
    return _SPECIAL | CLOSE | st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str) | wide()


def wide() -> st.SearchStrategy[str]:
    return st.builds(
        lambda digits, exponent: f"{digits}e{exponent}", st.integers(-(10**40), 10**40), st.integers(-60, 60)
    )


def scaled() -> st.SearchStrategy[str]:
    return st.integers(-999, 999).map(lambda cents: str(Decimal(cents) / 100))


def oids() -> st.SearchStrategy[str]:
    return st.integers(0, (1 << 32) - 1).map(str) | fixed("0", "9", "10", "4294967295")


def floats(width: int) -> st.SearchStrategy[str]:
    return st.floats(width=width).map(_float_text) | _SPECIAL | st.sampled_from(["0.1", "-0", "0", "16777216", "1e20"])


def _float_text(value: float) -> str:
    return "NaN" if isnan(value) else ("-" if value < 0 else "") + "Infinity" if isinf(value) else repr(value)


def _usable(text: str) -> bool:
    return "\x00" not in text


_WORDS = st.sampled_from(
    [
        *(
            "",
            " ",
            "a",
            "A",
            "b",
            "B",
            "ä",
            "a\u0308",
            "Ä",
            "z",
            "ß",
            "ss",
            "1",
            "10",
            "9",
            "1.0",
            "null",
            "true",
            "NaN",
        ),
        *(
            "a b",
            "a  ",
            "a,b",
            '"',
            "\\",
            "a\\nb",
            "%s",
            "%",
            "'; --",
            "\n",
            "\u2028",
            "😀",
            "\uffff",
            "é",
            "É",
            "(",
            ")",
        ),
    ]
)
TEXTS = _WORDS | _WORDS | st.text(max_size=6, alphabet=st.characters(exclude_categories=["Cs"])).filter(_usable)
TRIMMED = TEXTS.map(lambda text: text[:5])


def uuids() -> st.SearchStrategy[str]:
    return st.sampled_from([0, 1, 255, 1 << 127, (1 << 128) - 1]).map(lambda n: str(uuid.UUID(int=n))) | st.uuids().map(
        str
    )


def fixed(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)
