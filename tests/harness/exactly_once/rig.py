"""The rig: a randomised workload, subscribers whose lines break, and the verdict on what they saw."""

from __future__ import annotations

import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

from harness.clusters import wait_until
from harness.exactly_once import queries, workload
from harness.exactly_once.checker import History, Verdict, judge
from harness.exactly_once.followers import Followers
from harness.exactly_once.proxy import Line, faults
from harness.exactly_once.subscriber import Subscriber

from sseapp.postgres import schema
from sseapp.postgres.database import Connection

_TABLES = Path(__file__).with_name("tables.sql").read_text()


def seed() -> str:
    """Another one each time, unless the environment's ``RIG_SEED`` names the one of a failure."""
    return os.environ.get("RIG_SEED") or secrets.token_hex(4)


def prepare(dsn: str) -> None:
    """Make the rig's tables and watch them."""
    raw = workload.connected(dsn)
    raw.cursor().execute(_TABLES)
    raw.close()
    connection = Connection(dsn)
    schema.install(connection)
    schema.watch(connection, "item", range_column="at")
    schema.watch(connection, "entry")
    connection.close()


@dataclass
class Report:
    """The figures of a run, and what was wrong with it."""

    seed: str
    transactions: int
    changes: int
    subscribers: int = 0
    events: int = 0
    connections: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    resets: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)

    def add(self, subscriber: Subscriber, verdict: Verdict) -> None:
        self.subscribers += 1
        if not subscriber.at_rest:
            verdict.faults.append("it did not come to rest")
        self.events += subscriber.events
        self.connections += subscriber.connections
        self.cuts.update(fault.kind for fault in subscriber.line.made)
        self.resets.update(subscriber.reasons)
        if verdict.faults:
            last = "\n    ".join(subscriber.last)
            told = "\n    ".join(verdict.faults[:5])
            verdict.faults = [f"{subscriber.name} {subscriber.query.target}\n    {told}\n  it heard last:\n    {last}"]
        self.verdict += verdict

    def check(self) -> None:
        """Raise an AssertionError that says how to see it again, if anything is wrong."""
        assert not self.verdict.faults, f"RIG_SEED={self.seed}\n{self}\n" + "\n".join(self.verdict.faults[:3])

    def __str__(self) -> str:
        cuts = ", ".join(f"{count} {kind}" for kind, count in sorted(self.cuts.items()))
        verdict = self.verdict
        return (
            f"seed {self.seed}: {self.transactions} transactions, {self.changes} changes; "
            f"{self.subscribers} subscribers, {self.events} events, {self.connections} connections, "
            f"{self.cuts.total()} lines broken ({cuts}), "
            f"{self.resets.total()} resets; "
            f"lost {verdict.lost}, duplicated {verdict.duplicated}, out of order {verdict.disordered}"
        )


class Rig:
    """Writers and subscribers on the database ``dsn``; ``ports`` gives the ports of the servers that run now.

    What each of them does is drawn from ``seed``; when it does so is the scheduler's.
    """

    def __init__(
        self,
        dsn: str,
        ports: Callable[[], list[int]],
        seed: str,
        *,
        subscribers: int = 30,
        writers: int = 8,
        pace: float = 0.04,
        outages: bool = False,
    ) -> None:
        self.dsn = dsn
        self.seed = seed
        self._ports = ports
        self._stop = threading.Event()
        self._followers = Followers()
        kinds = [workload.Writer] * writers + [workload.Truncater]
        self.writers = [
            kind(dsn, Random(f"{seed} writer {at}"), self._stop, pace=pace, outages=outages)
            for at, kind in enumerate(kinds)
        ]
        self.subscribers = [
            self._subscriber(at, query) for at, query in enumerate(queries.draw(Random(seed), subscribers))
        ]

    def _subscriber(self, at: int, query: queries.Query) -> Subscriber:
        random = Random(f"{self.seed} subscriber {at}")
        line = Line(lambda: random.choice(self._ports()), faults(random))
        return Subscriber(f"subscriber {at}", query, line, random)

    def __enter__(self) -> Self:
        """Start: half of the subscribers before the first write, the others one after the other."""
        half = len(self.subscribers) // 2
        self._followers.join(self.subscribers[:half])
        for writer in self.writers:
            writer.start()
        self._late = self._followers.join_slowly(self.subscribers[half:], 0.2)
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._followers.__exit__(*error)

    def work(self, *, transactions: int, cuts: int, seconds: float = 60.0) -> None:
        """Go on until so many transactions were committed and so many lines broken."""
        wait_until(lambda: self._has_done(transactions, cuts), seconds, f"{transactions} transactions and {cuts} cuts")

    def _has_done(self, transactions: int, cuts: int) -> bool:
        self._followers.check()
        for writer in self.writers:
            if writer.error is not None:
                raise writer.error
        return self._transactions >= transactions and sum(len(each.line.made) for each in self.subscribers) >= cuts

    @property
    def _transactions(self) -> int:
        return sum(writer.counts["commit"] + writer.counts["truncate"] for writer in self.writers)

    def finish(self, *, resets: int = 0) -> Report:
        """Stop the writers, let every subscriber come to rest, and judge what they saw."""
        self._late.result(60)
        self._stop.set()
        for writer in self.writers:
            writer.join(30)
            assert not writer.is_alive(), f"seed {self.seed}: a writer hangs"
            if writer.error is not None:
                raise writer.error
        self._followers.settle(self.dsn)
        return self._report(resets)

    def _report(self, resets: int) -> Report:
        histories = {table: History(self.dsn, table) for table in ("item", "entry")}
        report = Report(self.seed, self._transactions, sum(map(len, histories.values())))
        for subscriber in self.subscribers:
            report.add(subscriber, judge(subscriber, histories[subscriber.query.table], self.dsn, resets=resets))
        return report
