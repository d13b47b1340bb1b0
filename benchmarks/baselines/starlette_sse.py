"""What one writes by hand on Starlette: sse-starlette, asyncpg, a queue a client. No cursor, no filter, no resume."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

clients: set["asyncio.Queue[str]"] = set()


def heard(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
    """Put a notification into every queue."""
    for client in clients:
        client.put_nowait(payload)


@asynccontextmanager
async def lifespan(_application: Starlette) -> AsyncIterator[None]:
    """Listen while the application runs."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.add_listener("payload", heard)
    yield
    await connection.close()


async def stream(_request: Request) -> EventSourceResponse:
    """The stream of one client."""
    mine: asyncio.Queue[str] = asyncio.Queue()
    clients.add(mine)

    async def events() -> AsyncIterator[dict[str, str]]:
        try:
            while True:
                yield {"event": "insert", "data": await mine.get()}
        finally:
            clients.discard(mine)

    return EventSourceResponse(events())


application = Starlette(routes=[Route("/", stream)], lifespan=lifespan)
