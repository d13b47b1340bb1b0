"""The event stream of a table's rows: all rows of a query, again and again."""

from __future__ import annotations

from collections.abc import Iterator

from sseapp.delivery.progress import Progress
from sseapp.delivery.subscription import Subscription
from sseapp.live.result import LiveResult
from sseapp.query.query import Query
from sseapp.tables.table import Table


class RowsStream(Subscription[LiveResult]):
    """The event stream of ``/tables/<table>/rows``: the whole result, now and each time a row in it changed."""

    __slots__ = ()

    def _join(self, table: Table, query: Query) -> LiveResult:
        return self._services.results.join(table, query)

    def _leave(self, channel: LiveResult) -> None:
        self._services.results.leave(channel)

    def _enter(self, reason: str | None) -> Iterator[bytes]:
        del reason  # the next result holds everything
        self.progress = Progress(self._channel)
        return iter(())
