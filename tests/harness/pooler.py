"""A real PgBouncer in transaction mode, its life tied to the test run's."""

from __future__ import annotations

import shutil
import socket
from contextlib import contextmanager

import pytest
from harness.clusters import scratch, wait_until

from sseapp.embedded.account import unprivileged
from sseapp.embedded.child import Child

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
"""


def _free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _answers(port):
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def pooler(server):
    """Yields what turns a DSN of ``server`` into one through PgBouncer."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("PgBouncer is not here (see README.md)")
    folder, port = scratch(), _free_port()
    account = unprivileged(folder, [])
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(_CONFIGURATION.format(server=server.port, port=port))
    tether = Child(account.command([program, configuration]), plan="INT:3", log=folder / "log")
    try:
        wait_until(lambda: _answers(port), what="PgBouncer's start")
        yield lambda dsn: dsn.replace(f":{server.port}/", f":{port}/")
    finally:
        tether.stop()
        shutil.rmtree(folder, ignore_errors=True)
