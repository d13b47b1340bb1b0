"""The rig: a randomised workload, subscribers whose lines break, and the verdict on what they saw."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self

from acceptance.rig import questions, workload
from acceptance.rig.checker import History, Verdict, judge
from acceptance.rig.proxy import Line, faults
from acceptance.rig.subscriber import Subscriber

from sseapp import schema
from sseapp.database import Connection

_TABLES = Path(__file__).with_name("tables.sql").read_text()
_SETTLED = 30.0


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


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any], timeout: float = 60.0) -> Any:
        return self.start(coroutine).result(timeout)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


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
        if not subscriber.quiet.is_set():
            verdict.faults.append("it did not come to rest")
        self.events += subscriber.events
        self.connections += subscriber.connections
        self.cuts.update(fault.kind for fault in subscriber.line.made)
        self.resets.update(subscriber.reasons)
        if verdict.faults:
            last = "\n    ".join(subscriber.last)
            told = "\n    ".join(verdict.faults[:5])
            verdict.faults = [
                f"{subscriber.name} {subscriber.question.target}\n    {told}\n  it heard last:\n    {last}"
            ]
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
        self._loop = Loop()
        self._stop = threading.Event()
        self._tasks: dict[Subscriber, asyncio.Task[None]] = {}
        kinds = [workload.Writer] * writers + [workload.Truncater]
        self.writers = [
            kind(dsn, Random(f"{seed} writer {at}"), self._stop, pace=pace, outages=outages)
            for at, kind in enumerate(kinds)
        ]
        self.subscribers = [
            self._subscriber(at, question) for at, question in enumerate(questions.draw(Random(seed), subscribers))
        ]

    def _subscriber(self, at: int, question: questions.Question) -> Subscriber:
        random = Random(f"{self.seed} subscriber {at}")
        line = Line(lambda: random.choice(self._ports()), faults(random))
        return Subscriber(f"subscriber {at}", question, line, random)

    def __enter__(self) -> Self:
        """Start: half of the subscribers before the first write, the others one after the other."""
        half = len(self.subscribers) // 2
        self._loop.run(self._join(self.subscribers[:half]))
        for writer in self.writers:
            writer.start()
        self._late = self._loop.start(self._join(self.subscribers[half:], 0.2))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._loop.run(self._leave())
        self._loop.close()

    def finish(self, *, resets: int = 0) -> Report:
        """Stop the writers, let every subscriber come to rest, and judge what they saw."""
        self._late.result(60)
        self._stop.set()
        for writer in self.writers:
            writer.join(30)
            assert not writer.is_alive(), f"seed {self.seed}: a writer hangs"
            if writer.error is not None:
                raise writer.error
        self._loop.run(self._settle(), 2 * _SETTLED)
        return self._report(resets)

    async def _join(self, subscribers: list[Subscriber], pause: float = 0.0) -> None:
        for subscriber in subscribers:
            await asyncio.sleep(pause)
            await subscriber.line.open()
            self._tasks[subscriber] = asyncio.create_task(subscriber.run())

    async def _settle(self) -> None:
        """Each on a line that holds, opened after the last commit, to the first heartbeat: then it knows all."""
        await self._cancel()
        for subscriber in self._tasks:
            subscriber.line.heal()
            subscriber.quiet.clear()
            self._tasks[subscriber] = asyncio.create_task(subscriber.run())
        quiet = [asyncio.create_task(self._quiet(subscriber)) for subscriber in self._tasks]
        _, restless = await asyncio.wait(quiet, timeout=_SETTLED)
        for task in restless:
            task.cancel()

    async def _quiet(self, subscriber: Subscriber) -> None:
        """Return when the subscriber heard a heartbeat; or failed, which the end of all tells."""
        quiet = asyncio.create_task(subscriber.quiet.wait())
        await asyncio.wait([quiet, self._tasks[subscriber]], return_when=asyncio.FIRST_COMPLETED)
        quiet.cancel()

    async def _cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        for error in await asyncio.gather(*self._tasks.values(), return_exceptions=True):
            if not isinstance(error, asyncio.CancelledError):
                raise error

    async def _leave(self) -> None:
        try:
            await self._cancel()
        finally:
            for subscriber in self._tasks:
                await subscriber.line.close()

    def _report(self, resets: int) -> Report:
        histories = {table: History(self.dsn, table) for table in ("item", "entry")}
        done = sum((writer.counts for writer in self.writers), Counter())
        report = Report(self.seed, done["commit"] + done["truncate"], sum(map(len, histories.values())))
        for subscriber in self.subscribers:
            report.add(subscriber, judge(subscriber, histories[subscriber.question.table], self.dsn, resets=resets))
        return report
