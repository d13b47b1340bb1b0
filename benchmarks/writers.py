"""What watching costs those who write: the same table without a trigger, watched, and with others' triggers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from plan import Bench, Plan
from sites import NOTE, Site, sites

WRITERS = (1, 4, 16)
ROWS = 100_000
BURST = 2000
SECONDS = 3
# each client goes over the table in steps, so that no two of them write to a row
_NEXT = "\\set n :n + 1\n\\set id (:n * :clients + :client_id) % :rows + 1\n"
INSERT = f"INSERT INTO logged (note) VALUES ('{NOTE}')"
UPDATE = f"{_NEXT}UPDATE logged SET amount = amount + 1 WHERE id = :id"
DELETE = f"{_NEXT}DELETE FROM logged WHERE id = :id"


def writers(bench: Bench, version: str) -> Plan:
    """Rates of one row a transaction by 1, 4 and 16 writers; the time of many rows in a statement; of a burst."""
    places = sites(bench, version)
    seconds, burst = bench.scaled(SECONDS), bench.scaled(BURST)
    cells: list[Callable[[Site], dict[str, float]]] = [
        *_single(seconds),
        partial(_bulk, rows=bench.scaled(ROWS)),
        partial(_burst, count=burst),
    ]
    steps = [{name: partial(_alone, cell, site) for name, site in places.items()} for cell in cells]
    title = (
        f"PostgreSQL {version.removeprefix('pg')}, durable, both cores for all: transactions of one row a second, "
        f"{seconds} s each; seconds for {bench.scaled(ROWS)} rows, and for {burst} transactions of one client"
    )
    return Plan(title, steps[0], next(iter(places)), steps[1:])


def _alone(cell: Callable[[Site], dict[str, float]], site: Site) -> dict[str, float]:
    """Take a measure, and let the site's server end its work before the next site's is taken."""
    found = cell(site)
    site.settle()
    return found


def _single(seconds: int) -> Iterator[Callable[[Site], dict[str, float]]]:
    """The measures of one row a transaction; those of a number of writers work on the same rows."""
    for count in WRITERS:
        who = f"{count} writer{'s' * (count > 1)}"
        yield partial(_inserts, who=who, count=count, seconds=seconds)
        yield partial(_updates, who=who, count=count, seconds=seconds)
        yield partial(_deletes, who=who, count=count)


def _inserts(site: Site, *, who: str, count: int, seconds: int) -> dict[str, float]:
    site.empty()
    site.rows, rate = site.pgbench(INSERT, count, f"-T{seconds}")
    return {f"INSERT, {who}": rate}


def _updates(site: Site, *, who: str, count: int, seconds: int) -> dict[str, float]:
    return {f"UPDATE, {who}": site.pgbench(UPDATE, count, f"-T{seconds}")[1]}


def _deletes(site: Site, *, who: str, count: int) -> dict[str, float]:
    return {f"DELETE, {who}": site.pgbench(DELETE, count, f"-t{site.rows // count}")[1]}


def _bulk(site: Site, *, rows: int) -> dict[str, float]:
    statements = {
        "INSERT, s": f"INSERT INTO logged (note) SELECT '{NOTE}' FROM generate_series(1, {rows})",
        "UPDATE, s": "UPDATE logged SET amount = amount + 1",
        "DELETE, s": "DELETE FROM logged",
    }
    site.empty()
    found = {}
    for name, statement in statements.items():
        found[name] = site.run(statement)
        site.settle()
    return found


def _burst(site: Site, *, count: int) -> dict[str, float]:
    """By one client on a table that has been quiet: one transaction after the other, and all in one message."""
    site.empty()
    site.settle(2)
    one_by_one = count / site.pgbench(INSERT, 1, f"-t{count}")[1]
    site.settle(2)
    return {"burst, s": one_by_one, "burst in one message, s": site.at_once(INSERT, count)}
