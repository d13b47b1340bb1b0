"""Answers the statements of ``sseapp/sql/queries.sql`` from the simulated database, each at one moment of its time.

Before and after each statement the caller pauses, so that anything may happen there.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, nullcontext
from itertools import zip_longest

from psycopg2.sql import Composed, Identifier, Literal
from support.model.postgres import PACK, WATCH, Snapshot, text
from support.model.tasks import pause

from sseapp import statements, where
from sseapp.errors import ConnectionLostError
from sseapp.table import Column, Table

_NAMES = {text: name for name, text in statements.named("queries").items()}
_NAMES |= {text: name for name, text in statements.named("catalog").items()} | {"LISTEN sseapp": "listen"}
_COLUMNS = {
    "accounts": ("id", "part", "v"),
    "history": ("part", "v"),
}


def table(name, generation):
    """The watched table as the catalog shows it."""
    columns = tuple(Column(column, "integer", "int4") for column in _COLUMNS[name])
    key = ("id",) if name == "accounts" else None
    return Table(WATCH[name], 100 + WATCH[name], "public", name, key, "v", columns, generation)


class Queries:
    """The statements. A parameter's name is that of queries.sql.

    ``has_xip`` is the clause on transactions that were in flight: a break of the model leaves it out.
    """

    has_xip = True

    def __init__(self, postgres):
        self._postgres = postgres
        self.filters = {}

    def listen(self, _):
        return []

    def check_shapes(self, _):
        return [(0,)]

    def load(self, _):
        """Not the catalog's rows, but the tables they make."""
        return [table(name, self._postgres.generations[WATCH[name]]) for name in WATCH]

    def position(self, _):
        db = self._postgres
        horizon = db.horizon
        return [(db.epoch, str(db.snapshot), str(db.greatest), db.greatest_id, str(horizon.snapshot), horizon.id)]

    def read_first(self, p):
        db = self._postgres
        xip = _xids(p["xip"]) if self.has_xip else []
        rows = [row for row in self._rows() if row.xid >= int(p["xmax"]) or row.xid in xip]
        # the bell rings at random, see wait_for_notify(): the lease stays as it was at first; support.bell is about it
        lease, clock = 1, 2 * 10**12
        is_all = sum(row.count for row in rows) <= p["piece"] and sum(map(_size, rows)) <= p["bytes"]
        above = None if is_all else rows[0].id - 1
        head = (*self._horizon, str(db.snapshot), str(db.greatest), lease, clock, above)
        return [(*head, *[None] * 9), *((*[None] * 7, *row.selected) for row in rows if is_all)]

    def glance(self, _):
        return [(str(self._postgres.snapshot), 1, 2 * 10**12)]

    def fence(self, _):
        self._postgres.latest_completed = self._postgres.take_xid()
        return [(str(self._postgres.latest_completed),)]

    def quicken(self, _):
        return []

    def attend(self, _):
        return [(2 * 10**12,)]

    def read_next(self, p):
        rows = [row for row in self._rest(p) if row.watch not in p["without"] or row.kind == "r"]
        return _joined(self._horizon, _piece(rows, p), 9)

    def rest(self, p):
        rows = self._rest(p)
        counts = Counter(row.watch for row in rows for _ in range(row.count))
        return [(watch, n, max(row.last_id for row in rows if row.watch == watch)) for watch, n in counts.items()]

    def _rest(self, p):
        after, upto = _parsed(p["after"]), _parsed(p["upto"])
        if not self.has_xip:
            after = Snapshot(after.xmax, ())
        return [r for r in self._rows() if r.id > p["above"] and not after.sees(r.xid) and upto.sees(r.xid)]

    def resume(self, p):
        db = self._postgres
        upto, xip = _parsed(p["upto"]), _xids(p["xip"]) if self.has_xip else []
        rows = [
            row
            for row in self._rows()
            if row.watch == p["watch"]
            and (row.xid >= int(p["xmax"]) or row.xid in xip or row.id > p["also"] - PACK)
            and (row.last_id >= p["from"] or not upto.sees(row.xid))
        ]
        rows.sort(key=lambda row: (not upto.sees(row.xid), row.id))
        there = any(row.xid == int(p["last"]) for row in self._rows())
        head = (db.epoch, str(db.snapshot), str(db.greatest), str(db.horizon.snapshot), db.horizon.id, there)
        known = [0 if not upto.sees(row.xid) else max(p["from"] - row.id, 0) for row in rows]
        found = _until(rows[: p["piece"] + 1], p["piece"] + 1, known)
        return _joined(head, [row.selected for row in found], 9)

    def rows(self, statement):
        """The rows of a composed statement; and the moment they are of, as one more row, for the checks."""
        db = self._postgres
        selected, relation = [_names(part) for part in statement if isinstance(part, Composed)][:2]
        columns, (name,) = selected, relation
        accepts = next(f for clause, f in self.filters.items() if any(repr(part) == clause for part in statement))
        limit = [part.wrapped for part in statement if isinstance(part, Literal)][-1]
        rows = [_shown(row, columns) for row in db.tables[name].values() if accepts(row)][: limit - 1]
        head = (db.generations[WATCH[name]], str(db.snapshot), str(db.greatest))
        return [(*head, row) for row in [f'{{"moment":{len(db.history)}}}', *rows]]

    @property
    def _horizon(self):
        return str(self._postgres.horizon.snapshot), self._postgres.horizon.id

    def _rows(self):
        return self._postgres.log_rows

    def register(self, question, accepts):
        """Know the SQL of a question's filter again: ``accepts`` is what it means."""
        self.filters[repr(where.clause(question.filter, question.table, "t"))] = accepts


