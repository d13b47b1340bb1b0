"""Any PostgreSQL table, live in a browser.

``create_app`` is imported on first use: gunicorn reads its settings (``sseapp.gunicorn``) from this package in a
process that gevent has not patched yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sseapp.version import __version__

if TYPE_CHECKING:
    from sseapp.application import create_app

__all__ = ["__version__", "create_app"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from sseapp.application import create_app  # noqa: PLC0415  # see above

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
