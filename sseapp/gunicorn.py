"""The settings for gunicorn: ``gunicorn -k gevent -c python:sseapp.gunicorn "sseapp:create_app()"``.

Options on the command line override them. The master process reads this module: it must not import what gevent is to
patch in the worker.
"""

from __future__ import annotations

import logging
import os
import re
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_FEW_THREADS = 4


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip() or str(default)
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise SystemExit(f"{variable}={text!r} is not valid: use a whole number of at least 1.")
    return int(text)


def _address() -> str:
    """``SSEAPP_BIND``; or the ``PORT`` that a platform gives, open to other machines once SSEAPP_HOSTS names a host."""
    if os.environ.get("SSEAPP_BIND"):
        return os.environ["SSEAPP_BIND"]
    host = "0.0.0.0" if os.environ.get("PORT") and os.environ.get("SSEAPP_HOSTS") else "127.0.0.1"  # noqa: S104
    return f"{host}:{_number('PORT', 8000)}"


def _folder_for_heartbeats() -> str | None:
    """Where the workers touch a file to show that they live: memory, where nothing else can be written."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        return "/dev/shm"  # noqa: S108  # gunicorn makes a file that no other account may open
    return None


bind = _address()
workers = _number("SSEAPP_WORKERS", 1)
worker_class = "gevent"
# As many file descriptors as the system allows: each stream needs one.
with suppress(ValueError, OSError):  # macOS reports no limit, and accepts none
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
_most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
# Beyond this limit the next request would hang, /healthz included. So fewer long polls may wait, and fewer streams
# under TLS (Settings.host_streams). Other streams do not count here (Settings.streams).
worker_connections = min(_number("SSEAPP_MAX_STREAMS", 10000) + 1000, _most // 5)
# A cursor of up to 2 KB is sent in a header, or in the query beside the filters.
limit_request_line = 8190
limit_request_field_size = 8190
graceful_timeout = 10
keepalive = 5
worker_tmp_dir = _folder_for_heartbeats()
# Two servers of one user would share the control socket in the home folder.
control_socket_disable = True

_embedded: Any = None


def on_starting(server: Any) -> None:
    """Start the embedded PostgreSQL if DATABASE_URL is unset; only this process, the parent of all workers, may."""
    global _embedded  # noqa: PLW0603  # gunicorn's hooks are functions of this module
    _warn_of_few_threads(server.cfg, server.log)
    if os.environ.get("DATABASE_URL"):
        return
    from sseapp.embedded.server import Embedded, running_dsn  # noqa: PLC0415  # not needed with DATABASE_URL
    from sseapp.errors import EmbeddedError  # noqa: PLC0415

    try:
        dsn = running_dsn()
        if dsn is None:
            _embedded = Embedded(report=server.log.info)
            dsn = _embedded.start()
    except EmbeddedError as error:
        raise SystemExit(str(error)) from None
    os.environ["DATABASE_URL"] = dsn


def on_exit(server: Any) -> None:
    """Stop the embedded PostgreSQL that this process started."""
    del server
    if _embedded is not None:
        _embedded.stop()


def post_fork(server: Any, worker: Any) -> None:
    """Tell the application the number of threads: a worker with threads needs one for each stream."""
    del server
    os.environ.setdefault("SSEAPP_THREADS", str(worker.cfg.threads))


def post_worker_init(worker: Any) -> None:
    """Log to gunicorn's log, and end the streams with a bye whenever the worker ends; gunicorn would cut them."""
    ours, its = logging.getLogger("sseapp"), worker.log.error_log
    ours.handlers, ours.propagate = its.handlers, False
    ours.setLevel(its.level)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, _closing_first(signal.getsignal(number)))
    worker.wsgi = _closing_at_the_last(worker, worker.wsgi)


def worker_exit(server: Any, worker: Any) -> None:
    """Wait until the streams have sent their bye: gunicorn does not know of all of them as requests."""
    del server, worker
    process = sys.modules.get("sseapp.process")  # not there where the worker could not boot
    if process is not None:
        process.close_all()
        process.await_all(2.0)


def _warn_of_few_threads(cfg: Any, log: Any) -> None:
    name = cfg.worker_class_str
    if name == "sync":
        log.warning("sync workers serve one request at a time: streams end after each answer. Use -k gevent instead.")
    elif name == "gthread" and cfg.threads < _FEW_THREADS:
        log.warning(
            "gthread with --threads %d: each stream takes one of them, and two are kept for other requests. "
            "Use more, or -k gevent instead.",
            cfg.threads,
        )


def _closing_first(handle: Any) -> Callable[[int, Any], None]:
    def close(number: int, frame: Any) -> None:
        _close_streams()
        handle(number, frame)  # gunicorn's own handler

    return close


def _closing_at_the_last(worker: Any, wsgi: Any) -> Any:
    """``wsgi``, but a worker that has just reached ``max_requests`` ends its streams before it waits for them."""

    def application(environ: Any, start_response: Any) -> Any:
        if not worker.alive:
            _close_streams()
        return wsgi(environ, start_response)

    return application


def _close_streams() -> None:
    from sseapp.process import close_all  # noqa: PLC0415  # not before the worker has monkey-patched

    close_all()
