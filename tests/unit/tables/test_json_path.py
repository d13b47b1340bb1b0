"""Paths into JSON: where they lead, and what a value at their end is."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseapp.errors import BadParameterError, ShapeChangedError
from sseapp.tables.json_path import JsonPath, is_readable
from sseapp.tables.json_types import JsonNumber, JsonScalar, JsonText
from sseapp.tables.row_json import elements
from sseapp.tables.table import Column
from sseapp.tables.time_zones import UTC_ZONE

JSON = Column("j", "json", "json")


def path(*steps, as_text=False, **options):
    return JsonPath(steps, as_text, **options)


@pytest.mark.parametrize(
    ("document", "steps", "found"),
    [
        ('{"a":{"b":[1,"x"]}}', ("a", "b", 1), '"x"'),
        ('{"a":{"b":[1,"x"]}}', ("a", "b", -2), "1"),
        ('{"a":{"b":[1,"x"]}}', ("a", "b"), '[1,"x"]'),
        (' {"a" : 1.50 } ', ("a",), "1.50"),
        ('{"a":1,"a":2}', ("a",), "2"),
        ('{"a":{"b":1},"a":3}', ("a", "b"), None),
        ('{"\\u0061":1}', ("a",), "1"),
        ('{"0":1}', ("0",), "1"),
        ('{"0":1}', (0,), None),
        ("[1]", ("0",), None),
        ("[1]", (1,), None),
        ("[1]", (-2,), None),
        ("[]", (0,), None),
        ("[ ]", (0,), None),
        ("[[ ],{}, 2 ]", (1,), "{}"),
        ("3", (0,), None),
        ("null", (0,), None),
        ('{"a":null}', ("a",), None),
        ('{"a":"null"}', ("a",), '"null"'),
        ('{"a":"\\ud83d\\ude00"}', ("a",), '"\\ud83d\\ude00"'),
        ('{"a":1,"b":"\\u0000"}', ("a",), None),
        ('{"a":1,"b":"\\ud83d"}', ("a",), None),
        ('{"a":1,"b":"\\\\u0000"}', ("a",), "1"),
    ],
)
def test_a_path_leads_where_postgresqls_leads(document, steps, found):
    assert path(*steps).raw(document) == found


def test_to_jsonb_a_scalar_is_an_array_of_one():
    assert path(0, is_jsonb=True).raw("3") == "3"
    assert path(-1, 0, is_jsonb=True).raw('"x"') == '"x"'
    assert path(1, is_jsonb=True).raw("3") is None
    assert path(0, is_jsonb=True).raw("{}") is None
    assert path("a", is_jsonb=True).raw("3") is None


def test_outside_of_utf8_an_escaped_character_beyond_ascii_is_unreadable():
    for document, readable in {
        '"\\u0041"': True, '"\\u00e9"': False, '"\\u20ac"': False, '"\\ud83d\\ude00"': True, '"\\\\u20ac"': True,
    }.items():  # fmt: skip
        assert is_readable(document, is_utf8=True)
        assert is_readable(document, is_utf8=False) == readable or "ud83d" in document


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=10,
)


@given(VALUES, st.lists(st.sampled_from(["a", "b", 0, 1, -1]), min_size=1, max_size=3), st.sampled_from([None, 1]))
def test_a_path_leads_where_pythons_own_reading_leads(value, steps, indent):
    found = value
    for step in steps:
        if isinstance(step, str):
            found = found.get(step) if isinstance(found, dict) else None
        else:
            found = found[step] if isinstance(found, list) and -len(found) <= step < len(found) else None
    raw = path(*steps).raw(json.dumps(value, indent=indent).replace("\\u0000", "x"))
    assert (None if raw is None else json.loads(raw)) == json.loads(json.dumps(found).replace("\\u0000", "x"))


@pytest.mark.parametrize("text", ["[1", "[1 2]", "[", "[,]", "[1,]", '["a]'])
def test_text_that_is_no_array_is_refused(text):
    with pytest.raises(ValueError, match="not a"):
        elements(text)


def test_the_canonical_text_tells_an_index_from_a_key():
    assert str(path("a b", 0, "0", "->")) == "->a%20b->[0]->0->-%3E"
    assert str(path("a", as_text=True)) == "->>a"
    assert str(path("[0]", 3, as_text=True)) == "->%5B0%5D->>[3]"


@pytest.mark.parametrize(
    ("raw", "text", "scalar", "number"),
    [
        ('"a\\n"', "a\n", ("string", "a\n"), None),
        ('"3"', "3", ("string", "3"), None),
        ("3.0", "3.0", ("number", Decimal(3)), Decimal(3)),
        ("-1e2", "-1e2", ("number", Decimal(-100)), Decimal(-100)),
        ("1e0999", "1e0999", ("number", Decimal("1e999")), Decimal("1e999")),
        ("1e1000", "1e1000", ("other", "1e1000"), None),
        ("1e-0001000", "1e-0001000", ("other", "1e-0001000"), None),
        ("9" * 1001, "9" * 1001, ("other", "9" * 1001), None),
        ("true", "true", ("boolean", True), None),
        ("false", "false", ("boolean", False), None),
        ("[1]", "[1]", ("other", "[1]"), None),
        ("null", None, None, None),
    ],
)
def test_the_value_at_the_end(raw, text, scalar, number):
    document = f'{{"k":{raw}}}'
    assert JsonText(JSON, path("k", as_text=True)).value(document) == text
    assert JsonScalar(JSON, path("k")).value(document) == scalar
    assert JsonNumber(JSON, path("k")).value(document) == number
    assert JsonScalar(JSON, path("k")).value("null") is None


@pytest.mark.parametrize(
    ("written", "text", "value"),
    [
        ("3.0", "3", ("number", Decimal(3))),
        (" true", "true", ("boolean", True)),
        ("false", "false", ("boolean", False)),
        ('"a\\u00e9"', '"aé"', ("string", "aé")),
    ],
)
def test_a_json_literal(written, text, value):
    literal = JsonScalar(JSON, path("k")).literal(written, tz=UTC_ZONE, parameter="p")
    assert (literal.text, literal.value) == (text, value)


@pytest.mark.parametrize(
    "written", ["paid", "null", "NaN", "-Infinity", '"a', '"\\u0000"', '"\\ud800"', "[1]", "{}", ""]
)
def test_other_literals_are_refused(written):
    with pytest.raises(BadParameterError, match=r'is not a JSON string, number or boolean such as "paid", 3 or true'):
        JsonScalar(JSON, path("k")).literal(written, tz=UTC_ZONE, parameter="p")


def test_only_numbers_have_an_order():
    kind = JsonNumber(JSON, path("k"))
    assert kind.literal("1e1", tz=UTC_ZONE, parameter="p").value == 10
    for written in ("NaN", "x"):
        with pytest.raises(BadParameterError, match=r"\(j->k is a path into json\)"):
            kind.literal(written, tz=UTC_ZONE, parameter="p")


def test_json_that_is_none_means_the_shape_has_changed():
    with pytest.raises(ShapeChangedError):
        JsonText(JSON, path("k", as_text=True)).value('{"k')
