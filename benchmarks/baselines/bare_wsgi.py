"""The least there is under gunicorn: an endless event stream without a framework, a database or an event."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

never = threading.Event()


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """Headers, the first bytes, then nothing for ever."""
    start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])
    return frames()


def frames() -> Iterator[bytes]:
    """The stream of one client."""
    yield b"retry: 2000\n\n"
    never.wait()
