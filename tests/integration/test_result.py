"""A live result outlives what happens to its reads."""

from __future__ import annotations

from contextlib import closing

import pytest
from harness.clusters import wait_until
from harness.running import Running, prepare

from sseapp.delivery.rows_stream import RowsStream
from sseapp.errors import ConnectionLostError
from sseapp.postgres import snapshot_rows


@pytest.fixture
def running(pg18, pg18_dsn):
    prepare(pg18_dsn)
    with closing(Running(pg18, pg18_dsn, threads="20")) as found:
        yield found


def test_with_its_last_subscriber_a_result_is_forgotten(running):
    results = running.runtime.results
    with (
        closing(RowsStream(running.runtime.services, "orders", [])),
        closing(RowsStream(running.runtime.services, "orders", [("limit", "1")])),
    ):
        assert len(results._results) == 2
    assert results._results == {}


@pytest.mark.timeout(30)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ConnectionLostError(), ValueError()], ids=["database", "ours"])
def test_it_is_read_again_after_a_failure(running, monkeypatch, error):
    """Its subscribers stay, and are told the rows as soon as they can be read."""
    with closing(RowsStream(running.runtime.services, "orders", [("every", "0.1")])) as rows:
        told = (data for data in rows.body() if b"event: rows" in data)
        assert b'"rows":[]' in next(told)
        read, failed = snapshot_rows.read, []

        def fail(*args):
            if not failed:
                failed.append(args)
                raise error
            return read(*args)

        monkeypatch.setattr(snapshot_rows, "read", fail)
        running.sql("INSERT INTO orders VALUES (1, 'x')")
        assert b'"rows":[{"id":1,"a":"x"}]' in next(told)
        assert failed
    wait_until(lambda: running.runtime.hub.streams == [], what="the end of what it followed")
