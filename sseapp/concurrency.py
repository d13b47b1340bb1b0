"""Greenlets or threads: the only module that knows which of them this process runs on.

All other modules use the standard library's ``threading`` and ``select``. Where the server has monkey-patched the
process (gunicorn's gevent worker) gevent makes these greenlets; elsewhere they are threads (gthread, waitress).
"""

from __future__ import annotations

import _thread
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from math import ceil
from sys import modules
from typing import Any, TypeVar

T = TypeVar("T")


def is_green() -> bool:
    """Whether this process is monkey-patched by gevent, so that a thread is a greenlet."""
    monkey = modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")


def start(name: str, target: Callable[[], None]) -> threading.Thread:
    """Run ``target`` in a thread (or greenlet) that does not keep the process alive."""
    thread = threading.Thread(name=f"sseapp-{name}", target=target, daemon=True)
    thread.start()
    return thread


def start_at_once(target: Callable[[], None]) -> None:
    """Run ``target`` in a thread (or greenlet) without waiting for its start: a signal handler must not wait."""
    _thread.start_new_thread(target, ())


class BlockingThread:
    """Calls code that blocks, such as psycopg2's, without stopping the process's greenlets.

    Under gevent that is in a system thread of its own, one call at a time; elsewhere in the caller's thread.
    """

    def __init__(self) -> None:
        # not the hub's own pool: it resolves host names, and a call here may take hours
        self._pool = import_module("gevent.threadpool").ThreadPool(1) if is_green() else None

    def call(self, function: Callable[[], T]) -> T:
        """What ``function`` returns or raises."""
        if self._pool is None:
            return function()
        found, error = self._pool.apply(_outcome, (function,))
        if error is not None:
            raise error
        return found  # type: ignore[no-any-return]  # of the pool nothing is known

    def close(self) -> None:
        """End the thread, once its call has ended."""
        if self._pool is not None:
            self._pool.kill()


def _outcome(function: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    # gevent would print what a function raises in its pool
    try:
        return function(), None
    except BaseException as error:  # noqa: BLE001  # raised in the caller
        return None, error


def give_way() -> None:
    """Let others run: on one thread a long calculation delays all greenlets."""
    time.sleep(0)


def wait_for(descriptor: int, *, write: bool = False, timeout: float | None = None) -> bool:
    """Wait up to ``timeout`` seconds until ``descriptor`` can be read (or written); whether it can.

    Uses ``poll``, as ``select`` takes no descriptor above 1023.
    """
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT if write else select.POLLIN)
    return bool(poller.poll(None if timeout is None else max(0, ceil(timeout * 1000))))


def is_gone(descriptor: int) -> bool:
    """Whether the connection's peer has closed it, on systems that can tell (``POLLRDHUP``)."""
    poller = _original("select", "poll")()
    poller.register(descriptor, getattr(select, "POLLRDHUP", 0))  # POLLERR and POLLHUP always count
    return bool(poller.poll(0))


def give_up_after(connection: socket.socket, seconds: float) -> None:
    """Have the system end the connection once its peer has acknowledged nothing for ``seconds``.

    The system's default is about 15 minutes.
    """
    if _is_tcp(connection) and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def cork(connection: socket.socket, *, on: bool) -> None:
    """Have the system hold back partial packets while ``on``, for at most 0.2 s (``TCP_CORK`` in tcp(7))."""
    if _is_tcp(connection) and hasattr(socket, "TCP_CORK"):
        with suppress(OSError):  # the connection was lost
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


def _is_tcp(connection: socket.socket) -> bool:
    return connection.family in {socket.AF_INET, socket.AF_INET6}


def descriptors() -> int:
    """How many file descriptors this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def has_epoll() -> bool:
    """Whether one greenlet can watch many descriptors: under gevent, on a system with ``epoll``."""
    return is_green() and _epoll() is not None


def epoll() -> Any:
    """A new ``epoll``: gevent waits for its one descriptor, and it watches all others."""
    return _epoll()()


def _epoll() -> Any:
    # monkey-patching removes it from the module
    try:
        return _original("select", "epoll")
    except AttributeError:
        return None


def _original(module: str, name: str) -> Any:
    """The unpatched ``name`` of ``module``."""
    if not is_green():
        return getattr(modules[module], name)
    original: Callable[[str, str], Any] = modules["gevent.monkey"].get_original
    return original(module, name)
