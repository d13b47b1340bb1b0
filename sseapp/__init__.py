"""Any PostgreSQL table, live in a browser."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from sseapp.cli import commands
from sseapp.config import Settings
from sseapp.process import Process
from sseapp.views import allowed_hosts, api, caching, dashboard, operations, problems

__version__ = "0.1.0"
_ROOT = Path(__file__).resolve().parent.parent


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application. Nothing is opened before the first request, so that it may be forked until then.

    Without ``settings`` they come from the environment; raises :exc:`~sseapp.errors.SettingError`.
    """
    app = Flask("sseapp", root_path=str(_ROOT), template_folder="templates", static_folder="static")
    app.url_map.merge_slashes = False  # a table's quoted name may hold two
    process = Process(settings or Settings.from_environ(os.environ))
    app.extensions["sseapp"] = process
    for command in commands.main.commands.values():
        app.cli.add_command(command)
    for concern in (problems, caching, allowed_hosts, api, operations, dashboard):
        concern.init_app(app)
    return app
