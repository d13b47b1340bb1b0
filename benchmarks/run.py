"""Run the benchmarks: ``python benchmarks/run.py [name ...] [--rounds N] [--quick]``. Prints Markdown tables.

Contenders take turns within a round, so that a noisy machine is noisy for all; a figure is the median of the rounds,
with their least and greatest, and its ratio to the first baseline's median of the same run.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from statistics import median

import database
import delivery
import matching
import writers
from contenders import Contender, all_of_them

Measured = dict[str, list[float]]
Measure = Callable[[], dict[str, float]]


def contest(measures: dict[str, Measure], rounds: int) -> dict[str, Measured]:
    """Call each measure once a round, in turns."""
    found: dict[str, Measured] = {name: defaultdict(list) for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            for what, value in measure().items():
                found[name][what].append(value)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def table(title: str, found: dict[str, Measured], baseline: str) -> None:
    """Print medians, spread and ratios."""
    columns = list(next(iter(found.values())))
    print(f"\n### {title}\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, measured in found.items():
        cells = []
        for column in columns:
            values, base = measured[column], median(found[baseline][column]) if baseline in found else 0
            ratio = f", x{median(values) / base:.2f}" if base and name != baseline else ""
            cells.append(f"{median(values):,.4g} ({min(values):,.4g} to {max(values):,.4g}{ratio})")
        print(f"| {name} | {' | '.join(cells)} |")
    sys.stdout.flush()


def main() -> None:
    """Run what was asked for."""
    names = ("latency", "burst", "idle", "writers", "bulk", "matching")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}; all if left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    scale = 0.2 if arguments.quick else 1.0
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {rounds} rounds")
    with database.scratch() as (dsn, bindir):
        for name in arguments.names or names:
            measures, title, baseline = plan(name, dsn, str(bindir), scale)
            table(title, contest(measures, rounds), baseline)


def plan(name: str, dsn: str, bindir: str, scale: float) -> tuple[dict[str, Measure], str, str]:
    """What to measure under ``name``, its title, and the baseline's name."""
    servers: list[Contender] = all_of_them() if name in {"latency", "burst", "idle"} else []
    first = servers[1].name if len(servers) > 1 else ""
    clients = round(1000 * scale)
    if name == "latency":
        title = f"Latency, {clients} clients, 20 single-row transactions a second"
        return {s.name: partial(delivery.latency, s, dsn, clients=clients) for s in servers}, title, first
    if name == "burst":
        title = f"Burst, {clients} clients, {round(2000 * scale)} transactions at once"
        count = round(2000 * scale)
        return (
            {s.name: partial(delivery.burst, s, dsn, clients=clients, transactions=count) for s in servers},
            title,
            first,
        )
    if name == "idle":
        many = round(9000 * scale)
        return {s.name: partial(delivery.idle, s, dsn, clients=many) for s in servers}, f"Idle, {many} clients", first
    if name == "writers":
        return writers.single(dsn, bindir, seconds=5 * scale), "Single-row inserts a second", "no trigger"
    if name == "bulk":
        return writers.bulk(dsn, rows=round(100_000 * scale)), "100,000 rows in one statement, seconds", "no trigger"
    if name == "matching":
        return matching.measures(scale), "Matching one change against distinct ranges", "100 ranges"
    sys.exit(f"There is no benchmark {name}.")


if __name__ == "__main__":
    main()
