"""The two resources, rows and changes, each as JSON and as an event stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from sseapp import concurrency
from sseapp.delivery import gunicorn_socket, long_poll
from sseapp.delivery.changes_stream import ChangesStream
from sseapp.delivery.rows_stream import RowsStream
from sseapp.delivery.subscription import refused_stream
from sseapp.errors import BadParameterError, NotAcceptableError, NotInstalledError, UnavailableError
from sseapp.tables.table import Table
from sseapp.views import current
from sseapp.views.brief_stream import brief
from sseapp.views.problems import log_cause

_JSON, _STREAM = "application/json", "text/event-stream"
_LAST_EVENT_ID = {"lastEventId", "Last-Event-ID"}
"""Parameters in place of the header: event-source-polyfill and its like send them."""
_OF_CLIENTS = _LAST_EVENT_ID | {"_"}
"""jQuery adds ``_`` against caches. A column of such a name is asked for by its quoted name."""
_LEAST_THREADS = 3
_HEADERS = {
    "Cache-Control": "no-store, no-transform",  # a proxy that compresses would hold the stream back
    "X-Accel-Buffering": "no",  # so would nginx
}
_api = Blueprint("api", __name__)


def init_app(root: Blueprint) -> None:
    """Serve the resources."""
    root.register_blueprint(_api)


@_api.get("/tables")
def tables() -> Response:
    """The watched tables, sorted by name; none if sseapp is not installed yet."""
    try:
        watched = sorted(current.services().registry.refresh().values(), key=str)
    except NotInstalledError:
        watched = []
    return _json(json.dumps({"tables": [_described(table) for table in watched]}, ensure_ascii=False))


@_api.get("/tables/<sseapp_name:table>/rows", merge_slashes=False)
def rows(table: str) -> Response:
    """The rows. As a stream: again whenever one of them changed."""
    if _wants_stream():
        return _streamed(lambda host: RowsStream(current.services(), table, _args(), occupies_host=host))
    return Response(long_poll.rows(current.services(), table, _args()), content_type=_JSON)


@_api.get("/tables/<sseapp_name:table>/changes", merge_slashes=False)
def changes(table: str) -> Response:
    """The changes after a cursor, waiting for the first one if there are none. As a stream: without end."""
    if _wants_stream():
        return _streamed(
            lambda host: ChangesStream(current.services(), table, _args(), _last_event_id(), occupies_host=host)
        )
    return _json(
        long_poll.changes(current.services(), table, _args(), lambda: gunicorn_socket.is_gone(request.environ))
    )


def _args() -> list[tuple[str, str]]:
    """The query's parameters, without those that clients add by themselves."""
    return [(name, value) for name, value in _query() if name not in _OF_CLIENTS]


def _last_event_id() -> str | None:
    """The last event that the client has seen. Some cannot set the header, and send a parameter."""
    given = [value for name, value in _query() if name in _LAST_EVENT_ID and value]
    return request.headers.get("Last-Event-ID") or (given[-1] if given else None)


def _query() -> list[tuple[str, str]]:
    try:
        # request.args would silently replace bytes that are not UTF-8
        return parse_qsl(request.query_string.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise BadParameterError(
            "The query is not valid UTF-8. Percent-encode UTF-8 bytes, such as %C3%A9 for é."
        ) from None


def _wants_stream() -> bool:
    """Whether the client prefers an event stream to JSON, the default."""
    return _prefers_stream(request.headers.get("Accept", ""))


@lru_cache(maxsize=256)
def _prefers_stream(accept: str) -> bool:
    """The same for the header's text. Cached: parsing it costs more than finding the table."""
    # ignore parameters: "application/json; charset=utf-8" means our type, too
    accepted = MIMEAccept(
        [(range_.partition(";")[0].rstrip(), quality) for range_, quality in parse_accept_header(accept, MIMEAccept)]
    )
    if not accepted:
        return False
    best = accepted.best_match([_JSON, _STREAM])
    if best is None:
        raise NotAcceptableError
    return best == _STREAM


def _described(table: Table) -> dict[str, Any]:
    return {
        "schema": table.schema,
        "name": table.name,
        "key": None if table.key is None else list(table.key),
        "range": table.range,
        "columns": [{"name": column.name, "type": column.type} for column in table.columns],
    }


def _json(text: str) -> Response:
    return Response(text + "\n", content_type=_JSON)


def _streamed(subscribe: Callable[[bool], ChangesStream | RowsStream]) -> Response:
    try:
        subscription = subscribe(gunicorn_socket.occupies_host(request.environ))
    except UnavailableError as error:
        log_cause(error)
        # an EventSource never reconnects after a 503
        return Response(refused_stream(error, current.settings().retry), content_type=_STREAM, headers=_HEADERS)
    response = Response(_body(subscription), content_type=_STREAM, headers=_HEADERS)
    # not in a finally of the generator: a HEAD request never starts it
    response.call_on_close(lambda: None if subscription.handed_over else subscription.close())
    return response


def _body(subscription: ChangesStream | RowsStream) -> Iterator[bytes]:
    """The stream's bytes, or a brief stream on a server that has no thread to spare for it."""
    if not _has_thread_to_spare():
        return brief(subscription, current.runtime().closing.is_set)
    return gunicorn_socket.body(request.environ, subscription, current.runtime().broadcaster)


def _has_thread_to_spare() -> bool:
    """Whether a stream leaves a thread for other requests; a greenlet always does."""
    several = request.environ.get("wsgi.multithread", True) and current.settings().threads >= _LEAST_THREADS
    return concurrency.is_green() or bool(several)
