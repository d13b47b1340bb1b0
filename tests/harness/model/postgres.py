"""A PostgreSQL of the mind: transactions, snapshots, the change log and its pruning, crashes.

A statement sees what has committed: every reader here runs one statement a snapshot, in READ COMMITTED.
"""

from __future__ import annotations

import json
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import groupby
from random import Random

WATCH = {"accounts": 1, "history": 2}
"""The watched tables: ``accounts`` has the key ``id``, ``history`` has none."""


PACK = 32
"""The ids of a row of ``sseapp.change``: that of its change, or of up to so many."""


@dataclass(frozen=True)
class LogRow:
    """A change in ``sseapp.change``, or a row of it with ``count`` changes. ``old`` and ``new`` are JSON text."""

    id: int
    xid: int
    watch: int
    kind: str
    old: str | None = None
    new: str | None = None
    reason: str | None = None
    count: int = 1

    @classmethod
    def packed(cls, changes):
        """One row of the log."""
        olds, news = ([getattr(change, name) for change in changes] for name in ("old", "new"))
        old, new = (None if None in rows else "\x1e".join(rows) for rows in (olds, news))
        return replace(changes[0], old=old, new=new, count=len(changes))

    @property
    def last_id(self):
        return self.id + self.count - 1

    @property
    def selected(self):
        """What the statements of log.sql select of it."""
        values = (self.watch, self.kind, self.count, self.old, self.new)
        return (self.id, str(self.xid), *values, f"t{self.id}", self.reason)


@dataclass(eq=False)
class Transaction:
    """A session's open transaction. It has an xid from its first write on, and holds the locks of what it wrote."""

    xid: int | None = None
    last_xid: int = 0  # a savepoint's own, if there is one above the transaction's
    rows: list[LogRow] = field(default_factory=list)
    written: dict[tuple[str, int], dict | None] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    savepoints: list[Transaction] = field(default_factory=list)

    def saved(self):
        """What a savepoint keeps."""
        kept = copy(self)
        kept.rows, kept.written, kept.truncated = list(self.rows), dict(self.written), set(self.truncated)
        return kept


@dataclass(frozen=True)
class Snapshot:
    """``pg_current_snapshot()``."""

    xmax: int
    xip: tuple[int, ...]

    def __str__(self):
        return f"{min((*self.xip, self.xmax))}:{self.xmax}:{','.join(map(str, self.xip))}"

    def sees(self, xid):
        return xid < self.xmax and xid not in self.xip

    def cut(self, top):
        """``sseapp.cut()``."""
        return Snapshot(top + 1, tuple(xid for xid in self.xip if xid < top))


@dataclass(frozen=True)
class Horizon:
    """``horizon``, ``horizon_id`` and ``horizon_xid`` of ``sseapp.state``, or a mark of a position."""

    snapshot: Snapshot = Snapshot(1, ())
    id: int = 0
    xid: int = 0


