"""What a subscriber must be told, said without any of the code that tells it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from harness.model.postgres import WATCH


class ViolationError(AssertionError):
    """The promise is broken."""


@dataclass(frozen=True)
class Asked:
    """A query: the parameters of its address, which rows it takes, and the columns that it shows."""

    table: str
    arguments: tuple[tuple[str, str], ...]
    parts: frozenset[int]
    columns: tuple[str, ...]

    def accepts(self, row):
        return row["part"] in self.parts

    def shown(self, row):
        return {column: row[column] for column in self.columns}

    def rows(self, tables):
        """The rows of the query, as ``Counter`` of texts."""
        return Counter(_text(self.shown(row)) for row in tables[self.table].values() if self.accepts(row))

    def events(self, changes):
        """What to tell of ``changes``, in their order: the event's name, xid, row and old row."""
        for change in changes:
            if change.watch == WATCH[self.table]:
                old, new = (value and json.loads(value) for value in (change.old, change.new))
                for name, row, before in self._events(change.kind, old, new):
                    yield name, str(change.xid), row and _text(self.shown(row)), before and _text(self.shown(before))

    def _events(self, kind, old, new):
        if kind == "t":
            return [("truncate", None, None)]
        was_in, is_in = bool(old) and self.accepts(old), bool(new) and self.accepts(new)
        if was_in and is_in and self.table == "accounts" and old["id"] == new["id"]:
            return [("update", new, old)] if self.shown(old) != self.shown(new) else []
        if was_in and is_in and self.shown(old) == self.shown(new):
            return []
        return [("delete", None, old)] * was_in + [("insert", new, None)] * is_in


ASKED = [
    Asked("accounts", (), frozenset({0, 1, 2}), ("id", "part", "v")),
    Asked("accounts", (("part", "eq.1"),), frozenset({1}), ("id", "part", "v")),
    Asked("accounts", (("part", "in.(0,2)"),), frozenset({0, 2}), ("id", "part", "v")),
    Asked("accounts", (("columns", "part"),), frozenset({0, 1, 2}), ("id", "part")),
    Asked("accounts", (("part", "gte.1"), ("columns", "v")), frozenset({1, 2}), ("id", "v")),
    Asked("history", (), frozenset({0, 1, 2}), ("part", "v")),
    Asked("history", (("part", "lt.2"),), frozenset({0, 1}), ("part", "v")),
]


class State:
    """What one subscriber holds, as its events make it. Every event must fit the rows that it finds."""

    def __init__(self, asked):
        self.asked = asked
        self.rows = Counter()
        self.told = Counter()
        self.transactions = Transactions()
        self.moment = None
        """How many changes of the history the last snapshot holds; ``None`` before the first."""

    def start(self, rows):
        """A snapshot: with it the history is told up to its moment."""
        (moment,) = [row["moment"] for row in rows if "moment" in row]
        self.moment = moment
        self.rows = Counter(_text(row) for row in rows if "moment" not in row)
        self.told = Counter()
        self.transactions = Transactions()

    def apply(self, name, data):
        """A change's event."""
        row, old = (value and _text(value) for value in (data.get("row"), data.get("old")))
        self.told[name, data["xid"], row, old] += 1
        self.transactions.apply(data)
        if name == "truncate":
            self.rows.clear()
        if old:
            self._remove(name, old)
        if row:
            self._add(name, data["row"])

    @property
    def is_told(self):
        """Whether it holds rows, so that only a reset may begin anew."""
        return self.moment is not None

    def _remove(self, name, old):
        if not self.rows[old]:
            raise ViolationError(f"{name} of {old}, which is not there: {self._rows()}")
        self.rows -= Counter([old])

    def _add(self, name, row):
        if "id" in row and any(json.loads(held)["id"] == row["id"] for held in self.rows):
            raise ViolationError(f"{name} of {row}, which is there already: {self._rows()}")
        self.rows[_text(row)] += 1

    def _rows(self):
        return " ".join(sorted(self.rows.elements()))

    def check(self, postgres):
        """That nothing is missing and nothing is there twice, once all has been told."""
        if self.moment is None:
            raise ViolationError("no snapshot came")
        changes = postgres.history[self.moment :]
        if any(change.kind == "r" and change.watch == WATCH[self.asked.table] for change in changes):
            raise ViolationError("a reset was not told")
        expected = Counter(self.asked.events(changes))
        if self.told != expected:
            raise ViolationError(f"lost: {[*(expected - self.told)]}; too often: {[*(self.told - expected)]}")
        if self.rows != self.asked.rows(postgres.tables):
            raise ViolationError(f"{self._rows()} is not what the table holds: {postgres.tables[self.asked.table]}")
        self.transactions.check()


class Tail:
    """What a subscriber without a snapshot hears: each change from some moment on, once.

    The moment is when the server read where the log stands: not before ``began``, when the client came, and not
    after ``until``, when it heard the first of the answer.
    """

    is_told = True

    def __init__(self, asked, began):
        self.asked = asked
        self.began, self.until = began, None
        self.told = Counter()
        self.transactions = Transactions()

    def apply(self, name, data):
        row, old = (value and _text(value) for value in (data.get("row"), data.get("old")))
        self.told[name, data["xid"], row, old] += 1
        self.transactions.apply(data)

    def check(self, postgres):
        changes = postgres.history
        if any(change.kind == "r" and change.watch == WATCH[self.asked.table] for change in changes[self.until :]):
            raise ViolationError("a reset was not told")
        least = Counter(self.asked.events(changes[self.until :]))
        most = Counter(self.asked.events(changes[self.began :]))
        if not least <= self.told <= most:
            raise ViolationError(f"lost: {[*(least - self.told)]}; too often: {[*(self.told - most)]}")
        self.transactions.check()


class Transactions:
    """The transactions that were told: the last change of each says so, and no other."""

    def __init__(self):
        self._open = set()
        self._ended = set()

    def apply(self, data):
        if data["xid"] in self._ended:
            raise ViolationError(f"transaction {data['xid']} goes on behind its end")
        self._open.add(data["xid"])
        if data.get("end"):
            self._open.remove(data["xid"])
            self._ended.add(data["xid"])

    def check(self):
        if self._open:
            raise ViolationError(f"the end of these was not told: {self._open}")


def _text(row):
    return json.dumps(row, separators=(",", ":"))
