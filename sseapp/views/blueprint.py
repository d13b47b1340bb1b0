"""All views as one blueprint: it serves below a prefix of any application, and leaves everything else of it alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from flask import Blueprint, Flask, request
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, PathConverter

from sseapp.process import Process
from sseapp.views import allowed_hosts, api, caching, current, dashboard, operations, origins, problems
from sseapp.views.folders import STATIC
from sseapp.views.live_table import live_table

_CONCERNS = (problems, caching, origins, allowed_hosts, api, operations, dashboard)


class _Name(PathConverter):
    regex = r"[\s\S]+?"  # a quoted name may hold line ends
    part_isolating = False


def register(app: Flask, process: Process, *, url_prefix: str, identify: current.Identify | None) -> None:
    """Have ``process`` serve everything below ``url_prefix`` of ``app``; that may be empty."""
    app.url_map.converters["sseapp_name"] = _Name
    app.add_template_global(live_table)
    app.register_blueprint(_blueprint(), url_prefix=url_prefix or None)
    _serve_the_rest(app, url_prefix)
    current.put(app, process, identify)


def _blueprint() -> Blueprint:
    root = Blueprint(current.NAME, __name__, static_folder=STATIC, static_url_path="/static")
    for concern in _CONCERNS:
        concern.init_app(root)
    return root


def _serve_the_rest(app: Flask, url_prefix: str) -> None:
    """Answer what is below the prefix and leads nowhere: Flask would show the application's own error pages there."""
    endpoint = f"{current.NAME}.nothing"
    known = Map(
        [rule.empty() for rule in app.url_map.iter_rules() if rule.endpoint.startswith(f"{current.NAME}.")],
        converters={"sseapp_name": _Name},
        merge_slashes=False,
    )
    for place in ("", "<sseapp_name:rest>"):
        # for any method, which add_url_rule does not know
        app.url_map.add(app.url_rule_class(f"{url_prefix}/{place}", endpoint=endpoint, merge_slashes=False))
    app.view_functions[endpoint] = _refusal(known)


def _refusal(known: Map) -> Callable[..., NoReturn]:
    def nothing(rest: str = "") -> NoReturn:
        """Raise what fits: no such address, or a method that it does not have."""
        del rest
        known.bind("").match(request.path, request.method)
        raise NotFound

    return nothing
