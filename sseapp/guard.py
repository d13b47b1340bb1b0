"""Keep a PostgreSQL server running for exactly as long as the process that asked for it.

A program of its own, standard library only: ``python -I guard.py COMMAND...``. Its standard input is a pipe from the
parent. A byte on it means "from now on start the server again when it dies"; its end means "stop the server", and the
kernel ends it for a parent that was killed, too. Should the guard itself be killed, Linux passes that on to the server.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
# A fast shutdown first; one that hangs (a checkpoint on a slow disk) must not outlast the 5 s the parent promised.
STOP_SIGNALS = ((signal.SIGINT, 3.0), (signal.SIGQUIT, 1.0), (signal.SIGKILL, None))
FIRST_DELAY, LONGEST_DELAY, STEADY = 0.1, 5.0, 10.0


class Guard:
    """One server at a time, restarted with back-off once the parent has asked for that."""

    def __init__(self, command: list[str]) -> None:
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
        """Run the server until it is no longer wanted; the exit status is the server's where it never was."""
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            server = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: S603, PLW1509
            while server.poll() is None and not self.released:
                self._listen(None)
            if self.released:
                return _stop(server)
            if not self.keep:
                return server.returncode
            delay = FIRST_DELAY if time.monotonic() - began > STEADY else min(delay * 2, LONGEST_DELAY)
            print(f"guard: the server ended with status {server.returncode}; starting it again", flush=True)  # noqa: T201
            if self._released_within(delay):
                return 0

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


def _stop(server: subprocess.Popen[bytes]) -> int:
    for number, patience in STOP_SIGNALS:
        server.send_signal(number)
        try:
            return server.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    return 0


def _die_with_parent() -> None:
    # SIGQUIT, not SIGINT: with the guard gone nobody is left to insist, so the server must not wait for anything.
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


# Loaded before any fork: a dlopen in the forked child may wait for a lock that nobody holds any more.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

if __name__ == "__main__":
    sys.exit(Guard(sys.argv[1:]).run())
