"""Which requests are answered at all: those that name us as their host.

A page of another site whose name was rebound to a loopback address would otherwise read the tables ("DNS rebinding"):
its requests carry that site's name in ``Host``.
"""

from __future__ import annotations

import re

from flask import Flask, current_app, request

from sseapp.errors import ForbiddenError
from sseapp.process import Process

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]*)(?::\d{1,5})?", re.IGNORECASE)


def init_app(app: Flask) -> None:
    """Check the host of every request, but for the one that only asks whether the process lives."""
    app.before_request(_check_host)


def _check_host() -> None:
    if request.path == "/healthz":
        return
    process: Process = current_app.extensions["sseapp"]
    host = request.environ.get("HTTP_HOST", "")
    match = _HOST.fullmatch(host)
    name = match[1].lower().rstrip(".") if match else ""
    if name not in _LOOPBACK and name not in process.settings.hosts and "*" not in process.settings.hosts:
        raise ForbiddenError(f"The host {host[:100]!r} is not served here; SSEAPP_HOSTS lists the names that are.")
