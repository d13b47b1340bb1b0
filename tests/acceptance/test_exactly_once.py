"""Every change arrives once and in order, however lines break: a random run with real servers.

A failure prints the seed; ``RIG_SEED=<seed>`` in the environment draws the same again.
"""

from __future__ import annotations

import pytest
from harness.clusters import wait_until
from harness.exactly_once import rig
from harness.servers import Host
from harness.sse import ask

# small pieces and rings: batches that take several reads, clients that are too slow for their ring
SETTINGS = {"pg15": {"batch": "20", "ring": "32k"}, "pg18": {}}
ENOUGH = {"pg15": {"transactions": 150, "cuts": 100}, "pg18": {"transactions": 500, "cuts": 250}}
SHORT = {"transactions": 60, "cuts": 40}


@pytest.mark.timeout(180)
def test_every_change_is_told_once_and_in_order(server, dsn, capsys):
    rig.prepare(dsn)
    with Host(dsn, workers="2", heartbeat="500ms", **SETTINGS.get(server.version, {})) as host:
        wait_until(lambda: ask(host.address, "/readyz").status == 200, 30, "the listener")
        with rig.Rig(dsn, lambda: [host.address[1]], rig.seed()) as running:
            running.work(**ENOUGH.get(server.version, SHORT))
            report = running.finish()
        with capsys.disabled():
            print(f"\n{server.version}: {report}")  # noqa: T201  # the seed of a run that fails later must be known
        report.check()
        assert "Traceback" not in host.log, host.log
