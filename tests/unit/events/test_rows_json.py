"""Rows as JSON, whole or page by page: what comes out is the same text, however the pages are cut."""

from __future__ import annotations

import json

import pytest
from harness.sse import Parser
from hypothesis import given
from hypothesis import strategies as st

from sseapp.events import rows_json
from sseapp.tables.table import Column, Table

TABLE = Table(1, 100, "public", 'a"b', ("id",), None, (Column("id", "integer", "int4"),), 1)
KEYLESS = Table(1, 100, "public", "t", None, None, (Column("id", "integer", "int4"),), 1)
PAGES = st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=3), max_size=4)


def _pages(numbers):
    return [[f'{{"id":{number}}}' for number in page] for page in numbers]


def _blocks(pieces):
    parser = Parser()
    return [*parser.feed(b"".join(pieces))]


def test_the_data_of_a_rows_event():
    found = rows_json.data(TABLE, ['{"id":1}', '{"id":2}'], more=True)
    assert found == '{"table":"public.a\\"b","key":["id"],"rows":[{"id":1},{"id":2}],"more":true}'
    assert rows_json.data(KEYLESS, [], more=False) == '{"table":"public.t","key":null,"rows":[],"more":false}'


@given(PAGES)
def test_a_whole_snapshot_is_one_event_a_page(numbers):
    blocks = _blocks(rows_json.Snapshot(TABLE, "the-id").whole(_pages(numbers)))
    assert [block.name for block in blocks] == ["snapshot"] * max(1, len(numbers))
    assert [block.json["part"] for block in blocks] == list(range(1, len(blocks) + 1))
    assert [row["id"] for block in blocks for row in block.json["rows"]] == [n for page in numbers for n in page]
    assert [block.json["more"] for block in blocks] == [True] * (len(blocks) - 1) + [False]
    assert [block.id for block in blocks] == [None] * (len(blocks) - 1) + ["the-id"]


@given(PAGES, st.integers(0, 13))
def test_a_limited_snapshot_is_one_event(numbers, limit):
    wanted = [n for page in numbers for n in page]
    (block,) = _blocks(rows_json.Snapshot(TABLE, None).limited(_pages(numbers), limit))
    assert (block.name, block.id) == ("snapshot", None)
    assert block.json == {
        "table": 'public.a"b',
        "key": ["id"],
        "part": 1,
        "rows": [{"id": n} for n in wanted[:limit]],
        "more": len(wanted) > limit,
    }


def test_line_ends_within_a_row_stay_within_its_event():
    row = '{"id":1,"a":[\n1,\r\n2,\r3]}'
    for pieces in (
        rows_json.Snapshot(TABLE, "the-id").whole([[row], [row]]),
        rows_json.Snapshot(TABLE, "the-id").limited([[row], [row]], 5),
    ):
        rows = [row for block in _blocks(pieces) for row in block.json["rows"]]
        assert rows == [{"id": 1, "a": [1, 2, 3]}] * 2


@pytest.mark.parametrize(("cursor", "told"), [("a-cursor", "a-cursor"), (None, None)])
def test_an_answer(cursor, told):
    body = b"".join(rows_json.answer(TABLE, _pages([[1, 2], [3]]), 2, cursor=cursor))
    assert body.endswith(b"\n")
    assert json.loads(body) == {
        "table": 'public.a"b',
        "key": ["id"],
        "rows": [{"id": 1}, {"id": 2}],
        "more": True,
        "cursor": told,
    }
