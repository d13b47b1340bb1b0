"""What watching costs those who write: pgbench against the same table plain, watched, and with a payload trigger."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import database
from contenders import all_of_them, running

TABLES = {"no trigger": "plain", "sseapp": "logged", "NOTIFY with payload": "notified"}
Measures = dict[str, Callable[[], dict[str, float]]]


def single(dsn: str, bindir: str, *, seconds: float) -> Measures:
    """Single-row inserts a second by 1, 4 and 16 writers; sseapp's while a server listens to them."""
    return {name: partial(_inserts, dsn, bindir, table, seconds) for name, table in TABLES.items()}


def bulk(dsn: str, *, rows: int) -> Measures:
    """Seconds that one statement of many rows takes: inserted, updated, deleted."""
    return {name: partial(_bulk, dsn, table, rows) for name, table in TABLES.items() if table != "notified"}


def _inserts(dsn: str, bindir: str, table: str, seconds: float) -> dict[str, float]:
    script = f"INSERT INTO {table} (sent, note) VALUES (0, repeat('x', 60));\n"
    if table != "logged":
        return {f"{writers} writers": _pgbench(dsn, bindir, script, writers, seconds) for writers in (1, 4, 16)}
    with running(all_of_them()[0], dsn, core=None) as server:
        watch = subprocess.Popen(
            [
                "curl",
                "-sN",
                "-H",
                "Accept: text/event-stream",
                f"http://127.0.0.1:{server.port}{server.contender.path}",
            ],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(1)
        found = {f"{writers} writers": _pgbench(dsn, bindir, script, writers, seconds) for writers in (1, 4, 16)}
        watch.kill()
        watch.wait()
    return found


def _pgbench(dsn: str, bindir: str, script: str, writers: int, seconds: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "insert.sql")
        path.write_text(script)
        command = [
            f"{bindir}/pgbench",
            "-n",
            "-c",
            str(writers),
            "-j",
            "2",
            "-T",
            str(max(1, round(seconds))),
            "-f",
            str(path),
            dsn,
        ]
        said = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"}
        ).stdout
    match = re.search(r"tps = ([\d.]+)", said)
    assert match, said
    return float(match[1])


def _bulk(dsn: str, table: str, rows: int) -> dict[str, float]:
    statements = {
        "insert s": f"INSERT INTO {table} (sent, note) SELECT 0, repeat('x', 60) FROM generate_series(1, {rows})",
        "update s": f"UPDATE {table} SET sent = sent + 1",
        "delete s": f"DELETE FROM {table}",
    }
    found = {}
    with database.cursor(dsn) as cursor:
        cursor.execute(f"TRUNCATE {table}")
        for name, statement in statements.items():
            began = time.perf_counter()
            cursor.execute(statement)
            found[name] = time.perf_counter() - began
    return found
