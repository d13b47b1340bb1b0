"""How an answer goes onto a client's connection, and when one that takes nothing is given up."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from sseapp import concurrency

STALL = 30.0
"""Seconds that a client may take nothing of what it was sent."""


def chunk(data: bytes) -> bytes:
    """``data`` as one chunk of a chunked body (RFC 9112, section 7.1); no data is the last one."""
    return b"%X\r\n%b\r\n" % (len(data), data)


def write_all(descriptor: int, data: bytes) -> None:
    """Write ``data`` to a non-blocking descriptor, waiting where it takes no more; raises :exc:`OSError`."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            if not concurrency.wait_for(descriptor, write=True, timeout=STALL):
                raise TimeoutError from None


def takes_in(descriptor: int) -> bool:
    """Read and forget what a client sends on a stream; false where it has closed."""
    try:
        return bool(os.read(descriptor, 65536))
    except BlockingIOError:
        return True
    except OSError:
        return False


def has_timed_out(descriptor: int) -> bool:
    """Whether the system has ended the connection because its peer acknowledged nothing (tcp(7), TCP_USER_TIMEOUT)."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT
    return False
