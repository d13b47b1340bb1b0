"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from math import ceil
from time import monotonic

from flask import Blueprint, Flask, Response, request, url_for
from werkzeug.exceptions import HTTPException, default_exceptions

from sseapp.backoff import jittered
from sseapp.errors import CursorGoneError, SseappError, UnavailableError
from sseapp.views import current

_log = logging.getLogger(__name__)
_REPEAT, _MOST = 60.0, 100
_logged: dict[str, float] = {}
"""When each cause was logged last, as of ``monotonic()``."""
_NOTHING_HERE = (
    "There is no such page. See {0}tables, {0}tables/<table>/rows, {0}tables/<table>/changes, or the dashboard at {0}."
)


def problem(status: int, title: str, detail: str, **members: str | None) -> Response:
    """An error's answer; ``members`` that are ``None`` are left out."""
    body = {"title": title, "status": status, "detail": detail} | {k: v for k, v in members.items() if v is not None}
    return Response(json.dumps(body, ensure_ascii=False) + "\n", status, content_type="application/problem+json")


def init_app(root: Blueprint | Flask) -> None:
    """Answer every error as a problem."""
    root.register_error_handler(SseappError, _ours)
    root.register_error_handler(HTTPException, _http)
    for status in default_exceptions:  # by number, too: else the application's own for that number would be found first
        root.register_error_handler(status, _http)
    root.register_error_handler(Exception, _unexpected)


def log_cause(error: SseappError) -> None:
    """Log what the answer does not tell, since it may name the database's host or role; the same once a minute."""
    cause, now = str(error), monotonic()
    if cause == error.detail or now - _logged.get(cause, -_REPEAT) < _REPEAT:
        return
    if len(_logged) > _MOST:
        _logged.clear()
    _logged[cause] = now
    _log.warning("%s %s: %s", request.method, request.path, cause)


def _ours(error: SseappError) -> Response:
    log_cause(error)
    reason = error.reason if isinstance(error, CursorGoneError) else None
    response = problem(error.status, error.title, error.detail, parameter=error.parameter, reason=reason)
    if isinstance(error, UnavailableError):
        response.headers["Retry-After"] = str(ceil(jittered(2 * current.settings().retry)))
    return response


def _http(error: HTTPException) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    detail = (
        _NOTHING_HERE.format(url_for(f"{current.NAME}.dashboard.page"))
        if status == HTTPStatus.NOT_FOUND
        else error.description or error.name
    )
    response = problem(status, error.name.capitalize(), detail)
    for name, value in error.get_headers():
        if name.lower() in {"allow", "location"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    _log.error("A request failed.", exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, "Internal error", "The server failed; see its log.")
