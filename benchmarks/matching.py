"""Which of many filters does a row match: the cost a change, by the number of distinct ranges."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from plan import Bench, Measures, Plan  # puts the project on the path, too

from sseapp.query.filter_index import FilterIndex
from sseapp.query.query import parse
from sseapp.tables.table import Column, Table

TABLE = Table(
    1, 1, "public", "t", ("id",), "at", (Column("id", "bigint", "int8"), Column("at", "timestamptz", "timestamptz")), 0
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def matching(bench: Bench) -> Plan:
    """A measure for each number of ranges."""
    counts = [10, 100, 1_000, 10_000, bench.scaled(100_000)]
    measures: Measures = {f"{count} ranges": partial(_measure, count) for count in counts}
    return Plan("Matching one change against distinct ranges", measures, "100 ranges")


def _measure(count: int) -> dict[str, float]:
    """Microseconds a match and an added filter cost; each row lies in about two ranges, however many there are."""
    random.seed(count)
    index: FilterIndex[int] = FilterIndex()
    filters = []
    for number in range(count):
        begin = START + timedelta(seconds=number * 10)
        bounds = [("start", begin.isoformat()), ("end", (begin + timedelta(seconds=19.9)).isoformat())]
        filters.append(parse(TABLE, bounds).filter)
    began = time.perf_counter()
    for number, filter_ in enumerate(filters):
        index.add(filter_, number)
    added = time.perf_counter() - began
    rows = [
        {"id": "1", "at": f'"{(START + timedelta(seconds=random.random() * count * 10)).isoformat()}"'}
        for _ in range(2000)
    ]
    list(index.matching(rows[0]))
    began = time.perf_counter()
    found = sum(len(list(index.matching(row))) for row in rows)
    took = time.perf_counter() - began
    return {"us/match": 1e6 * took / len(rows), "matches/row": found / len(rows), "us/add": 1e6 * added / count}
