"""The Python client before a real server: whatever cuts the line, each change comes once and the rows are SELECT's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from random import Random

import pytest
from harness.clusters import wait_until
from harness.exactly_once.followers import Loop
from harness.exactly_once.proxy import Line, faults
from harness.servers import ROOT, Host
from harness.site import QUICK, Site

from sseapp.client import Rows, exact_json, follow
from sseapp.errors import FollowError
from sseapp.postgres import schema
from sseapp.postgres.database import Connection

LAST = {"id": -1, "n": None, "a": None}


class Reader(threading.Thread):
    """Follows a stream in a thread, to the row LAST; keeps its rows and what it was told."""

    def __init__(self, url, **options):
        super().__init__(daemon=True)
        self._changes = follow(url, **{"retry": 0.05, "timeout": 3} | options)
        self.rows = Rows()
        self.told = []
        self.resets = []
        self.error = None
        self._lock = threading.Lock()
        self.start()

    def run(self):
        try:
            for change in self._changes:
                if change.row == LAST:
                    return
                with self._lock:
                    self._take(change)
        except FollowError as error:
            self.error = error

    def _take(self, change):
        self.rows.apply(change)
        if change.event == "reset":
            self.resets.append(change.data["reason"])
        if change.at is not None:
            self.told.append(change)

    def holds(self, rows):
        wait_until(lambda: self.error or self._sorted() == rows, 30, "the rows")
        assert self.error is None

    def _sorted(self):
        with self._lock:
            return sorted(self.rows, key=str)


@pytest.fixture
def loop():
    with closing(Loop()) as found:
        yield found


@contextmanager
def opened(loop, line):
    loop.run(line.open())
    try:
        yield
    finally:
        loop.run(line.close())


def test_each_change_comes_once_though_lines_are_cut_and_servers_restarted(pg18, loop):
    random = Random(seed := os.environ.get("CLIENT_SEED") or str(Random().random()))
    print("seed", seed)  # noqa: T201  # shown where the test fails
    with pg18.database() as dsn:
        with closing(Connection(dsn)) as connection:
            schema.install(connection)
        hosts = [Host(dsn, **QUICK)]
        line = Line(lambda: hosts[-1].address[1], faults(random))
        with opened(loop, line), closing(Site(pg18, dsn, hosts[0])) as site:
            table = site.table("id int PRIMARY KEY, n numeric, a text", rows="(1, 0.10, 'é\u2028')")
            reader = Reader(f"http://127.0.0.1:{line.port}/tables/{table}/changes")
            reader.holds(_selected(site, table))
            wanted = 0
            for number in range(2, 600):
                site.sql(f"INSERT INTO {table} VALUES (%s, %s, %s)", number, f"{number}.{number:030}", "x" * 300)
                site.sql(f"UPDATE {table} SET n = n + 1 WHERE id = %s", random.randrange(1, number + 1))
                wanted += 2
                if number % 10 == 0:
                    site.sql(f"DELETE FROM {table} WHERE id = %s", number - 5)
                    wanted += 1
                if number in {200, 400}:
                    hosts[-1].stop()
                    hosts.append(Host(dsn, **QUICK))
            loop.run(_call(line.heal))
            reader.holds(_selected(site, table))
            assert reader.resets == []
            assert line.made, "no line was cut"
            judged = [(change.event, change.row and change.row["id"], change.xid) for change in reader.told]
            assert len(judged) == len(set(judged))
            logged = site.sql("SELECT count(*) FROM sseapp.change WHERE kind IN ('i', 'u', 'd')")[0][0]
            # an update of a row that was deleted is none
            assert len(judged) == logged <= wanted
            site.sql(f"INSERT INTO {table} VALUES (-1)")
            reader.join(10)
            assert not reader.is_alive()
        hosts[-1].stop()


def _selected(site, table):
    rows = [exact_json.loads(text) for (text,) in site.sql(f"SELECT row_to_json(t)::text FROM {table} t")]
    return sorted(rows, key=str)


async def _call(function):
    function()


def test_events_of_all_kinds_come(newest):
    table = newest.table("id int PRIMARY KEY, t timestamptz DEFAULT now()", watch="range_column => 't'", rows="(1)")
    host = "{}:{}".format(*newest.host.address)
    with follow(f"http://{host}/tables/{table}/changes?last=1h", retry=0.1) as changes:
        first = next(changes)
        assert (first.event, first.data["key"], [row["id"] for row in first.data["rows"]]) == ("snapshot", ["id"], [1])
        newest.sql(f"INSERT INTO {table} VALUES (2)")
        newest.sql(f"UPDATE {table} SET t = t + interval '1 s' WHERE id = 2")
        newest.sql(f"DELETE FROM {table} WHERE id = 2")
        newest.sql(f"TRUNCATE {table}")
        wanted = ["insert", "update", "delete", "truncate"]
        told = []
        while len(told) < len(wanted):
            change = next(changes)
            if change.at is not None:
                told.append(change)
        assert [change.event for change in told] == wanted
        assert all(change.xid.isdecimal() for change in told)
        newest.sql(f"ALTER TABLE {table} ADD b int")
        newest.shapes_told()
        events = []
        while "snapshot" not in events:
            events.append(next(changes).event)
        assert "reset" in events[: events.index("snapshot")]


def test_what_the_server_refuses_is_raised_with_its_words(newest):
    table = newest.table()
    host = "{}:{}".format(*newest.host.address)
    for path, status, parameter in [("nowhere/changes", 404, "table"), (f"{table}/changes?nope=eq.1", 400, "nope")]:
        with follow(f"http://{host}/tables/{path}") as changes, pytest.raises(FollowError) as caught:
            next(changes)
        assert (caught.value.status, caught.value.parameter) == (status, parameter)


_GREEN = """
from gevent import monkey; monkey.patch_all()
import gevent, sys
from sseapp.client import follow
ticks = []
def tick():
    while True:
        gevent.sleep(0.01)
        ticks.append(1)
gevent.spawn(tick)
for change in follow(sys.argv[1]):
    print(change.event, len(ticks) > 5, flush=True)
    if change.event == "insert":
        break
"""


def test_it_is_green_under_gevent(newest):
    table = newest.table()
    url = "http://{}:{}/tables/{}/changes".format(*newest.host.address, table)
    process = subprocess.Popen(
        [sys.executable, "-c", _GREEN, url],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout.readline().startswith("snapshot")
        # time for the other greenlet, while the client waits
        threading.Event().wait(0.3)
        newest.sql(f"INSERT INTO {table} VALUES (1)")
        told = process.stdout.read().split("\n")
    assert "insert True" in told
    assert process.returncode == 0
