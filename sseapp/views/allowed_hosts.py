"""Refuses requests whose ``Host`` header names a host that we do not serve.

This is the defence against DNS rebinding: another site's page could read the tables by making its own name resolve to
a loopback address, but its requests carry that name in ``Host``.
"""

from __future__ import annotations

import re

from flask import Blueprint, Flask, request

from sseapp.errors import ForbiddenError
from sseapp.views import current

PROBES = {"operations.healthz", "operations.readyz"}
"""They tell anybody yes or no, and nothing else."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]*)(?::\d{1,5})?", re.IGNORECASE)


def init_app(root: Blueprint | Flask) -> None:
    """Check the host of every request except those of probes, which come by address or name no host at all."""
    root.before_request(_check_host)


def is_allowed() -> bool:
    """Whether the request names a host that we serve."""
    host = request.environ.get("HTTP_HOST", "")
    match = _HOST.fullmatch(host)
    name = match[1].lower().rstrip(".") if match else ""
    allowed = current.settings().hosts
    return name in _LOOPBACK or name in allowed or "*" in allowed


def _check_host() -> None:
    if current.endpoint() in PROBES or is_allowed():
        return
    host = request.environ.get("HTTP_HOST", "")
    raise ForbiddenError(f"The host {host[:100]!r} is not served here. Add it to SSEAPP_HOSTS to allow it.")
