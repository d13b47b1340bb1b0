"""Rows as JSON: the data of ``rows`` and ``snapshot`` events, and of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sseapp.events import sse
from sseapp.tables.row_json import json_string
from sseapp.tables.table import Table


def data(table: Table, rows: Iterable[str], *, more: bool) -> str:
    """The data of a ``rows`` event."""
    return f"{_head(table)}{','.join(rows)}{_tail(more=more)}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Writes the ``snapshot`` events of a stream, piece by piece: no more than a page of rows is held.

    ``id`` is that of the last event; without one the client has no cursor until the first change.
    """

    table: Table
    id: str | None

    def whole(self, pages: Iterable[Sequence[str]]) -> Iterator[bytes]:
        """All rows: one event for each page, numbered by ``part``; all but the last say that there are ``more``."""
        part, rows = 1, None
        for page in pages:
            if rows is not None:
                yield self._event(part, rows, more=True)
                part += 1
            rows = page
        yield self._event(part, rows or (), more=False)

    def limited(self, pages: Iterable[Sequence[str]], limit: int) -> Iterator[bytes]:
        """One event with at most ``limit`` rows of ``pages``, which says whether there are ``more``."""
        pages = _begun(pages)
        head = sse.body("snapshot", _head(self.table, '"part":1,'))[:-1]
        yield head
        cut = _Cut(limit)
        for page in pages:
            yield sse.continued(cut.members(page))
        yield sse.continued(_tail(more=cut.more)) + b"\n" + sse.ending(self.id)

    def _event(self, part: int, rows: Sequence[str], *, more: bool) -> bytes:
        # the rows are copied twice, not once for each part that is put before or behind them: one may have 500 MB
        head = sse.body("snapshot", _head(self.table, f'"part":{part},'))[:-1]
        rest = sse.continued(_tail(more=more)) + b"\n" + sse.ending(None if more else self.id)
        return b"".join((head, sse.continued(",".join(rows)), rest))


def answer(table: Table, pages: Iterable[Sequence[str]], limit: int, *, cursor: str | None) -> Iterator[bytes]:
    """The rows as the body of an answer, with the cursor that changes are to be read from."""
    pages = _begun(pages)
    yield _head(table).encode()
    cut = _Cut(limit)
    for page in pages:
        yield cut.members(page).encode()
    text = "null" if cursor is None else json_string(cursor)
    yield (_tail(more=cut.more, last=f',"cursor":{text}') + "\n").encode()


def _begun(pages: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """``pages``, of which the first is there: whoever cannot have it must not have sent the beginning of an answer."""
    rest = iter(pages)
    first = next(rest, None)
    return rest if first is None else chain([first], rest)


class _Cut:
    """Takes ``limit`` rows, page by page; ``more`` says whether there were others."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._separator = ""
        self.more = False

    def members(self, page: Sequence[str]) -> str:
        """The rows of ``page`` that are taken, as members of an array that all pages share."""
        rows = page[: self._left]
        self.more = self.more or len(page) > self._left
        self._left -= len(rows)
        text = self._separator + ",".join(rows) if rows else ""
        self._separator = "," if text else self._separator
        return text


def _head(table: Table, more: str = "") -> str:
    key = "null" if table.key is None else "[" + ",".join(map(json_string, table.key)) + "]"
    return f'{{"table":{json_string(str(table))},"key":{key},{more}"rows":['


def _tail(*, more: bool, last: str = "") -> str:
    return f'],"more":{"true" if more else "false"}{last}}}'
