"""What a user writes and what a row's JSON shows, as values that compare as PostgreSQL compares."""

from __future__ import annotations

from decimal import Decimal
from math import inf

import pytest
from harness.typed_columns import LABELS, TYPES, types_of
from hypothesis import given
from hypothesis import strategies as st

from sseapp.errors import BadParameterError, ShapeChangedError
from sseapp.tables.column_types import NAN, Row, column_type, has_text_order, raw_member
from sseapp.tables.table import Column
from sseapp.tables.time_zones import zone

UTC = zone("UTC")


def type_of(base: str, kind: str = "b", labels: tuple[str, ...] = ()):
    return column_type(Column("v", base, base, kind, labels))


def literal(base: str, text: str, tz=UTC):
    return type_of(base).literal(text, tz=tz, parameter="v")


@pytest.mark.parametrize(
    ("base", "text", "canonical", "value"),
    [
        ("int2", "32767", "32767", 32767),
        ("int4", " +007", "7", 7),
        ("int8", "-9223372036854775808", "-9223372036854775808", -(1 << 63)),
        ("oid", "4294967295", "4294967295", 4294967295),
        ("numeric", "12.500", "12.5", Decimal("12.5")),
        ("numeric", "-0.00", "0", 0),
        ("numeric", "1e 3", "1E+3", 1000),
        ("numeric", "100", "1E+2", 100),
        ("numeric", "nan", "NaN", NAN),
        ("numeric", "-inf", "-Infinity", -inf),
        ("float8", "0.1", "0.1", 0.1),
        ("float8", "-0", "0.0", 0.0),
        ("float8", "1e-400", "0.0", 0.0),
        ("float8", "+Infinity", "Infinity", inf),
        ("float4", "0.1", "0.10000000149011612", 0.10000000149011612),
        ("float4", "16777217", "16777216.0", 16777216.0),
        # halfway between two singles, a trifle above and below, beyond what a double tells apart
        ("float4", "1.000000059604644775390625", "1.0", 1.0),
        ("float4", "1.000000059604644775390625000001", "1.0000001192092896", 1.0000001192092896),
        ("float4", "1.000000178813934326171875", "1.000000238418579", 1.000000238418579),
        ("float4", "1.000000178813934326171874999999", "1.0000001192092896", 1.0000001192092896),
        ("bool", " TRUE", "true", True),
        ("bool", "false", "false", False),
        ("text", " a ", " a ", " a "),
        ("bpchar", " a ", " a", " a"),
        (
            "uuid",
            "{123E4567E89B12D3A456426614174000}",
            "123e4567-e89b-12d3-a456-426614174000",
            "123e4567-e89b-12d3-a456-426614174000",
        ),
        ("inet", "10.0.0.1", "10.0.0.1", "10.0.0.1"),
    ],
)
def test_a_literal_has_one_canonical_text(base, text, canonical, value):
    found = literal(base, text)
    assert (found.text, found.value) == (canonical, value)


@pytest.mark.parametrize(
    ("base", "text", "hint"),
    [
        ("int2", "32768", "whole number from -32768 to 32767"),
        ("int4", "1.5", "whole number"),
        ("int4", "٣", "whole number"),
        ("int4", "1_000", "whole number"),
        ("int8", "9" * 5000, "whole number"),
        ("oid", "-1", "whole number from 0"),
        ("numeric", "1e1001", "number such as 12.50"),
        ("numeric", "0x1F", "number such as 12.50"),
        ("numeric", "1" * 1001, "number such as 12.50"),
        ("numeric", "", "number such as 12.50"),
        ("float8", "1e400", "within the range of float8"),
        ("float4", "1e39", "within the range of float4"),
        ("float4", "twelve", "within the range of float4"),
        ("bool", "yes", "true or false"),
        ("uuid", "123e4567", "UUID such as"),
        ("text", "x" * 10_001, "longer than 10000"),
    ],
)
def test_a_refused_literal_says_what_is_expected(base, text, hint):
    with pytest.raises(BadParameterError, match=hint) as refusal:
        literal(base, text)
    assert refusal.value.parameter == "v"


