"""The clients of a broadcaster, and the groups of those at the same point of a channel."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from time import monotonic
from typing import NoReturn, Protocol

from sseapp.delivery import socket_io
from sseapp.delivery.progress import Progress
from sseapp.errors import HandedOverError, OverrunError, ResetError
from sseapp.live.channel import Channel

_log = logging.getLogger(__name__)


class Follower(Protocol):
    """What the broadcaster asks of a subscription, whose own docstrings say what each does."""

    handed_over: bool
    progress: Progress

    @property
    def channel(self) -> Channel: ...  # noqa: D102
    def body(  # noqa: D102
        self, *, follow: Callable[[], Iterable[bytes]], error: ResetError | OverrunError
    ) -> Iterable[bytes]: ...
    def ending(self) -> bytes: ...  # noqa: D102
    def cut(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Client:
    """One connection: its descriptor, its subscription, and what it was sent but has not taken (``backlog``).

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
        self.group = Group.of(self)

    def catch_up(self, error: ResetError | OverrunError, attach: Callable[[], None]) -> None:
        """Have its subscription start again or go on from the log, and ``attach`` the client once it has caught up.

        Where it does not, it is closed.
        """

        def back() -> NoReturn:
            attach()
            raise HandedOverError

        handed_back = False
        try:
            for data in self.subscription.body(follow=back, error=error):
                socket_io.write_all(self.descriptor, socket_io.chunk(data) if self.chunked else data)
            socket_io.write_all(self.descriptor, socket_io.chunk(b"") if self.chunked else b"")
        except HandedOverError:
            handed_back = True
        except TimeoutError:
            self.subscription.cut()
        except OSError:
            pass  # the client has gone
        except Exception:  # noqa: BLE001  # logged, and the client comes back by its cursor
            _log.exception("A stream has failed.")
        finally:
            if not handed_back:
                os.close(self.descriptor)
                self.subscription.close()


class Group:
    """Clients at the same point of a channel, which share their ``progress``: often one, or all of the channel.

    A client with a backlog is alone in its group.
    """

    __slots__ = ("clients", "progress")

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.clients: dict[int, Client] = {}

    @classmethod
    def of(cls, client: Client) -> Group:
        """The group of one client."""
        alone = cls(client.subscription.progress)
        alone.clients[client.descriptor] = client
        return alone

    @property
    def is_behind(self) -> bool:
        """Whether its client has a backlog, so that nothing further can be sent."""
        return len(self.clients) == 1 and any(client.backlog for client in self.clients.values())

    def is_joined_by(self, other: Group) -> bool:
        """Whether another group is at the same point, so that both can be one."""
        is_other = other is not self
        return is_other and not (self.is_behind or other.is_behind) and self.progress.is_like(other.progress)

    def add_all(self, other: Group) -> None:
        """Take over the clients of another group, which is at the same point."""
        for client in other.clients.values():
            client.group = self
            client.subscription.progress = self.progress
        self.clients |= other.clients
        other.clients = {}

    def split(self, client: Client) -> Group:
        """Take ``client`` out, into a group of its own at the same point."""
        del self.clients[client.descriptor]
        client.subscription.progress = self.progress.copied()
        client.group = Group.of(client)
        return client.group
