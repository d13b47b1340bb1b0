"""The HTTP contract: two resources, each as JSON and as an event stream."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Flask, Response, current_app, jsonify, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header
from werkzeug.routing import PathConverter

from sseapp.delivery import gunicorn_socket, long_poll
from sseapp.delivery.changes_stream import ChangesStream
from sseapp.delivery.rows_stream import RowsStream
from sseapp.delivery.services import Services
from sseapp.delivery.subscription import refused_stream
from sseapp.errors import BadParameterError, NotAcceptableError, NotInstalledError, UnavailableError
from sseapp.process import Process, Runtime
from sseapp.tables.table import Table

_JSON, _STREAM = "application/json", "text/event-stream"
_api = Blueprint("api", __name__)


class _Name(PathConverter):
    regex = r"[\s\S]+?"  # a table's quoted name may hold line ends, too
    part_isolating = False


def init_app(app: Flask) -> None:
    """Serve the resources."""
    app.url_map.converters["name"] = _Name
    app.register_blueprint(_api)


@_api.get("/tables")
def tables() -> Response:
    """The watched tables, in order of their names; none where sseapp is not installed yet."""
    try:
        watched = sorted(_runtime().registry.refresh().values(), key=str)
    except NotInstalledError:
        watched = []
    return jsonify(tables=[_described(table) for table in watched])


@_api.get("/tables/<name:table>/rows")
def rows(table: str) -> Response:
    """The rows now; or as a stream, again whenever one of them changed."""
    if _wants_stream():
        return _streamed(lambda occupies_host: RowsStream(_services(), table, _args(), occupies_host=occupies_host))
    return Response(long_poll.rows(_services(), table, _args()), content_type=_JSON)


@_api.get("/tables/<name:table>/changes")
def changes(table: str) -> Response:
    """The changes after a cursor: those there are, or the first to come; or as a stream without end."""
    if _wants_stream():
        last_event_id = request.headers.get("Last-Event-ID") or None
        return _streamed(
            lambda occupies_host: ChangesStream(_services(), table, _args(), last_event_id, occupies_host=occupies_host)
        )
    return _json(long_poll.changes(_services(), table, _args(), lambda: gunicorn_socket.is_gone(request.environ)))


def _runtime() -> Runtime:
    process: Process = current_app.extensions["sseapp"]
    return process.runtime()


def _services() -> Services:
    return _runtime().services


def _args() -> list[tuple[str, str]]:
    try:
        # request.args would take %FF, which is no UTF-8, for these three characters
        return parse_qsl(request.query_string.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise BadParameterError("The query holds bytes that are no UTF-8; write %C3%A9 for an é.") from None


def _wants_stream() -> bool:
    """Which of the two representations the client prefers; JSON where it does not say."""
    return _prefers_stream(request.headers.get("Accept", ""))


@lru_cache(maxsize=256)
def _prefers_stream(accept: str) -> bool:
    """The same of the header's text. Nearly all send one of a few, and reading it costs more than finding the table."""
    # a range with parameters ("application/json; charset=utf-8") means ours, which have none, all the same
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
    headers = {"X-Accel-Buffering": "no"}
    try:
        subscription = subscribe(gunicorn_socket.occupies_host(request.environ))
    except UnavailableError as error:
        # a browser gives up for good on a 503
        retry = current_app.extensions["sseapp"].settings.retry
        return Response(refused_stream(error, retry), content_type=_STREAM, headers=headers)
    body = gunicorn_socket.body(request.environ, subscription, _runtime().broadcaster)
    response = Response(body, content_type=_STREAM, headers=headers)
    # not in the generator's finally: a HEAD request never starts the generator
    response.call_on_close(lambda: None if subscription.handed_over else subscription.close())
    return response
