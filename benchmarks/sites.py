"""The databases that writers are measured in: each with the same table, one a variant of what fires on it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import database
from contenders import SSEAPP, Contender, Server, all_of_them, running
from load import Load
from plan import Bench

from sseapp.postgres import schema
from sseapp.postgres.database import Connection

AS_IT_COMES = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "5min",
    "jit": "on",
}
"""PostgreSQL's defaults, which the tests' clusters do not have: what is written is durable."""

TABLE = """CREATE TABLE logged (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(),
                                amount integer NOT NULL DEFAULT 0, note text)"""
"""With ``NOTE`` a row has 200 bytes."""
NOTE = "x" * 152
_EMPTY = """
CREATE FUNCTION empty() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER empty AFTER INSERT OR UPDATE OR DELETE ON logged FOR EACH ROW EXECUTE FUNCTION empty();
"""
_NOTIFY = """
CREATE FUNCTION notify_payload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('payload', row_to_json(COALESCE(NEW, OLD))::text);
    RETURN NULL;
END $$;
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON logged FOR EACH ROW EXECUTE FUNCTION notify_payload();
"""
_NOBODY = "SELECT setval('sseapp.presence', 1), setval('sseapp.logging', sseapp.clock() + 3600000)"
_PAST = "SELECT setval('sseapp.presence', 1), setval('sseapp.logging', 1)"
_DAY = 86400.0


@dataclass(frozen=True)
class Variant:
    """What is on the table, who serves it, and what keeps the leases as they are to be."""

    trigger: str = ""
    watched: bool = False
    server: Contender | None = None
    leases: str = ""


def variants() -> dict[str, Variant]:
    """By name; what the ratios refer to is the first."""
    other = all_of_them()[1]
    return {
        "no trigger": Variant(),
        "an empty trigger": Variant(_EMPTY),
        f"NOTIFY with the row, {other.name}": Variant(_NOTIFY, server=other),
        "sseapp, one subscriber": Variant(watched=True, server=SSEAPP),
        "sseapp, nobody serves": Variant(watched=True, leases=_NOBODY),
        "sseapp, past the retention": Variant(watched=True, leases=_PAST),
    }


class Site:
    """A database with the table of one variant; where it is served, by one worker to one subscriber."""

    def __init__(self, variant: Variant, dsn: str, bindir: Path, resources: ExitStack) -> None:
        self._variant = variant
        self._dsn = dsn
        self._bindir = bindir
        with closing(Connection(dsn)) as connection:
            connection.query(TABLE + ";" + variant.trigger)
            if variant.watched:
                schema.install(connection)
                schema.watch(connection, "logged")
        self._cursor = resources.enter_context(database.cursor(dsn))
        self._server = self._serve(variant.server, resources) if variant.server else None
        self.rows = 0

    def _serve(self, contender: Contender, resources: ExitStack) -> Server:
        server = resources.enter_context(running(contender, self._dsn, core=None))
        load = resources.enter_context(Load(server, 1, core=None, events=None, seconds=_DAY))
        load.go()
        resources.callback(load.expect, 0)
        return server

    def run(self, statement: str) -> float:
        """The seconds that a statement takes, and its commit."""
        began = time.perf_counter()
        self._cursor.execute(statement)
        return time.perf_counter() - began

    def at_once(self, statement: str, transactions: int) -> float:
        """The seconds that so many transactions take in one message: the client costs nothing."""
        began = time.perf_counter()
        database.at_once(self._cursor, statement, transactions)
        return time.perf_counter() - began

    def settle(self, pause: float = 0.0) -> None:
        """Keep the leases as they are to be; wait until all that was written is served, and for so many seconds."""
        if self._variant.leases:
            self.run(self._variant.leases)
        if self._server:
            used = -1.0
            while self._server.cpu() - used > 0.02:
                used = self._server.cpu()
                # long enough to tell a server that polls from one that sleeps: it would take time from the next variant
                time.sleep(0.5)
            time.sleep(pause)

    def empty(self) -> None:
        """Remove all rows."""
        self.run("TRUNCATE logged RESTART IDENTITY")
        self.settle()

    def pgbench(self, script: str, writers: int, *length: str) -> tuple[int, float]:
        """Transactions done, and done a second; ``length`` are the options that say how many, or for how long."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "script.sql")
            path.write_text(script + ";\n")
            variables = {"n": -1, "clients": writers, "rows": self.rows}
            options = [f"-D{name}={value}" for name, value in variables.items()]
            said = subprocess.run(
                [self._bindir / "pgbench", "-n", f"-c{writers}", "-j2", *length, "-f", path, *options, self._dsn],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | {"LC_ALL": "C"},
            ).stdout
        count = re.search(r"actually processed: (\d+)", said)
        rate = re.search(r"tps = ([\d.]+)", said)
        assert count, said
        assert rate, said
        return int(count[1]), float(rate[1])


def sites(bench: Bench, version: str) -> dict[str, Site]:
    """One for each variant, in a cluster of this version that is as PostgreSQL comes."""
    server = bench.resources.enter_context(bench.database.clusters.own(version, **AS_IT_COMES))
    return {
        name: Site(variant, bench.resources.enter_context(server.database()), server.bindir, bench.resources)
        for name, variant in variants().items()
    }
