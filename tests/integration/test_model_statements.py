"""The simulated database of tests/unit/test_model.py answers as the real one does: the same log, the same queries."""

from __future__ import annotations

import re
from contextlib import closing
from random import Random

import psycopg2
import pytest
from harness.model.connection import Queries
from harness.model.postgres import Horizon, LogRow, Postgres, Snapshot

from sseapp.log.cursor import Snapshot as Cut
from sseapp.postgres import schema, statements
from sseapp.postgres.database import Connection

CHANGE = 9  # columns
CLOCK = 10**12  # milliseconds since 1970: no other number is as great


class Mirror(Postgres):
    """The log of a real database, as it is now."""

    snapshot = None

    def __init__(self, connection):
        super().__init__(Random(0))
        ((horizon, horizon_id, horizon_xid),) = connection.query(
            "SELECT horizon::text, horizon_id, horizon_xid::text::bigint FROM sseapp.state"
        )
        self.horizon = Horizon(_snapshot(horizon), horizon_id, horizon_xid)
        columns = "id, xid::text::bigint, watch, kind::text, old, new, reason, changes::int"
        self._rows = [LogRow(*row) for row in connection.query(f"SELECT {columns} FROM sseapp.change ORDER BY id")]
        self.log = {row.last_id: row for row in self._rows}
        self.snapshot = _snapshot(connection.query("SELECT pg_current_snapshot()::text")[0][0])

    @property
    def log_rows(self):
        return self._rows


def _snapshot(text):
    parsed = Cut.parse(text)
    return Snapshot(parsed.xmax, parsed.xip)


class Writers:
    """Sessions that write to the log in overlapping transactions."""

    def __init__(self, dsn, choose):
        self._sessions = [psycopg2.connect(dsn) for _ in range(4)]
        self._choose = choose

    def go_on(self):
        session = self._choose.choice(self._sessions)
        what = self._choose.choice(["write", "write", "write", "commit", "rollback"])
        if what == "write":
            kind, row = self._choose.choice([("i", '{"id":1}'), ("d", '{"id":1}'), ("r", None)])
            count = self._choose.choice([1, 1, 2, 32]) if row else 1
            rows = row and "\x1e".join([row] * count)
            values = (
                self._choose.choice([1, 2]),
                kind,
                count,
                rows if kind == "d" else None,
                rows if kind == "i" else None,
            )
            with session.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO sseapp.change (watch, kind, changes, old, new) VALUES (%s, %s, %s, %s, %s)", values
                )
        else:
            getattr(session, what)()

    def close(self):
        for session in self._sessions:
            session.close()


@pytest.fixture
def connection(dsn):
    with closing(Connection(dsn)) as connection:
        schema.install(connection)
        yield connection


def _comparable(rows, log):
    """Without times, and without the log's name; of snapshots what they see of the log.

    Others on the server take transaction ids all the time.
    """
    head = len(rows[0]) - CHANGE
    return [
        tuple(
            _seen(value, log)
            for at, value in enumerate(row)
            if at != head + 7 and "-" not in str(value) and not (isinstance(value, int) and value > CLOCK)
        )
        for row in rows
    ]


def _seen(value, log):
    if not isinstance(value, str) or not re.fullmatch(r"\d+:\d+:[\d,]*", value):
        return value
    snapshot = Cut.parse(value)
    return [id_ for id_, row in sorted(log.items()) if snapshot.sees(row.xid)]


def _queries(choose, cuts, greatest_id):
    """Statements with parameters, as cursors of any form ask them."""
    after, upto = sorted(choose.choices(cuts, k=2), key=lambda cut: (cut.xmax, -len(cut.xip)))
    position, watch = choose.randint(0, greatest_id + 1), choose.choice([1, 2])
    known = {"xmax": str(after.xmax), "xip": f"{{{','.join(map(str, after.xip))}}}"}
    size = {"batch": choose.choice([1, 2, 1000]), "bytes": choose.choice([1, 1 << 22])}
    rest = {"after": str(after), "upto": str(upto), "above": position}
    more = {"watch": watch, "last": str(upto.greatest), "upto": str(upto)} | size
    yield "log_end", {}
    yield "read_first", known | size
    yield "read_next", rest | size | {"without": choose.choice([[], [1], [1, 2]])}
    yield "rest", rest
    yield "last_ids", {"xids": f"{{{choose.randint(1, upto.xmax)},{upto.xmax}}}"}
    yield "resume", more | {"after": choose.choice([str(after), "1:1:"]), "rest": position}
    yield "resume", more | {"after": "1:1:", "rest": None}


@pytest.mark.parametrize("seed", range(3))
def test_each_statement_is_answered_alike(connection, dsn, seed):
    choose = Random(seed)
    cuts = [Cut(1)]
    with closing(Writers(dsn, choose)) as writers:
        for step in range(150):
            writers.go_on()
            mirror = Mirror(connection)
            cuts.append(Cut.parse(str(mirror.snapshot)).cut(mirror.greatest))
            for name, parameters in _queries(choose, cuts, mirror.greatest_id):
                real = connection.query((statements.named("log") | statements.named("rows"))[name], parameters)
                simulated = getattr(Queries(mirror), name)(parameters)
                if name == "rest":
                    assert sorted(real) == sorted(simulated), parameters
                elif name == "log_end":
                    assert [_seen(one, mirror.log) for one in real[0][1:]] == [
                        _seen(one, mirror.log) for one in simulated[0][1:]
                    ]
                else:
                    assert _comparable(real, mirror.log) == _comparable(simulated, mirror.log), (name, parameters)
            if step in (60, 110):
                connection.query("SELECT sseapp.prune('0 s', step => 5)")
        assert mirror.horizon.id > 0, "pruned, too"
        assert len(mirror.log) > 10
