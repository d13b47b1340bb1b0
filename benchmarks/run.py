"""Run the benchmarks: ``python benchmarks/run.py [name ...] [--rounds N] [--quick]``. Prints Markdown tables.

Contenders take turns within a round, so that a noisy machine is noisy for all; a figure is the median of the rounds,
with their least and greatest, and its ratio to the median of the baseline, which the title's line names, of the same
run.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from statistics import median

import connect
import database
import delivery
import live
import matching
import replay
import writers
from plan import Bench, Measures, Plan

Measured = dict[str, list[float]]

COLUMNS = 3
"""A table has no more: a line of Markdown is to be read."""

PLANS: dict[str, Callable[[Bench], Plan]] = {
    "latency": delivery.latency,
    "quiet": delivery.quiet,
    "busy": delivery.busy,
    "burst": delivery.burst,
    "idle": delivery.idle,
    "connect": connect.connect,
    "workers": delivery.workers,
    "replay": replay.replay,
    "live": live.live,
    "writers-15": partial(writers.writers, version="pg15"),
    "writers-18": partial(writers.writers, version="pg18"),
    "matching": matching.matching,
}


def contest(steps: Sequence[Measures], rounds: int) -> dict[str, Measured]:
    """Call each measure of each step once a round, in turns."""
    found: dict[str, Measured] = {name: defaultdict(list) for name in steps[0]}
    for _ in range(rounds):
        for name, measure in chain.from_iterable(step.items() for step in steps):
            for what, value in measure().items():
                found[name][what].append(value)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def table(plan: Plan, found: dict[str, Measured]) -> None:
    """Print medians, spread and ratios."""
    columns = list(dict.fromkeys(column for measured in found.values() for column in measured))
    ratios = f"ratios to: {plan.baseline}" if plan.baseline in found else "no ratios"
    print(f"\n### {plan.title}; {ratios}")
    for first in range(0, len(columns), COLUMNS):
        shown = columns[first : first + COLUMNS]
        print(f"\n| | {' | '.join(shown)} |\n|---|{'---|' * len(shown)}")
        for name, measured in found.items():
            base = found.get(plan.baseline, {}) if name != plan.baseline else {}
            print(f"| {name} | {' | '.join(cell(measured.get(each), base.get(each)) for each in shown)} |")
    sys.stdout.flush()


def cell(values: list[float] | None, base: list[float] | None) -> str:
    """The median of ``values``, their least and greatest, and the ratio to the median of ``base``."""
    if not values:
        return ""
    ratio = f", x{median(values) / median(base):.2f}" if base and median(base) else ""
    return f"{median(values):,.4g} ({min(values):,.4g} to {max(values):,.4g}{ratio})"


def main() -> None:
    """Run what was asked for."""
    # so that what was started is ended, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PLANS)}; all if left out")
    parser.add_argument("--rounds", type=int, help="5, or 1 of the quick form")
    parser.add_argument(
        "--quick", action="store_true", help="a short form, to see that it works; writers-15 takes 3 minutes"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - PLANS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(PLANS)}")
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    with database.scratch() as scratch:
        for name in arguments.names or PLANS:
            began, load = time.monotonic(), os.getloadavg()[0]
            bench = Bench(scratch, 0.2 if arguments.quick else 1.0)
            with bench.resources:
                plan = PLANS[name](bench)
                table(plan, contest([plan.measures, *plan.further], rounds))
            seconds = time.monotonic() - began
            print(f"\n{machine}; {rounds} rounds, {seconds:.0f} s; the machine's load before: {load:.1f}")


if __name__ == "__main__":
    main()
