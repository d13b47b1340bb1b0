"""Live results: each change of a row has the results read again that it is in, and no others."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial

import database
from contenders import SSEAPP, running
from database import NOTE, Statements
from load import Load
from plan import Bench, Measures, Plan
from psycopg2.extensions import cursor as Cursor  # noqa: N812  # it is a class

RATE = 20
"""Single-row inserts a second."""

HELD = 20
"""Rows that a range holds before."""

READ = "row_to_json(x.*)"
"""What marks the statement that reads a result (``rows`` in sseapp/sql/queries/rows.sql)."""

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=10)


def live(bench: Bench) -> Plan:
    """Ranges that overlap, so that each row falls in 1, 10 or 30 of a thousand; and one range that all ask for.

    No range is hit twice within its ``every=1s``, but that one is: its delay is that of its pace.
    """
    clients = bench.scaled(1000)
    hits = [max(1, clients * part // 1000) for part in (1, 10, 30)]
    measures: Measures = {
        **{f"in {count} of the ranges": partial(_live, bench, clients, count) for count in hits},
        "one range for all": partial(_live, bench, clients, clients, alike=True),
    }
    title = f"Live results, {clients} clients each on a range of its own, {RATE} single-row inserts a second"
    return Plan(title, measures, f"in {hits[0]} of the ranges")


def _live(bench: Bench, clients: int, hits: int, *, alike: bool = False) -> dict[str, float]:
    """Milliseconds from before the INSERT to the result with the row in it; the queries that PostgreSQL logged."""
    count = round(RATE * (10 if bench.scale == 1 else 3))
    ranges = 1 if alike else clients
    with database.cursor(bench.dsn) as cursor:
        _fill(cursor, clients, hits)
        statements = Statements(bench.database.log)
        with (
            running(SSEAPP, bench.database.told) as server,
            Load(
                server,
                clients,
                asks=[(_path(number, hits), None) for number in range(ranges)],
                ready="retry: ",
                first=1,
                timed=True,
                results=True,
                events=count * hits,
                seconds=30,
            ) as load,
        ):
            load.go()
            begun, idle, began = statements.count(READ), server.cpu(), time.monotonic()
            time.sleep(2)
            idle = (server.cpu() - idle) / (time.monotonic() - began)
            joined, cpu, began = statements.count(READ), server.cpu(), time.monotonic()
            _insert(cursor, count, clients, hits)
            result = load.result()
            used = (server.cpu() - cpu) / (time.monotonic() - began)
            queries = statements.count(READ) - joined
    changed = result["events"] / clients if alike else result["events"]
    return {
        "queries/change": queries / count,
        "ranges hit/change": changed / count,
        "queries/range hit": queries / max(1.0, changed),
        "p50 ms": result["p50"],
        "p99 ms": result["p99"],
        "server busy": used,
        "server busy, nothing changing": idle,
        "queries, nothing changing": joined - begun,
        "missing": result["missing"],
        "generator busy": result["busy"],
    }


def _fill(cursor: Cursor, clients: int, hits: int) -> None:
    """Spread rows over all ranges, so many that each holds the same number, however many it overlaps."""
    rows = HELD * (clients + hits) // hits
    cursor.execute("TRUNCATE dated")
    cursor.execute(
        "INSERT INTO dated (at, sent, note) SELECT %s + i * %s, 0, %s FROM generate_series(0, %s) i",
        (START, STEP * hits / HELD, NOTE, rows),
    )
    cursor.execute("VACUUM ANALYZE dated")


def _insert(cursor: Cursor, count: int, clients: int, hits: int) -> None:
    """Insert rows at their pace, each in the next so many ranges, round and round."""
    due = time.monotonic()
    for number in range(count):
        place = hits - 1 + number * hits % max(1, clients - hits + 1)
        at = START + STEP * place + STEP / 3
        cursor.execute("INSERT INTO dated (at, sent, note) VALUES (%s, %s, %s)", (at, time.time(), NOTE))
        due += 1 / RATE
        time.sleep(max(0.0, due - time.monotonic()))


def _path(number: int, hits: int) -> str:
    """The rows of so many steps from step ``number`` on."""
    begin = START + STEP * number
    end = begin + STEP * hits - timedelta(milliseconds=1)
    return f"/tables/dated/rows?start={begin:%Y-%m-%dT%H:%M:%SZ}&end={end:%Y-%m-%dT%H:%M:%S}.999Z"
