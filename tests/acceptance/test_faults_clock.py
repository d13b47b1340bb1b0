"""The clock of the database or of the server is stepped by an hour: nothing is lost, nor wrong for an hour."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from harness.altered import altered
from harness.clock import APPLICATION, HOUR, Clock, timed
from harness.clusters import NEWEST, wait_until
from harness.site import site as serve_site
from harness.versions import require

STEPS = (HOUR, 0, -HOUR, HOUR, -HOUR, 0)


@pytest.fixture(scope="module")
def own():
    """A cluster of its own that runs by a clock of its own."""
    require(NEWEST)
    with timed() as found:
        yield found


@pytest.fixture
def clock(own):
    return own.clock


@pytest.fixture
def site(own, clock, request):
    """The database's clock is the one that is stepped, the server's is right."""
    clock.step(0)
    with serve_site(own, **getattr(request, "param", {})) as found:
        found.caught_up()  # it begins to prune with the first request
        yield found


@pytest.fixture
def misled(pg18):
    """A server whose own clock is the one that is stepped, and that clock."""
    with altered(APPLICATION) as (folder, options):
        clock = Clock(folder)
        with serve_site(pg18, options=options) as found:
            yield found, clock


def mode(site):
    text = site.get("/metrics").body.decode()
    return next(
        line.split('"')[1] for line in text.splitlines() if line.startswith("sseapp_pace{") and line.endswith(" 1.0")
    )


def hurry(site, table, first):
    """Commit so many that the bell is put off."""
    with site.session() as session:
        number = first
        while mode(site) != "busy":
            for _ in range(100):
                session.execute(f"INSERT INTO {table} VALUES ({number}); COMMIT")
                number += 1
    return number


LONG = pytest.mark.parametrize("site", [{"retention": "3h"}], indirect=True, ids=["kept"])
"""A step beyond the retention is as if nobody had read the log for so long: writers do not log, and a reset tells."""


@LONG
def test_every_change_arrives_soon_whichever_way_the_databases_clock_is_stepped(site, clock):
    table = site.table()
    with site.follow(table) as stream:
        stream.event("snapshot")
        for number, step in enumerate(STEPS):
            clock.step(step)
            began = time.monotonic()
            site.sql(f"INSERT INTO {table} VALUES ({number})")
            assert stream.event("insert").json["row"]["id"] == number
            assert time.monotonic() - began < 3
        assert site.get("/readyz").status == 200


@LONG
@pytest.mark.parametrize(
    "ahead", [pytest.param(HOUR, marks=pytest.mark.slow, id="forward and back"), pytest.param(0, id="back")]
)
def test_the_bell_rings_again_soon_after_the_databases_clock_was_stepped_back(site, clock, ahead):
    """A lease that was to last a second would last an hour."""
    table = site.table()
    clock.step(ahead)
    with site.follow(table, snapshot="no") as stream:
        last = hurry(site, table, 0)
        clock.step(ahead - HOUR)
        wait_until(lambda: mode(site) == "quiet", 10, "a quiet pace")
        site.sql(f"INSERT INTO {table} VALUES ({last})")
        while stream.event("insert").json["row"]["id"] != last:
            pass


@pytest.mark.parametrize("site", [{"retention": "3s"}], indirect=True)
@pytest.mark.parametrize("step", [pytest.param(HOUR, marks=pytest.mark.slow), -HOUR])
def test_the_log_is_pruned_by_age_though_the_databases_clock_was_stepped(site, clock, step):
    table = site.table()
    site.sql(f"INSERT INTO {table} VALUES (1)")
    wait_until(lambda: site.sql("SELECT count(*) > 0 FROM sseapp.mark") == [(True,)], 10, "a mark")
    clock.step(step)
    site.sql(f"INSERT INTO {table} VALUES (2)")
    wait_until(lambda: site.sql("SELECT count(*) FROM sseapp.change") == [(0,)], 20, "an empty log")


@pytest.mark.parametrize("site", [{"log_size": "1m", "retention": "1m"}], indirect=True)
def test_the_log_is_pruned_by_size_though_the_databases_clock_was_stepped_back(site, clock):
    table = site.table()
    site.sql(f"INSERT INTO {table} VALUES (0)")
    wait_until(lambda: site.sql("SELECT count(*) > 0 FROM sseapp.mark") == [(True,)], 10, "a mark")
    clock.step(-HOUR)
    for begin in range(1, 10_000, 500):
        site.sql(
            f"INSERT INTO {table} SELECT {begin} + n, (SELECT string_agg(md5(n::text || i), '')"
            " FROM generate_series(1, 31) i) FROM generate_series(0, 499) n"
        )
        site.sql("SELECT sseapp.mark_position('0 s')")
    wait_until(lambda: site.sql("SELECT count(*) FROM sseapp.change")[0][0] < 1500, 20, "a smaller log")


def test_a_cursor_outlives_the_databases_clock_or_is_told_why_not(site, clock):
    table = site.table(rows="(0)".replace("0", "0, 'a'"))
    with site.follow(table) as stream:
        last_id = stream.event("snapshot").id
    for number, step in enumerate(STEPS, 1):
        clock.step(step)
        site.sql(f"INSERT INTO {table} VALUES ({number})")
        with site.follow(table, last_id=last_id) as stream:
            event = stream.event()
            if event.name == "reset":
                assert re.search("pruned|another log", event.json["reason"])
                rows = stream.event("snapshot").json["rows"]
                assert [row["id"] for row in rows] == list(range(number + 1))
            else:
                assert (event.name, event.json["row"]["id"]) == ("insert", number)
            last_id = stream.last_id


def start(event):
    return datetime.fromisoformat(event.json["start"])


def held(stream, rows):
    """Apply what comes until a window or a snapshot tells the bound; the bound."""
    while True:
        event = stream.event()
        if event.name == "snapshot":
            rows.clear()
            rows |= {row["id"]: row for row in event.json["rows"]}
        elif event.name == "window":
            bound = start(event)
            for key in [key for key, row in rows.items() if datetime.fromisoformat(row["at"]) < bound]:
                del rows[key]
            return bound
        elif event.name != "reset":
            rows[event.json["row"]["id"]] = event.json["row"]


@pytest.mark.parametrize("resource", ["changes", "rows"])
def test_a_moving_window_holds_what_it_should_after_the_servers_clock_was_stepped(misled, resource):
    """A window that moves back holds rows again that its subscribers have dropped."""
    site, clock = misled
    table = site.table("id int PRIMARY KEY, at timestamptz", watch="range_column => 'at'")
    site.sql(f"INSERT INTO {table} SELECT n, now() - n * interval '20 min' FROM generate_series(0, 5) n")
    with site.follow(table, resource, last="90m") as stream:
        rows = {}
        for step, expected in ((0, {0, 1, 2, 3, 4}), (HOUR, {0, 1}), (0, {0, 1, 2, 3, 4}), (-HOUR, {0, 1, 2, 3, 4, 5})):
            clock.step(step)
            if resource == "rows":
                wait_until(lambda: {row["id"] for row in stream.event("rows").json["rows"]} == expected, 10)  # noqa: B023
                continue
            wanted = datetime.now(UTC) + timedelta(seconds=step) - timedelta(minutes=90)
            wait_until(lambda: abs(held(stream, rows) - wanted) < timedelta(minutes=3), 10, f"the window {wanted}")  # noqa: B023
            assert rows.keys() == expected
