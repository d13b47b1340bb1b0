"""Single flight: of those who ask the same at once, one does the work and all get its result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from sseapp.errors import UnavailableError

T = TypeVar("T")


class SingleFlight:
    """Calls by key. After golang.org/x/sync/singleflight, whose ``Do`` and ``Forget`` these methods are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Future[Any]] = {}

    def do(self, key: Hashable, call: Callable[[], T]) -> T:
        """Make ``call``; or wait for one with the same ``key`` that is under way, and return or raise what that does.

        Raises :exc:`~sseapp.errors.UnavailableError` where the caller that made it was killed.
        """
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not leads:
            landed: T = flight.result()
            return landed
        try:
            landed = call()
        except BaseException as error:
            self._remove(key, flight)
            # to be killed is no error of those who wait
            flight.set_exception(error if isinstance(error, Exception) else UnavailableError())
            raise
        self._remove(key, flight)
        flight.set_result(landed)
        return landed

    def forget(self, key: Hashable) -> None:
        """Have those who ask from now on make a call of their own, although one is under way."""
        with self._lock:
            self._flights.pop(key, None)

    def _remove(self, key: Hashable, flight: Future[Any]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
