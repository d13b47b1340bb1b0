"""A standby of a scratch cluster, to be promoted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from harness.clusters import SETTINGS, Server, scratch

from sseapp.embedded.account import unprivileged
from sseapp.embedded.cluster import Cluster

_QUICKLY = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]


class Standby(Server):
    """A copy of ``primary`` that follows it; the primary's commits wait for it, so that a promotion loses none."""

    def __init__(self, primary: Server) -> None:
        folder = scratch()
        account = unprivileged(folder, [primary.bindir / "postgres"])
        account.own(folder)
        Cluster.__init__(self, primary.bindir, folder / "data", account, SETTINGS, folder / "log")
        self.version = primary.version
        source = ["--pgdata", self.data, "--host=127.0.0.1", f"--port={primary.port}", "--username=postgres"]
        command = account.command([primary.bindir / "pg_basebackup", *source, *_QUICKLY])
        subprocess.run(command, check=True, capture_output=True, cwd="/")

    def _pid_file(self) -> list[str]:
        # it never says that it is ready
        return [line.replace("standby", "ready") for line in super()._pid_file()]

    def promote(self) -> None:
        """Make it a primary; on return it takes writes."""
        assert self.execute("SELECT pg_promote()") == [(True,)]


@contextmanager
def standby(primary: Server) -> Iterator[Standby]:
    """A standby that has caught up, and that commits wait for from then on."""
    found = Standby(primary)
    try:
        found.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        yield found
    finally:
        found.stop()
        shutil.rmtree(found.data.parent)