def _xids(array):
    return [int(xid) for xid in array.strip("{}").split(",") if xid]


def _names(composed):
    return [part.strings[-1] for part in composed if isinstance(part, Identifier)]


def _shown(row, columns):
    return text({column: row[column] for column in columns})


def _joined(head, rows, width):
    """A LEFT JOIN: the head alone where there are no rows."""
    return [(*head, *row) for row in rows] or [(*head, *[None] * width)]


def _piece(rows, p):
    """Rows until so many changes or bytes are there; then a row of nulls where there are more."""
    first = _until(rows, p["piece"])
    fit = [row for at, row in enumerate(first) if sum(map(_size, first[:at])) < p["bytes"]]
    return [row.selected for row in fit] + [(None,) * 9] * (len(fit) < len(rows))


def _until(rows, changes, known=()):
    """Of ``rows`` the first ones, until so many changes are there that are not ``known``."""
    counts = [row.count - seen for row, seen in zip_longest(rows, known[: len(rows)], fillvalue=0)]
    return [row for at, row in enumerate(rows) if sum(counts[:at]) < changes]


def _size(row):
    return len(row.old or "") + len(row.new or "")


def _parsed(snapshot):
    _, xmax, xip = snapshot.split(":")
    return Snapshot(int(xmax), tuple(int(xid) for xid in xip.split(",")) if xip else ())


class Connection:
    """A session. It is lost when its worker says so, or when the database has crashed since it was opened."""

    fresh = True

    def __init__(self, database):
        self._database = database
        self._crashes = database.postgres.crashes
        self.closed = False
        self.pooled = False

    def query(self, statement, parameters=None, *, deadline=None):
        del deadline
        pause()
        self._alive()
        answer = self._database.answer(statement, parameters)
        for _ in range(self._database.postgres.choose.choice([1, 1, 1, 12])):
            pause()  # now and then the answer is long on its way
        self._alive()
        return answer

    def wait_for_notify(self, timeout):
        del timeout
        pause()
        self._alive()
        return self._database.postgres.choose.random() < 0.7

    def check(self):
        self._alive()

    def close(self):
        self.closed = True

    def _alive(self):
        if self.closed or self._crashes != self._database.postgres.crashes:
            self.closed = True
            raise ConnectionLostError


class Database:
    """The connections of one worker."""

    def __init__(self, postgres, queries):
        self.postgres = postgres
        self.queries = queries
        self.sessions = []

    def close(self):
        """No session is idle: each statement has one of its own."""

    def connect(self, **_):
        pause()
        self.sessions = [session for session in self.sessions if not session.closed]
        self.sessions.append(Connection(self))
        return self.sessions[-1]

    @contextmanager
    def connection(self):
        session = self.connect()
        try:
            yield session
        finally:
            session.close()

    def run(self, use):
        with self.connection() as session:
            return use(session)

    def query(self, statement, parameters=None):
        return self.run(lambda session: session.query(statement, parameters))

    def answer(self, statement, parameters):
        if isinstance(statement, Composed):
            return self.queries.rows(statement)
        return getattr(self.queries, _NAMES[statement])(parameters)

    def load(self, connection=None):
        """The watched tables, as of one moment."""
        with nullcontext(connection) if connection else self.connection() as session:
            return {found.watch: found for found in session.query(statements.named("catalog")["load"])}
