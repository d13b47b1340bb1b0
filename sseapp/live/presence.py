"""That somebody reads the log: the promise that makes writers log and notify, and the pace of the reading.

Listeners and consumers keep both alike. Writers look for the promise (``sseapp.attend()``) after they have logged: past
it they do not notify, and past the log's retention they do not log either.
"""

from __future__ import annotations

from time import monotonic

from sseapp.log.log import Log
from sseapp.log.pace import Pace, Reading

PRESENCE = 10.0
"""Seconds for which a reader promises to be there, unless its tick asks for more."""


class Presence:
    """One reader's promise and ``pace``. It promises again after ``tick`` seconds, before half of the time is over.

    Writers log for ``retention`` seconds after the last promise of anybody has run out.
    """

    def __init__(self, pace: Pace, *, tick: float, retention: float) -> None:
        self.pace = pace
        self._seconds = max(PRESENCE, 5 * tick)
        self._retention = retention
        self._promised = 0  # when, by the database's clock in milliseconds

    def begin(self, log: Log) -> None:
        """A new session: LISTEN, unless NOTIFY is not to be heard in it."""
        self.pace.begin(pooled=log.pooled)
        if not self.pace.deaf:
            log.listen()

    def renew(self, log: Log) -> bool:
        """Promise to be there; whether the last promise still held.

        Where it did not, writers that looked since do not notify: the pace has begun anew, and waits for them as for
        those that look at a lease.
        """
        clock = log.attend(presence=self._seconds, retention=self._retention)
        held = 0 <= clock - self._promised < 500 * self._seconds
        if not held:
            self.pace.begin(pooled=log.pooled)
        self._promised = clock
        return held

    def keep_pace(self, log: Log, reading: Reading, commits: int) -> float:
        """Do what the pace asks for after a read that found so many ``commits``; how many seconds to wait."""
        step = self.pace.after(reading, commits, monotonic())
        if step.fence:
            self.pace.fenced(log.fence())
        if step.lease is not None:
            log.extend_lease(step.lease)
        return step.wait
