"""last=: a window that moves, and the event that says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

LAST = timedelta(seconds=2)
SLACK = timedelta(seconds=3)  # a step of the window, a tick of the listener, and a slow machine


def _start(event):
    assert event.name == "window", event
    assert list(event.json) == ["start"]
    return datetime.fromisoformat(event.json["start"])


@pytest.fixture
def clock(newest):
    return newest.table("id int PRIMARY KEY, at timestamptz DEFAULT now()", watch="range_column => 'at'")


def test_the_snapshot_is_followed_by_the_window_and_the_window_by_its_moves(newest, clock):
    newest.sql(f"INSERT INTO {clock} VALUES (1, DEFAULT), (2, now() - interval '1 hour')")
    with newest.follow(clock, last="2s") as stream:
        assert [row["id"] for row in stream.event("snapshot").json["rows"]] == [1]
        first = _start(stream.event())
        assert LAST <= datetime.now(UTC) - first <= LAST + SLACK
        second = _start(stream.event())
        assert second - first in (timedelta(seconds=1), timedelta(seconds=2))
        assert second.microsecond == 0
        assert datetime.now(UTC) - second >= LAST
        # the row has left by itself: the client was told the bound, and no delete
        newest.sql(f"INSERT INTO {clock} VALUES (3, now() - interval '1 minute'), (4, DEFAULT)")
        while (event := stream.event()).name == "window":
            pass
        assert (event.name, event.json["row"]["id"]) == ("insert", 4)


def test_an_old_row_that_is_changed_into_the_window_is_an_insert(newest, clock):
    newest.sql(f"INSERT INTO {clock} VALUES (1, now() - interval '1 hour')")
    with newest.follow(clock, last="1h") as stream:
        newest.sql(f"INSERT INTO {clock} VALUES (2, now() - interval '2 hours')")
        stream.event("snapshot")
        _start(stream.event())
        newest.sql(f"UPDATE {clock} SET at = now() WHERE id = 2")
        assert stream.event("insert").json["row"]["id"] == 2
        newest.sql(f"UPDATE {clock} SET at = now() - interval '2 hours' WHERE id = 2")
        assert stream.event("delete").json["old"]["id"] == 2


def test_the_window_is_the_first_thing_after_a_resume(newest, clock):
    with newest.follow(clock, last="1h") as stream:
        stream.event("snapshot")
        last_id = stream.last_id
    newest.sql(f"INSERT INTO {clock} VALUES (1)")
    with newest.follow(clock, last="1h", last_id=last_id) as stream:
        assert timedelta(hours=1) <= datetime.now(UTC) - _start(stream.event()) <= timedelta(hours=1, minutes=2)
        assert stream.event("insert").json["row"]["id"] == 1
    with newest.follow(clock, last="1h", snapshot="no") as stream:
        _start(stream.event())


def test_the_result_of_a_window_loses_the_rows_that_leave_it(newest, clock):
    newest.sql(f"INSERT INTO {clock} VALUES (1, DEFAULT), (2, now() - interval '1 hour')")
    assert newest.ids(clock, last="5s") == [1]
    with newest.follow(clock, "rows", last="2s", every="100ms") as stream:
        assert [row["id"] for row in stream.event("rows").json["rows"]] == [1]
        while rows := stream.event("rows").json["rows"]:
            assert [row["id"] for row in rows] == [1]


def test_a_window_may_end_before_now(newest, clock):
    newest.sql(
        f"INSERT INTO {clock} VALUES (1, DEFAULT), (2, now() - interval '30 minutes'), (3, now() - interval '2 hours')"
    )
    end = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    assert newest.ids(clock, last="1h", end=end) == [2]


@pytest.mark.parametrize(("kind", "tz"), [("timestamp", "UTC"), ("timestamp", "Europe/Berlin"), ("date", "Asia/Tokyo")])
def test_a_window_on_a_column_without_a_zone_goes_by_tz(newest, kind, tz):
    table = newest.table(f"id int PRIMARY KEY, at {kind}", watch="range_column => 'at'")
    newest.sql(f"INSERT INTO {table} VALUES (1, now() AT TIME ZONE %s), (2, now() - interval '4 days')", tz)
    assert newest.ids(table, last="1d", tz=tz) == [1]
    with newest.follow(table, last="1d", tz=tz) as stream:
        stream.event("snapshot")
        start = datetime.fromisoformat(stream.event("window").json["start"])
        assert start.tzinfo is None


def test_a_long_poll_asks_by_the_window_of_now(newest, clock):
    cursor = newest.changes(clock, last="1h")["cursor"]
    newest.sql(f"INSERT INTO {clock} VALUES (1, now() - interval '2 hours'), (2, DEFAULT)")
    (change,) = newest.changes(clock, last="1h", after=cursor)["changes"]
    assert change["row"]["id"] == 2
