from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sseapp.tables.row_json import json_string, members, subset

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        (" {\n} ", {}),
        ('{"id":1}', {"id": "1"}),
        ('{"a":"x","b":null,"c":true}', {"a": '"x"', "b": "null", "c": "true"}),
        ('{"a":123456789012345678901234.50}', {"a": "123456789012345678901234.50"}),
        ('{"a":-1.5e-300,"b":"NaN"}', {"a": "-1.5e-300", "b": '"NaN"'}),
        ('{"a":"x,\\"}]{y"}', {"a": '"x,\\"}]{y"'}),
        ('{"a":"ends in a backslash \\\\"}', {"a": '"ends in a backslash \\\\"'}),
        ('{"a":"\\u0000\\ud800"}', {"a": '"\\u0000\\ud800"'}),
        ('{"a":"raw \u2028 and \x7f"}', {"a": '"raw \u2028 and \x7f"'}),
        ('{"a":[1, [2,"]"], {"b":"}"}]}', {"a": '[1, [2,"]"], {"b":"}"}]'}),
        ('{"a":{"b":{}},"c":[]}', {"a": '{"b":{}}', "c": "[]"}),
        # a column of type json keeps the spaces and line ends that it was written with
        ('{"a":{\r\n "b" : 1\n}\n,"c":\t[ ] }', {"a": '{\r\n "b" : 1\n}', "c": "[ ]"}),
        ('{"a": 1 ,\n"b":\r2\n}\n', {"a": "1", "b": "2"}),
        (
            '{"":1,"a b":2,"ä":3,"\\"":4,"\\\\":5,"\\n":6}',
            {"": "1", "a b": "2", "ä": "3", '"': "4", "\\": "5", "\n": "6"},
        ),
        ('{"{":1,"}":2,",":3,":":4}', {"{": "1", "}": "2", ",": "3", ":": "4"}),
    ],
)
def test_members(text, expected):
    found = members(text)
    assert found == expected
    assert list(found) == list(expected), "in the row's order"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '[{"a":1}]',
        '"{}"',
        "x{}",
        "{",
        "{]",
        '{"a"',
        '{"a"}',
        '{"a":}',
        '{"a":,"b":1}',
        '{"a":1',
        '{"a":1,',
        '{"a":1,}',
        '{"a":1 2}',
        '{"a":1}}',
        '{"a":1} {}',
        '{"a":[1',
        '{"a":"x}',
        "{a:1}",
        "{'a':1}",
        "{}x",
    ],
)
def test_other_text_than_a_row_is_refused(text):
    with pytest.raises(ValueError, match="not a row's JSON"):
        members(text)


def _compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@settings(max_examples=60)
@given(OBJECTS, st.booleans(), st.sampled_from([None, 1, "\t", "\r\n"]))
def test_every_member_keeps_its_own_text(row, ascii_only, indent):
    text = json.dumps(row, ensure_ascii=ascii_only, indent=indent)
    found = members(text)
    assert list(found) == list(row)
    assert {name: json.loads(raw) for name, raw in found.items()} == row
    assert all(raw in text for raw in found.values())


@settings(max_examples=60)
@given(OBJECTS)
def test_all_columns_are_the_row_itself(row):
    text = _compact(row)
    assert subset(members(text), row) == text


@settings(max_examples=60)
@given(OBJECTS, st.data())
def test_a_subset_is_the_asked_columns_in_the_asked_order(row, data):
    asked = data.draw(st.lists(st.sampled_from([*row, "not there"]), unique=True))
    found = json.loads(subset(members(_compact(row)), asked))
    assert list(found) == [name for name in asked if name in row]
    assert found == {name: row[name] for name in found}


def test_no_depth_is_too_deep():
    value = '[{"a":' * 50_000 + "1" + "}]" * 50_000
    assert members(f'{{"a":{value},"b":2}}') == {"a": value, "b": "2"}


@pytest.mark.parametrize("character", ["x", "ä", "\\n", '\\"', "\\\\", "\\u0001", "{", "\u2028"])
def test_a_text_of_1_mb_passes_quickly(character):
    value = '"' + character * (1_000_000 // len(character)) + '"'
    began = time.process_time()
    assert members(f'{{"id":1,"a":{value},"j":[{value}]}}') == {"id": "1", "a": value, "j": f"[{value}]"}
    with pytest.raises(ValueError, match="not a row's JSON"):
        members(f'{{"id":1,"a":{value[:-1]}')
    assert time.process_time() - began < 5


@given(st.text())
def test_a_name_is_a_json_string(name):
    assert json.loads(json_string(name)) == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("id", '"id"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("\b\f\n\r\t", '"\\b\\f\\n\\r\\t"'),
        ("\x00\x01\x1f", '"\\u0000\\u0001\\u001f"'),
        ("\x7fä\u2028/", '"\x7fä\u2028/"'),
    ],
)
def test_names_are_escaped_as_postgresql_escapes_them(name, text):
    assert json_string(name) == text
