"""Makes the Flask application: the extension alone, on an empty one."""

from __future__ import annotations

import os

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from sseapp.cli import commands
from sseapp.config import Settings
from sseapp.extension import LiveTables
from sseapp.views import allowed_hosts, caching, problems


def create_app(settings: Settings | None = None) -> Flask:
    """Make the Flask application. It opens nothing before the first request, so a server may fork it until then.

    ``settings`` come from the environment by default. Raises :exc:`~sseapp.errors.SettingError`.
    """
    app = Flask("sseapp", static_folder=None)
    settings = settings or Settings.from_environ(os.environ)
    LiveTables(url_prefix="").serve(app, settings)
    for concern in (problems, caching, allowed_hosts):  # for what Flask refuses before it looks for a view, too
        concern.init_app(app)
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count, x_prefix=count)  # type: ignore[method-assign]
    for command in commands.main.commands.values():
        app.cli.add_command(command)
    return app
