"""What the current request belongs to: the process that serves it, and the place of its view in our blueprint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from flask import Flask, Request, current_app, request

from sseapp.config import Settings
from sseapp.delivery.services import Services
from sseapp.process import Process, Runtime

Identify: TypeAlias = Callable[[Request], Mapping[str, Any] | None]
"""Says who asks: gives the claims of a request, or ``None`` where nobody is known."""
NAME = "sseapp"
"""The name of the blueprint, and of what is kept in ``app.extensions``."""
_IDENTIFY = "sseapp.identify"


def put(app: Flask, process: Process, identify: Identify | None = None) -> None:
    """Have ``process`` serve the requests to ``app``, and ``identify`` say who asks."""
    app.extensions[NAME] = process
    app.extensions[_IDENTIFY] = identify


def identify() -> Identify | None:
    """The function of the application that says who asks, if it has given one."""
    return cast("Identify | None", current_app.extensions[_IDENTIFY])


def endpoint() -> str:
    """The endpoint within our blueprint, such as ``api.rows``."""
    return (request.endpoint or "").removeprefix(f"{NAME}.")


def settings() -> Settings:
    """The settings; nothing is opened."""
    return _process().settings


def runtime() -> Runtime:
    """The running parts, which are started with the first call."""
    return _process().runtime()


def services() -> Services:
    """What requests are served with; starts the running parts as :func:`runtime` does."""
    return runtime().services


def _process() -> Process:
    return cast("Process", current_app.extensions[NAME])
