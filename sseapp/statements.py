"""Loads the SQL that lives in ``sseapp/sql``."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def text(name: str) -> str:
    """The whole of ``sql/<name>.sql``."""
    return resources.files("sseapp").joinpath("sql", f"{name}.sql").read_text("utf-8")


@cache
def named(name: str) -> dict[str, str]:
    """The statements of ``sql/<name>.sql``, each below its own ``-- name: <statement>`` line."""
    _, *parts = _NAME.split(text(name))
    return {key: body.strip() for key, body in zip(parts[::2], parts[1::2], strict=True)}


@cache
def migrations() -> str:
    """The changes that bring an older schema up to date: each of ``sql/migrations``, named by the version it leads to.

    They change tables and what is in them. Functions are replaced by every install, after these.
    """
    files = sorted(resources.files("sseapp").joinpath("sql", "migrations").iterdir(), key=lambda file: file.name)
    return "\n".join(_migration(int(file.name[:4]), file.read_text("utf-8")) for file in files)


def _migration(version: int, body: str) -> str:
    return (
        f"DO $migration$\nBEGIN\nIF (SELECT version FROM sseapp.state) < {version} THEN\n{body}"  # noqa: S608 -- a number
        f"UPDATE sseapp.state SET version = {version};\nEND IF;\nEND\n$migration$;\n"
    )
