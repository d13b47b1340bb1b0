"""``Cache-Control`` and ``Vary``: no cache keeps an answer unless the answer says so."""

from __future__ import annotations

from flask import Blueprint, Flask, Response

from sseapp.views import current

_TWO_FORMS = {"api.rows", "api.changes"}


def init_app(root: Blueprint | Flask) -> None:
    """Mark every answer, errors too: by default a cache may keep a 404 or 410."""
    root.after_request(_mark)


def _mark(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    if current.endpoint() in _TWO_FORMS:
        response.headers.setdefault("Vary", "Accept")
    return response
