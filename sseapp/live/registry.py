"""The watched tables as this process knows them, loaded from the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

from sseapp.single_flight import SingleFlight
from sseapp.tables.table import Table

Tables: TypeAlias = Mapping[int, Table]
"""Tables by the number of their watch."""


class TableRegistry:
    """Loads the watched tables with ``load`` and hands them to ``install``.

    Two loads may be under way at once, the listener's and one for requests: a load that began earlier never replaces
    what a later one found.
    """

    def __init__(self, load: Callable[[], Tables], install: Callable[[Tables], None]) -> None:
        self._load = load
        self._install = install
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._loads = SingleFlight()
        self._begun = self._installed = 0
        self.tables: Tables = {}

    def refresh(self) -> Tables:
        """Load the tables anew. Raises what the load raises.

        All who ask while another load is under way share the next one: a reset brings thousands, and each needs a load
        that began after it asked.
        """
        return self._loads.do("load", self._load_alone)

    def refresh_with(self, load: Callable[[], Tables]) -> Tables:
        """Load them with ``load``, without waiting for others.

        The listener does so on its own connection: those of the pool may all be taken, or dead.
        """
        with self._lock:
            self._begun += 1
            number = self._begun
        tables = load()
        with self._lock:
            if number > self._installed:
                self._installed, self.tables = number, tables
                self._install(tables)
            return self.tables

    def _load_alone(self) -> Tables:
        with self._loading:
            # from here on it is too late to share this one
            self._loads.forget("load")
            return self.refresh_with(self._load)
