"""Makes the Flask application of all parts."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from sseapp.cli import commands
from sseapp.config import Settings
from sseapp.process import Process
from sseapp.views import allowed_hosts, api, caching, current, dashboard, operations, origins, problems

_log = logging.getLogger(__name__)
_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE if (_PACKAGE / "templates").is_dir() else _PACKAGE.parent
"""Where templates/ and static/ are: in the package that was installed, beside it in a checkout."""


def create_app(settings: Settings | None = None) -> Flask:
    """Make the Flask application. It opens nothing before the first request, so a server may fork it until then.

    ``settings`` come from the environment by default. Raises :exc:`~sseapp.errors.SettingError`.
    """
    _warn_of_sync_workers()
    app = Flask("sseapp", root_path=str(_ROOT), template_folder="templates", static_folder="static")
    app.url_map.merge_slashes = False  # a table's quoted name may hold two
    settings = settings or Settings.from_environ(os.environ)
    current.put(app, Process(settings))
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count, x_prefix=count)  # type: ignore[method-assign]
    for command in commands.main.commands.values():
        app.cli.add_command(command)
    for concern in (problems, caching, origins, allowed_hosts, api, operations, dashboard):
        concern.init_app(app)
    return app


def _warn_of_sync_workers() -> None:
    """Warn where gunicorn runs without our settings, and so with its default workers; with them it is warned before."""
    gunicorn, settings = "gunicorn.workers.sync", "sseapp.gunicorn"
    if gunicorn in sys.modules and settings not in sys.modules:
        _log.warning(
            "gunicorn's sync workers serve one request at a time: streams end after each answer. "
            'Start it with: gunicorn -k gevent -c python:sseapp.gunicorn "sseapp:create_app()"'
        )
