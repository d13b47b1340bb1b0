"""From a commit to a thousand clients: latency, CPU, bursts; the memory of an idle one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import database
from contenders import SSEAPP, Contender, all_of_them, running
from database import NOTE
from load import Load
from plan import Bench, Measures, Plan

RATE = 20
"""Single-row transactions a second."""


def latency(bench: Bench) -> Plan:
    """One worker on a core of its own, against the others."""
    clients = bench.scaled(1000)
    title = f"Latency, {clients} clients, {RATE} single-row transactions a second"
    return _against(title, {s.name: partial(_latency, bench, s, clients) for s in all_of_them()})


def workers(bench: Bench) -> Plan:
    """More workers on the same machine: what they cost together, and what that is good for."""
    clients = bench.scaled(1000)
    measures: Measures = {
        f"{count} worker{'s' * (count > 1)}": partial(_latency, bench, SSEAPP, clients, workers=count, core=None)
        for count in (1, 2, 4)
    }
    title = (
        f"Workers, {clients} clients, {RATE} single-row transactions a second "
        "(on 2 cores in all; PostgreSQL and the generator have one, the workers whatever is left of both)"
    )
    return Plan(title, measures, "1 worker")


def quiet(bench: Bench) -> Plan:
    """What the pace adds where it has nothing to do."""
    return _paced(bench, rate=4, count=bench.scaled(100))


def busy(bench: Bench) -> Plan:
    """What it adds where one writer alone is enough to put the bell off: the way there is part of it."""
    return _paced(bench, rate=300, count=bench.scaled(1500))


def _paced(bench: Bench, *, rate: int, count: int) -> Plan:
    """Against triggers that ring without a look at the lease."""
    measure = partial(_latency, bench, SSEAPP, 1, rate=rate, count=count)
    always = "the bell always"
    title = f"Latency, 1 client, {rate} single-row transactions a second, {count} of them"
    return Plan(title, {always: partial(_always_ringing, bench, measure), "the pace": measure}, always)


def burst(bench: Bench) -> Plan:
    """Delivered events a second while single-row transactions come as fast as one writer can."""
    clients, count = bench.scaled(1000), bench.scaled(2000)
    title = f"Burst, {clients} clients, {count} transactions at once"
    return _against(title, {s.name: partial(_burst, bench, s, clients, count) for s in all_of_them()})


def idle(bench: Bench) -> Plan:
    """Memory that an idle connection costs."""
    clients = bench.scaled(10_000)
    title = f"Idle, {clients} clients"
    return _against(title, {s.name: partial(_idle, bench, s, clients) for s in all_of_them()})


def _against(title: str, measures: Measures) -> Plan:
    """Ratios to the first baseline, where there is one."""
    return Plan(title, measures, [*measures, ""][1])


def _latency(
    bench: Bench,
    contender: Contender,
    clients: int,
    *,
    workers: int = 1,
    core: int | None = 0,
    rate: int = RATE,
    count: int = 0,
) -> dict[str, float]:
    """Milliseconds from before the INSERT to the client; CPU an event, of all workers."""
    count = count or round(RATE * (8 if bench.scale == 1 else 3))
    with (
        running(contender, bench.dsn, workers=workers, core=core) as server,
        database.cursor(bench.dsn) as cursor,
    ):
        before = server.descriptors()
        with Load(server, clients, events=count * clients, timed=True) as load:
            load.go()
            time.sleep(0.5)
            held = [now - then for now, then in zip(server.descriptors(), before, strict=True)]
            cpu, due = server.cpu(), time.monotonic()
            for _ in range(count):
                cursor.execute(f"INSERT INTO {contender.table} (sent, note) VALUES (%s, %s)", (time.time(), NOTE))
                due += 1 / rate
                time.sleep(max(0.0, due - time.monotonic()))
            result = load.result()
            used = server.cpu() - cpu
    return {
        "p50 ms": result["p50"],
        "p99 ms": result["p99"],
        "CPU us/event": 1e6 * used / max(1, result["events"]),
        "missing": result["missing"],
        "generator busy": result["busy"],
    } | ({} if core is not None else {"% of streams in fullest": 100 * max(held) / max(1, sum(held))})


def _always_ringing(bench: Bench, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    with database.cursor(bench.dsn) as cursor:
        cursor.execute("SELECT pg_get_functiondef('sseapp.is_quiet()'::regprocedure)")
        ((definition,),) = cursor.fetchall()
        cursor.execute("CREATE OR REPLACE FUNCTION sseapp.is_quiet() RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        try:
            return measure()
        finally:
            cursor.execute(definition)


def _burst(bench: Bench, contender: Contender, clients: int, transactions: int) -> dict[str, float]:
    with (
        running(contender, bench.dsn) as server,
        database.cursor(bench.dsn) as cursor,
        Load(server, clients, events=transactions * clients) as load,
    ):
        load.go()
        time.sleep(0.5)
        cpu = server.cpu()
        database.insert_at_once(cursor, contender.table, transactions)
        result = load.result()
        used = server.cpu() - cpu
    return {
        "events/s": result["events"] / max(1e-9, result["seconds"]),
        "CPU us/event": 1e6 * used / max(1, result["events"]),
        "missing": result["missing"],
        "generator busy": result["busy"],
    }


_ROOM = {"SSEAPP_MAX_STREAMS": "15000"}  # those that warm it up may not have been noticed to be gone


def _idle(bench: Bench, contender: Contender, clients: int) -> dict[str, float]:
    with running(contender, bench.dsn, settings=_ROOM) as server:
        with Load(server, 50):
            pass
        time.sleep(1)
        before = server.memory()
        with Load(server, clients):
            time.sleep(2)
            grown = server.memory() - before
    return {"KiB/connection": grown / clients / 1024}
