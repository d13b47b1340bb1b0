"""The page at ``/``. It shows rows live and uses only the public HTTP API."""

from __future__ import annotations

from functools import cache

from flask import Blueprint, Response

from sseapp.views import current
from sseapp.views.folders import TEMPLATES

# Rows may hold markup. Should any ever reach the page as markup, the browser still runs none of it.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "worker-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address holds the filter
    "Cache-Control": "no-cache",
}
_dashboard = Blueprint("dashboard", __name__)


def init_app(root: Blueprint) -> None:
    """Serve the page."""
    root.register_blueprint(_dashboard)


@_dashboard.get("/", strict_slashes=True)  # the page's addresses are relative to it
def page() -> Response:
    """The page. Its scripts read from the address's query which table and filter to show."""
    response = Response(_text(), content_type="text/html; charset=utf-8")
    response.headers.update(_HEADERS)
    policy = _POLICY | {"frame-ancestors": _ancestors(current.settings().frame)}
    response.headers["Content-Security-Policy"] = "; ".join(f"{name} {sources}" for name, sources in policy.items())
    return response


@cache
def _text() -> str:
    """No template of the application's Jinja: that may have another syntax, and other templates of this name."""
    return (TEMPLATES / "dashboard.html").read_text("utf-8")


def _ancestors(origins: tuple[str, ...]) -> str:
    """Who may show the page in a frame: a page that lays itself over ours could steal clicks."""
    return " ".join("'self'" if origin == "self" else origin for origin in origins) or "'none'"
