"""Further faults of the soak: clocks that are stepped, disks that are full, one server that is cut off."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack

from harness.clock import HOUR, Clock, library
from harness.disks import disk, put_log
from harness.network import Network
from harness.servers import Host

CLOCK = "the database's clock stepped ahead by 5 min, back by an hour"


def clock_stepped(world) -> float:
    """A little ahead, as what is older than the retention by then is pruned and resets who is behind; then far back."""
    clock: Clock = world.cluster.clock
    for step in (HOUR // 12, -HOUR, 0):
        clock.step(step)
        time.sleep(world.outage / 3)
    return time.monotonic()


def log_full(world) -> float:
    """The log moves to a small disk, which is full for a while, and back."""
    cluster = world.cluster
    with ExitStack() as stack:
        small = stack.enter_context(disk(64))
        put_log(cluster, small)
        stack.callback(_drop_tablespace, cluster)
        small.fill()
        time.sleep(world.outage)
        small.empty()
        ended = time.monotonic()
        time.sleep(1)
    return ended


def _drop_tablespace(cluster) -> None:
    for kind in ("TABLE", "INDEX"):
        cluster.execute(f"SET lock_timeout = '10s'; ALTER {kind} ALL IN TABLESPACE small SET TABLESPACE pg_default")
    cluster.execute("DROP TABLESPACE small")


def server_cut_off(world) -> float:
    """A third server, on a line of its own, which ends for a while. The server goes when the next fault comes."""
    gate = world.stopped.enter_context(Network(world.cluster.port))
    host = world.stopped.enter_context(Host(gate.dsn(world.cluster.dsn()), **world.settings))
    world.stopped.callback(world.fault_run.hosts.remove, host)
    world.fault_run.hosts.append(host)
    time.sleep(1)
    gate.cut()
    time.sleep(world.outage)
    gate.mend()
    return time.monotonic()


FURTHER: dict[str, Callable[..., float]] = {"one of three servers cut off for {outage:g} s": server_cut_off}
"""Those that this machine allows."""
if library():
    FURTHER[CLOCK] = clock_stepped
if os.geteuid() == 0:
    FURTHER["the disk of the log full for {outage:g} s"] = log_full
