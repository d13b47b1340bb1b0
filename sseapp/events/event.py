"""What a subscriber is told of a change: an event, seen through the lens of its stream."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sseapp.events import sse
from sseapp.log.change import TRUNCATE, Change
from sseapp.log.cursor import event_number
from sseapp.tables.row_json import json_string, subset
from sseapp.tables.table import Table


@dataclass(frozen=True)
class Event:
    """What a subscriber is told. ``row`` and ``old`` are JSON text; ``number`` orders the events of a batch."""

    name: str
    number: int
    xid: int
    at: str
    row: str | None = None
    old: str | None = None

    @cached_property
    def body(self) -> bytes:
        """The event as event stream bytes, but for its id: encoded once for all streams that send it."""
        return sse.body(self.name, self.data)

    def encode(self) -> None:
        """Make :attr:`body` now, rather than when it is sent."""
        assert self.body  # noqa: S101  # never empty

    @property
    def size(self) -> int:
        """About how many bytes are sent. In memory it is three times that: texts, body, the frame's bytes."""
        return len(self.body) + 100

    @property
    def data(self) -> str:
        """The event's data: only the members that the event has."""
        return "{" + ",".join(self._members()) + "}"

    @property
    def end_body(self) -> bytes:
        """The same for a stream on which it is the last event of its transaction; so not encoded once more."""
        return self.body[:-2] + b',"end":true}\n'

    def json(self, *, is_end: bool = False) -> str:
        """The change as an element of the long poll's ``changes``."""
        end = ',"end":true' if is_end else ""
        return (
            f'{{"event":"{self.name}","row":{self.row or "null"},"old":{self.old or "null"},'
            f'"at":{json_string(self.at)},"xid":"{self.xid}"{end}}}'
        )

    def _members(self) -> list[str]:
        parts = [] if self.row is None else [f'"row":{self.row}']
        if self.old is not None:
            parts.append(f'"old":{self.old}')
        return [*parts, f'"at":{json_string(self.at)}', f'"xid":"{self.xid}"']


@dataclass(frozen=True, slots=True)
class Lens:
    """How one stream sees a table: the ``columns`` it shows (``None``: all), and the ``key`` that identifies a row."""

    key: tuple[str, ...] | None
    columns: tuple[str, ...] | None = None

    @classmethod
    def of(cls, table: Table, columns: tuple[str, ...] | None) -> Lens:
        """The lens of a query about ``table``."""
        return cls(table.key, columns)

    def events(self, change: Change, *, was_in: bool, is_in: bool) -> list[Event]:
        """Tell ``change`` to a subscriber whose filter held the old row (``was_in``) and holds the new one (``is_in``).

        A row that enters the filter is an insert, one that leaves it a delete; a changed key is both.
        """
        if change.kind == TRUNCATE:
            return [self._event("truncate", change)]
        if was_in and is_in:
            return self._update(change)
        if is_in:
            return [self._event("insert", change, row=self._new(change))]
        return [self._event("delete", change, old=self._old(change))] if was_in else []

    def _update(self, change: Change) -> list[Event]:
        row, old = self._new(change), self._old(change)
        if self.columns is not None and row == old:
            return []
        if not self._key_changed(change):
            return [self._event("update", change, row=row, old=old)]
        return [
            self._event("delete", change, old=old, first=True),
            self._event("insert", change, row=row),
        ]

    def _key_changed(self, change: Change) -> bool:
        if self.key is None:
            return True
        old, new = change.old_members or {}, change.new_members or {}
        return any(old.get(column) != new.get(column) for column in self.key)

    def _new(self, change: Change) -> str | None:
        return change.new if self.columns is None else subset(change.new_members or {}, self.columns)

    def _old(self, change: Change) -> str | None:
        return change.old if self.columns is None else subset(change.old_members or {}, self.columns)

    @staticmethod
    def _event(
        name: str, change: Change, *, row: str | None = None, old: str | None = None, first: bool = False
    ) -> Event:
        return Event(name, event_number(change.id, first=first), change.xid, change.at, row, old)
