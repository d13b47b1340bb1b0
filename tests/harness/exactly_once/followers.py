"""Subscribers in an event loop of their own: they join, come to rest, and leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self

from harness.exactly_once.checker import query
from harness.exactly_once.subscriber import Subscriber

from sseapp.log.cursor import Snapshot

_SETTLED = 60.0
_END = "SELECT pg_current_snapshot()::text, coalesce(max(xid::text::bigint), 0) FROM sseapp.change"


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


class Followers:
    """Subscribers that follow until the end of the ``with`` block."""

    def __init__(self) -> None:
        self._loop = Loop()
        self._tasks: dict[Subscriber, asyncio.Task[None]] = {}

    def join(self, subscribers: list[Subscriber]) -> None:
        self._loop.run(self._join(subscribers, 0.0))

    def join_slowly(self, subscribers: list[Subscriber], pause: float) -> Future[None]:
        """One after the other, ``pause`` seconds between them, while the caller goes on."""
        return self._loop.start(self._join(subscribers, pause))

    def check(self) -> None:
        """Raise what made a subscriber fail, if one has."""
        for task in self._tasks.values():
            if task.done() and not task.cancelled():
                task.result()

    def settle(self, dsn: str) -> None:
        """Give each a line that holds, and wait until its cursor is that of the log's end and all is quiet.

        Nothing may be written meanwhile. Whoever does not come to rest is not ``at_rest`` then; what made one fail is
        raised.
        """
        ((snapshot, greatest),) = query(dsn, _END)
        self._loop.run(self._settle(Snapshot.parse(snapshot).cut(greatest)), 2 * _SETTLED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._loop.run(self._leave())
        finally:
            self._loop.close()

    async def _join(self, subscribers: list[Subscriber], pause: float) -> None:
        for subscriber in subscribers:
            await asyncio.sleep(pause)
            await subscriber.line.open()
            self._tasks[subscriber] = asyncio.create_task(subscriber.run())

    async def _settle(self, end: Snapshot) -> None:
        await self._cancel()
        for subscriber in self._tasks:
            subscriber.line.heal()
            self._tasks[subscriber] = asyncio.create_task(subscriber.run())
        await asyncio.gather(*[self._rest(subscriber, end) for subscriber in self._tasks])

    async def _rest(self, subscriber: Subscriber, end: Snapshot) -> None:
        """Heartbeats move the cursor of a subscriber whose filter is quiet."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLED):
                while not subscriber.at_rest and not self._tasks[subscriber].done():
                    subscriber.quiet.clear()
                    await subscriber.quiet.wait()
                    subscriber.at_rest = subscriber.stands_at(end)

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
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
