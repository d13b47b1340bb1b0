"""What a consumer's function is called with."""

from __future__ import annotations

from dataclasses import dataclass

from sseapp.log.change import DELETE, INSERT, RESET, TRUNCATE, UPDATE, Change

_KINDS = {INSERT: "insert", UPDATE: "update", DELETE: "delete", TRUNCATE: "truncate", RESET: "reset"}


@dataclass(frozen=True, slots=True)
class ConsumedChange:
    """One change: ``old`` and ``new`` are PostgreSQL's JSON text of the row, ``at`` is when it was written (ISO 8601).

    ``kind`` is ``insert``, ``update``, ``delete``, ``truncate`` or ``reset``. A reset says that the table may have
    changed in ways that are not told one by one, and its ``reason``: the table's shape or its watch has changed, or
    changes were pruned from the log before this consumer came to them. ``id`` is the same whenever this change is told
    again, and no other change's in this log. It and ``xid`` are ``None`` for a reset that is in no log.
    """

    kind: str
    old: str | None
    new: str | None
    at: str
    xid: int | None
    id: int | None
    reason: str | None = None

    @classmethod
    def of(cls, change: Change) -> ConsumedChange:
        """The same as the log has it."""
        reason = change.reason if change.kind == RESET else None
        return cls(_KINDS[change.kind], change.old, change.new, change.at, change.xid, change.id, reason)
