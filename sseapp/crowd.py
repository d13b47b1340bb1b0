"""The clients of a broadcaster: one alone, and those that stand alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol

from sseapp.channel import Channel, Reset
from sseapp.standing import Standing


class Follower(Protocol):
    """What the broadcaster asks of a subscription, whose own words say more."""

    handed_over: bool
    standing: Standing

    @property
    def channel(self) -> Channel: ...  # noqa: D102
    def frames(self, *, follow: Callable[[], Iterable[bytes]], reset: Reset) -> Iterable[bytes]: ...  # noqa: D102
    def ending(self) -> bytes: ...  # noqa: D102
    def cut(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Client:
    """One connection: its descriptor, its subscription, and what it was sent but has not taken.

    ``chunked`` says that the answer's body is sent in chunks; to HTTP/1.0 it goes as it is.
    """

    __slots__ = ("backlog", "chunked", "crowd", "descriptor", "moved_at", "subscription")

    def __init__(self, descriptor: int, subscription: Follower, *, chunked: bool) -> None:
        self.descriptor = descriptor
        self.subscription = subscription
        self.chunked = chunked
        self.backlog: memoryview | bytes = b""
        self.moved_at = monotonic()
        self.crowd: Crowd | None = None


class Crowd:
    """Clients that stand alike, and so share their ``standing``; all are sent to in chunks, and none has a backlog."""

    __slots__ = ("clients", "moved_at", "standing")

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.clients: dict[int, Client] = {}
        self.moved_at = monotonic()

    def let_in(self, client: Client) -> None:
        """Let a client in that stands alike."""
        client.crowd = self
        client.subscription.standing = self.standing
        self.clients[client.descriptor] = client

    def let_go(self, client: Client) -> None:
        """Let a client go on alone from where it stands."""
        client.crowd = None
        client.subscription.standing = self.standing.copied()
        client.moved_at = self.moved_at
        del self.clients[client.descriptor]
