"""The network between the servers and their database: it passes, falls silent, or is cut, when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from typing import Self

from harness.exactly_once.followers import Loop

_ATTACH_FILTER, _DETACH_FILTER = 26, 27


class Network:
    """A port that leads to ``target``, a port on the same host.

    After :meth:`freeze` nothing comes through, though this end still acknowledges what it is sent; after :meth:`cut`
    not even that, as with a cable that was pulled. :meth:`mend` lets new connections through: those of before stay
    dead.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._loop = Loop()
        self._silent = asyncio.Event()
        self._sockets: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._dead: set[asyncio.Task[None]] = set()
        self._loop.run(self._listen())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def dsn(self, dsn: str) -> str:
        """``dsn``, but through here."""
        return dsn.replace(f":{self.target}/", f":{self.port}/")

    def freeze(self) -> None:
        self._loop.run(self._call(self._silent.set))

    def cut(self) -> None:
        def cut() -> None:
            self._silent.set()
            for sock in (*self._sockets, *self._server.sockets):
                deafen(sock)

        self._loop.run(self._call(cut))

    def mend(self) -> None:
        def mend() -> None:
            self._silent.clear()
            self._dead |= self._tasks
            for sock in self._server.sockets:
                _undeafen(sock)

        self._loop.run(self._call(mend))

    async def _call(self, function) -> None:
        function()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        sock = writer.get_extra_info("socket")
        self._sockets.add(sock)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                await self._carry(task, reader, writer)
            finally:
                writer.transport.abort()
                self._tasks.discard(task)
                self._sockets.discard(sock)

    async def _carry(self, task: asyncio.Task, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._silent.is_set():
            await asyncio.Event().wait()
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        ways = [asyncio.create_task(self._pump(task, *way)) for way in ((reader, up_writer), (up_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up_writer.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, task: asyncio.Task, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self._silent.is_set() or task in self._dead:
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._close())
        self._loop.close()


def deafen(sock: socket.socket) -> None:
    """Have the kernel drop all that arrives: the other end hears nothing more, not even an acknowledgement.

    It looks like a machine that lost its power, and needs no rights: a socket filter of the program "return 0".
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def _undeafen(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)
