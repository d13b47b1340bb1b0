"""Applications that write at random, as far as the locks of the others let them."""

from __future__ import annotations

from itertools import count

from harness.model.postgres import WATCH, text


class Applications:
    """Some sessions, each with its transaction. Every row that they write has a version ``v`` of its own."""

    def __init__(self, postgres, choose):
        self._postgres = postgres
        self._choose = choose
        self._versions = 0
        self._places = count()

    def go_on(self):
        """One of them does something."""
        transactions = self._postgres.open
        if not transactions or (len(transactions) < 4 and self._choose.random() < 0.3):
            self._postgres.begin()
        transaction = self._choose.choice(transactions)
        end = [self._postgres.commit, self._postgres.commit, self._postgres.abort]
        self._choose.choice([self._write] * 6 + [self._savepoint, self._roll_back_to_savepoint, *end])(transaction)

    def end(self):
        """All transactions end, one way or the other."""
        for transaction in list(self._postgres.open):
            self._choose.choice([self._postgres.commit, self._postgres.abort])(transaction)

    def _write(self, transaction):
        name = self._choose.choice(["accounts", "accounts", "history"])
        others = [other for other in self._postgres.open if other is not transaction]
        if any(name in other.truncated for other in others):
            return
        locked = {key for other in others for table, key in other.written if table == name}
        if self._choose.random() >= 0.05:
            self._write_row(transaction, name, locked)
        elif not locked:
            self._truncate(transaction, name)

    def _savepoint(self, transaction):
        if len(transaction.savepoints) < 3:
            transaction.savepoints.append(transaction.saved())

    def _roll_back_to_savepoint(self, transaction):
        """What came after it is gone, and so are its locks; ids and xids that it took are not given back."""
        if transaction.savepoints:
            saved = transaction.savepoints.pop()
            transaction.rows, transaction.written = saved.rows, saved.written
            transaction.truncated = saved.truncated

    def _truncate(self, transaction, name):
        for key in self._present(transaction, name):
            transaction.written[name, key] = None
        transaction.truncated.add(name)
        self._postgres.log_change(transaction, WATCH[name], "t")

    def _present(self, transaction, name):
        """The rows that the transaction may see: what is committed, and its own."""
        rows = {} if name in transaction.truncated else dict(self._postgres.tables[name])
        rows |= {key: row for (table, key), row in transaction.written.items() if table == name}
        return {key: row for key, row in rows.items() if row is not None}

    def _write_row(self, transaction, name, locked):
        present = self._present(transaction, name)
        free = [key for key in present if key not in locked]
        kind = self._choose.choice("iuuudk") if free else "i"
        key = self._choose.choice(free) if free else None
        if kind == "d":
            self._change(transaction, name, {key: None}, old=present[key])
        elif kind == "u":
            row = present[key] | self._some_changes()
            self._change(transaction, name, {key: row}, old=present[key], new=row)
        elif (new_key := self._new_key(name, {*present, *locked})) is None:
            return
        elif kind == "k" and name == "accounts":
            row = present[key] | {"id": new_key} | self._some_changes()
            self._change(transaction, name, {key: None, new_key: row}, old=present[key], new=row)
        else:
            row = ({"id": new_key} if name == "accounts" else {}) | {"part": self._part(), "v": self._version()}
            self._change(transaction, name, {new_key: row}, new=row)

    def _new_key(self, name, taken):
        if name == "history":
            return next(self._places)  # where the row is; no column
        free = [key for key in range(8) if key not in taken]
        return self._choose.choice(free) if free else None

    def _some_changes(self):
        return ({"part": self._part()} if self._choose.random() < 0.5 else {}) | {"v": self._version()}

    def _part(self):
        return self._choose.randrange(3)

    def _version(self):
        self._versions += 1
        return self._versions

    def _change(self, transaction, name, written, *, old=None, new=None):
        kind = "u" if old and new else "d" if old else "i"
        self._postgres.log_change(transaction, WATCH[name], kind, old=old and text(old), new=new and text(new))
        transaction.written.update({(name, key): row for key, row in written.items()})
