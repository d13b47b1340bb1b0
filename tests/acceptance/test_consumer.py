"""A consumer in two processes that are killed at random: each change has its effect once, in order.

``CONSUMER_KILLS=50 CONSUMER_CHANGES=20000`` in the environment make the long run.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from random import Random

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.consumers import Commands, Workers, Writer, judge, prepare
from harness.sse import Stream, ask

KILLS = int(os.environ.get("CONSUMER_KILLS", "10"))
CHANGES = int(os.environ.get("CONSUMER_CHANGES", "3000"))
WRITERS = 4


def _counted(dsn, query):
    with closing(psycopg2.connect(dsn)) as session, session.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


@pytest.mark.timeout(60 + 10 * KILLS)
@pytest.mark.parametrize(
    "processes",
    [
        pytest.param(Commands, marks=pytest.mark.slow, id="commands"),
        pytest.param(lambda dsn: Commands(dsn, "--batch", "20"), marks=pytest.mark.slow, id="batches"),
        pytest.param(Workers, id="workers"),
    ],
)
def test_each_change_has_its_effect_once_though_processes_are_killed(pg18_dsn, processes, capsys):
    random = Random(seed := os.environ.get("CONSUMER_SEED") or str(Random().random()))
    prepare(pg18_dsn)
    with closing(processes(pg18_dsn)) as running:
        wait_until(lambda: _counted(pg18_dsn, "SELECT count(*) FROM sseapp.consumer"), 20, "the consumer")
        writers = [Writer(pg18_dsn, CHANGES // WRITERS, f"{seed} {at}") for at in range(WRITERS)]
        for writer in writers:
            writer.start()
        reached = 0
        for _ in range(KILLS):
            # whatever it is doing then: its next effect has just been committed, or some more
            reached += random.randrange(1, max(2, CHANGES // KILLS // 2))
            wait_until(lambda: _counted(pg18_dsn, "SELECT count(*) FROM effect") >= reached, 60, f"{reached} effects")  # noqa: B023
            running.kill(random)
            reached = _counted(pg18_dsn, "SELECT count(*) FROM effect")
        for writer in writers:
            writer.join(60)
            assert not writer.error, writer.error
        written = _counted(pg18_dsn, "SELECT count(*) FROM written")
        wait_until(lambda: _counted(pg18_dsn, "SELECT count(*) FROM effect") >= written, 60, f"{written} effects")
        with capsys.disabled():
            print(f"\nseed {seed}: {judge(pg18_dsn)} changes, {KILLS} kills")  # noqa: T201  # for a run that fails later
        assert written >= CHANGES
        assert "Traceback" not in running.log, running.log


SLOW = """
import time

def note(change, connection):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO effect (kind) VALUES ('slow'); SELECT pg_sleep(3)")
    time.sleep(3)
"""


def test_a_slow_function_does_not_stop_the_streams(pg18_dsn, capsys):
    """It blocks for 3 s in the database and 3 s in Python; the stream in the same worker goes on."""
    prepare(pg18_dsn)
    with (
        closing(Workers(pg18_dsn, SLOW, workers=1)) as running,
        closing(psycopg2.connect(pg18_dsn)) as session,
        session.cursor() as cursor,
        Stream(running.address, "/tables/other/changes") as stream,
    ):
        session.autocommit = True
        assert stream.event().name == "snapshot"
        wait_until(lambda: _counted(pg18_dsn, "SELECT count(*) FROM sseapp.consumer"), 20, "the consumer")
        cursor.execute("UPDATE item SET n = 1 WHERE id = 1")
        wait_until(
            lambda: _counted(
                pg18_dsn,
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%3)' AND pid <> pg_backend_pid()",
            ),
            what="a call of the function",
        )
        waits = []
        while _counted(pg18_dsn, "SELECT count(*) FROM effect") < 1:
            begin = time.monotonic()
            cursor.execute("INSERT INTO other DEFAULT VALUES")
            stream.event("insert")
            waits.append(time.monotonic() - begin)
        metrics = ask(running.address, "/metrics").body.decode()
    waits.sort()
    with capsys.disabled():
        print(f"\n{len(waits)} events, median {waits[len(waits) // 2]:.4f} s, longest {waits[-1]:.3f} s")  # noqa: T201
    assert waits[-1] < 2
    assert 'sseapp_consumer_running{consumer="copy"} 1.0' in metrics
    assert 'sseapp_consumer_failing{consumer="copy"} 0.0' in metrics
    assert 'sseapp_consumer_lag_seconds{consumer="copy"} ' in metrics
