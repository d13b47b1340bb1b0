"""PostgreSQL's own benchmark as the writer: each transaction is one update of an account and one line of history.

``PGBENCH_SECONDS`` in the environment says how long it runs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from random import Random

import pytest
from harness.clusters import wait_until
from harness.exactly_once.checker import query
from harness.exactly_once.followers import Followers
from harness.exactly_once.proxy import Line, faults
from harness.exactly_once.queries import Query
from harness.exactly_once.subscriber import Subscriber
from harness.servers import Host

from sseapp.postgres import schema
from sseapp.postgres.database import Connection

SECONDS = os.environ.get("PGBENCH_SECONDS", "8")
ACCOUNTS = 500_000
NEAR = 10_000
_PROCESSED = re.compile(r"number of transactions actually processed: (\d+)")

accounts = Query("pgbench_accounts", "aid", query="snapshot=no", snapshot=False)
near_accounts = Query("pgbench_accounts", "aid", query=f"aid=lte.{NEAR}&columns=abalance", columns=("aid", "abalance"))
history = Query("pgbench_history", "mtime", query="start=2020-01-01")


@pytest.fixture
def dsn(pg18, pg18_dsn):
    """A database that pgbench filled, its tables watched."""
    subprocess.run([pg18.bindir / "pgbench", "-i", "-s", "5", "-q", pg18_dsn], check=True, capture_output=True)
    connection = Connection(pg18_dsn)
    schema.install(connection)
    schema.watch(connection, "pgbench_accounts")
    schema.watch(connection, "pgbench_history", range_column="mtime")
    connection.close()
    return pg18_dsn


def pgbench(pg18, dsn):
    """Run pgbench; return how many transactions it reports."""
    run = subprocess.run(
        [pg18.bindir / "pgbench", "-c", "4", "-T", SECONDS, dsn], check=True, capture_output=True, text=True
    )
    return int(_PROCESSED.search(run.stdout)[1])


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_every_transaction_of_pgbench_is_told_once(pg18, dsn, capsys):
    with Host(dsn, workers="2", heartbeat="500ms") as host, Followers() as followers:

        def follow(query, draw=lambda: None):
            line = Line(lambda: host.address[1], draw)
            return Subscriber(query.target, query, line, Random(1))

        calm = follow(accounts), follow(history), follow(near_accounts)
        broken = follow(accounts, faults(Random(2))), follow(history, faults(Random(3)))
        followers.join([*calm, *broken])
        wait_until(lambda: all(subscriber.spans for subscriber in (*calm, *broken)), 30, "the first positions")
        made = pgbench(pg18, dsn)
        wait_until(lambda: calm[1].events > made, 60, "the history's lines and the truncate that comes before")
        followers.settle(dsn)
    for subscriber in (*calm, *broken):
        assert subscriber.at_rest, subscriber.last
        assert subscriber.reasons == [], subscriber.last  # a long snapshot that is cut begins again
    for each in (calm[0], broken[0]):
        check_accounts(each, dsn, made)
    for each in (calm[1], broken[1]):
        check_history(each, dsn, made)
    check_near_accounts(calm[2], dsn)
    # what one transaction did is told under its number on both
    changed = {one.xid for one in calm[0].spans[0].told}
    written = {one.xid: one.row for one in calm[1].spans[0].told if one.name == "insert"}
    assert changed == {xid for xid, row in written.items() if row["delta"]}
    cuts = [len(each.line.made) for each in broken]
    assert min(cuts) > 3
    with capsys.disabled():
        print(f"\npgbench: {made} transactions, each told once; lines broken {cuts} times")  # noqa: T201  # figures


def check_accounts(subscriber, dsn, made):
    """Each update begins where the one before it ended, up to what is there now."""
    rows = {}
    for one in subscriber.spans[-1].told:
        assert one.name == "update", one
        assert one.old["abalance"] == rows.get(one.key, {"abalance": 0})["abalance"], one
        rows[one.key] = one.row
    # an update by nothing is no change
    ((idle,),) = query(dsn, "SELECT count(*) FROM pgbench_history WHERE delta = 0")
    assert len(subscriber.spans[-1].told) == made - idle
    found = query(dsn, "SELECT row_to_json(a)::text FROM pgbench_accounts a WHERE abalance <> 0")
    assert {key: row for key, row in rows.items() if row["abalance"]} == {
        row["aid"]: row for (text,) in found for row in [json.loads(text)]
    }
    assert query(dsn, "SELECT count(*), min(aid), max(aid) FROM pgbench_accounts") == [(ACCOUNTS, 1, ACCOUNTS)]


def check_history(subscriber, dsn, made):
    """The table was emptied once, then got a line for each transaction; lines may be equal."""
    first, *told = subscriber.spans[-1].told
    assert first.name == "truncate", first
    assert {one.name for one in told} == {"insert"}
    assert len(told) == made
    found = query(dsn, "SELECT row_to_json(h)::text FROM pgbench_history h")
    assert Counter(json.dumps(one.row) for one in told) == Counter(json.dumps(json.loads(text)) for (text,) in found)


def check_near_accounts(subscriber, dsn):
    """The first ten thousand, which fit a snapshot."""
    assert len(subscriber.spans[-1].rows) == NEAR
    found = query(dsn, f"SELECT aid, abalance FROM pgbench_accounts WHERE aid <= {NEAR}")
    assert subscriber.rows == {aid: {"aid": aid, "abalance": abalance} for aid, abalance in found}
    assert any(row["abalance"] for row in subscriber.rows.values()), "nothing happened here: this proves nothing"
