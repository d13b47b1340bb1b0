"""The page at ``/``: it shows rows live, and speaks the public HTTP contract only."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, make_response, render_template

# The rows may hold anything, markup too: were it ever to get into the page as such, no browser would run it.
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
    "frame-ancestors": "'none'",
}
_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{directive} {source}" for directive, source in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address says what is asked
    "Cache-Control": "no-cache",
}
_dashboard = Blueprint("dashboard", __name__)


def init_app(app: Flask) -> None:
    """Serve the page."""
    app.register_blueprint(_dashboard)


@_dashboard.get("/")
def page() -> Response:
    """The page; what it shows depends on its address's query, which only its scripts read."""
    response = make_response(render_template("dashboard.html"))
    response.headers.update(_HEADERS)
    return response
