"""What a cache may keep of the answers: nothing, where the answer does not say otherwise."""

from __future__ import annotations

from flask import Flask, Response, request

_TWO_FORMS = {"api.rows", "api.changes"}


def init_app(app: Flask) -> None:
    """Mark every answer, errors too: a cache may keep a 404 or 410 that says nothing of it."""
    app.after_request(_mark)


def _mark(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    if request.endpoint in _TWO_FORMS:
        response.headers.setdefault("Vary", "Accept")
    return response
