"""An install of an older version is brought up to date under writers: old cursors go on, and so does a server."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.exactly_once.checker import query
from harness.fault_run import PACE, ready
from harness.servers import ROOT, Host
from harness.sse import Stream, ask

from sseapp.log.cursor import Cursor, Scope, Snapshot, decode, encode

OLDER = sorted((Path(__file__).parents[1] / "integration" / "data").glob("schema_*.sql.gz"))
TABLE = "CREATE TABLE item (id bigint PRIMARY KEY, at timestamptz DEFAULT now())"
END = "SELECT sseapp.epoch(), pg_current_snapshot()::text, sseapp.greatest_xid()::text"
LOG = "SELECT array_agg(id ORDER BY id) FROM sseapp.watched_table"


class Writer(threading.Thread):
    """Inserts one row after the other; ``keys`` are those that are committed."""

    def __init__(self, dsn):
        super().__init__(daemon=True)
        self.keys = []
        self.done = threading.Event()
        self.error = None
        self._dsn = dsn

    def run(self):
        connection = psycopg2.connect(self._dsn)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                while not self.done.wait(0.005):
                    key = len(self.keys) + 1
                    cursor.execute("INSERT INTO item (id) VALUES (%s)", (key,))
                    self.keys.append(key)
        except psycopg2.Error as error:
            self.error = error
        finally:
            connection.close()


def update(dsn):
    """As an operator does."""
    command = [sys.executable, "-m", "sseapp", "install"]
    done = subprocess.run(
        command,
        env=os.environ | {"DATABASE_URL": dsn},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def cursor_of(address, epoch, snapshot, greatest):
    """The id that a subscriber of all rows held who had read the log to there."""
    with Stream(address, "/tables/item/changes?snapshot=no") as stream:
        now = stream.until(lambda block: block.id is not None).id
    query = decode(now)[1].query
    return encode(Cursor(Snapshot.parse(snapshot).cut(int(greatest))), Scope(Scope.of(epoch, "").epoch, query))


@pytest.mark.skipif(not OLDER, reason="no older schema is kept in tests/integration/data yet")
@pytest.mark.parametrize("older", OLDER, ids=lambda path: path.name.partition(".")[0])
def test_an_older_schema_is_updated_under_writers(own_cluster, older):
    dsn = own_cluster.dsn()
    query(dsn, TABLE)
    own_cluster.execute(gzip.decompress(older.read_bytes()).decode())
    query(dsn, "SELECT sseapp.watch('item', 'at')")
    ((watches,),) = query(dsn, LOG)
    ((epoch, snapshot, greatest),) = query(dsn, END)
    writer = Writer(dsn)
    writer.start()
    with Host(dsn, **PACE) as host:
        wait_until(lambda: len(writer.keys) > 20, what="rows of before")
        before = ask(host.address, "/readyz")  # it serves, or says that the schema is to be updated
        assert before.status == 200 or "install" in before.json["error"], before
        update(dsn)
        updated = len(writer.keys)
        ready(host)
        wait_until(lambda: len(writer.keys) > updated + 20 or writer.error, what="rows of afterwards")
        writer.done.set()
        writer.join(10)
        assert writer.error is None
        assert query(dsn, LOG) == [(watches,)]
        with Stream(
            host.address, "/tables/item/changes", {"Last-Event-ID": cursor_of(host.address, epoch, snapshot, greatest)}
        ) as stream:
            told = [stream.event("insert").json["row"]["id"] for _ in writer.keys]
            assert told == writer.keys
            stream.until(lambda block: block.comments and not block.fires)
