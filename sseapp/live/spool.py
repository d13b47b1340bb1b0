"""A snapshot on its way to its clients: read from the database at full speed, kept in a file, sent at each one's pace.

A table may be larger than memory, and a client may take an hour for it. Two ways are open: to read by key, page after
page, each with the changes that belong before it; or to keep what one transaction has read. The first needs a key and
an order by it, reads the table once for each client, and has every page's changes interleaved with those of the stream.
The second costs disk space for as long as a client reads, and nothing else:

- The transaction stays open as long as reading takes and not as long as the slowest client takes.
- All who join while it is read share it: a table is read once for a thousand clients that come back.
- Everything is of one point in time, so the cursor of the last part is that of any snapshot, and what changes meanwhile
  comes behind it, from the ring or, where the ring has gone on, from the log (see :mod:`sseapp.live.replay`).

Memory holds one page of rows for each snapshot that is read and one chunk for each client. The file has no name: it is
gone with the last client, or with the process.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable

from sseapp.errors import SseappError
from sseapp.events.ring import FRAME_SIZE
from sseapp.log.cursor import Snapshot

CHUNK = 1 << 16
"""Bytes that a client is given at once. A host gives it the same time for each chunk, so a slow one gets small ones."""


class Spool:
    """Bytes that one writes and many read. What fits into a frame never leaves memory.

    ``upto`` is the snapshot that they are of. ``frame_number`` and ``bound`` are what the stream's
    :meth:`~sseapp.live.stream.Stream.note` said before.
    """

    def __init__(self, frame_number: int = 0, bound: str | None = None) -> None:
        self.frame_number = frame_number
        self.bound = bound
        self.upto = Snapshot(1)
        self.readers = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=FRAME_SIZE)  # noqa: SIM115  # it outlives this function
        self._size = 0
        self._chunk = (-1, b"")  # the last one that was read: clients that come together share it
        self._error: SseappError | None = None
        self._is_whole = False
        self._changed = threading.Condition()

    @property
    def is_open(self) -> bool:
        """Whether it is still being written, so that others may join."""
        return not self._is_whole and self._error is None

    def fill(self, pieces: Iterable[bytes]) -> bool:
        """Write ``pieces`` as long as there are readers; whether that was all of them."""
        for piece in pieces:
            with self._changed:
                if not self.readers:
                    return False
                self._file.seek(self._size)
                self._file.write(piece)
                self._size += len(piece)
                self._changed.notify_all()
        return True

    def end(self, error: SseappError | None = None) -> None:
        """Say that all is written; or that the rest cannot be, for ``error``, which all readers get."""
        with self._changed:
            self._is_whole = self._is_whole or error is None
            self._error = None if self._is_whole else error
            self._changed.notify_all()

    def read(self, offset: int, timeout: float | None = None) -> tuple[bytes, bool]:
        """The bytes from ``offset`` on, a chunk at most, and whether they are the last.

        Waits for them, ``timeout`` seconds at most if given. Raises the writer's error where it could not go on.
        """
        with self._changed:
            while not self._changed.wait_for(lambda: self._size > offset or not self.is_open, timeout=timeout):
                if timeout is not None:
                    break
            if self._size <= offset and self._error is not None:
                raise self._error
            if self._chunk[0] != offset or len(self._chunk[1]) < min(CHUNK, self._size - offset):
                self._file.seek(offset)
                self._chunk = offset, self._file.read(CHUNK)
            chunk = self._chunk[1]
            return chunk, self._is_whole and offset + len(chunk) >= self._size

    def close(self) -> None:
        """Give the file's room back."""
        with self._changed:
            self._file.close()
