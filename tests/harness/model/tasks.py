"""Runs tasks one step at a time, in whatever order: each is a greenlet that pauses where the real one would wait.

What stands here for ``threading`` and for the clock is put into the modules of sseapp, so that their waits are pauses.
"""

from __future__ import annotations

from greenlet import GreenletExit, getcurrent, greenlet


def pause():
    """Let others go on. The greenlet that steps the tasks does not pause."""
    parent = getcurrent().parent
    if parent is not None:
        parent.switch()


class Task:
    """A function that runs in steps. What it raises comes out of :meth:`step`."""

    def __init__(self, name, run):
        self.name = name
        self._greenlet = greenlet(run)

    @property
    def is_over(self):
        return self._greenlet.dead

    def step(self):
        """Run on to the next pause."""
        self._greenlet.switch()

    def kill(self):
        """Have it end where it is; what it does in its ``finally`` it still does, with pauses even."""
        if self._greenlet:
            self._greenlet.throw(GreenletExit)
        else:
            self._greenlet = greenlet(lambda: None)
            self._greenlet.switch()


class Lock:
    """Re-entrant, as the strictest of those it stands for need it."""

    def __init__(self):
        self._owner, self._depth = None, 0

    def __enter__(self):
        me = getcurrent()
        while self._owner not in (None, me):
            pause()
        self._owner = me
        self._depth += 1
        return self

    def __exit__(self, *_):
        self._depth -= 1
        if not self._depth:
            self._owner = None


class Condition(Lock):
    """``wait_for`` is one pause: it may end too early, which is allowed. ``wait`` lasts until it is notified."""

    def __init__(self):
        super().__init__()
        self._notified = 0

    acquire = Lock.__enter__
    release = Lock.__exit__

    def notify_all(self):
        self._notified += 1

    def wait(self, timeout=None):
        before = self._notified
        while not self.wait_for(lambda: self._notified > before, timeout):
            pass

    def wait_for(self, predicate, timeout=None):
        del timeout
        owner, depth = self._owner, self._depth
        self._owner, self._depth = None, 0
        try:
            pause()
        finally:
            while self._owner not in (None, owner):
                pause()
            self._owner, self._depth = owner, depth
        return predicate()


class Semaphore:
    """There is always room."""

    def __init__(self, value):
        del value

    def acquire(self, *, blocking):
        del blocking
        return True

    def release(self):
        pass


class Event:
    def __init__(self):
        self._is_set = False

    def set(self):
        self._is_set = True

    def is_set(self):
        return self._is_set

    def wait(self, timeout=None):
        pause()
        while timeout is None and not self._is_set:
            pause()
        return self._is_set


class Threading:
    """What the modules use of ``threading``."""

    Lock = RLock = Lock
    Condition = Condition
    Event = Event
    BoundedSemaphore = Semaphore


class Clock:
    """Time goes on in leaps, at random: now and then a heartbeat is due."""

    def __init__(self, choose):
        self._choose = choose
        self._now = 0.0

    def __call__(self):
        self._now += self._choose.choice([0, 0, 0, 0, 0, 0, 0, 9])
        return self._now
