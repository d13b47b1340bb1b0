"""One of three tables cannot be read, matched, encoded, inspected or pruned as others are: these stay live.

The same must hold for every poison of ``harness/poisons.py``; a failure tells all that did not.
"""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.poisons import POISONS, SOON, command, three
from harness.servers import Host
from harness.site import QUICK, Site
from harness.sse import Ended, Stream

GOOD = 99
OFTEN = {"a pack with one not UTF-8", "a cast that raises", "a column's name not UTF-8", "an event trigger that raises"}
"""One for each step; `make test-all` tries the others."""


def the_other_tables_stay_live(spoilt):
    spoilt.others_live()
    assert spoilt.site.get("/readyz").status == 200
    for table in ("first", "last"):
        assert spoilt.site.get(f"/tables/{table}/rows").status == 200
        assert spoilt.site.get(f"/tables/{table}/changes").status == 200
    assert {"first", "last"} <= {table["name"] for table in spoilt.site.get("/tables").json["tables"]}


def a_change_of_the_other_tables_shape_is_told(spoilt):
    for table in ("first", "last"):
        spoilt.database.sql(f"ALTER TABLE {table} ADD more int DEFAULT 7")
    for table in ("first", "last"):
        stream = spoilt.streams[table]
        stream.until(lambda block: block.fires, names=("reset",), patience=SOON)
        stream.event("snapshot")
    spoilt.others_live(rounds=1)


def its_own_subscribers_are_told(spoilt):
    """By the row in a replaced form, or by a reset with a reason; and what comes after it arrives."""
    stream = spoilt.streams["poisoned"]
    if spoilt.database.poison.gone:
        stream.rest(SOON)
        return
    if not spoilt.database.poison.readable:
        assert stream.until(lambda block: block.name == "reset", patience=SOON).json["reason"]
        return
    spoilt.database.sql(f"INSERT INTO poisoned VALUES ({GOOD}, 'good', '{spoilt.database.poison.good}')")
    names = []

    def arrived(block):
        if not block.fires:
            return False
        names.append(block.name)
        data = block.json
        assert block.name != "reset" or data["reason"]
        rows = data.get("rows") or [row for row in (data.get("row"),) if row]
        return any(row["id"] == GOOD for row in rows)

    stream.until(arrived, patience=SOON)
    assert names.count("reset") <= 2, names


def it_is_logged_once_and_no_one_reads_the_same_again_and_again(spoilt):
    with suppress(TimeoutError, AssertionError, Ended):
        spoilt.others_live(rounds=1)
    time.sleep(3)  # as long as it takes to see that it does not go on
    lines = [line for line in spoilt.host.log.splitlines() if "WARNING" in line or "ERROR" in line]
    assert len(lines) <= 2, lines
    assert "Traceback" not in spoilt.host.log, spoilt.host.log
    assert spoilt.site.metric("reconnects_total") == 0


def the_doctor_names_it(spoilt):
    said = command(spoilt.database.dsn, "doctor")
    wrong = "\n".join(line for line in said.splitlines() if not line.startswith("ok"))
    assert spoilt.database.poison.named in wrong, said
    assert "Traceback" not in said, said


def a_server_that_starts_then_serves_the_others(spoilt):
    with Host(spoilt.database.dsn, **QUICK) as host:
        site = Site(spoilt.database.server, spoilt.database.dsn, host)
        try:
            wait_until(lambda: site.get("/readyz").status == 200, 2 * SOON, "a server that is ready")
            for table in ("first", "last"):
                with Stream(host.address, f"/tables/{table}/changes") as stream:
                    stream.event("snapshot", patience=SOON)
                    spoilt.database.sql(f"INSERT INTO {table} (id) VALUES (5000)")
                    assert stream.event("insert", patience=SOON).json["row"]["id"] == 5000
        finally:
            site.close()


def who_asks_for_it_is_told_the_cause_or_given_the_rows(spoilt):
    """Not that it keeps changing: it does not."""
    answer = spoilt.site.get("/tables/poisoned/rows")
    if spoilt.database.poison.gone:
        assert answer.status == 404
    elif answer.status != 200:
        detail = answer.problem["detail"]
        assert "keeps changing" not in detail, detail
        assert "127.0.0.1" not in detail
        assert "tenant" not in detail


def the_log_is_pruned_past_it(spoilt):
    spoilt.database.sql("INSERT INTO first (id) VALUES (1)")
    end = time.monotonic() + SOON
    while spoilt.database.sql("SELECT count(*) FROM sseapp.change") != [(0,)]:
        assert time.monotonic() < end
        spoilt.database.sql("SELECT sseapp.prune('0 s')")
    spoilt.others_live(rounds=1)


CHECKS = (
    the_other_tables_stay_live,
    a_change_of_the_other_tables_shape_is_told,
    its_own_subscribers_are_told,
    it_is_logged_once_and_no_one_reads_the_same_again_and_again,
    the_doctor_names_it,
    a_server_that_starts_then_serves_the_others,
    who_asks_for_it_is_told_the_cause_or_given_the_rows,
    the_log_is_pruned_past_it,
)


def _often(poison):
    marks = [] if poison.name in OFTEN else [pytest.mark.slow]
    return pytest.param(poison, marks=marks, id=poison.name)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("poison", [_often(poison) for poison in POISONS])
def test_one_never_stops_another(pg18, poison):
    failed = []
    with three(pg18, poison) as spoilt:
        spoilt.spoil()
        for check in CHECKS:
            try:
                check(spoilt)
            except (AssertionError, LookupError, OSError, Ended, psycopg2.Error) as error:
                failed.append(f"{check.__name__}: {type(error).__name__} {str(error)[:500]}")
    assert not failed, "\n".join(failed)
