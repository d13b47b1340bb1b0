"""Writers whose transactions overlap, roll back, commit out of order, and take each other's locks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import psycopg2
from harness.exactly_once.queries import DAYS, FIRST_DAY, GROUPS, STATUSES
from psycopg2 import errors, extensions

KEYS = 400
_EXPECTED = (
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.SerializationFailure,
    errors.UniqueViolation,
)
_ZONES = ("UTC", "Asia/Tokyo", "America/St_Johns")
_STYLES = ("ISO, MDY", "SQL, DMY", "German", "Postgres, YMD")
_ISOLATION = ("READ COMMITTED",) * 6 + ("REPEATABLE READ", "SERIALIZABLE")


class Writer(threading.Thread):
    """Writes until ``stop`` is set; what it does is drawn from ``random``.

    ``outages`` says that the database may go away: then it connects again.
    """

    def __init__(self, dsn: str, random: Random, stop: threading.Event, *, pace: float, outages: bool = False) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._random = random
        self._stop_now = stop
        self._pace = pace
        self._outages = outages
        self._connection: Any = None
        self._cursor: Any = None
        self.counts: Counter[str] = Counter()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stop_now.is_set():
                self._try()
        except BaseException as error:  # noqa: BLE001  # told by the rig when it joins
            self.error = error
        finally:
            if self._connection is not None:
                self._connection.close()

    def _try(self) -> None:
        try:
            if self._connection is None or self._connection.closed:
                self._connect()
            self._transaction()
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            self.counts[type(error).__name__] += 1
            if isinstance(error, _EXPECTED):
                self._roll_back()
            elif self._outages:
                self._connection = None
                self._stop_now.wait(0.2)
            else:
                raise
        except psycopg2.Error as error:
            self.counts[type(error).__name__] += 1
            self._roll_back()
            if not isinstance(error, _EXPECTED):
                raise

    def _roll_back(self) -> None:
        try:
            self._connection.rollback()
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            if not self._outages:
                raise
            self._connection = None

    def _connect(self) -> None:
        self._connection = psycopg2.connect(self._dsn, connect_timeout=5)
        self._cursor = self._connection.cursor()
        self._execute("SET TimeZone = %s", self._random.choice(_ZONES))
        self._execute("SET DateStyle = %s", self._random.choice(_STYLES))
        self._execute("SET deadlock_timeout = '50ms'; SET lock_timeout = '400ms'")
        self._connection.commit()

    def _transaction(self) -> None:
        """A few statements with pauses, in savepoints now and then; some transactions are long, some roll back."""
        random = self._random
        self._execute(f"SET TRANSACTION ISOLATION LEVEL {random.choice(_ISOLATION)}")
        patience = random.choice((0.0, 1.0, 1.0, 3.0, 10.0 if random.random() < 0.15 else 1.0))
        for _ in range(random.randint(1, 5)):
            if random.random() < 0.2:
                self._savepoint()
            else:
                self._statement()
            time.sleep(self._pace * patience * random.random())
        if random.random() < 0.15:
            self._connection.rollback()
            self.counts["rollback"] += 1
        else:
            self._connection.commit()
            self.counts["commit"] += 1

    def _savepoint(self) -> None:
        self._execute("SAVEPOINT s")
        try:
            self._statement()
            kept = self._random.random() < 0.5
        except (errors.UniqueViolation, errors.LockNotAvailable):
            kept = False
        self._execute("RELEASE s" if kept else "ROLLBACK TO s")

    def _statement(self) -> None:
        statement: Callable[[Writer], None] = self._random.choice(_STATEMENTS)
        statement(self)
        self.counts["statement"] += 1

    def _execute(self, sql: str, *parameters: Any) -> None:
        self._cursor.execute(sql, parameters or None)

    def _key(self) -> int:
        return self._random.randrange(KEYS)

    def _values(self) -> tuple[Any, ...]:
        random = self._random
        return (
            random.randrange(GROUPS),
            random.choice((*STATUSES, None)),
            random.randrange(0, 10_000) / 100,
            self._moment(),
            random.choice((None, "a\nb", "x" * random.randrange(300))),
        )

    def _many(self, *most: int) -> int:
        """How many rows: now and then more than are logged one by one."""
        return self._random.randint(1, self._random.choice(most))

    def _moment(self) -> datetime:
        start = datetime.combine(FIRST_DAY, datetime.min.time())
        return start + timedelta(microseconds=self._random.randrange(DAYS * 86_400_000_000))

    def insert(self) -> None:
        self._execute(
            "INSERT INTO item VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", self._key(), *self._values()
        )

    def insert_or_fail(self) -> None:
        self._execute("INSERT INTO item VALUES (%s, %s, %s, %s, %s, %s)", self._key(), *self._values())

    def insert_many(self) -> None:
        self._execute(
            "INSERT INTO item SELECT i, i %% %s, 'new', i * 0.1, %s, NULL FROM generate_series(%s, %s) i "
            "ON CONFLICT DO NOTHING",
            GROUPS,
            self._moment(),
            first := self._key(),
            first + self._many(25, 80),
        )

    def upsert(self) -> None:
        self._execute(
            "INSERT INTO item VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (id) DO UPDATE SET grp = EXCLUDED.grp, at = EXCLUDED.at",
            self._key(),
            *self._values(),
        )

    def update(self) -> None:
        self._execute(
            "UPDATE item SET (grp, status, amount, at, note) = (%s, %s, %s, %s, %s) WHERE id = %s",
            *self._values(),
            self._key(),
        )

    def touch(self) -> None:
        self._execute("UPDATE item SET status = %s WHERE id = %s", self._random.choice(STATUSES), self._key())

    def update_many(self) -> None:
        self._execute(
            "UPDATE item SET amount = amount / 2, at = at + interval '1 day' WHERE id BETWEEN %s AND %s",
            first := self._key(),
            first + self._random.randint(1, 30),
        )

    def change_key(self) -> None:
        self._execute("UPDATE item SET id = %s WHERE id = %s", self._key(), self._key())

    def delete(self) -> None:
        self._execute("DELETE FROM item WHERE id = %s", self._key())

    def delete_many(self) -> None:
        self._execute("DELETE FROM item WHERE id BETWEEN %s AND %s", first := self._key(), first + self._many(12, 60))

    def replace(self) -> None:
        """A delete and a re-insert of the same key in one transaction."""
        key = self._key()
        self._execute("DELETE FROM item WHERE id = %s", key)
        self._execute("INSERT INTO item VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", key, *self._values())

    def enter(self) -> None:
        self._execute(
            "INSERT INTO entry (item, what) SELECT %s, md5(i::text) FROM generate_series(1, %s) i",
            self._key(),
            self._many(3, 3, 3, 90),
        )

    def rewrite_entries(self) -> None:
        self._execute("UPDATE entry SET what = what || '!' WHERE item = %s", self._key())

    def leave(self) -> None:
        self._execute("DELETE FROM entry WHERE item = %s", self._key())


_STATEMENTS = (
    *(Writer.insert,) * 4,
    Writer.insert_or_fail,
    Writer.insert_many,
    *(Writer.upsert,) * 2,
    *(Writer.update,) * 5,
    *(Writer.touch,) * 3,
    *(Writer.update_many,) * 2,
    *(Writer.change_key,) * 2,
    *(Writer.delete,) * 2,
    Writer.delete_many,
    *(Writer.replace,) * 2,
    *(Writer.enter,) * 3,
    Writer.rewrite_entries,
    Writer.leave,
)


class Truncater(Writer):
    """Truncates the table now and then, and fills it again in the same transaction; some of it rolls back."""

    def _transaction(self) -> None:
        if self._stop_now.wait(self._random.uniform(1.5, 4.0)):
            return
        self._execute("SET LOCAL lock_timeout = '1s'")
        self._execute("TRUNCATE item")
        for _ in range(self._random.randrange(4)):
            self.insert_many()
        if self._random.random() < 0.3:
            self._connection.rollback()
        else:
            self._connection.commit()
            self.counts["truncate"] += 1


def connected(dsn: str) -> extensions.connection:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return connection