class Postgres:
    """One database. ``history`` is every change that ever committed, in the order of the commits: the truth."""

    def __init__(self, choose: Random):
        self.choose = choose
        self.next_xid = 3
        self.next_id = PACK
        self.latest_completed = 2
        self.open: list[Transaction] = []
        self.tables: dict[str, dict[int, dict]] = {name: {} for name in WATCH}
        self.generations = dict.fromkeys(WATCH.values(), 0)
        self.log: dict[int, LogRow] = {}
        self.history: list[LogRow] = []
        self.horizon = Horizon()
        self.marks: list[Horizon] = []
        self.timeline = 1
        self.crashes = 0

    @property
    def epoch(self):
        return f"system-{self.timeline}-database-born"

    @property
    def snapshot(self):
        xmax = self.latest_completed + 1
        return Snapshot(xmax, tuple(sorted(t.xid for t in self.open if t.xid is not None and t.xid < xmax)))

    @property
    def greatest(self):
        """The greatest xid of a log row that is seen, or was before it was pruned."""
        return max(max((row.xid for row in self.log.values()), default=0), self.horizon.xid)

    @property
    def greatest_id(self):
        return max(max(self.log, default=0), self.horizon.id)

    def begin(self):
        self.open.append(Transaction())
        return self.open[-1]

    def log_change(self, transaction, watch, kind, **values):
        """Write to the log: takes an id, and a transaction id where the transaction, or its savepoint, has none yet."""
        if transaction.xid is None:
            transaction.xid = self.take_xid()
        elif transaction.savepoints and self.choose.random() < 0.5:
            transaction.last_xid = self.take_xid()
        transaction.rows.append(LogRow(self._take_id(transaction, watch, kind), transaction.xid, watch, kind, **values))

    def _take_id(self, transaction, watch, kind):
        """The next, or one in the pack that was begun last: then the change counts as one of the same statement."""
        newest = self.next_id - PACK
        last = transaction.rows[-1] if transaction.rows else None
        if (
            last
            and kind in "iud"
            and (last.watch, last.kind, last.id // PACK) == (watch, kind, newest // PACK)
            and last.id < newest + PACK - 1
            and self.choose.random() < 0.7
        ):
            return last.id + 1
        self.next_id += PACK
        return self.next_id - PACK

    @property
    def log_rows(self):
        """The log as it is stored, in order of id."""
        changes = [change for _, change in sorted(self.log.items())]
        return [LogRow.packed([*pack]) for _, pack in groupby(changes, key=lambda change: change.id // PACK)]

    def take_xid(self):
        self.next_xid += 1
        return self.next_xid - 1

    def commit(self, transaction):
        self.abort(transaction)
        for name in transaction.truncated:
            self.tables[name].clear()
        for (name, key), row in transaction.written.items():
            if row is None:
                self.tables[name].pop(key, None)
            else:
                self.tables[name][key] = row
        self.log.update({row.id: row for row in transaction.rows})
        self.history += transaction.rows

    def abort(self, transaction):
        self.open.remove(transaction)
        if transaction.xid is not None:
            self.latest_completed = max(self.latest_completed, transaction.xid, transaction.last_xid)

    def tell_reset(self, watch):
        """The shape of a table has changed: ``sseapp.check_shapes()`` logs it, in a transaction of its own."""
        transaction = self.begin()
        self.log_change(transaction, watch, "r", reason="its columns have changed")
        self.commit(transaction)
        self.generations[watch] += 1

    def mark(self):
        """Note where the log stands: to be pruned to later."""
        self.marks.append(Horizon(self.snapshot.cut(self.greatest), self.greatest_id, self.greatest))
        self.latest_completed = self.take_xid()

    def prune(self, step):
        """Move the horizon to a mark, if there is one, and delete some of what it sees."""
        if self.marks:
            self.horizon = self.marks.pop(0)
        self.latest_completed = self.take_xid()
        old = [row for row in self.log_rows if self.horizon.snapshot.sees(row.xid)]
        for row in sorted(old, key=lambda row: (row.xid, row.id))[:step]:
            for old_id in range(row.id, row.id + row.count):
                del self.log[old_id]

    def crash(self):
        """What was in flight is gone. Transaction ids and log ids above what the log proves may be handed out again."""
        self.crashes += 1
        self.open.clear()
        durable = max([row.xid for row in self.history] + [self.horizon.xid, 2])
        anywhere = self.choose.randint(durable + 1, max(self.next_xid, durable + 1))
        self.next_xid = self.choose.choice([durable + 1, anywhere])
        self.latest_completed = self.next_xid - 1
        top = max([row.id for row in self.history] + [self.horizon.id, 0])
        self.next_id = (top // PACK + self.choose.randint(1, 33)) * PACK

    def forgetful_crash(self, commits):
        """A crash that takes the newest commits back, too, as with ``synchronous_commit=off``.

        Not simulated, since nothing tells it from what it was before: that their ids go to other transactions with
        changes, and that one of them is lost while one with a greater id is not.
        """
        self.crashes += 1
        self.open.clear()
        self.latest_completed = self.next_xid - 1
        for _ in range(commits):
            if self.history and self.history[-1].xid == self.greatest:
                self._forget_newest()

    def fail_over(self, commits):
        """A standby that did not have the newest commits yet takes over."""
        for _ in range(commits):
            self._forget_newest()
        self.timeline += 1
        self.crash()

    def _forget_newest(self):
        """Take a commit back, where the log still has it."""
        newest = self.history[-1] if self.history else None
        if newest is None or newest.kind == "r" or newest.id not in self.log:
            return
        while self.history and self.history[-1].xid == newest.xid:
            del self.log[self.history.pop().id]
        self.marks.clear()
        self.tables = rebuilt(self.history)


def text(row):
    """A row as ``row_to_json()`` prints it."""
    return json.dumps(row, separators=(",", ":"))


def rebuilt(history):
    """The tables as the changes leave them."""
    tables = {name: {} for name in WATCH}
    names = {watch: name for name, watch in WATCH.items()}
    for row in history:
        rows = tables[names[row.watch]]
        if row.kind == "t":
            rows.clear()
        old, new = (value and json.loads(value) for value in (row.old, row.new))
        if old:
            rows.pop(next(key for key, value in rows.items() if value == old))
        if new:
            rows[new.get("id", 1_000_000 + row.id)] = new
    return tables
