"""The settings: each from the environment, validated once, listed in one table (:data:`SETTINGS`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2
from psycopg2 import extensions

from sseapp import concurrency, durations
from sseapp.errors import SettingError

_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_LARGEST = 1_000_000  # GiB
# as views/trust.py compares it: lower case, without port and final dot
_HOST = re.compile(r"\*|\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def _seconds(text: str, days: int = 1) -> float:
    try:
        return durations.seconds(text, minimum=0.001, maximum=days * durations.DAY)
    except ValueError:
        raise ValueError(f"a duration such as 500ms, 15s, 2m or 1h, {days}d at most") from None


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise ValueError("a whole number from 1 on")
    return int(text)


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,15})([kmg]?)", text.lower())
    size = int(match[1]) * _BYTES[match[2]] if match else 0
    if not 0 < size <= _LARGEST * _BYTES["g"]:
        raise ValueError(f"a size such as 512k, 4m or 1g, {_LARGEST}g at most")
    return size


def _switch(text: str) -> bool | None:
    if text not in {"", "on", "off"}:
        raise ValueError("a choice of on and off")
    return {"on": True, "off": False}.get(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    if not all(map(_HOST.fullmatch, names)):
        raise ValueError(
            "a list of names or addresses without port, such as www.example.com,10.0.0.1,[2001:db8::1], or *"
        )
    return names


def _dsn(text: str) -> str:
    try:
        extensions.parse_dsn(text)
    except psycopg2.ProgrammingError:
        raise ValueError("a PostgreSQL URL such as postgresql://user:password@localhost/mydb") from None
    return text


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: the variable, how its text is read, the default's text, and what it is for.

    The text of a ``secret`` one is not shown.
    """

    variable: str
    read: Callable[[str], Any]
    default: str
    meaning: str
    secret: bool = False


SETTINGS: dict[str, Setting] = {
    "database_url": Setting(
        "DATABASE_URL", _dsn, "", "the database; unset: the embedded PostgreSQL under `.sseapp/`", secret=True
    ),
    "hosts": Setting("SSEAPP_HOSTS", _names, "", "names besides localhost that requests may name in `Host`, by commas"),
    "max_streams": Setting(
        "SSEAPP_MAX_STREAMS", _count, "10000", "open streams a process; on threads no more than threads - 2"
    ),
    "threads": Setting("SSEAPP_THREADS", _count, "4", "threads of a host that is not green; gunicorn's are known"),
    "pool": Setting("SSEAPP_POOL", _count, "4", "database connections a process, besides the listener's"),
    "deadline": Setting("SSEAPP_DEADLINE", _seconds, "10s", "how long a statement may take"),
    "tick": Setting("SSEAPP_TICK", _seconds, "2s", "how often a silent listener looks whether all is well"),
    "notify": Setting(
        "SSEAPP_NOTIFY",
        _switch,
        "",
        "`off`: transactions never NOTIFY and the log is polled, for PgBouncer and PREPARE TRANSACTION; `on` ends that",
    ),
    "busy": Setting("SSEAPP_BUSY", _count, "100", "commits a second from which on the log is polled"),
    "poll": Setting("SSEAPP_POLL", _seconds, "5ms", "how often it is polled then"),
    "heartbeat": Setting("SSEAPP_HEARTBEAT", _seconds, "15s", "how often a silent stream says that it lives"),
    "retry": Setting("SSEAPP_RETRY", _seconds, "2s", "what clients are told to wait before a reconnect"),
    "ring": Setting(
        "SSEAPP_RING",
        _bytes,
        "16m",
        "memory for a stream's latest events, a third of it their bytes; who is further behind is cut",
    ),
    "rings": Setting("SSEAPP_RINGS", _bytes, "256m", "the same of all streams of a process together"),
    "batch": Setting("SSEAPP_BATCH", _count, "2000", "changes read in one piece"),
    "limit": Setting(
        "SSEAPP_LIMIT",
        _count,
        "10000",
        "most rows of one answer, and the default of `limit`; who missed more changes, or sees more at once, is reset",
    ),
    "retention": Setting("SSEAPP_RETENTION", partial(_seconds, days=3650), "1h", "how long a change stays in the log"),
    "log_size": Setting("SSEAPP_LOG_SIZE", _bytes, "1g", "size above which the log is pruned earlier"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a process; durations in seconds, sizes in bytes. :data:`SETTINGS` says what each is for."""

    database_url: str
    hosts: tuple[str, ...]
    max_streams: int
    threads: int
    pool: int
    deadline: float
    tick: float
    notify: bool | None
    busy: int
    poll: float
    heartbeat: float
    retry: float
    ring: int
    rings: int
    batch: int
    limit: int
    retention: float
    log_size: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], **overrides: Any) -> Settings:
        """Read the settings; ``overrides`` win. Raises :exc:`~sseapp.errors.SettingError` naming a variable."""
        known = {setting.variable for setting in SETTINGS.values()}
        for variable in environ:
            ours = variable.startswith("SSEAPP_") and not _OF_A_SERVICE.match(variable)
            if ours and variable not in known and variable not in FOREIGN:
                raise SettingError(
                    f"{variable} is no setting of sseapp; there are {', '.join(sorted(known | FOREIGN))}."
                )
        return cls(**{name: _value(setting, environ) for name, setting in SETTINGS.items()} | overrides)

    @property
    def streams(self) -> int:
        """How many streams fit: each holds a descriptor; on threads each holds one, and two are kept for all else."""
        return self._fit(3 / 4)

    @property
    def host_streams(self) -> int:
        """How many of them may be held by the host: fewer than the ``worker_connections`` of ``gunicorn.conf.py``."""
        return self._fit(1 / 6)

    def _fit(self, share: float) -> int:
        fit = int(concurrency.descriptors() * share) if concurrency.is_green() else self.threads - 2
        return min(self.max_streams, max(1, fit))


FOREIGN = {"SSEAPP_BIND", "SSEAPP_WORKERS"}
"""Read by ``gunicorn.conf.py``, which cannot import the application before the worker has patched it."""


_OF_A_SERVICE = re.compile("SSEAPP_(SERVICE|PORT)(_|$)")
"""Kubernetes gives these to every container where a Service is named sseapp."""


def _value(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.variable, "").strip() or setting.default
    try:
        return setting.read(text)
    except ValueError as error:
        given = setting.variable if setting.secret else f"{setting.variable}={text!r}"
        raise SettingError(f"{given} cannot be used: it takes {error}.") from None
