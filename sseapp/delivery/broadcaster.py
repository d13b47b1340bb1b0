"""Sends the live part of all streams of a process from one greenlet, where the host hands over its connections.

A greenlet and a queue for each client would cost 20 KiB and two switches an event. Here the clients at the same point
of a channel are a group: what comes next is joined once and written to each one's descriptor, without waiting. One
``epoll`` watches all: a client that goes is noticed at once, and one that takes nothing keeps nobody waiting.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn, TypeAlias

from sseapp import concurrency
from sseapp.delivery import socket_io
from sseapp.delivery.client import Client, Follower, Group
from sseapp.delivery.progress import Progress
from sseapp.errors import HandedOverError, OverrunError, ResetError
from sseapp.events.ring import FRAME_SIZE
from sseapp.live.channel import Channel
from sseapp.live.server_state import ServerState

_log = logging.getLogger(__name__)
_IN, _OUT, _GONE = 0x001, 0x004, 0x008 | 0x010 | 0x2000  # EPOLLERR, EPOLLHUP, EPOLLRDHUP
_Audience: TypeAlias = tuple[Channel, bool]
"""The clients of one channel that are sent chunks, or those that are not."""


class Broadcaster:
    """Follows the channels of its clients. ``heartbeat`` is in seconds; when ``closing`` is true, all get a bye.

    A heartbeat tells the ``state``, and comes at once where that is another.
    """

    def __init__(self, *, heartbeat: float, state: ServerState, closing: Callable[[], bool]) -> None:
        self._heartbeat = heartbeat
        self._state = state
        self._closing = closing
        self.done = threading.Event()
        self._poll: Any = None
        self._wake = -1
        self._awake = False
        self._clients: dict[int, Client] = {}
        # in order: the first one is the one that the others come into when they are at its point
        self._groups: defaultdict[_Audience, dict[Group, None]] = defaultdict(dict)
        self._changed: set[Channel] = set()
        self._arrived: list[Client] = []

    def hand_over(self, descriptor: int, subscription: Follower, *, chunked: bool) -> NoReturn:
        """Take ``descriptor`` (a duplicate of it) and ``subscription``, which has caught up, over from their host."""
        if self._poll is None:
            self._start()
        # where no descriptor is left it is not handed over: its host closes it, and its slot is given back
        client = Client(os.dup(descriptor), subscription, chunked=chunked)
        try:
            self._attach(client)
        except OSError:
            os.close(client.descriptor)
            raise
        subscription.handed_over = True
        raise HandedOverError

    def wake(self) -> None:
        """Look at once at what has changed."""
        if not self._awake and self._wake >= 0:
            self._awake = True
            os.eventfd_write(self._wake, 1)

    def finish(self, seconds: float) -> None:
        """Wait until all clients were sent their bye, ``seconds`` at most."""
        if self._poll is not None:
            self.done.wait(seconds)

    def _start(self) -> None:
        # first both descriptors: were there none for the second, the next client would take this for started
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) if self._wake < 0 else self._wake
        self._poll = concurrency.epoll()
        self._poll.register(self._wake, _IN)
        concurrency.start("broadcaster", self._run)

    def _attach(self, client: Client) -> None:
        self._poll.register(client.descriptor, _IN | _GONE)
        self._clients[client.descriptor] = client
        client.group = Group.of(client)
        client.subscription.channel.watcher = self._on_change
        self._groups[_audience(client)][client.group] = None
        self._arrived.append(client)
        self.wake()
        if self.done.is_set():
            # it was catching up when all others were sent their bye
            self._send_end(client)

    def _on_change(self, channel: Channel) -> None:
        self._changed.add(channel)
        self.wake()

    def _run(self) -> None:
        beat = monotonic() + self._heartbeat / 8
        while not self._closing():
            concurrency.wait_for(self._poll.fileno(), timeout=max(0.0, beat - monotonic()))
            try:
                self._pass()
                if monotonic() >= beat:
                    self._beat()
                    beat = monotonic() + self._heartbeat / 8
            except Exception:  # noqa: BLE001  # logged, and its clients are cut
                # a fault of ours: nobody may wait for what is not coming, and their cursors bring them back
                _log.exception("The broadcaster failed; its clients are cut.")
                for client in list(self._clients.values()):
                    self._drop(client)
        for client in list(self._clients.values()):
            self._send_end(client)
        self.done.set()

    def _pass(self) -> None:
        """Serve everyone for whom something has come since the last pass."""
        for descriptor, events in self._poll.poll(0):
            self._on_events(descriptor, events)
        changed, self._changed = self._changed, set()
        arrived, self._arrived = self._arrived, []
        for channel in changed:
            for chunked in (True, False):
                self._serve((channel, chunked), self._groups.get((channel, chunked), ()))
        for client in arrived:
            # one that has gone since may have left its descriptor to another
            if self._has(client):
                self._serve(_audience(client), [client.group])

    def _on_events(self, descriptor: int, events: int) -> None:
        if descriptor == self._wake:
            os.eventfd_read(self._wake)
            self._awake = False
        elif (client := self._clients.get(descriptor)) is not None:
            if events & _GONE or (events & _IN and not socket_io.takes_in(descriptor)):
                self._drop(client)
            elif events & _OUT:
                self._send_backlog(client)

    def _serve(self, audience: _Audience, groups: Iterable[Group]) -> None:
        """Send ``groups`` what they lack, and bring those together that are at the same point then."""
        for group in list(groups):
            self._send_rest(audience, group)
            first = next(iter(self._groups.get(audience, ())), group)
            if group.clients and first.is_joined_by(group):
                first.add_all(group)
                del self._groups[audience][group]

    def _send_rest(self, audience: _Audience, group: Group) -> None:
        """Send ``group`` all there is; what its client has not taken goes out first."""
        progress = group.progress
        try:
            while group.clients and not group.is_behind:
                data = progress.take()
                if data:
                    self._send(audience, group, data)
                # less than a frame is all there is
                if len(data) < FRAME_SIZE:
                    if not group.is_behind and progress.lacks(self._state):
                        self._send(audience, group, progress.heartbeat(self._state))
                    break
        except (ResetError, OverrunError) as error:
            for client in list(group.clients.values()):
                self._catch_up(client, error)

    def _send(self, audience: _Audience, group: Group, data: bytes) -> None:
        """Send ``data`` to all. The loop runs once for each event and client, so it touches nothing of the clients."""
        data = socket_io.chunk(data) if audience[1] else data
        size, write = len(data), os.write
        for descriptor in list(group.clients):
            try:
                written = write(descriptor, data)
            except BlockingIOError:
                written = 0
            except OSError:
                self._drop(group.clients[descriptor])
                continue
            if written < size:
                self._fall_behind(group.clients[descriptor], data, written)

    def _fall_behind(self, client: Client, data: bytes, written: int) -> None:
        groups, group = self._groups[_audience(client)], client.group
        if len(group.clients) > 1:
            group = group.split(client)
        else:
            # to the end: nobody can come into it for now
            del groups[group]
        groups[group] = None
        client.moved_at = monotonic()
        client.backlog = memoryview(data)[written:]
        self._poll.modify(client.descriptor, _IN | _OUT | _GONE)

    def _send_backlog(self, client: Client) -> None:
        try:
            written = os.write(client.descriptor, client.backlog)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        client.moved_at = monotonic()
        client.backlog = client.backlog[written:]
        if not client.backlog:
            self._poll.modify(client.descriptor, _IN | _GONE)
            self._serve(_audience(client), [client.group])

    def _send_end(self, client: Client) -> None:
        """Say bye, end the answer and the connection."""
        if not client.backlog and self._has(client):
            ending = client.subscription.ending()
            data = socket_io.chunk(ending) + socket_io.chunk(b"") if client.chunked else ending
            # one that is going, or takes nothing now, ends without
            with suppress(OSError):
                os.write(client.descriptor, data)
        self._drop(client)

    def _beat(self) -> None:
        now = monotonic()
        for audience, groups in list(self._groups.items()):
            for group in list(groups):
                if group.is_behind:
                    self._cut_stalled(group, now)
                elif self._is_due(group.progress, now):
                    # finds nothing, most likely, and takes note of where the log is now
                    self._send_rest(audience, group)
                    if group.clients and not group.is_behind and self._is_due(group.progress, now):
                        self._send(audience, group, group.progress.heartbeat(self._state))

    def _is_due(self, progress: Progress, now: float) -> bool:
        return now - progress.told_at >= self._heartbeat * 7 / 8

    def _cut_stalled(self, group: Group, now: float) -> None:
        for client in list(group.clients.values()):
            if now - client.moved_at >= socket_io.STALL:
                self._drop(client)

    def _drop(self, client: Client) -> None:
        if self._release(client):
            # that it takes nothing the system may have noticed first
            is_stalled = client.backlog and monotonic() - client.moved_at >= socket_io.STALL
            if is_stalled or socket_io.has_timed_out(client.descriptor):
                client.subscription.cut()
            os.close(client.descriptor)
            client.subscription.close()

    def _has(self, client: Client) -> bool:
        """Whether the client is still here: its descriptor alone may be another's by now."""
        return self._clients.get(client.descriptor) is client

    def _release(self, client: Client) -> bool:
        """Take the client off; whether it was there."""
        if not self._has(client):
            return False
        del self._clients[client.descriptor]
        audience = channel, _ = _audience(client)
        group = client.group
        del group.clients[client.descriptor]
        if not group.clients:
            del self._groups[audience][group]
        if not self._groups[audience]:
            del self._groups[audience]
            if (channel, not client.chunked) not in self._groups:
                channel.watcher = None
        self._poll.unregister(client.descriptor)
        return True

    def _catch_up(self, client: Client, error: ResetError | OverrunError) -> None:
        """Have the client catch up beside the others and come back: a snapshot, or what it missed, takes its time."""
        self._release(client)
        concurrency.start("catch-up", lambda: client.catch_up(error, lambda: self._attach(client)))


def _audience(client: Client) -> _Audience:
    return client.subscription.channel, client.chunked
