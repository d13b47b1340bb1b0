"""The code of the same process that receives changes, through signals."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from sseapp.live.registry import Tables
from sseapp.log.change import Batch
from sseapp.signals import Signal

_log = logging.getLogger(__name__)


class Receivers:
    """The receivers of ``signals``, each as :data:`sseapp.signals.changed` documents it."""

    def __init__(self, signals: Iterable[Signal]) -> None:
        self._signals = tuple(signals)

    def among(self, watches: Iterable[int], tables: Tables) -> set[int]:
        """Those of ``watches`` whose changes some receiver wants."""
        return {watch for watch in watches if watch in tables and self._are_there_for(str(tables[watch]))}

    def send(self, batch: Batch, tables: Tables) -> None:
        """Send each table's changes of ``batch``."""
        by_watch = batch.by_watch()
        for watch in self.among(by_watch, tables):
            self._send(str(tables[watch]), replace(batch, changes=by_watch[watch]))

    def _are_there_for(self, table: str) -> bool:
        return any(signal.has_receivers_for(table) for signal in self._signals)

    def _send(self, table: str, batch: Batch) -> None:
        """Call each receiver, whatever the others do."""
        for receiver in (receiver for signal in self._signals for receiver in signal.receivers_for(table)):
            try:
                receiver(table, batch=batch)
            except Exception:  # noqa: BLE001  # foreign code, logged
                _log.exception("A receiver of the signal 'changed' raised; the others go on.")
