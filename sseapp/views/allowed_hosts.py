"""Refuses requests whose ``Host`` header names a host that we do not serve.

This is the defence against DNS rebinding: another site's page could read the tables by making its own name resolve to
a loopback address, but its requests carry that name in ``Host``.
"""

from __future__ import annotations

import re

from flask import Flask, request

from sseapp.errors import ForbiddenError
from sseapp.views import current

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]*)(?::\d{1,5})?", re.IGNORECASE)


def init_app(app: Flask) -> None:
    """Check the host of every request except ``/healthz``, which says nothing about the data."""
    app.before_request(_check_host)


def _check_host() -> None:
    if request.path == "/healthz":
        return
    host = request.environ.get("HTTP_HOST", "")
    match = _HOST.fullmatch(host)
    name = match[1].lower().rstrip(".") if match else ""
    allowed = current.settings().hosts
    if name not in _LOOPBACK and name not in allowed and "*" not in allowed:
        raise ForbiddenError(f"The host {host[:100]!r} is not served here. Add it to SSEAPP_HOSTS to allow it.")
