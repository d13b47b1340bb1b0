"""The pace: interrupts when idle, polling when busy.

NOTIFY takes one lock for the whole cluster at commit, so the bell is off while many commit. It is so by a lease: a time
of the database's clock up to which writers need not ring. The lease lies outside of transactions, a writer looks at it
after it has logged its row, so with a transaction id, and it runs out by itself. Who sets it rings: sleepers poll from
then on.

A listener may sleep when the lease has run out, but for those who looked before that and have not committed yet. Their
transaction ids are below any that is given out after the listener saw the lease run out. So it takes such an id, the
fence, and polls until a read of the log has a snapshot that sees the end of all up to it. (The list in flight of a
snapshot would not do: it names none of those above the last that has ended.) As long as the lease stays what it was,
the listener may sleep again at once, whatever is in flight: those have looked since.

A setter that dies before its commit has set the lease and not rung: sleepers find that on their tick.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import exp

FOREVER = 2**63 - 1
"""A lease that does not run out."""

LEASE = 1000
"""Milliseconds for which the bell is off, unless that is extended."""

_LONGEST_LEASE = 10 * LEASE  # ms, beyond all that is set
_WINDOW = 0.5  # seconds over which commits are counted
_PLENTY, _STRETCH = 500.0, 4.0  # commits a second above which reads are further apart, and how far at the most
_GROWTH, _LONGEST = 1.5, 0.1  # of the intervals, in seconds, at which an old transaction's end is waited for


class Mode(StrEnum):
    """What the listener does: it sleeps until the bell, or polls, for one of three reasons."""

    QUIET = "quiet"
    SETTLING = "settling"
    BUSY = "busy"
    POLLING = "polling"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a read of the log tells of the pace: ``lease`` and ``clock`` in milliseconds of the database's clock.

    ``snapshot`` is the read's own, uncut, as PostgreSQL writes it; it is older than the other two.
    """

    lease: int
    clock: int
    snapshot: str

    @property
    def xmin(self) -> int:
        """Every transaction below has ended, and its end is seen."""
        return int(self.snapshot.partition(":")[0])

    @property
    def left(self) -> int:
        """For how many milliseconds the bell is off yet."""
        return max(0, self.lease - self.clock)


@dataclass(frozen=True, slots=True)
class SleepPermit:
    """Whether a listener may sleep: ``lease`` has run out, and all who looked before that have ended."""

    lease: int | None = None
    fence: int | None = None
    allowed: bool = False

    def after(self, reading: Reading) -> SleepPermit:
        """Go on from a read of the log; where :attr:`needs_fence` then, :meth:`fenced` is due before the next one."""
        if reading.left:
            return SleepPermit()
        if reading.lease != self.lease:
            return SleepPermit(reading.lease)
        return replace(self, allowed=self.allowed or (self.fence is not None and reading.xmin > self.fence))

    @property
    def needs_fence(self) -> bool:
        """Whether a transaction id is wanted that is given out from now on."""
        return self.lease is not None and self.fence is None

    def fenced(self, xid: int) -> SleepPermit:
        """Take ``xid`` for the fence."""
        return replace(self, fence=xid)


class Rate:
    """Commits a second, over the last half second or so."""

    def __init__(self) -> None:
        self._at = 0.0
        self._commits = 0.0

    def count(self, commits: int, now: float) -> float:
        """Count ``commits`` that were read at ``now`` (seconds, of any clock that only goes forward); the rate."""
        self._commits = self._commits * exp((self._at - now) / _WINDOW) + commits
        self._at = now
        return self._commits / _WINDOW


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next: set the ``lease`` to so many milliseconds from now, take a ``fence``, then wait for the bell.

    ``wait`` is how long, in seconds. Who sets the lease rings, in the same transaction.
    """

    wait: float
    lease: int | None = None
    fence: bool = False


class Pace:
    """One listener's pace.

    ``busy`` is the rate of commits, a second, at which the bell is put off; below half of it the lease is left to run
    out. ``poll`` and ``tick`` are how long to wait for the bell while it is off and on, in seconds; above 500 commits a
    second ``poll`` grows with the rate, up to four times, since each read takes time from the writers. ``notify`` is
    False where the bell is to be off for good, True where it is to be so no longer; None leaves that as it is.
    """

    def __init__(self, *, busy: float, poll: float, tick: float, notify: bool | None = None) -> None:
        self._busy = busy
        self._poll = poll
        self._tick = tick
        self._notify = notify
        self._ends = bool(notify)
        self._rate = Rate()
        self._permit = SleepPermit()
        self._interval = poll
        self.deaf = False
        self.mode = Mode.SETTLING

    def begin(self, *, pooled: bool = False) -> None:
        """Start on a new connection. Through a pool's the bell is not heard, unless it has been said that it rings."""
        self._permit = SleepPermit()
        self.deaf = self._notify is False or (pooled and not self._notify)
        self.mode = Mode.POLLING if self.deaf else Mode.SETTLING

    def after(self, reading: Reading, commits: int, now: float) -> Step:
        """Go on from a read of the log that brought so many ``commits``; ``now`` in seconds, and never less."""
        self._permit = self._permit.after(reading)
        self.mode = self._found(reading)
        rate = self._rate.count(commits, now)
        lease = self._wanted(reading, rate)
        fence = self.mode is Mode.SETTLING and self._permit.needs_fence
        return Step(0.0 if fence else self._wait(rate), lease, fence)

    def fenced(self, xid: int) -> None:
        """Take a transaction id that was given out after the read."""
        self._permit = self._permit.fenced(xid)

    def _found(self, reading: Reading) -> Mode:
        if self.deaf or reading.lease == FOREVER:
            return Mode.POLLING
        if reading.left:
            return Mode.BUSY
        return Mode.QUIET if self._permit.allowed else Mode.SETTLING

    def _wanted(self, reading: Reading, rate: float) -> int | None:
        if self._notify is False:
            return None if reading.lease == FOREVER else FOREVER
        if reading.lease == FOREVER:
            # once: another process may have its reasons to set it again
            ends, self._ends = self._ends, False
            return 0 if ends else None
        enough = self._busy / 2 if reading.left else self._busy
        if reading.left > _LONGEST_LEASE:
            # nobody sets one that long: the clock was set back, and the bell would be off until it has caught up
            return LEASE if rate >= enough else 0
        return LEASE if rate >= enough and reading.left < LEASE / 2 else None

    def _wait(self, rate: float) -> float:
        if self.mode is Mode.QUIET:
            return self._tick
        if self.mode is Mode.SETTLING:
            wait, self._interval = self._interval, min(_GROWTH * self._interval, max(self._poll, _LONGEST))
            return wait
        self._interval = self._poll
        return min(self._poll * min(max(1.0, rate / _PLENTY), _STRETCH), max(self._poll, _LONGEST))
