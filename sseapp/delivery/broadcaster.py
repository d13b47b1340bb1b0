"""Sends the live part of all streams of a process from one greenlet, where the host hands over its connections.

A greenlet and a queue for each client would cost 20 KiB and two switches an event. Here clients of a channel that stand
alike are a group: what comes next is joined once and written to each one's descriptor, without waiting. One ``epoll``
watches all: a client that goes is noticed at once, and one that does not take what it is sent keeps nobody waiting.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, NoReturn

from sseapp import concurrency
from sseapp.delivery import socket_io
from sseapp.delivery.client import Client, Follower, Group, HandedOverError
from sseapp.delivery.progress import Progress
from sseapp.errors import ShapeChangedError
from sseapp.events.ring import FRAME_SIZE, OverrunError
from sseapp.live.channel import Channel, Reset, ResetError

_log = logging.getLogger(__name__)
_IN, _OUT, _GONE = 0x001, 0x004, 0x008 | 0x010 | 0x2000  # EPOLLERR, EPOLLHUP, EPOLLRDHUP


class Broadcaster:
    """Follows the channels of its clients. ``heartbeat`` is in seconds; when ``closing`` says so all are sent off."""

    def __init__(self, *, heartbeat: float, closing: Callable[[], bool]) -> None:
        self._heartbeat = heartbeat
        self._closing = closing
        self.done = threading.Event()
        self._poll: Any = None
        self._wake = -1
        self._rang = False
        self._clients: dict[int, Client] = {}
        self._by_channel: defaultdict[Channel, set[Client]] = defaultdict(set)  # those who are in no group
        self._groups: dict[Channel, Group] = {}
        self._changed: set[Channel] = set()
        self._arrived: list[Client] = []

    def hand_over(self, descriptor: int, subscription: Follower, *, chunked: bool) -> NoReturn:
        """Take ``descriptor`` (a duplicate of it) and ``subscription``, which has caught up, over from their host."""
        if self._poll is None:
            self._start()
        # where no descriptor is left it is not handed over: its host closes it, and its place is given back
        client = Client(os.dup(descriptor), subscription, chunked=chunked)
        try:
            self._attach(client)
        except OSError:
            os.close(client.descriptor)
            raise
        subscription.handed_over = True
        raise HandedOverError

    def wake(self) -> None:
        """Have a look at once."""
        if not self._rang and self._wake >= 0:
            self._rang = True
            os.eventfd_write(self._wake, 1)

    def finish(self, seconds: float) -> None:
        """Wait until all clients were sent off, ``seconds`` at most."""
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
        channel = client.subscription.channel
        channel.watcher = self._on_change
        self._by_channel[channel].add(client)
        self._arrived.append(client)
        self.wake()
        if self.done.is_set():
            # it was catching up when all others were sent off
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
            if (group := self._groups.get(channel)) is not None:
                self._serve_group(group)
            self._serve(list(self._by_channel.get(channel, ())))
        # one that has gone since may have left its descriptor to another
        self._serve(client for client in arrived if self._has(client))

    def _on_events(self, descriptor: int, events: int) -> None:
        if descriptor == self._wake:
            os.eventfd_read(self._wake)
            self._rang = False
        elif (client := self._clients.get(descriptor)) is not None:
            if events & _GONE or (events & _IN and not socket_io.takes_in(descriptor)):
                self._drop(client)
            elif events & _OUT:
                self._send_backlog(client)

    def _serve(self, clients: Iterable[Client]) -> None:
        for client in clients:
            # what is behind goes out first; it takes the rest from the ring when it has caught up. One that has come
            # into a group since must not take what is for all of it
            if not client.backlog and client.group is None:
                self._serve_one(client)
                self._join_group(client)

    def _serve_one(self, client: Client) -> None:
        progress = client.subscription.progress
        try:
            data = progress.take()
            # less than a frame is all there is
            while data and self._send(client, data) and len(data) >= FRAME_SIZE:
                data = progress.take()
        except (ResetError, ShapeChangedError) as reset:
            self._start_again(client, reset)
        except OverrunError:
            self._cut(client)

    def _serve_group(self, group: Group) -> None:
        progress = group.progress
        try:
            data = progress.take()
            while data:
                self._send_to_group(group, data)
                data = progress.take() if group.clients and len(data) >= FRAME_SIZE else b""
        except (ResetError, ShapeChangedError) as reset:
            for client in list(group.clients.values()):
                self._start_again(client, reset)
        except OverrunError:
            for client in list(group.clients.values()):
                self._cut(client)

    def _join_group(self, client: Client) -> None:
        """Let the client into the group of its channel where it stands as that does."""
        if client.backlog or not client.chunked or not self._has(client):
            return
        channel, progress = client.subscription.channel, client.subscription.progress
        group = self._groups.get(channel)
        if group is None:
            group = self._groups[channel] = Group(progress)
        if group.progress.is_like(progress):
            group.add(client)
            self._leave_singles(channel, client)

    def _leave_group(self, client: Client) -> None:
        """Have the client go on alone, where it is in a group."""
        group, channel = client.group, client.subscription.channel
        if group is not None:
            group.remove(client)
            self._by_channel[channel].add(client)
            if not group.clients:
                del self._groups[channel]

    def _leave_singles(self, channel: Channel, client: Client) -> None:
        clients = self._by_channel[channel]
        clients.discard(client)
        if not clients:
            del self._by_channel[channel]

    def _send(self, client: Client, data: bytes) -> bool:
        """Send ``data``; whether the client took all of it."""
        if client.chunked:
            data = socket_io.chunk(data)
        try:
            written = os.write(client.descriptor, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self._drop(client)
            return False
        if written < len(data):
            self._fall_behind(client, data, written)
            return False
        return True

    def _send_to_group(self, group: Group, data: bytes) -> None:
        """Send ``data`` to all. The loop runs once for each event and client, so it touches nothing of the clients."""
        data = socket_io.chunk(data)
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
        self._leave_group(client)
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
            self._serve([client])

    def _send_end(self, client: Client) -> None:
        """Say bye, end the answer and the connection."""
        if not client.backlog and self._has(client):
            is_sent = self._send(client, client.subscription.ending())
            if client.chunked and is_sent:
                self._send(client, b"")
        self._drop(client)

    def _beat(self) -> None:
        now = monotonic()
        for group in list(self._groups.values()):
            if self._is_due(group.progress, now):
                self._serve_group(group)  # finds nothing, most likely, and takes note of where the log is now
                if self._is_due(group.progress, now) and group.clients:
                    self._send_to_group(group, group.progress.heartbeat())
        for client in [client for clients in self._by_channel.values() for client in clients]:
            progress = client.subscription.progress
            if client.backlog:
                if now - client.moved_at >= socket_io.STALL:
                    self._cut(client)
            elif self._is_due(progress, now):
                self._serve_one(client)
                if self._is_due(progress, now) and self._has(client) and not client.backlog:
                    self._send(client, progress.heartbeat())

    def _is_due(self, progress: Progress, now: float) -> bool:
        return now - progress.told_at >= self._heartbeat * 7 / 8

    def _cut(self, client: Client) -> None:
        client.subscription.cut()
        self._drop(client)

    def _drop(self, client: Client) -> None:
        if self._release(client):
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
        channel = client.subscription.channel
        self._leave_group(client)
        self._leave_singles(channel, client)
        if channel not in self._by_channel and channel not in self._groups:
            channel.watcher = None
        self._poll.unregister(client.descriptor)
        return True

    def _start_again(self, client: Client, reset: Reset) -> None:
        """Catch up again beside the others, then come back: a reset wants a snapshot, and that takes its time."""
        self._release(client)
        concurrency.start("reset", lambda: client.catch_up(reset, lambda: self._attach(client)))
