"""Filters: the operators, the canonical form, what a row must have."""

from __future__ import annotations

import pytest
from harness.typed_columns import types_of
from hypothesis import given
from hypothesis import strategies as st

from sseapp.errors import BadParameterError, ShapeChangedError
from sseapp.query import conditions
from sseapp.query.conditions import MAX_MEMBERS, Source
from sseapp.query.filters import Filter
from sseapp.query.operands import Operand
from sseapp.tables.column_types import Row
from sseapp.tables.table import Column
from sseapp.tables.time_zones import UTC_ZONE

COLUMNS = {
    column.name: column
    for column in (
        Column("id", "bigint", "int8"),
        Column("name", "text", "text"),
        Column("paid", "boolean", "bool"),
        Column("at", "timestamp with time zone", "timestamptz"),
        Column("tags", "text[]", "text", "a"),
        Column("extra", "jsonb", "jsonb"),
        Column("host", "inet", "inet"),
        Column("a&b=c", "text", "text"),
    )
}


def condition(name: str, text: str):
    return conditions.parse(Operand(COLUMNS[name]), text, Source(name, f"{name}=", UTC_ZONE))


def filter_of(*asked: tuple[str, str]) -> Filter:
    return Filter(tuple(condition(name, text) for name, text in asked))


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("eq.2", ["2"]),
        ("neq.2", ["1", "3"]),
        ("gt.2", ["3"]),
        ("gte.2", ["2", "3"]),
        ("lt.2", ["1"]),
        ("lte.2", ["1", "2"]),
        ("in.(1,3,4)", ["1", "3"]),
        ("in.(3)", ["3"]),
        ("is.null", ["null"]),
        ("is.NOT_NULL", ["1", "2", "3"]),
    ],
)
def test_no_operator_but_is_null_takes_a_null(text, takes):
    filter_ = filter_of(("id", text))
    rows = [{"id": raw} for raw in ("1", "2", "3", "null")]
    assert [row["id"] for row in rows if filter_.matches(row)] == takes
    assert [row["id"] for row in rows if filter_.accepts(Row(row, types_of(COLUMNS.values())))] == takes


def test_all_conditions_must_hold():
    filter_ = filter_of(("id", "gt.1"), ("id", "lt.5"), ("name", "eq.a"))
    assert filter_.matches({"id": "3", "name": '"a"'})
    assert not filter_.matches({"id": "3", "name": '"b"'})
    assert not filter_.matches({"id": "5", "name": '"a"'})


def test_no_condition_takes_every_row():
    assert Filter().matches({})
    assert Filter().accepts({})
    assert Filter().canonical == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("id", "eq.1"), ("name", "eq.a")], [("name", "eq.a"), ("id", "eq.1")]),
        ([("id", "eq.1"), ("id", "eq.1")], [("id", "eq.+01")]),
        ([("id", "in.(3,1,1)")], [("id", "in.(1,3)")]),
        ([("id", "in.(7)")], [("id", "eq.7")]),
        ([("paid", "is.true")], [("paid", "eq.true")]),
        ([("paid", "is.FALSE")], [("paid", "eq.false")]),
        ([("at", "gte.2026-01-01T02:00:00 02:00")], [("at", "gte.2026-01-01")]),
    ],
)
def test_two_spellings_of_a_filter_are_one(one, other):
    assert filter_of(*one) == filter_of(*other)
    assert hash(filter_of(*one)) == hash(filter_of(*other))
    assert filter_of(*one).canonical == filter_of(*other).canonical


def test_the_canonical_text_is_the_same_in_every_release():
    filter_ = filter_of(("name", 'in.(b,"a,b",ä)'), ("id", "gte.3"), ("a&b=c", "is.null"))
    assert filter_.canonical == "a%26b%3Dc=is.null&id=gte.3&name=in.a%2Cb,b,%C3%A4"
    assert filter_.columns == ("a&b=c", "id", "name")


TEXTS = st.text(alphabet='a,&=."()\\%', max_size=4)


