"""Wall clocks that tests step back and forth while a process runs by them, and no other process does.

PostgreSQL's is libfaketime's. Python's sleep() fails under it where monotonic clocks are left alone; so the
application's is a datetime of ours.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from harness.clusters import NEWEST, Server, scratch

HOUR = 3600
APPLICATION = """
import datetime


class Stepped(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=int((FOLDER / "clock").read_text()))


datetime.datetime = Stepped
"""
"""For :func:`harness.altered.altered`: the application runs by a clock that its folder's :class:`Clock` steps."""


def library() -> Path | None:
    """Where libfaketime is, if it is here."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class Clock:
    """The wall clock of those who read the file ``clock`` in ``folder``; monotonic clocks go on as they are."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.step(0)

    @property
    def environ(self) -> dict[str, str]:
        """What a process is started with that is to run by this clock; skips the test where libfaketime is missing."""
        found = library()
        if found is None:
            pytest.skip("libfaketime is not here (Debian's package of that name)")
        return {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",  # a file's times are no clock: gunicorn counts its workers' silence by them
        }

    def step(self, seconds: int) -> None:
        """Show the machine's time plus so many seconds, from now on."""
        # in one step: a process that reads meanwhile must not find half of it
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.chmod(0o644)
        new.replace(self._file)


class TimedServer(Server):
    """A cluster that runs by ``clock``."""

    def __init__(self, version: str, clock: Clock, settings: dict[str, str] | None = None) -> None:
        super().__init__(version, scratch(), settings)
        self.clock = clock
        preloaded = ("env", *(f"{name}={value}" for name, value in clock.environ.items()))
        self.account = replace(self.account, prefix=(*self.account.prefix, *preloaded))


@contextmanager
def timed(version: str = NEWEST, **settings: str) -> Iterator[TimedServer]:
    """A private cluster whose ``clock`` can be stepped."""
    folder = scratch()
    server = TimedServer(version, Clock(folder), settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.data.parent)
        shutil.rmtree(folder)
