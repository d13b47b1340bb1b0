"""`demo` as a newcomer runs it, in an empty folder."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from harness import sse
from harness.clusters import wait_until
from harness.processes import ROOT, is_gone

from sseapp.embedded.cluster import server_processes

START_SECONDS = 60.0
OPEN = re.compile(r"The shop is open, after .* s:  http://127\.0\.0\.1:(\d+)/$")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Demo:
    """A running demo, and what it has printed."""

    def __init__(self, folder, port=None):
        self.folder = folder
        self.address = ("127.0.0.1", port or _free_port())
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("SSEAPP_", "DATABASE_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sseapp", "demo", "--port", str(self.address[1])],
            cwd=folder,
            env=environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def opened(self):
        """Wait until it says that the shop is open."""
        end = time.monotonic() + START_SECONDS
        for line in self.process.stdout:
            self.said += line
            assert time.monotonic() < end, self.said
            if found := OPEN.search(line):
                assert int(found[1]) == self.address[1]
                return self
        raise AssertionError(self.said)

    def ended(self, seconds):
        """Wait for its end; the exit status."""
        self.process.wait(seconds)
        self.said += self.process.stdout.read()  # not communicate(): lines that were read ahead would be lost
        return self.process.returncode

    def family(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def get(self, target):
        return sse.ask(self.address, target)

    def changes(self, table="orders"):
        return sse.Stream(self.address, f"/tables/{table}/changes?snapshot=no", patience=20)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(15)
        self.process.stdout.close()


@pytest.fixture
def demo():
    started = []

    def start(folder, port=None):
        started.append(Demo(folder, port))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A demo that stays open for all tests that only look."""
    demo = Demo(tmp_path_factory.mktemp("shop")).opened()
    yield demo
    demo.close()


def test_says_what_it_is_doing_and_where_the_shop_is(shop):
    steps = [line.split()[0] for line in shop.said.splitlines() if line]
    assert steps == ["Preparing", "Starting", "Opening", "Starting", "The"]


def test_shows_a_page_and_two_tables_without_the_addresses_of_customers(shop):
    page = shop.get("/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    tables = {table["name"]: table for table in shop.get("/tables").json["tables"]}
    assert {name: table["range"] for name, table in tables.items()} == {"orders": "created_at", "customers": "joined"}
    assert "email" not in [column["name"] for column in tables["customers"]["columns"]]
    assert b"@example.com" not in shop.get("/tables/customers/rows").body


def test_has_orders_of_the_last_two_days_from_the_start(shop):
    for hours, least in (("48h", 300), ("24h", 100), ("1h", 1)):
        rows = shop.get(f"/tables/orders/rows?last={hours}").json["rows"]
        assert len(rows) >= least, hours
        assert all(row["total"] > 0 for row in rows)


def test_inserts_updates_and_deletes(shop):
    missing = {"insert", "update", "delete"}
    with shop.changes() as stream:
        while missing:
            missing.discard(stream.event("insert", "update", "delete").name)


def test_a_second_one_in_the_folder_is_refused_and_harms_nothing(shop, demo):
    second = demo(shop.folder)
    assert second.ended(20) == 1
    assert f"in use by process {shop.process.pid}" in second.said
    assert shop.get("/tables").status == 200


def test_a_port_in_use_is_refused_with_a_way_out(shop, demo, tmp_path):
    port = shop.address[1]
    second = demo(tmp_path, port)
    assert second.ended(20) == 1
    assert f"Port {port} on 127.0.0.1 cannot be used (Address already in use)" in second.said
    assert f"make demo PORT={port + 1}" in second.said
    assert not (tmp_path / ".sseapp").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it_within_5_seconds_and_it_opens_again(demo, tmp_path_factory, number):
    folder = tmp_path_factory.getbasetemp() / "closing"
    folder.mkdir(exist_ok=True)
    first = demo(folder).opened()
    family = first.family()
    with first.changes() as stream:
        stream.event()
        began = time.monotonic()
        first.process.send_signal(number)
        first.process.send_signal(signal.SIGINT)  # as those do who cannot wait; it must not interrupt the stopping
        assert [block.name for block in stream.rest() if block.fires][-1] == "bye"
        assert first.ended(5) == 0
        assert time.monotonic() - began < 5
    assert [process for process in family if not is_gone(process.pid)] == []
    assert first.said.endswith("\n\n  Ctrl-C ends all of it.\n\n\nClosing ...\nThe shop is closed.\n")
    assert "Traceback" not in (folder / ".sseapp" / "gunicorn.log").read_text()


def test_a_signal_while_it_still_starts_ends_it_as_well(demo, tmp_path):
    early = demo(tmp_path)
    wait_until((tmp_path / ".sseapp" / "lock").exists, 20)
    early.process.send_signal(signal.SIGINT)
    assert early.ended(5) == 0
    assert "Traceback" not in early.said
    assert not server_processes(tmp_path / ".sseapp" / "pg18" / "data")


def test_kill_9_leaves_nothing_running(demo, tmp_path):
    killed = demo(tmp_path).opened()
    family = killed.family()
    assert {process.name() for process in family} >= {"postgres"}
    killed.process.kill()
    wait_until(lambda: all(is_gone(process.pid) for process in family), 8, "the end of all")
    killed.ended(5)
    again = demo(tmp_path, killed.address[1]).opened()
    assert "Preparing" not in again.said


def test_the_shop_goes_on_after_its_database_was_killed(demo, tmp_path):
    shaken = demo(tmp_path).opened()
    (postmaster,) = [
        process
        for process in server_processes(tmp_path / ".sseapp" / "pg18" / "data")
        if process.parent().name() != "postgres"
    ]
    postmaster.kill()
    wait_until(lambda: is_gone(postmaster.pid))

    def sold():
        with shaken.changes() as stream, suppress(sse.Ended):  # without a database a client is sent away to come back
            return stream.until(lambda block: block.name == "insert", patience=30)

    wait_until(sold, 30, "a new order")
    assert shaken.process.poll() is None
