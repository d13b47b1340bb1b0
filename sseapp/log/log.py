"""A log of changes, as its reader sees it: what a listener needs, and no more.

PostgreSQL's table ``sseapp.change`` is one (:class:`sseapp.postgres.change_log.ChangeLog`). A relay between the
database and many listeners, or a capture that reads a replication slot, would be others.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from sseapp.log.change import Batch
from sseapp.log.cursor import Cursor, Snapshot
from sseapp.log.pace import Reading
from sseapp.tables.table import Table

OTHER_LOG = "this is another log: the database was restored or failed over, or nobody had read the log for too long"
"""Why a cursor of another epoch is no longer valid. Writers do not log what nobody has read for the retention."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the log ends: its epoch, the snapshot, the greatest id that it sees, and how far the log is pruned."""

    epoch: str
    upto: Snapshot
    greatest_id: int
    horizon: Snapshot
    horizon_id: int


@dataclass(frozen=True, slots=True)
class Remaining:
    """How many changes of ``watch`` the rest of a batch holds, and the greatest id of them."""

    watch: int
    count: int
    greatest_id: int


class Log(Protocol):
    """One reader's session with the log. Every method may raise an error of :mod:`sseapp.errors`.

    ``pooled`` says that the log may be read but its NOTIFY is not heard: a connection pool lies in between.
    """

    @property
    def pooled(self) -> bool: ...  # noqa: D102  # as of the class

    def tables(self) -> dict[int, Table]:
        """The watched tables now, by the number of their watch."""
        ...

    def end(self) -> LogEnd:
        """Where the log ends now."""
        ...

    def expiry(self, cursor: Cursor) -> str | None:
        """Why the log can no longer be read from ``cursor`` on, in words; ``None`` where it can."""
        ...

    def read(self, cursor: Cursor, *, batch: int, sent: int, without: Collection[int] = ()) -> Batch:
        """The changes that come next after ``cursor``, about ``batch`` of them; none of the watches ``without``.

        ``sent`` is the greatest id that was read before. Raises :exc:`~sseapp.errors.CursorGoneError` where some of
        them have been pruned.
        """
        ...

    def pass_over(self, cursor: Cursor, why: str) -> Batch:
        """A batch of one change: a reset in place of the next one after ``cursor``, which cannot be read: ``why``."""
        ...

    def remaining(self, cursor: Cursor) -> list[Remaining]:
        """How much of the batch that ``cursor`` is in has not been read, by watch."""
        ...

    def read_lease(self) -> Reading:
        """What the pace goes by, without reading a change."""
        ...

    def attend(self, *, presence: float, retention: float) -> int:
        """Promise to listen for ``presence`` seconds, and have writers log for ``retention`` seconds more.

        Returns the log's clock in milliseconds. Writers do not ring for nobody, nor log what nobody will read.
        """
        ...

    def extend_lease(self, milliseconds: int) -> None:
        """Have writers send no NOTIFY for so long from now."""
        ...

    def fence(self) -> int:
        """A transaction id above all that were given out before."""
        ...

    def listen(self) -> None:
        """Have NOTIFY wake :meth:`wait` from now on."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait for a NOTIFY, ``timeout`` seconds at most; whether one came."""
        ...

    def close(self) -> None:
        """End the session."""
        ...
