"""Many come back at once, as after a network's failure, and want what they missed."""

from __future__ import annotations

import http.client
import json
from functools import partial

import database
from contenders import SSEAPP, Server, running
from database import Statements
from load import Load
from plan import Bench, Measures, Plan

MISSED = 1000
"""Changes that each of them missed."""

READ = "AS there"
"""What marks the statement that reads what a subscriber missed (``resume`` in sseapp/sql/queries/log.sql)."""


def replay(bench: Bench) -> Plan:
    """All with the same cursor, and with ten: who asks for the same while a read is under way shares it."""
    clients = bench.scaled(10_000)
    measures: Measures = {
        name: partial(_replay, bench, clients, cursors) for name, cursors in (("one cursor", 1), ("10 cursors", 10))
    }
    title = f"Replay, {clients} clients come back at once (1,000 at a time unanswered) after {MISSED} missed changes"
    return Plan(title, measures, "one cursor")


def _replay(bench: Bench, clients: int, cursors: int) -> dict[str, float]:
    """Seconds from the first connect until the last client has everything."""
    places = {"SSEAPP_MAX_STREAMS": "15000"}
    with (
        running(SSEAPP, bench.database.told, settings=places) as server,
        database.cursor(bench.dsn) as cursor,
    ):
        asks = []
        for _ in range(cursors):
            asks.append((SSEAPP.path, _now(server)))
            # another table's change: the next cursor is another, and has missed as much
            cursor.execute("INSERT INTO dated (at) VALUES (now())")
        database.insert_at_once(cursor, SSEAPP.table, MISSED)
        _now(server)
        statements, cpu = Statements(bench.database.log), server.cpu()
        wanted = clients * MISSED
        with Load(
            server,
            clients,
            asks=asks,
            window=1000,
            events=wanted,
            together=True,
            ready=" 200 ",
            seconds=60 + clients // 50,
        ) as load:
            result = load.result()
            used, peak = server.cpu() - cpu, server.peak()
        reads = statements.count(READ)
    return {
        "seconds": result["all"],
        "events/s": result["events"] / result["all"],
        "CPU s": used,
        "CPU us/event": 1e6 * used / max(1, result["events"]),
        "reads of the log": reads,
        "peak MiB": peak / (1 << 20),
        "missing": result["missing"],
        "streams lost": result["lost"],
        "generator busy": result["busy"],
    }


def _now(server: Server) -> str:
    """The cursor of now, of those who have followed the stream up to here."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", SSEAPP.path.partition("?")[0])
    cursor: str = json.load(connection.getresponse())["cursor"]
    connection.close()
    return cursor
