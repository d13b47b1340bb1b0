"""Runs a child process for as long as the parent process lives.

This is a program that uses only the standard library: ``python -I supervisor.py PLAN COMMAND...``. Its standard input
is a pipe from the parent. A byte on it means "from now on, restart the child when it ends". Its end means "stop the
child"; the kernel closes the pipe if the parent is killed, too. PLAN says how to stop: signals, each with the seconds
to wait for its effect (``INT:2,QUIT:0.5``), and SIGKILL in the end. If the supervisor itself is killed, Linux sends the
child a SIGQUIT, by which PostgreSQL and gunicorn stop at once.
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
STEADY = 10.0  # seconds; a child that ran longer has recovered
MOST_FAILURES = 16  # in a row, which takes about a minute; then somebody has to look


class Supervisor:
    """One child at a time, restarted with back-off once the parent has asked for that."""

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
        """Run the child until the parent stops it, or until it ends and is not to be restarted; its exit status."""
        failures, tie = 0, partial(_die_with, os.getpid())
        while True:
            began = time.monotonic()
            # no shell; preexec_fn is safe, as there are no threads
            child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, preexec_fn=tie)  # noqa: S603, PLW1509
            while child.poll() is None and not self.released:
                self._listen(None)
            self._listen(0)  # read what the parent wrote before the child's end
            if self.released:
                return self._stop(child)
            failures = 1 if time.monotonic() - began > STEADY else failures + 1
            if not self.keep or failures > MOST_FAILURES:
                return child.returncode
            print(f"supervisor: the process ended with status {child.returncode}; restarting it", flush=True)  # noqa: T201
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
    # SIGQUIT, not SIGINT: without the supervisor nobody would follow up, so the child must not wait for anything.
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != parent:
            os._exit(1)  # the supervisor was killed before the call above: no signal will come


# Loaded before any fork: in the forked child dlopen could wait for ever for a lock.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

if __name__ == "__main__":
    sys.exit(Supervisor(sys.argv[1], sys.argv[2:]).run())
