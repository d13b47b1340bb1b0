"""The pruner survives every error. If it ended, the log would grow without end."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from sseapp.errors import ConnectionLostError
from sseapp.postgres.pruner import Pruner


class Failing:
    """A database that fails with ``error`` the first time, and then has nothing to prune."""

    def __init__(self, error):
        self._error = error
        self.asked = threading.Event()

    @contextmanager
    def connection(self):
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        yield self

    def query(self, *_):
        self.asked.set()
        return [(0,)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ConnectionLostError(), ZeroDivisionError()])
def test_it_tries_again(error):
    database = Failing(error)
    pruner = Pruner(database, retention=0.3, size=1)
    pruner.start()
    assert database.asked.wait(5)
    pruner.stop()
