"""What a follower yields: one event of a stream, its numbers exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sseapp.client import exact_json
from sseapp.client.event_stream import Event

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One event. Which members it has depends on ``event``; those that it has not are ``None``.

    ``insert`` (``row``), ``update`` (``row``, ``old``), ``delete`` (``old``) and ``truncate`` also have ``at``, the
    time of the change (ISO 8601), and ``xid``, its transaction. ``snapshot`` and ``rows`` have ``data["rows"]``; part 1
    of a snapshot begins anew. ``reset`` has ``data["reason"]``: discard your rows, a snapshot follows. ``window`` has
    ``data["start"]``: rows below have left. ``state`` has ``data["live"]``, whether the server follows its database.

    Whole numbers are ``int``, others ``Decimal``; ``text`` is the data as it was sent. ``cursor`` is where to go on
    after this event: pass it to :func:`~sseapp.client.follower.follow`, in another process if need be.
    """

    event: str
    row: Row | None
    old: Row | None
    at: str | None
    xid: str | None
    cursor: str
    data: Mapping[str, Any]
    text: str

    @classmethod
    def of(cls, event: Event) -> Change:
        """Read an event's data. Raises :exc:`ValueError` where that is no JSON object."""
        data = exact_json.loads(event.data)
        if not isinstance(data, dict):
            raise ValueError("The data of an event is not a JSON object.")  # noqa: TRY004  # as for what is no JSON
        row, old, at, xid = map(data.get, ("row", "old", "at", "xid"))
        return cls(event.name, row, old, at, xid, event.id, data, event.data)

    @property
    def watch(self) -> str | None:
        """Which of several tables it is about: the text that the address gave for it."""
        return self.data.get("watch")

    @property
    def is_end(self) -> bool:
        """Whether it is the last change of its transaction on this stream."""
        return bool(self.data.get("end"))
