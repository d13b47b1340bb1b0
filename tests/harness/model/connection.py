"""Answers the statements of ``sseapp/sql/queries`` from the simulated database, each at one moment.

Before and after each statement the caller pauses, so that anything may happen there.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from itertools import zip_longest

from harness.model.postgres import WATCH, Snapshot, text
from harness.model.tasks import pause
from psycopg2.sql import Composed, Identifier

from sseapp.errors import ConnectionLostError
from sseapp.postgres import filter_sql, statements
from sseapp.tables.table import Column, Table

_NAMES = {text: name for file in ("log", "rows", "catalog") for name, text in statements.named(file).items()}
_NAMES["LISTEN sseapp"] = "listen"
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
    """The statements. A parameter's name is that of the file.

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

    def log_end(self, _):
        db = self._postgres
        horizon = db.horizon
        return [(db.epoch, str(db.snapshot), str(db.greatest), db.greatest_id, str(horizon.snapshot), horizon.id)]

    def read_first(self, p):
        db = self._postgres
        xip = _xids(p["xip"]) if self.has_xip else []
        rows = [row for row in self._rows() if row.xid >= int(p["xmax"]) or row.xid in xip]
        # the bell rings at random, see wait_for_notify(): the lease stays as it was; harness.pace_model is about it
        lease, clock = 1, 2 * 10**12
        is_all = sum(row.count for row in rows) <= p["batch"] and sum(map(_size, rows)) <= p["bytes"]
        above = None if is_all else rows[0].id - 1
        head = (*self._horizon, str(db.snapshot), str(db.greatest), lease, clock, above)
        return [(*head, *[None] * 9), *((*[None] * 7, *row.selected) for row in rows if is_all)]

    def read_lease(self, _):
        return [(str(self._postgres.snapshot), 1, 2 * 10**12)]

    def fence(self, _):
        self._postgres.latest_completed = self._postgres.take_xid()
        return [(str(self._postgres.latest_completed),)]

    def extend_lease(self, _):
        return []

    def close_rows(self, _):
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

    def last_ids(self, p):
        xids = _xids(p["xids"])
        return [(str(xid), max((row.last_id for row in self._rows() if row.xid == xid), default=None)) for xid in xids]

    def _rest(self, p):
        after, upto = _parsed(p["after"]), _parsed(p["upto"])
        if not self.has_xip:
            after = Snapshot(after.xmax, ())
        return [r for r in self._rows() if r.id > p["above"] and not after.sees(r.xid) and upto.sees(r.xid)]

    def resume(self, p):
        db = self._postgres
        after, upto = _parsed(p["after"]), _parsed(p["upto"])
        xip = upto.xip if self.has_xip else ()
        of_watch = [row for row in self._rows() if row.watch == p["watch"]]
        rest = [row for row in of_watch if upto.sees(row.xid) and not after.sees(row.xid)]
        rest = [] if p["rest"] is None else [row for row in rest if row.last_id >= p["rest"]]
        new = [row for row in of_watch if row.xid >= upto.xmax or row.xid in xip]
        there = any(row.xid == int(p["last"]) for row in self._rows())
        head = (db.epoch, str(db.snapshot), str(db.greatest), *self._horizon, there)
        known = [max(p["rest"] - row.id, 0) for row in rest]
        return [(*head, *[None] * 9), *((*[None] * 6, *row) for row in _piece([*rest, *new], p, known))]

    def rows(self, statement):
        """The rows of a composed statement; and the moment they are of, as one more row, for the checks."""
        db = self._postgres
        selected, relation = [names for part in statement if isinstance(part, Composed) and (names := _names(part))][:2]
        columns, (name,) = selected, relation
        accepts = next(f for clause, f in self.filters.items() if any(repr(part) == clause for part in statement))
        rows = [_shown(row, columns) for row in db.tables[name].values() if accepts(row)]
        head = (db.generations[WATCH[name]], str(db.snapshot), str(db.greatest))
        return head, [f'{{"moment":{len(db.history)}}}', *rows]

    @property
    def _horizon(self):
        return str(self._postgres.horizon.snapshot), self._postgres.horizon.id

    def _rows(self):
        return self._postgres.log_rows

    def register(self, query, accepts):
        """Know the SQL of a query's filter again: ``accepts`` is what it means."""
        self.filters[repr(filter_sql.clause(query.filter, query.table, "t"))] = accepts


def _xids(array):
    return [int(xid) for xid in array.strip("{}").split(",") if xid]


def _names(composed):
    """The names in ``composed``, each once: a column is named again behind its AS."""
    found = [
        part.strings[-1:] if isinstance(part, Identifier) else _names(part) for part in composed if _may_name(part)
    ]
    return list(dict.fromkeys(name for names in found for name in names))


def _may_name(part):
    return isinstance(part, Identifier | Composed)


def _shown(row, columns):
    return text({column: row[column] for column in columns})


def _joined(head, rows, width):
    """A LEFT JOIN: the head alone where there are no rows."""
    return [(*head, *row) for row in rows] or [(*head, *[None] * width)]


def _piece(rows, p, known=()):
    """Rows until so many changes or bytes are there; then a row of nulls where there are more."""
    first = _until(rows, p["batch"], known)
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
        answer = self._answer(statement, parameters)
        for _ in range(self._database.postgres.choose.choice([1, 1, 1, 12])):
            pause()  # now and then the answer is long on its way
        self._alive()
        return answer

    def _answer(self, statement, parameters):
        """That of the database; a cursor's rows are the session's."""
        queries, name = self._database.queries, _NAMES.get(statement) if isinstance(statement, str) else None
        if isinstance(statement, Composed):
            head, rows = queries.rows(statement)
            if "DECLARE" not in repr(statement):
                return [(*head, row) for row in rows]
            self._cursor = [json.dumps(head), *rows]
            return []
        if name == "fetch_rows":
            count = min(parameters["rows"], self._database.postgres.choose.choice([1, 2, 1000]))
            found, self._cursor = self._cursor[:count], self._cursor[count:]
            return [(row,) for row in found]
        return self._database.answer(statement, parameters)

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
        return getattr(self.queries, _NAMES[statement])(parameters)

    @staticmethod
    def load(connection):
        """The watched tables, as of one moment."""
        return {found.watch: found for found in connection.query(statements.named("catalog")["load"])}
