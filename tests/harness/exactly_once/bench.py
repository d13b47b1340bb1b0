"""One process's parts on a real database, moved step by step: the test says who commits, reads and hears when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg2
from harness.sse import Block, Parser

from sseapp.config import Settings
from sseapp.delivery.changes_stream import ChangesStream
from sseapp.postgres import schema
from sseapp.postgres.change_log import ChangeLog
from sseapp.postgres.database import Connection
from sseapp.process import Runtime


@dataclass
class Heard:
    """What one connection brought: an item for each row that was shown, with the id that the client held after it."""

    start: str
    reset: bool = False
    items: list[tuple[int, str]] = field(default_factory=list)
    last_id: str = ""

    def upto(self, count: int) -> str:
        """The id that a client holds whose line breaks after ``count`` items."""
        return self.items[count - 1][1] if count else self.start


class Client:
    """A subscriber of all items."""

    def __init__(self, runtime: Runtime, last_id: str = "", *args: tuple[str, str]) -> None:
        self._subscription = ChangesStream(runtime.services, "item", args, last_id or None)
        self._frames = self._subscription.body()
        self._parser = Parser()
        self._parser.last_id = last_id
        self.heard = Heard(last_id)
        self._has_rows = bool(
            last_id or (args and args[0][0] == "snapshot")
        )  # while they are read there are heartbeats

    def hear(self) -> Heard:
        """Take in all there is, to a heartbeat."""
        while True:
            for block in self._parser.feed(next(self._frames)):
                self._take(block)
                if block.is_heartbeat and self._has_rows:
                    return self.heard

    def _take(self, block: Block) -> None:
        self.heard.last_id = block.last_id
        if block.name == "reset":
            self.heard.reset, self._has_rows = True, False
        elif block.name == "snapshot":
            self._has_rows = not block.json["more"]
            # whose line breaks within a snapshot holds none of it
            self.heard.items += [(row["id"], block.last_id) for row in block.json["rows"]]
        elif block.name == "insert":
            self.heard.items.append((block.json["row"]["id"], block.last_id))

    def close(self) -> None:
        self._subscription.close()


class Bench:
    """A listener that reads when it is told to, and clients of its process."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._stack = ExitStack()
        with closing(Connection(dsn)) as connection:
            schema.install(connection)
            connection.query("CREATE TABLE IF NOT EXISTS item (id bigint PRIMARY KEY); TRUNCATE item")
            schema.watch(connection, "item")
        self.runtime = Runtime(
            Settings.from_environ({"DATABASE_URL": dsn, "SSEAPP_HEARTBEAT": "1ms", "SSEAPP_THREADS": "99"})
        )
        self.connect()

    def connect(self) -> None:
        """The listener's connection; again after a crash."""
        self._log = self._stack.enter_context(closing(ChangeLog(self.runtime.database.connect())))
        self.runtime.listener._join(self._log)

    def read(self) -> None:
        self.runtime.listener._read(self._log)

    def client(self, last_id: str = "", *args: tuple[str, str]) -> Client:
        return self._stack.enter_context(closing(Client(self.runtime, last_id, *args)))

    def heard(self, last_id: str) -> Heard:
        """What a client is told that comes back with ``last_id``."""
        with closing(Client(self.runtime, last_id)) as client:
            return client.hear()

    def session(self) -> Any:
        """A connection; a transaction begins with its first statement."""
        return self._stack.enter_context(closing(psycopg2.connect(self._dsn)))

    def insert(self, *ids: int) -> None:
        """One transaction for each."""
        for id_ in ids:
            session = self.session()
            write(session, id_)
            session.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.runtime.database.close()
        self._stack.close()

    def check(self, heard: Heard, wanted: set[int], *, cuts: int = 2) -> None:
        """Break the line after any item, come back, break it again: each item of ``wanted`` comes once."""
        for told in self._ways(heard, cuts):
            lost, repeated = sorted(wanted - told.keys()), sorted((told - Counter(wanted)).elements())
            assert not lost, f"lost {lost}, repeated {repeated}"
            assert not repeated, f"repeated {repeated}"

    def _ways(self, heard: Heard, cuts: int) -> Iterator[Counter[int]]:
        assert not heard.reset, "a reset without need"
        yield Counter(item for item, _ in heard.items)
        if cuts:
            for count in range(bool(not heard.start), len(heard.items) + 1):
                for rest in self._ways(self.heard(heard.upto(count)), cuts - 1):
                    yield rest + Counter(item for item, _ in heard.items[:count])


def write(session: Any, *ids: int) -> None:
    """Insert items in the session's transaction."""
    with session.cursor() as cursor:
        for id_ in ids:
            cursor.execute("INSERT INTO item VALUES (%s)", (id_,))
