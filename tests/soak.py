"""Strike servers under load with faults, judge what every client was told, and print a table.

``python tests/soak.py --minutes 30`` does so in random order, a round of a few faults on a new cluster after the other;
``--each 5`` strikes with one fault after the other, five times each. A round's seed is printed with it.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

import psycopg2

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from harness.clock import timed  # noqa: E402
from harness.clusters import Clusters, sweep  # noqa: E402
from harness.exactly_once.rig import Report  # noqa: E402  # the path comes first
from harness.faults import PROMOTION, QUIET, RESETTING, Fault, World  # noqa: E402
from harness.faults_further import CLOCK  # noqa: E402

FAULTS = QUIET | RESETTING | PROMOTION
ROUND = 5
DEFAULTS = {"heartbeat": "1s", "retry": "500ms"}


@dataclass
class Tally:
    """What came of one fault's strikes, and of the rounds that they were in."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    duplicated: int = 0


class Soak:
    """All rounds; ``outage`` in seconds."""

    def __init__(self, seed: str, outage: float) -> None:
        self.seed = seed
        self.outage = outage
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.sums: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.broken: list[str] = []

    def round(self, clusters: Clusters, names: list[str]) -> None:
        """Strike with the faults ``names`` on a new cluster, then judge; one that breaks off is told at the end."""
        seed = f"{self.seed}.{self.sums['rounds'] + len(self.broken)}"
        try:
            self._round(clusters, names, seed)
        except (AssertionError, psycopg2.Error) as error:
            say(f"seed {seed} broke off: {error}")
            self.broken.append(f"{seed}: {error}")

    def _round(self, clusters: Clusters, names: list[str], seed: str) -> None:
        # a client whose line breaks between the reset and the snapshot hears the reset again
        resets = 1000 if any(name in RESETTING or name in PROMOTION for name in names) else 0
        lazy = {"wal_writer_delay": "10s"}
        with (
            timed(**lazy) if CLOCK in names else clusters.own(**lazy) as cluster,
            World(cluster, seed, failover=names[0] in PROMOTION, outage=self.outage, **DEFAULTS) as world,
        ):
            for name in names:
                self._strike(world, name, FAULTS[name])
            report = world.fault_run.finish(resets=resets)
        self._count(names, report)

    def _strike(self, world: World, name: str, fault: Fault) -> None:
        time.sleep(world.random.uniform(0.5, 2.0))
        seconds = world.fault_run.strike(lambda: world.suffer(fault), 60.0)
        self.tallies[name].seconds.append(seconds)
        say(f"  {seconds:6.2f} s  {self.named(name)}")

    def _count(self, names: list[str], report: Report) -> None:
        say(str(report))
        self.sums += Counter(
            rounds=1,
            transactions=report.transactions,
            changes=report.changes,
            events=report.events,
            connections=report.connections,
            cuts=report.cuts.total(),
            lost=report.verdict.lost,
            duplicated=report.verdict.duplicated,
            disordered=report.verdict.disordered,
        )
        self.wrong += report.verdict.faults
        for name in set(names):
            self.tallies[name].lost += report.verdict.lost
            self.tallies[name].duplicated += report.verdict.duplicated

    def named(self, name: str) -> str:
        return name.format(outage=self.outage)

    def table(self) -> str:
        lines = [
            "| fault | times | live again after, median | worst | lost | duplicated |",
            "|---|---|---|---|---|---|",
        ]
        for name in FAULTS:
            if tally := self.tallies.get(name):
                found = tally.seconds
                cells = [len(found), f"{median(found):.1f} s", f"{max(found):.1f} s", tally.lost, tally.duplicated]
                lines.append(f"| {self.named(name)} | {' | '.join(map(str, cells))} |")
        sums = self.sums
        lines.append(
            f"\n{sums['rounds']} rounds, seed `{self.seed}`: {sums['transactions']:,} transactions with"
            f" {sums['changes']:,} changes; {sums['events']:,} events on {sums['connections']:,} connections, of which"
            f" {sums['cuts']:,} were cut at a random byte; lost {sums['lost']}, duplicated {sums['duplicated']},"
            f" out of order {sums['disordered']}."
        )
        return "\n".join(lines)


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def drawn(random: Random) -> list[str]:
    """The faults of a round, in random order; a promotion has one of its own."""
    if random.random() < 1 / 8:
        return list(PROMOTION)
    return random.sample(list(QUIET | RESETTING), ROUND)


def main() -> None:
    """Run, print the table, and fail if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to go on, to the end of a round")
    parser.add_argument("--each", type=int, default=0, help="strike so often with each fault instead")
    parser.add_argument("--only", default="", help="with --each: the faults whose names hold this")
    parser.add_argument("--outage", type=float, default=3.0, help="how long an outage lasts, in seconds")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    options = parser.parse_args()
    sweep()
    clusters = Clusters()
    soak = Soak(options.seed, options.outage)
    say(f"seed {soak.seed}")
    try:
        if options.each:
            for name in (name for name in FAULTS if options.only in name):
                # a cluster can be promoted once
                many = name not in PROMOTION
                for _ in range(1 if many else options.each):
                    soak.round(clusters, [name] * (options.each if many else 1))
        else:
            end = time.monotonic() + 60 * options.minutes
            random = Random(options.seed)
            while time.monotonic() < end:
                soak.round(clusters, drawn(random))
    finally:
        clusters.close()
        sys.stdout.write(soak.table() + "\n")
    if soak.wrong or soak.broken:
        sys.exit("\n".join([*soak.broken, *soak.wrong[:5]]))


if __name__ == "__main__":
    main()
