"""However a worker of gunicorn ends, its streams say bye first: clients come back at once, and not all together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from harness.clusters import wait_until
from harness.servers import ROOT
from harness.site import site as serve_site

KINDS = ["gevent", "gthread"]


def _says_bye(stream):
    return [block.name for block in stream.rest() if block.fires][-1:] == ["bye"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_has_answered_its_most_requests(pg18, kind):
    with serve_site(pg18, kind, options=("--max-requests", "20")) as site:
        table = site.table(rows="(1, 'x')")
        with site.follow(table) as changes, site.follow(table, "rows") as rows:
            changes.event("snapshot")
            rows.event("rows")
            worker = site.host.worker.pid
            for _ in range(20):
                site.get("/healthz")
            assert _says_bye(changes)
            assert _says_bye(rows)
        wait_until(lambda: site.host.worker.pid != worker, 15, "the next worker")
        assert "timeout" not in site.host.log


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_ctrl_c(pg18, kind, number):
    """A terminal sends it to gunicorn and its workers alike."""
    with serve_site(pg18, kind) as site:
        table = site.table(rows="(1, 'x')")
        with site.follow(table) as changes, site.follow(table, "rows") as rows:
            changes.event("snapshot")
            rows.event("rows")
            worker, master = site.host.worker, site.host.master
            for process in (worker, master):
                process.send_signal(number)
            assert _says_bye(changes)
            assert _says_bye(rows)
        site.host.wait(5)


def _address(**variables):
    program = "from sseapp import gunicorn; print(gunicorn.bind)"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SSEAPP_") and name != "PORT"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ | variables, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip()


def test_the_port_that_a_platform_gives():
    assert _address() == "127.0.0.1:8000"
    assert _address(PORT="8364") == "127.0.0.1:8364"
    assert _address(PORT="8364", SSEAPP_HOSTS="tables.example") == "0.0.0.0:8364"
    assert _address(PORT="8364", SSEAPP_BIND="127.0.0.1:9") == "127.0.0.1:9"
    assert _address(SSEAPP_HOSTS="tables.example") == "127.0.0.1:8000"
    assert _address(PORT="http") == "PORT='http' is not valid: use a whole number of at least 1."
