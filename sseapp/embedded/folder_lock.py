"""A lock on a folder, which ends with the process that holds it, even if that is killed."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from pathlib import Path

# Keep trying for a moment: `is_taken()` in another process takes a shared lock.
PATIENCE = 1.0


class FolderLock:
    """The lock of one folder: a file named ``lock`` in it, which holds the process id for people to read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file: int | None = None

    def take(self) -> bool:
        """Take the lock; False if another process has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        end = time.monotonic() + PATIENCE
        while not _lock(file, fcntl.LOCK_EX):
            if time.monotonic() > end:
                os.close(file)
                return False
            time.sleep(0.02)
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file
        _locks.add(self)
        return True

    def let_go(self) -> None:
        """Close our descriptor. The lock ends when every process has closed its own."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def is_taken(self) -> bool:
        """Whether another process has the lock."""
        try:
            file = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not _lock(file, fcntl.LOCK_SH)
        finally:
            os.close(file)

    def holder(self) -> str:
        """Return the process id of the holder, or of the last one."""
        return self._path.read_text().strip() or "?"


def _lock(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_locks: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _let_go_in_child() -> None:
    # A forked worker may outlive its parent for a while, but the folder has to be free at once.
    for lock in _locks:
        lock.let_go()


os.register_at_fork(after_in_child=_let_go_in_child)
