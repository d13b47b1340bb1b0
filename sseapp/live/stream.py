"""The live changes of one query: a channel that all subscribers with the same query share."""

from __future__ import annotations

from datetime import datetime

from sseapp.events import sse
from sseapp.events.event import Event, Lens
from sseapp.events.ring import Frame
from sseapp.live.channel import Channel
from sseapp.log.cursor import Scope, Snapshot
from sseapp.query.filters import Filter
from sseapp.query.query import Query
from sseapp.tables.table import Table


class Stream(Channel):
    """The changes of one table that pass one filter, seen through one lens.

    ``filter`` is the query's as of now: with ``last`` its lower bound moves. ``bound`` is that bound's JSON text.
    """

    def __init__(self, table: Table, query: Query, scope: Scope, now: datetime, *, limit: int) -> None:
        super().__init__(limit)
        self.table = table
        self.query = query
        self.scope = scope
        self.lens = Lens.of(table, query.columns)
        self.begin = query.window_start(now)
        self.filter, self.bound = query.filter_at(now)
        self.held: tuple[Event, ...] = ()  # of the batch that is being read: see sseapp.events.transactions

    def note(self) -> tuple[int, Filter, str | None]:
        """The ring's end, and the filter and bound that hold from there on. To be noted before the database is read."""
        with self.changed:
            return self.ring.end, self.filter, self.bound

    def skip(self) -> None:  # noqa: D102  # as of the class above
        self.held = ()
        super().skip()

    def move(self, filter_: Filter, bound: str, at: Snapshot) -> None:
        """Go on with a window that has moved, and tell the subscribers so."""
        with self.changed:
            self.filter, self.bound = filter_, bound
            self.append(Frame(at, at, raw=window(bound)))


def window(bound: str) -> bytes:
    """The event that tells the new lower bound of a moving window; ``bound`` is JSON text."""
    return sse.event("window", f'{{"start":{bound}}}')
