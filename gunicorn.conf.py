"""The settings for ``gunicorn wsgi``; options on the command line override them."""

import logging
import os
import re
import resource
import signal
from contextlib import suppress
from typing import Any


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip() or str(default)
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise SystemExit(f"{variable}={text!r} is not valid: use a whole number of at least 1.")
    return int(text)


bind = os.environ.get("SSEAPP_BIND", "127.0.0.1:8000")
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
# Two servers of one user would share the control socket in the home folder.
control_socket_disable = True

_embedded: Any = None


def on_starting(server: Any) -> None:
    """Start the embedded PostgreSQL if DATABASE_URL is unset; only this process, the parent of all workers, may."""
    global _embedded  # noqa: PLW0603  # gunicorn's hooks are functions of this module
    if os.environ.get("DATABASE_URL"):
        return
    from sseapp.embedded.server import Embedded, running_dsn  # noqa: PLC0415  # not needed with DATABASE_URL

    dsn = running_dsn()
    if dsn is None:
        _embedded = Embedded(report=server.log.info)
        dsn = _embedded.start()
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


def worker_exit(server: Any, worker: Any) -> None:
    """Wait until the streams have sent their bye: gunicorn no longer knows of them as requests."""
    del server, worker
    from sseapp.process import await_all  # noqa: PLC0415  # as below

    await_all(2.0)


def post_worker_init(worker: Any) -> None:
    """Log to gunicorn's log, and end the streams with a bye on SIGTERM. gunicorn itself would wait and kill them."""
    ours, its = logging.getLogger("sseapp"), worker.log.error_log
    ours.handlers, ours.propagate = its.handlers, False
    ours.setLevel(its.level)
    from sseapp.process import close_all  # noqa: PLC0415  # not before the worker has monkey-patched

    handle = signal.getsignal(signal.SIGTERM)

    def close(number: int, frame: Any) -> None:
        close_all()
        handle(number, frame)  # type: ignore[operator,misc]  # gunicorn's own handler

    signal.signal(signal.SIGTERM, close)
