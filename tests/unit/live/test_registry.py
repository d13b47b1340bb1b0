"""The watched tables: loaded once for all who ask at the same time, and never replaced by older ones."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest
from harness.clusters import wait_until

from sseapp.errors import NotInstalledError
from sseapp.live.registry import TableRegistry
from sseapp.tables.table import Column, Table

COLUMNS = (Column("id", "integer", "int4"),)
ORDERS = Table(1, 100, "public", "orders", ("id",), None, COLUMNS, 1)
OTHERS = Table(2, 200, "public", "others", ("id",), None, COLUMNS, 1)


class Queue:
    """A lock that counts those who have come to it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.came = 0

    def __enter__(self):
        self.came += 1
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


class Slow:
    """Loads that end when the test says so; ``begun`` holds how each is to end."""

    def __init__(self):
        self.begun = []
        self.installed = []
        self.registry = TableRegistry(self._load, self.installed.append)
        self.registry._loading = self.queue = Queue()
        self.callers = []
        self.joined = 0
        do = self.registry._loads.do

        def counted(key, call):
            self.joined += key in self.registry._loads._flights
            return do(key, call)

        self.registry._loads.do = counted

    def _load(self):
        self.begun.append(found := Future())
        return found.result(5)

    def call(self, *, listening=False):
        """Ask for the tables beside the test, perhaps as the listener does; when the call has begun it is returned."""
        asked, before = Future(), len(self.begun)

        def ask():
            try:
                asked.set_result(self.registry.refresh_with(self._load) if listening else self.registry.refresh())
            except NotInstalledError as error:
                asked.set_exception(error)

        thread = threading.Thread(target=ask)
        self.callers.append(thread)
        thread.start()
        if not before or listening:
            wait_until(lambda: len(self.begun) > before, what="the load")
        return asked

    def gather(self, count):
        """So many that wait for a load that is under way."""
        found = [self.call() for _ in range(count)]
        wait_until(lambda: self.joined == count - 1 and self.queue.came == 2, what="those who wait")
        return found


@pytest.fixture
def slow():
    found = Slow()
    yield found
    for thread in found.callers:
        thread.join(5)


@pytest.mark.parametrize("fails", [False, True])
def test_those_who_wait_for_the_tables_share_one_load_that_began_after_they_asked(slow, fails):
    first = slow.call()
    others = slow.gather(20)
    slow.begun[0].set_result({1: ORDERS})
    assert first.result(5) == {1: ORDERS}
    wait_until(lambda: len(slow.begun) == 2, what="the load for all others")
    if fails:
        slow.begun[1].set_exception(NotInstalledError())
        assert all(isinstance(other.exception(5), NotInstalledError) for other in others)
    else:
        slow.begun[1].set_result({2: OTHERS})
        assert all(other.result(5) == {2: OTHERS} for other in others)
    assert len(slow.begun) == 2
    assert slow.registry.tables == ({1: ORDERS} if fails else {2: OTHERS})


def test_the_listener_waits_for_no_other_load_and_a_later_one_prevails(slow):
    slow.call()
    listener = slow.call(listening=True)
    slow.begun[1].set_result({2: OTHERS})
    assert listener.result(5) == {2: OTHERS}
    slow.begun[0].set_result({1: ORDERS})
    slow.callers[0].join(5)
    assert slow.registry.tables == {2: OTHERS}


def test_a_load_that_failed_takes_nothing_from_one_that_did_not(slow):
    failing = slow.call()
    listener = slow.call(listening=True)
    slow.begun[0].set_exception(NotInstalledError())
    assert failing.exception(5)
    slow.begun[1].set_result({2: OTHERS})
    assert listener.result(5) == slow.registry.tables == {2: OTHERS}
