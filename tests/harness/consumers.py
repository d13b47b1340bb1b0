"""Processes that run one consumer, to be killed; writers for it; and what its effects must be."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from contextlib import closing, suppress
from random import Random

import psutil
import psycopg2
from harness.clusters import scratch
from harness.servers import ROOT, Host

from sseapp.postgres import schema
from sseapp.postgres.database import Connection

NAME = "copy"
EFFECTS = """
def note(change, connection):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO effect (kind, xid, old, new) VALUES (%s, %s, %s, %s)",
                       (change.kind, change.xid, change.old, change.new))
"""
GUNICORN = """
import os, runpy
globals().update(runpy.run_path("gunicorn.conf.py"))
_theirs = post_worker_init

def post_worker_init(worker):
    _theirs(worker)
    from sseapp.config import Settings
    from sseapp.live.consumer import Consumer, pace_of
    from sseapp.postgres.database import Database
    settings = Settings.from_environ(os.environ)
    Consumer("copy", "item", note, database=Database(settings.database_url), pace=pace_of(settings)).start()
"""


def prepare(dsn):
    """A watched table, and one for what the consumer makes of its changes."""
    with closing(Connection(dsn)) as connection:
        schema.install(connection)
        connection.query(
            "CREATE TABLE item (id int PRIMARY KEY, n bigint);"
            "INSERT INTO item SELECT g, 0 FROM generate_series(1, 50) g;"
            "CREATE TABLE written (n bigserial PRIMARY KEY); CREATE TABLE other (id bigserial PRIMARY KEY);"
            "CREATE TABLE effect (place bigserial PRIMARY KEY, kind text, xid bigint, old json, new json)"
        )
        schema.watch(connection, "item")
        schema.watch(connection, "other")


class Commands:
    """Two processes of ``sseapp consume``."""

    def __init__(self, dsn, *options):
        self._options = options
        self._folder = scratch()
        (self._folder / "effects.py").write_text(EFFECTS)
        self._environ = os.environ | {"DATABASE_URL": dsn, "PYTHONPATH": str(ROOT)}
        self._processes = [self._start() for _ in range(2)]

    def _start(self):
        command = [sys.executable, "-m", "sseapp", "consume", NAME, "effects:note", "--table", "item", *self._options]
        with (self._folder / "log").open("a") as log:
            return subprocess.Popen(command, cwd=self._folder, env=self._environ, stdout=log, stderr=log)

    def kill(self, random):
        """SIGKILL to one of them, and another instead."""
        place = random.randrange(2)
        assert self._processes[place].poll() is None, self.log
        self._processes[place].kill()
        self._processes[place].wait()
        self._processes[place] = self._start()

    @property
    def log(self):
        return (self._folder / "log").read_text()

    def close(self):
        """End them as an operator would."""
        for process in self._processes:
            process.terminate()
        assert [process.wait(10) for process in self._processes] == [0, 0], self.log


class Workers:
    """Workers of gunicorn, each with the consumer in it; ``function`` is the text of ``note``."""

    def __init__(self, dsn, function=EFFECTS, *, workers=2):
        config = scratch() / "conf.py"
        config.write_text(function + GUNICORN)
        self._host = Host(dsn, options=("--config", str(config), "--workers", str(workers)))

    def kill(self, random):
        with suppress(psutil.NoSuchProcess, IndexError):
            random.choice(self._host.master.children()).kill()

    @property
    def log(self):
        return self._host.log

    @property
    def address(self):
        return self._host.address

    def close(self):
        self._host.stop()


class Writer(threading.Thread):
    """Writes ``count`` changes of items in transactions of one to five, some of which are open for a while."""

    def __init__(self, dsn, count, seed):
        super().__init__(daemon=True)
        self._dsn = dsn
        self._count = count
        self._random = Random(seed)
        self._pause = threading.Event()
        self.error = None

    def run(self):
        try:
            with closing(psycopg2.connect(self._dsn)) as session, session.cursor() as cursor:
                while self._count > 0:
                    self._transaction(session, cursor)
        except Exception as error:  # noqa: BLE001  # raised by the test
            self.error = error

    def _transaction(self, session, cursor):
        random = self._random
        changes = random.randint(1, 5)
        for id_ in sorted(random.sample(range(1, 51), changes)):
            cursor.execute(
                "WITH w AS (INSERT INTO written DEFAULT VALUES RETURNING n)"
                " UPDATE item SET n = w.n FROM w WHERE id = %s",
                (id_,),
            )
            self._pause.wait(random.choice((0, 0, 0, 0.02)))
        cursor.execute("INSERT INTO other DEFAULT VALUES")
        if random.random() < 0.1:
            session.rollback()
        else:
            session.commit()
            self._count -= changes


def judge(dsn):
    """Each committed change was consumed once, each row's in order and each transaction's in order."""
    with closing(psycopg2.connect(dsn)) as session, session.cursor() as cursor:
        cursor.execute("SELECT n FROM written")
        written = Counter(n for (n,) in cursor.fetchall())
        cursor.execute(
            "SELECT kind, xid, (new->>'id')::int, (old->>'n')::bigint, (new->>'n')::bigint FROM effect ORDER BY place"
        )
        effects = cursor.fetchall()
    assert {kind for kind, *_ in effects} == {"update"}
    consumed = Counter(n for *_, n in effects)
    assert not written - consumed, f"lost {sorted((written - consumed).elements())[:20]}"
    assert not consumed - written, f"repeated {sorted((consumed - written).elements())[:20]}"
    latest = {}
    for _, _, id_, before, after in effects:
        assert before == latest.get(id_, 0), (id_, before, latest.get(id_, 0))
        latest[id_] = after
    of_transaction = defaultdict(list)
    for _, xid, _, _, after in effects:
        of_transaction[xid].append(after)
    assert [own for own in of_transaction.values() if own != sorted(own)] == []
    return len(effects)
