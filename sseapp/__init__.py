"""Any PostgreSQL table, live in a browser.

``create_app`` and ``LiveTables`` are imported on first use: gunicorn reads its settings (``sseapp.gunicorn``) from this
package in a process that gevent has not patched yet.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sseapp.version import __version__

if TYPE_CHECKING:
    from sseapp.application import create_app
    from sseapp.extension import LiveTables

__all__ = ["LiveTables", "__version__", "create_app"]
_PLACES = {"LiveTables": "sseapp.extension", "create_app": "sseapp.application"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
