"""The clients of a broadcaster: one alone, and those that stand alike."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable
from time import monotonic
from typing import NoReturn, Protocol

from sseapp.delivery import socket_io
from sseapp.delivery.progress import Progress
from sseapp.live.channel import Channel, Reset

_log = logging.getLogger(__name__)


class HandedOverError(OSError):
    """The connection is another's now: gunicorn lets go of it as of one that was lost, without a word."""

    def __init__(self) -> None:
        super().__init__(errno.ENOTCONN, "handed over")


class Follower(Protocol):
    """What the broadcaster asks of a subscription, whose own docstrings say what each does: none is repeated here."""

    handed_over: bool
    progress: Progress

    @property
    def channel(self) -> Channel: ...  # noqa: D102
    def frames(self, *, follow: Callable[[], Iterable[bytes]], reset: Reset) -> Iterable[bytes]: ...  # noqa: D102
    def ending(self) -> bytes: ...  # noqa: D102
    def cut(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Client:
    """One connection: its descriptor, its subscription, and what it was sent but has not taken.

    ``chunked`` says that the answer's body is sent in chunks; to HTTP/1.0 it goes as it is. ``moved_at`` is when it
    last took some of its backlog.
    """

    __slots__ = ("backlog", "chunked", "descriptor", "group", "moved_at", "subscription")

    def __init__(self, descriptor: int, subscription: Follower, *, chunked: bool) -> None:
        self.descriptor = descriptor
        self.subscription = subscription
        self.chunked = chunked
        self.backlog: memoryview | bytes = b""
        self.moved_at = monotonic()
        self.group: Group | None = None

    def catch_up(self, reset: Reset, attach: Callable[[], None]) -> None:
        """Have its subscription start again, and ``attach`` the client when that has caught up; else it is closed."""

        def back() -> NoReturn:
            attach()
            raise HandedOverError

        handed_back = False
        try:
            for data in self.subscription.frames(follow=back, reset=reset):
                socket_io.write_all(self.descriptor, socket_io.chunk(data) if self.chunked else data)
            socket_io.write_all(self.descriptor, socket_io.chunk(b"") if self.chunked else b"")
        except HandedOverError:
            handed_back = True
        except OSError:
            pass  # the client has gone
        except Exception:  # noqa: BLE001  # logged, and the client comes back by its cursor
            _log.exception("A stream has failed.")
        finally:
            if not handed_back:
                os.close(self.descriptor)
                self.subscription.close()


class Group:
    """Clients that stand alike, and so share their ``progress``; all are sent to in chunks, and none has a backlog."""

    __slots__ = ("clients", "progress")

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.clients: dict[int, Client] = {}

    def add(self, client: Client) -> None:
        """Let a client in that stands alike."""
        client.group = self
        client.subscription.progress = self.progress
        self.clients[client.descriptor] = client

    def remove(self, client: Client) -> None:
        """Let a client go on alone from where it stands."""
        client.group = None
        client.subscription.progress = self.progress.copied()
        del self.clients[client.descriptor]
