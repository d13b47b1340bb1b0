"""Who asks the same while it is being worked out gets the same answer, or the same error."""

from __future__ import annotations

import threading

import pytest

from sseapp.errors import NotFoundError, UnavailableError
from sseapp.single_flight import SingleFlight

FOREVER = 30.0


class Beside:
    """A thread whose end is waited for, and whose result or error is kept."""

    def __init__(self, target):
        self._target = target
        self.result = self.error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.result = self._target()
        except BaseException as error:  # noqa: BLE001  # looked at by the test
            self.error = error

    def join(self):
        self._thread.join(FOREVER)
        assert not self._thread.is_alive(), "it still waits"
        return self


@pytest.fixture
def flights():
    return SingleFlight()


class Flight:
    """A read that several ask for while it is under way."""

    def __init__(self, flights, outcome, key="key"):
        self.reads = 0
        self._flights, self._outcome, self._key = flights, outcome, key
        self._started, self._land = threading.Event(), threading.Event()
        self.callers = [Beside(self._ask)]
        assert self._started.wait(FOREVER)

    def _ask(self):
        return self._flights.do(self._key, self._read)

    def _read(self):
        self.reads += 1
        self._started.set()
        assert self._land.wait(FOREVER)
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome

    def join(self, count):
        """``count`` more ask for it; they wait for it before this returns."""
        flight = self._flights._flights[self._key]
        waiting, result = threading.Semaphore(0), flight.result

        def counted():
            waiting.release()
            return result()

        flight.result = counted
        self.callers += [Beside(self._ask) for _ in range(count)]
        for _ in range(count):
            assert waiting.acquire(timeout=FOREVER)

    def land(self):
        self._land.set()
        return [caller.join() for caller in self.callers]


def test_all_who_ask_while_a_read_is_under_way_share_it(flights):
    flight = Flight(flights, "rows")
    flight.join(3)
    assert [caller.result for caller in flight.land()] == ["rows"] * 4
    assert flight.reads == 1
    assert flights.do("key", lambda: "newer rows") == "newer rows", "who comes later reads anew"


def test_other_keys_are_other_reads(flights):
    flight = Flight(flights, "rows")
    assert flights.do("another key", lambda: "others") == "others"
    flight.land()


def test_an_error_of_the_read_is_everyones(flights):
    flight = Flight(flights, NotFoundError("gone"))
    flight.join(2)
    errors = {caller.error for caller in flight.land()}
    assert len(errors) == 1
    assert isinstance(errors.pop(), NotFoundError)
    assert flights.do("key", lambda: "rows") == "rows", "and is not kept"


def test_who_waits_for_a_reader_that_was_killed_is_told_to_try_again(flights):
    flight = Flight(flights, SystemExit())
    flight.join(1)
    reader, waiter = flight.land()
    assert isinstance(reader.error, SystemExit)
    assert isinstance(waiter.error, UnavailableError)


def test_who_asks_once_it_is_forgotten_makes_a_call_of_its_own(flights):
    flight = Flight(flights, "rows")
    flights.forget("key")
    assert flights.do("key", lambda: "newer rows") == "newer rows"
    assert [caller.result for caller in flight.land()] == ["rows"]


def test_one_that_was_forgotten_does_not_end_the_next(flights):
    early = Flight(flights, "rows")
    flights.forget("key")
    late = Flight(flights, "newer rows")
    early.land()
    late.join(1)
    assert [caller.result for caller in late.land()] == ["newer rows"] * 2
