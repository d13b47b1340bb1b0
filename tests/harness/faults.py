"""The faults by name, each a function that strikes an fault_run's world and says since when all is there again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from random import Random
from typing import Self

import psutil
import psycopg2
from harness.clusters import Server
from harness.exactly_once import rig
from harness.exactly_once.checker import query
from harness.fault_run import FaultRun, ready
from harness.faults_further import FURTHER
from harness.network import Network
from harness.servers import Host
from harness.standby import standby

from sseapp.postgres import schema

SESSIONS = "FROM pg_stat_activity WHERE application_name = 'sseapp'"


class World:
    """A cluster of its own, a network to it, and two servers under load; ``settings`` are those of the servers.

    ``outage`` is how long the database stays away, in seconds.
    """

    def __init__(self, cluster: Server, seed: str, *, failover: bool = False, outage: float = 3.0, **settings: str):
        self.cluster = cluster
        self.outage = outage
        self.random = Random(seed)
        self.stack = ExitStack()
        self.stopped = ExitStack()
        self.settings = settings
        self._failover = failover
        self._seed = seed

    def __enter__(self) -> Self:
        dsn = self.cluster.dsn()
        rig.prepare(dsn)
        if self._failover:
            self.standby = self.stack.enter_context(standby(self.cluster))
            ports = f"127.0.0.1:{self.cluster.port},127.0.0.1:{self.standby.port}"
            dsn = self.served = f"postgresql://postgres@{ports}/postgres?target_session_attrs=read-write"
        else:
            self.network = self.stack.enter_context(Network(self.cluster.port))
            self.served = self.network.dsn(dsn)
        hosts = [self.start(), self.start()]
        self.fault_run = self.stack.enter_context(FaultRun(dsn, hosts, self._seed, subscribers=16, writers=4, calm=4))
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.close()
        self.stack.close()

    def start(self) -> Host:
        host = self.stack.enter_context(Host(self.served, **self.settings))
        ready(host)
        return host

    def suffer(self, fault: Fault) -> float | None:
        """Strike; what the fault before has stopped goes on first, as it may hold a lock that this one waits for."""
        self.stopped.close()
        return fault(self)

    def host(self) -> Host:
        return self.random.choice(self.fault_run.hosts)


_STOPPED_FOR = 20.0  # seconds, well beyond the servers' deadlines


def sessions_ended(world: World) -> None:
    world.cluster.execute(f"SELECT pg_terminate_backend(pid) {SESSIONS}")


def postmaster_killed(world: World) -> float:
    world.cluster.kill()
    world.cluster.again()
    return time.monotonic()


def stopped_behind_rollbacks(world: World) -> float:
    with closing(psycopg2.connect(world.cluster.dsn())) as connection, connection.cursor() as cursor:
        for _ in range(50):
            cursor.execute("SELECT pg_current_xact_id()")
            connection.rollback()
        process = psutil.Process(world.cluster.pid)
        process.send_signal(signal.SIGQUIT)
        process.wait(20)
    world.cluster.stop()
    world.cluster.again()
    return time.monotonic()


def refused(world: World) -> float:
    world.cluster.stop()
    time.sleep(world.outage)
    world.cluster.again()
    return time.monotonic()


def backends_stopped(world: World) -> float:
    """They are let go when the next fault comes, or at the end; or soon, as one may hold a lock of PostgreSQL's own.

    One was stopped while it read a page of an index, and no writer of the database moved any more.
    """
    for (pid,) in world.cluster.execute(f"SELECT pid {SESSIONS}"):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.name() == "postgres":  # the session may have ended, and its number be anyone's by now
                process.suspend()
                world.stopped.callback(_resume, process)
    release = threading.Timer(_STOPPED_FOR, world.stopped.close)
    release.daemon = True
    release.start()
    return time.monotonic()


def _resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()


def network_frozen(world: World) -> float:
    world.network.freeze()
    time.sleep(world.outage)
    world.network.mend()
    return time.monotonic()


def cable_pulled(world: World) -> float:
    world.network.cut()
    time.sleep(world.outage)
    world.network.mend()
    return time.monotonic()


def promoted(world: World) -> float:
    world.cluster.kill()
    world.standby.promote()
    return time.monotonic()


def _drop(dsn: str) -> None:
    """As somebody would by hand: in the order of the catalog, which is not the one that readers lock in."""
    while True:
        with suppress(psycopg2.errors.DeadlockDetected):
            query(dsn, "DROP SCHEMA sseapp CASCADE")
            return


def reinstalled(world: World) -> float:
    dsn = world.cluster.dsn()
    _drop(dsn)
    time.sleep(1)
    watches = "SELECT sseapp.watch('item', 'at'), sseapp.watch('entry');\nCOMMIT;"
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SET sseapp.patience = '60 s'")  # the writers leave few gaps
        cursor.execute(schema.printable().replace("COMMIT;", watches))
    return time.monotonic()


def killed_while_unlogged(world: World) -> float:
    """The crash empties the log: everybody is reset. It stays unlogged for what comes after."""
    query(world.cluster.dsn(), "SET sseapp.patience = '60 s'; SELECT sseapp.set_unlogged(true)")
    return postmaster_killed(world)


def worker_killed(world: World) -> None:
    world.host().worker.kill()


def reloaded(world: World) -> None:
    world.host().signal(signal.SIGHUP)


def rolling_restart(world: World) -> float:
    """Since the last of the old servers was told to end."""
    for at, old in enumerate(world.fault_run.hosts):
        world.fault_run.hosts[at] = world.start()
        told = time.monotonic()
        old.signal(signal.SIGTERM)
        old.wait(10)
    return told


def bulk(world: World) -> float:
    """More changes than a snapshot is worth: a reset. The rows go again: a snapshot holds no more than its limit."""
    insert = "INSERT INTO entry (item, what) SELECT 1, 'bulk' FROM generate_series(1, 30000)"
    query(world.fault_run.dsn, f"{insert}; DELETE FROM entry WHERE what = 'bulk'")
    return time.monotonic()


Fault = Callable[[World], float | None]
QUIET: dict[str, Fault] = {
    "every session ended (`pg_terminate_backend`)": sessions_ended,
    "the postmaster killed with SIGKILL": postmaster_killed,
    "an immediate stop right behind 50 rollbacks": stopped_behind_rollbacks,
    "connections refused for {outage:g} s": refused,
    "every backend stopped with SIGSTOP": backends_stopped,
    "the network silent for {outage:g} s, still acknowledging": network_frozen,
    "the network silent for {outage:g} s, a pulled cable": cable_pulled,
    "a worker killed with SIGKILL": worker_killed,
    "SIGHUP": reloaded,
    "a rolling restart of both ports": rolling_restart,
    **FURTHER,
}
"""Faults that nobody is reset for."""
RESETTING: dict[str, Fault] = {
    "the log's schema dropped, installed again": reinstalled,
    "30,000 rows inserted and deleted at once": bulk,
    "the postmaster killed with SIGKILL, the log unlogged": killed_while_unlogged,
}
PROMOTION = {"a standby promoted": promoted}
