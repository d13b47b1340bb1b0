"""A proxy as a front of ours may be: it serves the application below a path, which it strips and does not mention."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from harness.exactly_once.followers import Loop
from harness.sse import Address


class PrefixProxy:
    """A port where ``prefix`` leads to the server at ``target``, and nothing else leads anywhere."""

    def __init__(self, target: Address, prefix: str) -> None:
        self._target = target
        self._prefix = prefix.encode()
        self._loop = Loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.run(self._listen())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.address: Address = self._server.sockets[0].getsockname()[:2]

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, rest = head.split(b" ", 2)
            if path.startswith(self._prefix + b"/"):
                # one request a connection, so that the next one is rewritten too
                rest = rest.replace(b"Connection: keep-alive", b"Connection: close")
                await self._pass_on(b" ".join([method, path.removeprefix(self._prefix), rest]), reader, writer)
            else:
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
        writer.transport.abort()

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._target)
        forth.write(head)
        gone = asyncio.ensure_future(reader.read())
        gone.add_done_callback(lambda _: forth.transport.abort())
        try:
            while data := await back.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        finally:
            gone.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._close())
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close in the next turn
