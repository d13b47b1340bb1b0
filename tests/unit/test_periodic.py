"""What is done again and again outlives its failures, and logs an outage once."""

from __future__ import annotations

import threading

import pytest

from sseapp.errors import ConnectionLostError
from sseapp.periodic import Periodic


class Work(Periodic):
    """Fails with each of ``errors`` in turn, and then succeeds."""

    def __init__(self, *errors):
        super().__init__("work of a test", 0.001)
        self._errors = [*errors]
        self.done = threading.Event()

    def work(self):
        if self._errors and (error := self._errors.pop(0)):
            raise error
        if not self._errors:
            self.done.set()


@pytest.fixture
def run():
    def run(*errors):
        work = Work(*errors)
        work.start()
        assert work.done.wait(5)
        work.stop()

    return run


@pytest.mark.parametrize("error", [ConnectionLostError("gone"), ZeroDivisionError("a fault")])
def test_it_tries_again(run, caplog, error):
    run(error)
    assert f"The work of a test failed and is tried again: {error}" in caplog.text


def test_an_outage_is_logged_once(run, caplog):
    run(ConnectionLostError("gone"), ConnectionLostError("gone"), None, ConnectionLostError("again"))
    assert [record.args[1] for record in caplog.records] == ["gone", "again"]


def test_a_fault_of_ours_is_logged_with_its_traceback(run, caplog):
    run(ZeroDivisionError("a fault"))
    assert "Traceback" in caplog.text


def test_it_ends_before_it_is_done_again():
    work = Work()
    work.stop()
    work.start()
    assert not work.done.wait(0.05)
