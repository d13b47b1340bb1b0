"""Whole transactions: wherever an id says that a batch ends, a subscriber shows the rows of that very moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.exactly_once.queries import Query, Row
from harness.exactly_once.subscriber import Span

from sseapp.log.cursor import Snapshot, decode

if TYPE_CHECKING:
    from harness.exactly_once.checker import History

_LOOKED_AT = 25  # of each span: every look goes through all that was ever committed


def halves(span: Span, rows: dict[int, Row], history: History, query: Query) -> list[str]:
    """What is wrong with the rows of a subscriber, who began with ``rows``, at the ends of its batches.

    A snapshot sees a transaction whole or not at all: rows that are no snapshot's are half of a transaction, or lack
    one. Between two ends they may be, as the changes of a batch come one after the other.
    """
    rows, told, wrong = dict(rows), iter(span.told), []
    done = 0
    for count, upto in _ends(span):
        for _ in range(count - done):
            next(told).apply(rows)
        done = count
        if rows != (expected := history.rows(query, upto)):
            keys = [key for key in rows.keys() | expected.keys() if rows.get(key) != expected.get(key)]
            wrong.append(f"after {count} events, at the end of a batch, its rows are not those of {upto}: {keys[:5]}")
    return wrong


def _ends(span: Span) -> Iterator[tuple[int, Snapshot]]:
    """Some of the moments at which a batch ended, each with how many events had come until then."""
    cursors = [(count, decode(id_)[0]) for count, id_ in span.ids]
    ends = [(count, cursor.upto) for count, cursor in cursors if cursor.event_number is None]
    yield from ends[:: max(1, len(ends) // _LOOKED_AT)]
