from __future__ import annotations

import json
from sys import getsizeof

import pytest

from sseapp.events.event import Event, Lens
from sseapp.log.change import DELETE, INSERT, TRUNCATE, UPDATE, Batch, Change
from sseapp.log.cursor import Snapshot
from sseapp.tables.table import Column, Table

AT = "2026-11-22T19:33:00.123456+00:00"
ALL = Lens(("id",))
OLD = '{"id":1,"part":"a","note":"x"}'
NEW = '{"id":1,"part":"b","note":"x"}'
MOVED = '{"id":2,"part":"a","note":"x"}'


def change(kind=UPDATE, old=None, new=None, **more):
    return Change(**{"id": 7, "xid": 700, "watch": 1, "kind": kind, "old": old, "new": new, "at": AT} | more)


INSERTED, UPDATED, DELETED = change(INSERT, None, NEW), change(UPDATE, OLD, NEW), change(DELETE, OLD, None)
REKEYED = change(UPDATE, OLD, MOVED)


def event(name, position, row=None, old=None):
    return Event(name, position, 700, AT, row, old)


# change, held the old row, holds the new one -> events
TOLD = [
    (INSERTED, False, False, []),
    (INSERTED, False, True, [event("insert", 15, NEW)]),
    (DELETED, True, False, [event("delete", 15, old=OLD)]),
    (DELETED, False, False, []),
    (UPDATED, False, False, []),
    (UPDATED, False, True, [event("insert", 15, NEW)]),
    (UPDATED, True, False, [event("delete", 15, old=OLD)]),
    (UPDATED, True, True, [event("update", 15, NEW, OLD)]),
    (REKEYED, False, True, [event("insert", 15, MOVED)]),
    (REKEYED, True, False, [event("delete", 15, old=OLD)]),
    # in two halves: a cut between them must repeat neither
    (REKEYED, True, True, [event("delete", 14, old=OLD), event("insert", 15, MOVED)]),
    (change(TRUNCATE), False, False, [event("truncate", 15)]),
    (change(TRUNCATE), True, True, [event("truncate", 15)]),
]


@pytest.mark.parametrize(("one", "was_in", "is_in", "events"), TOLD)
def test_what_a_change_is_to_a_subscriber(one, was_in, is_in, events):
    assert ALL.events(one, was_in=was_in, is_in=is_in) == events


def test_without_a_key_an_update_is_a_delete_and_an_insert():
    assert Lens(None).events(UPDATED, was_in=True, is_in=True) == [
        event("delete", 14, old=OLD),
        event("insert", 15, NEW),
    ]


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ('{"a":1,"b":2}', '{"a":1,"b":2.0}', ["delete", "insert"]),
        ('{"a":1,"b":2}', '{"b":2,"a":1,"c":0}', ["update"]),
        ('{"a":1,"b":2}', '{"a":2,"b":2}', ["delete", "insert"]),
    ],
)
def test_a_key_of_two_columns_is_compared_by_both(old, new, names):
    events = Lens(("a", "b")).events(change(UPDATE, old, new), was_in=True, is_in=True)
    assert [one.name for one in events] == names


NARROW = Lens(("id",), ("id", "note"))


@pytest.mark.parametrize(
    ("one", "was_in", "is_in", "events"),
    [
        (UPDATED, True, True, []),  # it touches none of them
        (UPDATED, False, True, [event("insert", 15, '{"id":1,"note":"x"}')]),
        (UPDATED, True, False, [event("delete", 15, old='{"id":1,"note":"x"}')]),
        (
            change(UPDATE, OLD, '{"id":1,"part":"b","note":"y"}'),
            True,
            True,
            [event("update", 15, '{"id":1,"note":"y"}', '{"id":1,"note":"x"}')],
        ),
        (
            REKEYED,
            True,
            True,
            [event("delete", 14, old='{"id":1,"note":"x"}'), event("insert", 15, '{"id":2,"note":"x"}')],
        ),
    ],
)
def test_a_lens_shows_some_columns_only(one, was_in, is_in, events):
    assert NARROW.events(one, was_in=was_in, is_in=is_in) == events


