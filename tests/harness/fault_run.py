"""Servers under load that faults strike: how long until every client is live again, and what it was told in the end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Self

import psycopg2
from harness.clusters import wait_until
from harness.exactly_once.checker import query
from harness.exactly_once.proxy import Line
from harness.exactly_once.queries import Query
from harness.exactly_once.rig import Report, Rig
from harness.exactly_once.subscriber import Subscriber
from harness.servers import Host
from harness.sse import ask

LIVE = 10.0
"""Seconds within which the listener has to be back, once the database is."""
_FIRST_CANARY = 1_000_000
CALM = Query("item", "id", f"id=gte.{_FIRST_CANARY}", f"id >= {_FIRST_CANARY}", lambda row: row["id"] >= _FIRST_CANARY)
_CANARY = "SET lock_timeout = '1s'; INSERT INTO item VALUES (%s, 0, NULL, 0, '2026-01-01', NULL)"
PACE = {"heartbeat": "500ms", "retry": "200ms", "tick": "500ms"}


class FaultRun(Rig):
    """A rig with subscribers whose own lines hold: they tell when a row that was written after a fault arrives.

    ``hosts`` are the servers that run now; a fault may replace some.
    """

    def __init__(self, dsn: str, hosts: list[Host], seed: str, *, calm: int = 4, **options) -> None:
        super().__init__(dsn, lambda: [host.address[1] for host in self.hosts], seed, outages=True, **options)
        self.hosts = hosts
        self.calm = [self._calm(at) for at in range(calm)]
        self.subscribers = self.calm + self.subscribers
        self._canaries = itertools.count(_FIRST_CANARY)

    def _calm(self, at: int) -> Subscriber:
        line = Line(lambda: self.hosts[at % len(self.hosts)].address[1], lambda: None)
        return Subscriber(f"calm {at}", CALM, line, Random(at))

    def __enter__(self) -> Self:
        super().__enter__()
        self.recovered(time.monotonic(), 30.0)
        return self

    def strike(self, fault: Callable[[], float | None], patience: float = 30.0) -> float:
        """Do ``fault``; how many seconds after it ended (or after the moment it names) all calm clients were live."""
        began = time.monotonic()
        return self.recovered(fault() or began, patience)

    def recovered(self, since: float, patience: float) -> float:
        """Seconds from ``since`` until every calm client has a row that is written now.

        A row every moment: a TRUNCATE of the workload's may take one before a client that was reset has read it.
        """
        first = next(self._canaries)
        end = time.monotonic() + patience
        while not self._heard(first):
            assert time.monotonic() < end, f"no canary after {first} was heard by all: {[c.last for c in self.calm]}"
            self._write(next(self._canaries))
            time.sleep(0.05)
        return time.monotonic() - since

    def _write(self, canary: int) -> None:
        with suppress(psycopg2.OperationalError):
            query(self.dsn, _CANARY, str(canary))

    def _heard(self, canary: int) -> bool:
        self._followers.check()
        return all(any(key >= canary for key in _keys(subscriber)) for subscriber in self.calm)

    def connections(self) -> list[int]:
        """How often each calm client has connected."""
        return [subscriber.connections for subscriber in self.calm]


def _keys(subscriber: Subscriber) -> Iterator[int]:
    """The rows that it has heard of since it last began anew."""
    if subscriber.spans:
        span = subscriber.spans[-1]
        yield from span.rows or ()
        yield from (told.key for told in span.told if told.key is not None)


def ready(host: Host, status: int = 200, patience: float = 30.0) -> None:
    """Wait until /readyz answers ``status``."""
    wait_until(lambda: ask(host.address, "/readyz").status == status, patience, f"{status} of /readyz", pause=0.05)


def judged(fault_run: FaultRun, resets: int = 0) -> Report:
    """The verdict, with nothing lost, twice or out of order."""
    report = fault_run.finish(resets=resets)
    report.check()
    return report
