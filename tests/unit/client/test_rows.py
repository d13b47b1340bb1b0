"""Rows that are kept by what a stream tells."""

from __future__ import annotations

import json

import pytest

from sseapp.client.change import Change
from sseapp.client.event_stream import Event
from sseapp.client.rows import Rows


def rows_after(*events, key=("id",), range_column=None):
    rows = Rows(range_column=range_column)
    for name, data in [("snapshot", {"key": key and list(key), "rows": []}), *events]:
        rows.apply(Change.of(Event(name, json.dumps(data), "")))
    return rows


def row(id_, **values):
    return {"id": id_, **values}


def test_parts_of_a_snapshot_add_up_and_the_first_begins_anew():
    parts = [("snapshot", {"key": ["id"], "rows": [row(n)], "part": n, "more": n < 3}) for n in (1, 2, 3)]
    assert list(rows_after(*parts)) == [row(1), row(2), row(3)]
    assert list(rows_after(*parts, *parts[:2])) == [row(1), row(2)]


def test_each_event_does_what_it_says():
    events = [
        ("insert", {"row": row(1, a="x")}),
        ("insert", {"row": row(2, a="y")}),
        ("update", {"row": row(1, a="z"), "old": row(1, a="x")}),
    ]
    rows = rows_after(*events)
    assert list(rows) == [row(1, a="z"), row(2, a="y")]
    assert rows.get(1) == row(1, a="z")
    assert rows.get(3) is None
    assert list(rows_after(*events, ("delete", {"old": row(2, a="y")}), ("state", {"live": True}))) == [row(1, a="z")]
    assert len(rows_after(*events, ("truncate", {}))) == 0
    assert list(rows_after(*events, ("reset", {"reason": ""}), ("rows", {"key": ["id"], "rows": [row(9)]}))) == [row(9)]


def test_a_changed_key_is_a_delete_and_an_insert():
    rows = rows_after(("insert", {"row": row(1)}), ("update", {"old": row(1), "row": row(2)}))
    assert list(rows) == [row(2)]


def test_a_key_may_have_several_columns_and_be_of_any_type():
    rows = rows_after(
        ("insert", {"row": {"a": 1, "b": {"x": [1], "y": 2}, "v": 1}}),
        (
            "update",
            {"old": {"a": 1, "b": {"y": 2, "x": [1]}, "v": 1}, "row": {"a": 1, "b": {"y": 2, "x": [1]}, "v": 2}},
        ),
        key=("a", "b"),
    )
    assert len(rows) == 1
    assert rows.get(1, {"x": [1], "y": 2})["v"] == 2


def test_without_a_key_rows_may_be_alike():
    insert, delete = ("insert", {"row": {"a": 1}}), ("delete", {"old": {"a": 1}})
    assert list(rows_after(insert, insert, key=None)) == [{"a": 1}, {"a": 1}]
    assert list(rows_after(insert, insert, delete, key=None)) == [{"a": 1}]
    assert list(rows_after(insert, insert, delete, delete, delete, key=None)) == []


@pytest.mark.parametrize(
    ("times", "start", "left"),
    [
        (["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"], "2026-01-01T12:00:00+00:00", [1]),
        (["infinity", "-infinity", "0044-03-15T00:00:00 BC", "10000-01-01T00:00:00"], "2026-01-01T12:00:00", [0, 3]),
        (["2026-01-01", None, "2026-01-02"], "2026-01-02", [2]),
    ],
)
def test_a_moving_window_leaves_rows_behind(times, start, left):
    events = [("insert", {"row": row(at, t=time)}) for at, time in enumerate(times)]
    rows = rows_after(*events, ("window", {"start": start}), range_column="t")
    assert [one["id"] for one in rows] == left
    assert len(rows_after(*events, ("window", {"start": start}))) == len(times)