def test_without_a_key_an_update_of_other_columns_is_none():
    assert Lens(None, ("note",)).events(UPDATED, was_in=True, is_in=True) == []


def test_the_lens_of_a_question_has_its_tables_key():
    table = Table(1, 2, "public", "orders", ("id",), None, (Column("id", "integer", "int4"),), 0)
    assert Lens.of(table, None) == Lens(("id",))
    assert Lens.of(table, ("id",)) == Lens(("id",), ("id",))
    assert table.by_name == {"id": table.columns[0]}
    assert str(table) == "public.orders"


@pytest.mark.parametrize(
    ("one", "data"),
    [
        (event("insert", 15, NEW), {"row": json.loads(NEW), "at": AT, "xid": "700"}),
        (event("delete", 15, old=OLD), {"old": json.loads(OLD), "at": AT, "xid": "700"}),
        (event("update", 15, NEW, OLD), {"row": json.loads(NEW), "old": json.loads(OLD), "at": AT, "xid": "700"}),
        (event("truncate", 15), {"at": AT, "xid": "700"}),
    ],
)
def test_an_events_data(one, data):
    assert json.loads(one.data) == data
    assert one.body == f"event: {one.name}\ndata: {one.data}\n".encode()
    assert json.loads(one.json()) == {"event": one.name, "row": None, "old": None} | data


def test_the_end_of_a_transaction_is_its_events_last_member():
    one = event("update", 15, NEW, OLD)
    assert one.end_body == one.body[:-2] + b',"end":true}\n'
    assert json.loads(one.end_body.partition(b"data: ")[2]) == json.loads(one.data) | {"end": True}
    assert json.loads(one.json(is_end=True)) == json.loads(one.json()) | {"end": True}


def test_the_rows_text_is_passed_through():
    row = '{"id":1.50,"j":{ "a":1,\n"a":2 },"t":"\\u0000"}'
    one = event("insert", 15, row)
    assert row in one.data
    assert row in one.json()
    assert one.body.count(b"\ndata: ") == 2, "a line end within a json column starts another data line"


def test_members_are_read_once():
    one = change(UPDATE, OLD, NEW)
    assert one.old_members == {"id": "1", "part": '"a"', "note": '"x"'}
    assert one.new_members["part"] == '"b"'
    assert one.new_members is one.new_members
    assert change(TRUNCATE).old_members is None
    assert change(TRUNCATE).new_members is None


def test_the_size_goes_with_the_rows():
    small, large = Event("insert", 1, 1, "", "{}"), Event("update", 1, 1, "", "y" * 500, "x" * 1000)
    assert 1498 <= large.size - small.size < 1520


def test_a_batch_is_whole_unless_it_says_otherwise():
    batch = Batch(Snapshot(1), Snapshot(2), ())
    assert batch.complete
    assert not batch.ascending


@pytest.mark.parametrize("text", ["x", "я", "語", "😀"])
def test_the_size_bounds_memory_in_any_script(text):
    """A ring counts three times the size: the row's text, the body, and the body within a frame."""
    row = f'{{"id":1,"note":"{text * 1000}"}}'
    one = event("insert", 15, row)
    assert 3 * one.size >= getsizeof(row) + 2 * len(one.body) >= 2 * one.size


def test_a_batch_by_watch_keeps_the_order():
    changes = tuple(Change(number, 10, watch, "i", None, "{}", "now") for number, watch in enumerate([2, 1, 2]))
    batch = Batch(Snapshot(1), Snapshot(11), changes)
    assert batch.by_watch() == {2: (changes[0], changes[2]), 1: (changes[1],)}


def test_an_event_is_encoded_once():
    event = Event("insert", 3, 10, "now", '{"id":1}')
    event.encode()
    assert event.body is event.body
    assert event.body == b'event: insert\ndata: {"row":{"id":1},"at":"now","xid":"10"}\n'
