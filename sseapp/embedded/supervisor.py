"""Keep a child running for exactly as long as the process that asked for it.

A program of its own, standard library only: ``python -I supervisor.py PLAN COMMAND...``. Its standard input is a pipe
from the parent. A byte on it means "from now on start the child again when it dies"; its end means "stop the child",
and the kernel ends it for a parent that was killed, too. PLAN is how to stop: signals, each with the seconds to wait
for its effect (``INT:2,QUIT:0.5``), SIGKILL being the last resort. Should the supervisor itself be killed, Linux sends
the child a SIGQUIT: PostgreSQL and gunicorn alike take it for "at once".
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from functools import partial

PR_SET_PDEATHSIG = 1
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
STEADY = 10.0  # a child that ran for so many seconds has recovered
MOST_FAILURES = 16  # in a row, about a minute: what does not come back in that time needs somebody to look


class Supervisor:
    """One child at a time, started again with back-off once the parent has asked for that."""

    def __init__(self, plan: str, command: list[str]) -> None:
        self.plan = [_step(part) for part in plan.split(",")]
        self.command = command
        self.keep = False
        self.released = False
        self._wakeups, self._wake = os.pipe()
        for end in (self._wakeups, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        self._poll = select.poll()
        for end in (sys.stdin.fileno(), self._wakeups):
            self._poll.register(end, select.POLLIN)

    def run(self) -> int:
        """Run the child until it is no longer wanted, or ended and shall not (or cannot) be kept; its status."""
        failures, tie = 0, partial(_die_with, os.getpid())
        while True:
            began = time.monotonic()
            # a command of our own, without a shell; and here are no threads that preexec_fn could meet half-way
            child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, preexec_fn=tie)  # noqa: S603, PLW1509
            while child.poll() is None and not self.released:
                self._listen(None)
            self._listen(0)  # what the parent said before the child's end counts, even if it was seen after that
            if self.released:
                return self._stop(child)
            failures = 1 if time.monotonic() - began > STEADY else failures + 1
            if not self.keep or failures > MOST_FAILURES:
                return child.returncode
            print(f"supervisor: the process ended with status {child.returncode}; starting it again", flush=True)  # noqa: T201
            if self._released_within(min(FIRST_DELAY * 2**failures, LONGEST_DELAY)):
                return 0

    def _stop(self, child: subprocess.Popen[bytes]) -> int:
        for number, patience in self.plan:
            child.send_signal(number)
            try:
                return child.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        child.kill()
        return child.wait()

    def _released_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self.released and (left := end - time.monotonic()) > 0:
            self._listen(left)
        return self.released

    def _listen(self, seconds: float | None) -> None:
        for descriptor, _ in self._poll.poll(None if seconds is None else seconds * 1000):
            said = os.read(descriptor, 64)
            if descriptor == self._wakeups:
                self.released |= any(number != signal.SIGCHLD for number in said)
            else:
                self.keep = True
                self.released |= not said


def _step(text: str) -> tuple[signal.Signals, float]:
    name, patience = text.split(":")
    return signal.Signals[f"SIG{name}"], float(patience)


def _die_with(parent: int) -> None:
    # SIGQUIT, not SIGINT: with the supervisor gone nobody is left to insist, so the child may not wait for anything.
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != parent:
            os._exit(1)  # it was killed before that was said, and nobody tells of it any more


# Loaded before any fork: a dlopen in the forked child may wait for a lock that nobody holds any more.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

if __name__ == "__main__":
    sys.exit(Supervisor(sys.argv[1], sys.argv[2:]).run())
