"""Loads the SQL files in ``sseapp/sql``."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def text(name: str) -> str:
    """The text of ``sql/<name>.sql``."""
    return resources.files("sseapp").joinpath("sql", f"{name}.sql").read_text("utf-8")


@cache
def named(name: str) -> dict[str, str]:
    """The statements of ``sql/queries/<name>.sql`` by name; each follows a line ``-- name: <statement>``."""
    _, *parts = _NAME.split(text(f"queries/{name}"))
    return {key: body.strip() for key, body in zip(parts[::2], parts[1::2], strict=True)}