@pytest.mark.parametrize(
    ("base", "raw", "value"),
    [
        ("int4", "12", 12),
        ("oid", '"12"', 12),
        ("numeric", "12.50", Decimal("12.5")),
        ("numeric", '"NaN"', NAN),
        ("numeric", '"-Infinity"', -inf),
        ("float8", "-0", 0.0),
        ("float8", "1e+20", 1e20),
        ("float8", '"Infinity"', inf),
        ("float4", "0.1", 0.10000000149011612),
        ("bool", "true", True),
        ("bool", "false", False),
        ("text", '"a\\"\\u0007"', 'a"\x07'),
        ("text", '"ä"', "ä"),
        ("bpchar", '"a   "', "a"),
        ("uuid", '"00000000-0000-0000-0000-000000000001"', "00000000-0000-0000-0000-000000000001"),
        ("interval", '"1 day"', "1 day"),
        ("hstore", '{"a": "1"}', '{"a": "1"}'),
        ("json", " null\n", None),
        ("json", '{"a":null}', '{"a":null}'),
        ("xml", '"<a/>"', '"<a/>"'),
        ("int4", "null", None),
    ],
)
def test_a_row_is_read_from_its_raw_json(base, raw, value):
    assert type_of(base).value(raw) == value


@pytest.mark.parametrize(
    ("base", "raw"),
    [
        *(("int4", '"x"'), ("numeric", '"x"'), ("numeric", "[1]"), ("float8", "{}"), ("bool", "1"), ("text", "1")),
        *(("text", '"'), ("uuid", "1"), ("timestamptz", '"soon"'), ("date", "20"), ("time", '"25:00"')),
    ],
)
def test_json_of_another_type_means_the_shape_has_changed(base, raw):
    with pytest.raises(ShapeChangedError, match=r"(?s)the table's shape has changed"):
        type_of(base).value(raw)


def test_an_enum_goes_by_its_declared_order():
    size = type_of("size", "e", LABELS)
    small, medium = (size.literal(label, tz=UTC, parameter="v").value for label in ("small", "Medium"))
    assert small < medium == size.value('"Medium"')
    with pytest.raises(BadParameterError, match="is not one of 'small', 'Medium'"):
        size.literal("medium", tz=UTC, parameter="v")
    with pytest.raises(ShapeChangedError):
        size.value('"giant"')


def test_arrays_and_composites_allow_null_tests_only():
    for kind in "acrm":
        value_type = type_of("int4", kind)
        assert not value_type.ordered
        assert not value_type.comparable
        assert value_type.value("[1]") == "[1]"


def test_nan_is_greater_than_all_and_equal_to_itself():
    for other in (inf, Decimal("Infinity"), 0, -inf):
        assert other < NAN
        assert other <= NAN
        assert other < NAN
        assert other != NAN
        assert not other > NAN
        assert not other >= NAN
        assert not other > NAN
    assert NAN <= NAN  # noqa: PLR0124
    assert NAN >= NAN  # noqa: PLR0124
    assert not NAN < NAN  # noqa: PLR0124
    assert not NAN > NAN  # noqa: PLR0124
    assert repr(NAN) == "NAN"


@given(st.data(), st.sampled_from([one for one in TYPES if column_type(one.column).comparable]))
def test_a_canonical_text_is_its_own_canonical_text(data, typed):
    value_type = column_type(typed.column)
    try:
        first = value_type.literal(data.draw(typed.literals), tz=zone("Asia/Kathmandu"), parameter="v")
    except BadParameterError:
        return
    second = value_type.literal(first.text, tz=zone("Asia/Kathmandu"), parameter="v")
    assert (second.text, second.value) == (first.text, first.value)


def test_a_rows_values_are_read_once_and_only_when_asked_for():
    columns = (Column("a", "int4", "int4"), Column("b", "int4", "int4"))
    members = {"a": "1", "b": "no number"}
    row = Row(members, types_of(columns))
    assert row["a"] == 1
    members["a"] = "2"
    assert row["a"] == 1
    with pytest.raises(ShapeChangedError):
        row["b"]


def test_a_missing_column_means_the_shape_has_changed():
    with pytest.raises(ShapeChangedError, match="no column 'c'"):
        raw_member({"a": "1"}, "c")


def test_a_type_that_cannot_be_compared_has_no_literals():
    with pytest.raises(BadParameterError, match=r"ask for is\.null"):
        literal("xml", "<a/>")


@pytest.mark.parametrize(
    ("column", "has"),
    [
        (Column("n", "integer", "int4"), False),
        (Column("n", "regclass", "regclass"), True),
        (Column("n", "int4range", "int4range", kind="r"), True),
        (Column("n", "jsonb", "jsonb"), False),
        (Column("n", "integer[]", "_int4", kind="a"), False),
        (Column("n", "citext", "citext", as_text=True), True),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_what_goes_by_the_text_that_json_shows(column, has):
    assert has_text_order(column) is has
