"""Watching a busy table: an open transaction holds up the watch, and nobody behind it."""

from __future__ import annotations

import threading
import time

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.watching import execute


class Call(threading.Thread):
    """A statement under way in a session of its own."""

    def __init__(self, session, statement):
        super().__init__()
        self.session, self.statement = session, statement
        self.error = None
        self.start()

    def run(self):
        try:
            execute(self.session, self.statement)
        except psycopg2.Error as error:
            self.error = error

    def waits(self, site):
        """Whether it has met the lock and waits for its next attempt."""
        pid = self.session.info.backend_pid
        return site.value("SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s", (pid,))


@pytest.fixture
def site(site):
    site.run("CREATE TABLE t (id int PRIMARY KEY)")
    return site


@pytest.mark.parametrize("statement", ["SELECT sseapp.watch('t')", "SELECT sseapp.unwatch('t')"])
def test_writers_are_not_blocked_behind_it(site, statement):
    if "unwatch" in statement:
        site.watch("t")
    blocker = site.session(setup="BEGIN; INSERT INTO t VALUES (0)")
    call = Call(site.session(), statement)
    wait_until(lambda: call.waits(site), what="the first attempt")
    slowest = 0.0
    for number in range(1, 60):
        begun = time.monotonic()
        site.run("INSERT INTO t VALUES (%s)", (number,))
        slowest = max(slowest, time.monotonic() - begun)
    assert call.is_alive()
    execute(blocker, "COMMIT")
    call.join(10)
    assert call.error is None
    # an attempt holds writers up for 100 ms at the most
    assert slowest < 3.0
    watched = site.value("SELECT count(*) FROM sseapp.watched_table WHERE relation = 't'::regclass")
    assert watched == (0 if "unwatch" in statement else 1)


def test_it_gives_up_says_who_is_in_the_way_and_has_changed_nothing(site):
    blocker = site.session(setup="BEGIN; INSERT INTO t VALUES (0)")
    caller = site.session(setup="SET sseapp.patience = '50ms'")
    with pytest.raises(psycopg2.errors.LockNotAvailable) as caught:
        execute(caller, "SELECT sseapp.watch('t')")
    assert f"No lock on ONLY {site.name}.t within 00:00:00.05" in str(caught.value)
    assert f"Sessions: {blocker.info.backend_pid}\n" in str(caught.value)
    assert "SET sseapp.patience" in str(caught.value)
    assert execute(caller, "SHOW lock_timeout") == [("0",)]
    assert site.value("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass") == 0
    execute(blocker, "COMMIT")
    execute(caller, "SELECT sseapp.watch('t'), sseapp.unwatch('t')")


def test_partitions_are_waited_for_too(site):
    site.run("CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT")
    execute(site.session(), "BEGIN; INSERT INTO p1 VALUES (0)")
    caller = site.session(setup="SET sseapp.patience = '50ms'")
    with pytest.raises(psycopg2.errors.LockNotAvailable, match=r"\.p within"):
        execute(caller, "SELECT sseapp.watch('p')")


def test_a_write_under_way_when_the_watch_begins_is_either_before_it_or_logged(site):
    writer = site.session(setup="BEGIN; INSERT INTO t VALUES (1)")
    call = Call(site.session(), "SELECT sseapp.watch('t')")
    wait_until(lambda: call.waits(site), what="the first attempt")
    execute(writer, "COMMIT")
    call.join(10)
    execute(writer, "INSERT INTO t VALUES (2)")
    site.watch("t")
    assert [new for _, _, new in site.events()] == [{"id": 2}]


def test_many_callers_at_once_make_one_watch(site):
    calls = [Call(site.session(), "SELECT sseapp.watch('t')") for _ in range(6)]
    for call in calls:
        call.join(20)
    assert [call.error for call in calls] == [None] * 6
    site.watch("t")
    assert site.resets() == ["the table is watched"]
