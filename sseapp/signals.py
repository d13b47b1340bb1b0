"""Signals for code in the same process, on a namespace of our own (blinker)."""

from __future__ import annotations

from blinker import Namespace

_namespace = Namespace()

changed = _namespace.signal(
    "changed",
    doc="Sent once for each table in a batch that was read from the log: ``sender`` is the "
    ":class:`~sseapp.table.Table`, ``batch`` the :class:`~sseapp.change.Batch` with that table's changes only.",
)
