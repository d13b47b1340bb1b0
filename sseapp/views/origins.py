"""CORS: which other sites' pages may read from here (``SSEAPP_ORIGINS``). Without the setting none may."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, request

from sseapp.views import current

_ANY = "*"
_METHODS = "GET, HEAD, POST"
_HEADERS = "Accept, Authorization, Cache-Control, Content-Type, Last-Event-ID"
_EXPOSED = "Retry-After"
_AGE = "600"  # seconds for which a browser need not ask again


def init_app(root: Blueprint) -> None:
    """Answer preflight requests, and mark every answer, errors too, for the origins that may read it."""
    root.before_request(_preflight)
    root.after_request(_mark)


def _preflight() -> Response | None:
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers or not _allowed():
        return None
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers["Access-Control-Allow-Methods"] = _METHODS
    response.headers["Access-Control-Allow-Headers"] = _HEADERS
    response.headers["Access-Control-Max-Age"] = _AGE
    return response


def _mark(response: Response) -> Response:
    if not current.settings().origins:
        return response
    response.vary.add("Origin")
    allowed = _allowed()
    if allowed:
        response.headers["Access-Control-Allow-Origin"] = allowed
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        if allowed != _ANY:  # a browser sends no credentials to whoever lets everybody read
            response.headers["Access-Control-Allow-Credentials"] = "true"
    return response


def _allowed() -> str | None:
    """The value of ``Access-Control-Allow-Origin`` for this request, if its page may read the answer."""
    origin, origins = request.headers.get("Origin", ""), current.settings().origins
    if origin and origin in origins:
        return origin
    return _ANY if origin and _ANY in origins else None
