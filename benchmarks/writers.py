"""What watching costs those who write: pgbench against the same table plain, watched, and with a payload trigger."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import database
from contenders import SSEAPP, Contender, all_of_them, running
from load import Load
from plan import Bench, Measures, Plan

WRITERS = (1, 4, 16)
SUBSCRIBERS = 5


@dataclass(frozen=True)
class Variant:
    """A table to write to, and who serves its changes to a few subscribers meanwhile."""

    table: str
    server: Contender | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    unlogged: bool = False


def _variants() -> dict[str, Variant]:
    other = all_of_them()[1]
    return {
        "no trigger": Variant("plain"),
        "sseapp": Variant("logged", SSEAPP),
        "sseapp, notify off": Variant("logged", SSEAPP, {"SSEAPP_NOTIFY": "off"}),
        "sseapp, log unlogged": Variant("logged", SSEAPP, unlogged=True),
        f"NOTIFY with payload, {other.name}": Variant("notified", other),
    }


def single(bench: Bench) -> Plan:
    """Transactions of one row a second by 1, 4 and 16 writers."""
    seconds = bench.scaled(5)
    title = (
        f"Single-row inserts a second by so many writers, {seconds} s each; {SUBSCRIBERS} subscribers connected "
        "(their server on one core; PostgreSQL, pgbench and the subscribers on the other)"
    )
    measures: Measures = {name: partial(_single, bench, variant, seconds) for name, variant in _variants().items()}
    return Plan(title, measures, "no trigger")


def bulk(bench: Bench) -> Plan:
    """Seconds that one statement of many rows takes: inserted, updated, deleted."""
    rows = bench.scaled(100_000)
    variants = {
        "no trigger": Variant("plain"),
        "sseapp": Variant("logged"),
        "sseapp, log unlogged": Variant("logged", unlogged=True),
    }
    measures: Measures = {name: partial(_bulk, bench.dsn, variant, rows) for name, variant in variants.items()}
    return Plan(f"{rows} rows in one statement, seconds", measures, "no trigger")


def _single(bench: Bench, variant: Variant, seconds: int) -> dict[str, float]:
    """Also how long after the last commit all was served, and what of it never was."""
    rates: dict[str, float] = {}
    _set_unlogged(bench.dsn, variant)
    cores = later = missing = 0.0
    for writers in WRITERS:
        with ExitStack() as stack:
            load = None
            if variant.server:
                server = stack.enter_context(running(variant.server, bench.dsn, settings=variant.settings))
                load = stack.enter_context(Load(server, SUBSCRIBERS, events=None, seconds=seconds + 30))
                load.go()
                time.sleep(1)
            began, used = time.perf_counter(), _children_cpu()
            count, rate = _pgbench(bench, variant.table, writers, seconds)
            took = time.perf_counter() - began
            cores = (_children_cpu() - used) / took
            rates[f"{writers} writer{'s' * (writers > 1)}"] = rate
            if load:
                load.expect(count * SUBSCRIBERS)
                result = load.result()
                later = max(later, result["all"] - 1 - took)
                missing += result["missing"]
    served = {"served s later, at most": later, "missing": missing} if variant.server else {}
    return rates | {"cores pgbench used, at last": cores} | served


def _set_unlogged(dsn: str, variant: Variant) -> None:
    with database.cursor(dsn) as cursor:
        cursor.execute("SELECT sseapp.set_unlogged(%s)", (variant.unlogged,))


def _children_cpu() -> float:
    """Seconds of CPU that the processes used which we started and which have ended."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _pgbench(bench: Bench, table: str, writers: int, seconds: int) -> tuple[int, float]:
    """Transactions done, and done a second."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "insert.sql")
        path.write_text(f"INSERT INTO {table} (sent, note) VALUES (0, repeat('x', 60));\n")
        options = ["-n", "-c", str(writers), "-j", "2", "-T", str(seconds), "-f", str(path)]
        said = subprocess.run(
            ["taskset", "-c", "1", str(bench.database.bindir / "pgbench"), *options, bench.dsn],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"LC_ALL": "C"},
        ).stdout
    count = re.search(r"actually processed: (\d+)", said)
    rate = re.search(r"tps = ([\d.]+)", said)
    assert count, said
    assert rate, said
    return int(count[1]), float(rate[1])


def _bulk(dsn: str, variant: Variant, rows: int) -> dict[str, float]:
    _set_unlogged(dsn, variant)
    table = variant.table
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
