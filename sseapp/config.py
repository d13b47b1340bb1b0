"""The settings, each stated once (see :class:`Settings`): read from the environment or from Flask, validated once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any

from sseapp import concurrency, database_url, durations
from sseapp.errors import SettingError

_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_LARGEST = 1_000_000  # GiB
_FLASK_RUN = "200"  # `flask run` starts a thread for each request; a page that is left keeps one up to a heartbeat
# as views/allowed_hosts.py compares it: lower case, without port and final dot
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)(:[0-9]{1,5})?")
_HOST = re.compile(r"\*|\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def _seconds(text: str, days: int = 1) -> float:
    try:
        return durations.seconds(text, minimum=0.001, maximum=days * durations.DAY)
    except ValueError:
        raise ValueError(f"use a duration such as 500ms, 15s, 2m or 1h, at most {days}d") from None


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise ValueError("use a whole number of at least 1")
    return int(text)


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,15})([kmg]?)", text.lower())
    size = int(match[1]) * _BYTES[match[2]] if match else 0
    if not 0 < size <= _LARGEST * _BYTES["g"]:
        raise ValueError(f"use a size such as 512k, 4m or 1g, at most {_LARGEST}g")
    return size


def _switch(text: str) -> bool | None:
    if text not in {"", "on", "off"}:
        raise ValueError("use on or off")
    return {"on": True, "off": False}.get(text)


def _names(text: str) -> tuple[str, ...]:
    names = _list(text)
    if not all(map(_HOST.fullmatch, names)):
        raise ValueError(
            "use host names or addresses without port, separated by commas, "
            "such as www.example.com,10.0.0.1,[2001:db8::1], or *"
        )
    return names


def _origins(text: str) -> tuple[str, ...]:
    origins = _list(text)
    if not all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("use origins separated by commas, such as https://www.example.com,http://localhost:5173, or *")
    return origins


def _frames(text: str) -> tuple[str, ...]:
    origins = _list(text)
    if not all(origin in {"*", "self"} or _ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("use self, *, or origins separated by commas, such as https://www.example.com")
    return origins


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(",") if part.strip())


def _proxies(text: str) -> int:
    if not re.fullmatch("[0-9]", text):
        raise ValueError("use a number from 0 to 9")
    return int(text)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its environment variable, the function that reads its text, its default as text, and its meaning.

    The value of a ``secret`` one is never shown.
    """

    variable: str
    read: Callable[[str], Any]
    default: str
    meaning: str
    secret: bool = False


