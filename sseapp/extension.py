"""Live tables in any Flask application."""

from __future__ import annotations

import logging
import os
import re
import sys

from flask import Flask

from sseapp.config import Settings
from sseapp.errors import BadParameterError
from sseapp.process import Process
from sseapp.signals import changed, own_changed
from sseapp.views import blueprint, current
from sseapp.views.current import Identify

_log = logging.getLogger(__name__)
_PREFIX = re.compile(r"(/[^/<>?#]+)*")


class LiveTables:
    """Serves the watched tables below ``url_prefix`` of ``app``: the page, the API, and ``static/sseapp.js``.

    Everything else of the application stays as it is. ``identify`` takes the request (:class:`flask.Request`) and
    gives the claims of who asks, or ``None``. Settings come from ``app.config`` (``DATABASE_URL``, ``SSEAPP_*``),
    then from the environment. Applications with the same settings share what runs: one listener, for example.

    ``changed`` is a signal like :data:`sseapp.signals.changed`, for the applications of this object alone.

    Raises :exc:`~sseapp.errors.SettingError` and :exc:`~sseapp.errors.BadParameterError`.
    """

    def __init__(
        self, app: Flask | None = None, *, url_prefix: str = "/live", identify: Identify | None = None
    ) -> None:
        prefix = url_prefix.rstrip("/")
        if not _PREFIX.fullmatch(prefix):
            raise BadParameterError(
                f"url_prefix={url_prefix!r} is not valid: use a path such as '/live'.", parameter="url_prefix"
            )
        if identify is not None and not callable(identify):
            raise BadParameterError("identify must be a function that takes a request.", parameter="identify")
        self._prefix = prefix
        self._identify = identify
        self._processes: dict[Settings, Process] = {}
        self.changed = own_changed()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Serve below the prefix of ``app``. Nothing is opened before the first request there, or :meth:`start`."""
        self.serve(app, Settings.from_config(app.config, os.environ))

    def serve(self, app: Flask, settings: Settings) -> None:
        """The same with ``settings``, wherever they come from."""
        if current.NAME in app.extensions:
            raise BadParameterError("This application has live tables already.", parameter="app")
        _warn_of_sync_workers()
        process = self._processes.setdefault(settings, Process(settings, signals=(changed, self.changed)))
        blueprint.register(app, process, url_prefix=self._prefix, identify=self._identify)

    def start(self) -> None:
        """Listen from now on, in this process, whether a request comes or not.

        Call it in each process that is to receive :attr:`changed`: after a server has forked it.
        """
        if not self._processes:
            raise BadParameterError("Call init_app(app) before start().", parameter="app")
        for process in self._processes.values():
            process.runtime()


def _warn_of_sync_workers() -> None:
    """Warn where gunicorn runs without our settings, and so with its default workers; with them it is warned before."""
    gunicorn, settings = "gunicorn.workers.sync", "sseapp.gunicorn"
    if gunicorn in sys.modules and settings not in sys.modules:
        _log.warning(
            "gunicorn's sync workers serve one request at a time: streams end after each answer. "
            "Add to its command line: -k gevent -c python:sseapp.gunicorn"
        )