@given(st.lists(TEXTS, min_size=1, max_size=3), st.lists(TEXTS, min_size=1, max_size=3))
def test_different_filters_have_different_canonical_texts(one, other):
    def written(texts):
        return "in.(" + ",".join('"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"' for t in texts) + ")"

    first, second = filter_of(("name", written(one))), filter_of(("name", written(other)))
    assert (first.canonical == second.canonical) == (set(one) == set(other))
    assert {literal.value for literal in first.terms[0].literals} == set(one)


def test_a_filter_of_a_column_that_has_changed_its_type_is_another():
    source = Source("v", "v=", UTC_ZONE)
    old = Filter((conditions.parse(Operand(Column("v", "int4", "int4")), "eq.1", source),))
    new = Filter((conditions.parse(Operand(Column("v", "text", "text")), "eq.1", source),))
    assert old.canonical == new.canonical
    assert old != new


def test_narrowing_keeps_what_was_asked():
    narrow = filter_of(("id", "gt.1")).with_conditions([condition("id", "lt.3")])
    assert narrow == filter_of(("id", "gt.1"), ("id", "lt.3"))


def test_a_missing_column_means_the_shape_has_changed():
    with pytest.raises(ShapeChangedError):
        filter_of(("id", "eq.1")).matches({"name": '"a"'})


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        (
            "id",
            "3",
            r"did you mean id=eq\.3\? It takes eq neq gt gte lt lte in is \(id is bigint\)\.",
        ),
        ("id", "like.3", "like does not mean the same"),
        ("name", "ilike.3", "ilike is not available"),
        ("name", "example.com", r"did you mean name=eq\.example\.com\?"),
        ("id", "eq", r"The value is missing; write id=eq\.<value>"),
        ("id", "is", r"The value is missing; write id=is\.<value>"),
        ("id", "", "The operator is missing"),
        ("id", "not.not.is.null", r"did you mean id=eq\.not\.is"),
        ("id", "is.true", "write null or not_null"),
        ("paid", "is.unknown", "write null, not_null, true or false"),
        ("id", "is.null.x", "write null or not_null"),
        (
            "tags",
            "eq.{}",
            r"eq does not mean the same to SQL and to live changes here\. It takes is \(tags is text\[\]\)\.",
        ),
        ("extra", "in.(1)", r"It takes is \("),
        ("host", "gt.10.0.0.1", "It takes eq neq in is"),
        ("tags", "{}", r"did you mean tags=is\.not_null\?"),
        ("id", "in.1,2", r"Write the list in parentheses"),
        ("id", "in.(", r"Write the list in parentheses"),
        ("id", "in.()", "The list is empty"),
        ("name", 'in.("a)', "in double quotes"),
        ("name", 'in.("a"b)', "in double quotes"),
        ("name", 'in.(a"b)', "in double quotes"),
        ("id", "in.(1,x)", "whole number"),
        ("id", "in.(" + "1," * MAX_MEMBERS + "1)", f"more than {MAX_MEMBERS} members"),
        ("id", "eq." + "x" * 100, "xxx…'"),
        ("id", "eq.\u2028\ud800", r"\\u2028\\ud800"),
    ],
)
def test_a_refused_condition_says_what_to_write(name, text, hint):
    with pytest.raises(BadParameterError, match=hint) as refusal:
        condition(name, text)
    assert refusal.value.parameter == name
    refusal.value.detail.encode()


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("in.(a,b)", {"a", "b"}),
        ('in.("a,b","c\\"d","e\\\\f",g h)', {"a,b", 'c"d', "e\\f", "g h"}),
        ('in.("",a)', {"", "a"}),
        ("in.(a,)", {"a", ""}),
        ('in.("(x)",")")', {"(x)", ")"}),
        ('in.("a\nb",c)', {"a\nb", "c"}),
    ],
)
def test_lists_are_written_as_postgrest_has_them(text, members):
    assert {literal.value for literal in condition("name", text).literals} == members
