"""The process behind the application that answers the current request: its settings and its running parts."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app

from sseapp.config import Settings
from sseapp.delivery.services import Services
from sseapp.process import Process, Runtime

_EXTENSION = "sseapp"


def put(app: Flask, process: Process) -> None:
    """Have ``process`` serve the requests to ``app``."""
    app.extensions[_EXTENSION] = process


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
    return cast("Process", current_app.extensions[_EXTENSION])
