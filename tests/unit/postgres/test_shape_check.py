"""The inspector survives every error, and logs an outage once."""

from __future__ import annotations

import threading

import pytest

from sseapp.errors import ConnectionLostError
from sseapp.postgres import catalog
from sseapp.postgres.shape_check import Inspector


class Failing:
    """A database that fails with each of ``errors`` in turn, and then answers."""

    def __init__(self, *errors):
        self._errors = [*errors]
        self.looked = threading.Event()

    def run(self, use):
        if self._errors:
            raise self._errors.pop(0)
        use(self)
        self.looked.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_tries_again_and_tells_an_outage_once(monkeypatch, caplog):
    asked = []
    for name in ("go_by_row", "check_shapes"):
        monkeypatch.setattr(catalog, name, lambda _, name=name: asked.append(name))
    database = Failing(ConnectionLostError("gone"), ConnectionLostError("gone"), ZeroDivisionError())
    inspector = Inspector(database, tick=0.01)
    inspector.start()
    assert database.looked.wait(5)
    inspector.stop()
    assert asked[:2] == ["go_by_row", "check_shapes"]
    assert caplog.text.count("could not be looked at") == 1
    assert "The inspector failed" in caplog.text
