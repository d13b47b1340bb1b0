"""Live tables in any Flask application."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from functools import partial

from flask import Flask

from sseapp.config import Settings
from sseapp.errors import BadParameterError
from sseapp.live.consumer import check
from sseapp.live.consumer_run import Function
from sseapp.process import Process, Runtime
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
        self._consumers: dict[str, Callable[[Runtime], None]] = {}
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

    def consumer(self, name: str, table: str, *, batch: int = 1) -> Callable[[Function], Function]:
        """Have the decorated function called for each change of ``table``: once over all processes, in order.

        It is called as :class:`~sseapp.live.consumer.Consumer` says, once :meth:`start` was called. ``name`` tells the
        consumers of a database apart. ``batch`` is up to how many changes are consumed in one transaction.
        """

        def register(function: Function) -> Function:
            check(name, function)
            if name in self._consumers:
                raise BadParameterError(f"There is a consumer named {name!r} already.", parameter="name")
            self._consumers[name] = partial(Runtime.consume, name=name, table=table, function=function, batch=batch)
            return function

        return register

    def start(self) -> None:
        """Listen and consume from now on, in this process, whether a request comes or not.

        Call it in each process that is to receive :attr:`changed` or to run a consumer: after a server has forked it.
        """
        if not self._processes:
            raise BadParameterError("Call init_app(app) before start().", parameter="app")
        for process in self._processes.values():
            runtime = process.runtime()
            for consume in self._consumers.values():
                consume(runtime)


def _warn_of_sync_workers() -> None:
    """Warn where gunicorn runs without our settings, and so with its default workers; with them it is warned before."""
    gunicorn, settings = "gunicorn.workers.sync", "sseapp.gunicorn"
    if gunicorn in sys.modules and settings not in sys.modules:
        _log.warning(
            "gunicorn's sync workers serve one request at a time: streams end after each answer. "
            'Start it with: gunicorn -k gevent -c python:sseapp.gunicorn "sseapp:create_app()", '
            "or with your application's name in place of ours."
        )
