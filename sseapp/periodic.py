"""Work that is done again and again beside everything else, whatever happens to it."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from sseapp import concurrency
from sseapp.errors import SseappError

_log = logging.getLogger(__name__)


class Periodic(ABC):
    """Does its :meth:`work` every ``interval`` seconds until it is stopped. ``name`` is shown in the log.

    A failure is logged and the work is tried again; of several failures in a row only the first one is logged.
    """

    def __init__(self, name: str, interval: float) -> None:
        self._name = name
        self._interval = interval
        self._failing = False
        self.stopping = threading.Event()

    def start(self) -> None:
        """Begin, after the first interval."""
        concurrency.start(self._name, self._run)

    def stop(self) -> None:
        """End before the work is done once more."""
        self.stopping.set()

    @abstractmethod
    def work(self) -> None:
        """Do it once."""

    def _run(self) -> None:
        while not self.stopping.wait(self._interval):
            try:
                self.work()
                self._failing = False
            except SseappError as error:
                self._failed(str(error), with_traceback=False)
            except Exception as error:  # noqa: BLE001  # logged; what this does nobody else would do
                self._failed(str(error), with_traceback=True)

    def _failed(self, why: str, *, with_traceback: bool) -> None:
        if not self._failing:
            _log.warning("The %s failed and is tried again: %s", self._name, why, exc_info=with_traceback)
        self._failing = True