def _setting(variable: str, read: Callable[[str], Any], default: str, meaning: str, *, secret: bool = False) -> Any:
    return field(metadata={"setting": Setting(variable, read, default, meaning, secret)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a process; durations in seconds, sizes in bytes."""

    database_url: str = _setting(
        "DATABASE_URL",
        database_url.check,
        "",
        "the database; unset: the embedded PostgreSQL in `.sseapp/`",
        secret=True,
    )
    hosts: tuple[str, ...] = _setting(
        "SSEAPP_HOSTS", _names, "", "host names to serve besides localhost, separated by commas; `*`: any"
    )
    origins: tuple[str, ...] = _setting(
        "SSEAPP_ORIGINS", _origins, "", "origins whose pages may read from here (CORS), separated by commas; `*`: any"
    )
    frame: tuple[str, ...] = _setting(
        "SSEAPP_FRAME",
        _frames,
        "",
        "origins whose pages may show ours in a frame, separated by commas; `self`: our own",
    )
    proxies: int = _setting(
        "SSEAPP_PROXIES", _proxies, "0", "proxies in front whose `X-Forwarded-For/Proto/Host/Prefix` are believed"
    )
    max_streams: int = _setting(
        "SSEAPP_MAX_STREAMS", _count, "10000", "open streams per process; a server with threads has at most threads - 2"
    )
    threads: int = _setting("SSEAPP_THREADS", _count, "4", "threads, for servers other than gunicorn")
    pool: int = _setting("SSEAPP_POOL", _count, "4", "database connections per process, besides the listener's")
    deadline: float = _setting("SSEAPP_DEADLINE", _seconds, "10s", "longest time for one SQL statement")
    tick: float = _setting(
        "SSEAPP_TICK", _seconds, "2s", "how often an idle listener checks its connection and the tables' shapes"
    )
    notify: bool | None = _setting(
        "SSEAPP_NOTIFY",
        _switch,
        "",
        "`off`: always poll, never NOTIFY (for PgBouncer's transaction mode and PREPARE TRANSACTION); "
        "`on`: NOTIFY again, and through a pooler, too",
    )
    busy: int = _setting("SSEAPP_BUSY", _count, "100", "above this many commits/s, poll instead of NOTIFY")
    poll: float = _setting("SSEAPP_POLL", _seconds, "5ms", "how often to poll")
    heartbeat: float = _setting("SSEAPP_HEARTBEAT", _seconds, "15s", "how often an idle stream sends a heartbeat")
    retry: float = _setting("SSEAPP_RETRY", _seconds, "2s", "how long clients wait before they reconnect")
    ring: int = _setting(
        "SSEAPP_RING",
        _bytes,
        "16m",
        "memory for one stream's latest events; a client that falls further behind reads the log",
    )
    rings: int = _setting("SSEAPP_RINGS", _bytes, "256m", "memory for the latest events of all streams of a process")
    batch: int = _setting("SSEAPP_BATCH", _count, "2000", "changes read from the log at once")
    limit: int = _setting(
        "SSEAPP_LIMIT",
        _count,
        "10000",
        "most rows of one JSON answer, and the default of `limit`",
    )
    retention: float = _setting(
        "SSEAPP_RETENTION", partial(_seconds, days=3650), "1h", "how long the log keeps a change"
    )
    log_size: int = _setting("SSEAPP_LOG_SIZE", _bytes, "1g", "above this size the log drops its oldest changes early")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], **overrides: Any) -> Settings:
        """Read the settings; ``overrides`` win. Raises :exc:`~sseapp.errors.SettingError` that names the variable."""
        for variable in environ:
            if variable.startswith("SSEAPP_") and variable not in _KNOWN and not _OF_A_SERVICE.match(variable):
                raise SettingError(_unknown(variable))
        if environ.get("FLASK_RUN_FROM_CLI") == "true":
            environ = {"SSEAPP_THREADS": _FLASK_RUN, **environ}
        return cls(**{name: _value(setting, environ) for name, setting in SETTINGS.items()} | overrides)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
        """Read the settings from an application's ``config`` (Flask's), and from ``environ`` what is not there.

        Besides text, a value may be a number, a boolean, a :class:`~datetime.timedelta` or a list. Raises
        :exc:`~sseapp.errors.SettingError`.
        """
        names = [name for name in config if name == "DATABASE_URL" or name.startswith("SSEAPP_")]
        given = {name: _text(name, config[name]) for name in names if config[name] is not None}
        return cls.from_environ({**environ, **given})

    @property
    def streams(self) -> int:
        """How many streams fit: each needs a descriptor, or a thread, of which two are kept for other requests."""
        return self._fit(3 / 4)

    @property
    def host_streams(self) -> int:
        """How many of them the server may keep open itself: fewer than its ``worker_connections``."""
        return self._fit(1 / 6)

    def _fit(self, share: float) -> int:
        fit = int(concurrency.descriptors() * share) if concurrency.is_green() else self.threads - 2
        return min(self.max_streams, max(1, fit))


SETTINGS: dict[str, Setting] = {each.name: each.metadata["setting"] for each in fields(Settings)}
"""Each setting by the name of its attribute of :class:`Settings`."""

FOR_GUNICORN = {
    "SSEAPP_BIND": ("127.0.0.1:8000", "address to serve"),
    "SSEAPP_WORKERS": ("1", "worker processes"),
    "PORT": ("8000", "port to serve without SSEAPP_BIND; on all addresses once SSEAPP_HOSTS names a host"),
}
"""Default and meaning of what ``sseapp.gunicorn`` reads; it cannot import this before gevent has patched the worker."""

_KNOWN = {setting.variable for setting in SETTINGS.values()} | {name for name in FOR_GUNICORN if name != "PORT"}

_OF_A_SERVICE = re.compile("SSEAPP_(SERVICE|PORT)(_|$)")
"""Kubernetes sets these in every container where a Service is named sseapp."""


def _unknown(variable: str) -> str:
    likely = get_close_matches(variable, sorted(_KNOWN), 1)
    hint = f"Did you mean {likely[0]}? " if likely else ""
    return f"{variable} is not a setting of sseapp. {hint}The settings are {', '.join(sorted(_KNOWN))}."


def _value(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.variable, "").strip() or setting.default
    try:
        return setting.read(text)
    except ValueError as error:
        given = setting.variable if setting.secret else f"{setting.variable}={text!r}"
        raise SettingError(f"{given} is not valid: {error}.") from None


def _text(variable: str, value: Any) -> str:
    """A value of an application's configuration, as the environment would have it."""
    match value:
        case bool():
            return "on" if value else "off"
        case str() | int() | float():
            return str(value)
        case timedelta():
            return f"{value.total_seconds():.3f}s"
        case list() | tuple() | set() | frozenset():
            return ",".join(map(str, value))
    raise SettingError(f"{variable} is of type {type(value).__name__}: use a text, a number, a timedelta or a list.")
