"""Green or threads: the one place that knows how this process waits.

Everything else uses the standard library's ``threading`` and ``select``, which gevent makes green where the host
has monkey-patched (gunicorn's gevent worker), and which are threads where it has not (gthread, waitress).
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
    """Run ``target`` beside everything else; it does not keep the process alive."""
    thread = threading.Thread(name=f"sseapp-{name}", target=target, daemon=True)
    thread.start()
    return thread


def start_at_once(target: Callable[[], None]) -> None:
    """Run ``target`` beside everything else, without waiting for it to begin: a signal handler must not wait."""
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
    """Let what else is ready run: on one thread a long calculation holds up everybody."""
    time.sleep(0)


def wait_for(descriptor: int, *, write: bool = False, timeout: float | None = None) -> bool:
    """Wait until ``descriptor`` can be read (or written), ``timeout`` seconds at most; whether it can.

    ``poll`` and not ``select``: a descriptor may lie above 1023.
    """
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT if write else select.POLLIN)
    return bool(poller.poll(None if timeout is None else max(0, ceil(timeout * 1000))))


def is_gone(descriptor: int) -> bool:
    """Whether the peer of the connection ``descriptor`` has closed it, on systems that tell (``POLLRDHUP``)."""
    poller = _original("select", "poll")()
    poller.register(descriptor, getattr(select, "POLLRDHUP", 0))  # and what is always told: POLLERR, POLLHUP
    return bool(poller.poll(0))


def give_up_after(connection: socket.socket, seconds: float) -> None:
    """Have the system end a connection whose peer acknowledges nothing for so long: it has vanished without a word.

    By itself it waits for a quarter of an hour.
    """
    if _is_tcp(connection) and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def cork(connection: socket.socket, *, on: bool) -> None:
    """Have the system gather what is sent until it is ``on`` no more, for 0.2 s at most (tcp(7), ``TCP_CORK``)."""
    if _is_tcp(connection) and hasattr(socket, "TCP_CORK"):
        with suppress(OSError):  # a connection that was lost
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


def _is_tcp(connection: socket.socket) -> bool:
    return connection.family in {socket.AF_INET, socket.AF_INET6}


def descriptors() -> int:
    """How many descriptors this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def has_epoll() -> bool:
    """Whether one greenlet can watch many descriptors: gevent runs, on a system that has ``epoll``."""
    return is_green() and _epoll() is not None


def epoll() -> Any:
    """The system's own ``epoll``: gevent waits for its one descriptor, and it tells of all the others."""
    return _epoll()()


def _epoll() -> Any:
    # monkey-patching takes it out of the module
    try:
        return _original("select", "epoll")
    except AttributeError:
        return None


def _original(module: str, name: str) -> Any:
    """The system's own, of what gevent makes green."""
    if not is_green():
        return getattr(modules[module], name)
    original: Callable[[str, str], Any] = modules["gevent.monkey"].get_original
    return original(module, name)
