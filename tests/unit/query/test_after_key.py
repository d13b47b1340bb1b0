"""The key behind which a page of rows begins."""

from __future__ import annotations

import pytest

from sseapp.errors import BadParameterError
from sseapp.query import after_key
from sseapp.query.query import parse as parse_query
from sseapp.tables.table import Column, Table

COLUMNS = (Column("id", "bigint", "int8"), Column("a", "text", "text"), Column("b", "boolean", "bool"))
ONE = Table(1, 100, "public", "t", ("id",), None, COLUMNS, 1)
MANY = Table(1, 100, "public", "t", ("a", "id", "b"), None, COLUMNS, 1)
NONE = Table(1, 100, "public", "t", None, None, COLUMNS, 1)


@pytest.mark.parametrize(
    ("table", "text", "found"),
    [
        (ONE, "[42]", ["42"]),
        (ONE, "[9007199254740993]", ["9007199254740993"]),
        (ONE, '["42"]', ["42"]),
        (MANY, '["\\u00e9", 1, true]', ["é", "1", "true"]),
        (MANY, '["", 1, false]', ["", "1", "false"]),
    ],
)
def test_a_key_is_read_as_its_row_shows_it(table, text, found):
    assert [value.text for value in after_key.parse(text, table)] == found


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (ONE, "42"),
        (ONE, "[]"),
        (ONE, "[1, 2]"),
        (ONE, "x"),
        (ONE, "[null]"),
        (ONE, "[1.5]"),
        (ONE, "[{}]"),
        (NONE, "[1]"),
    ],
)
def test_what_is_no_key_is_refused(table, text):
    with pytest.raises(BadParameterError) as raised:
        after_key.parse(text, table)
    assert raised.value.parameter == "after-key"


def test_pages_go_by_the_key_alone_and_are_of_json_alone():
    query = parse_query(ONE, [("after-key", "[42]"), ("limit", "10")])
    assert query.result_key != parse_query(ONE, [("limit", "10")]).result_key
    assert not query.whole
    with pytest.raises(BadParameterError, match="order of the key"):
        parse_query(ONE, [("after-key", "[42]"), ("order", "id")])
    with pytest.raises(BadParameterError, match="as JSON"):
        after_key.refuse(query.after_key)
    after_key.refuse(parse_query(ONE, []).after_key)


OTHER = {
    "text of an extension": (Column("k", "citext", "citext", as_text=True), '["a"]', "a"),
    "a range": (Column("k", "int4range", "int4range", "r"), '["[1,3)"]', "[1,3)"),
    "an address": (Column("k", "inet", "inet"), '["10.0.0.1"]', "10.0.0.1"),
    "an array": (Column("k", "integer[]", "_int4", "a"), "[[1]]", None),
    "json": (Column("k", "jsonb", "jsonb"), '["a"]', None),
    "no string": (Column("k", "regclass", "regclass"), "[[1]]", None),
    "half a character": (COLUMNS[1], '["\\ud800"]', None),
    "no character": (COLUMNS[1], '["\\u0000"]', None),
}


@pytest.mark.parametrize("case", OTHER)
def test_a_key_of_another_type_is_its_text_or_refused(case):
    column, text, found = OTHER[case]
    table = Table(1, 100, "public", "t", (column.name,), None, (column,), 1)
    if found is not None:
        assert [value.text for value in after_key.parse(text, table)] == [found]
        return
    with pytest.raises(BadParameterError) as raised:
        after_key.parse(text, table)
    assert raised.value.parameter == "after-key"
