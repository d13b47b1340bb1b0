"""The change log in the table ``sseapp.change``: the listener's reads, and those of a subscriber that resumes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from sseapp.errors import CursorGoneError
from sseapp.log.change import RESET, Batch, Change
from sseapp.log.cursor import Cursor, Snapshot
from sseapp.log.log import LogEnd, Remaining
from sseapp.log.pace import Reading
from sseapp.postgres import schema, shape_check, statements
from sseapp.postgres.database import Connection, Database
from sseapp.postgres.raw_text import is_raw, readable
from sseapp.tables.table import Table

_Query: TypeAlias = Callable[..., list[tuple[Any, ...]]]
_SIZE = 1 << 22  # bytes that one read of the log brings
_NOTHING = Snapshot(1)  # it sees no transaction
_ROW = 9  # columns of a row of the log
_SEPARATOR = "\x1e"  # between the rows of a pack, see sql/install/tables.sql
_LOST = "the log has lost changes that were read already"
_PRUNED = "changes since then have been pruned from the log"


class ChangeLog:
    """The log as a listener reads it (:class:`sseapp.log.log.Log`), on a ``connection`` of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def pooled(self) -> bool:
        """Whether a pool of connections lies in between, so that no NOTIFY is heard."""
        return bool(self._connection.pooled)

    def tables(self) -> dict[int, Table]:
        """The watched tables now. Raises as :func:`~sseapp.postgres.schema.needed` does."""
        return shape_check.current_tables(self._connection)

    def end(self) -> LogEnd:
        """Where the log ends now. Raises as :func:`~sseapp.postgres.schema.needed` does."""
        return log_end(self._connection)

    def expiry(self, cursor: Cursor) -> str | None:
        """Why the log can no longer be read from ``cursor`` on; ``None`` where it can."""
        return _resume(self._connection.query, 0, cursor, 0, 0).reason

    def read(self, cursor: Cursor, *, batch: int, sent: int, size: int = _SIZE, without: Collection[int] = ()) -> Batch:
        """What comes next after ``cursor`` in the whole log: what was committed since, or the rest of a batch.

        It is as many rows of the log as hold ``batch`` changes, or ``size`` bytes of them. The rest of a batch is read
        without the watches ``without``; ``sent`` and what is raised are as of :class:`~sseapp.log.log.Log`.
        """
        bounds = {"batch": batch, "bytes": size, "without": list(without)}
        if cursor.event_number is not None:
            return self._rest(cursor, sent, bounds)
        upto, above, reading, rows = self._first(cursor, bounds)
        if above is None:
            return _batch(cursor.upto, upto, rows, sent, complete=True, reading=reading)
        return replace(self._rest(Cursor.behind(above, upto, cursor.upto), sent, bounds), reading=reading)

    def _first(
        self, cursor: Cursor, bounds: dict[str, Any]
    ) -> tuple[Snapshot, int | None, Reading, list[tuple[Any, ...]]]:
        """What was committed since: up to which snapshot, and its rows; or an id above which all of them are."""
        known = cursor.upto
        head, *rows = self._connection.query(
            _named("read_first"), {"xmax": str(known.xmax), "xip": _array(known.xip)} | bounds
        )
        horizon, horizon_id, snapshot, greatest, lease, clock, above = head[:7]
        # before it goes on by id, which would not tell what was pruned below the first id
        _check(cursor, horizon, horizon_id)
        upto = Snapshot.parse(snapshot).cut(int(greatest))
        if not upto.contains(known):
            # emptied by hand: to go on from what it proves now would tell again what comes back
            raise CursorGoneError(_LOST)
        return upto, above, Reading(lease, clock, snapshot), rows

    def _rest(self, cursor: Cursor, sent: int, bounds: dict[str, Any]) -> Batch:
        further = _further(cursor)
        rows = self._connection.query(_named("read_next"), further | bounds)
        _check(cursor, *rows[0][:2])
        # at the end, a row of nulls says that there is more
        complete = len(rows) == 1 or rows[-1][-_ROW] is not None
        rows = [row for row in rows if row[-_ROW] is not None]
        batch = _batch(Snapshot.parse(further["after"]), cursor.upto, rows, sent, complete=complete)
        return batch if complete else replace(batch, last_ids=_last_ids(self._connection.query, batch.changes))

    def pass_over(self, cursor: Cursor, why: str) -> Batch:
        """A batch of one change: a reset in place of the next one after ``cursor``, which cannot be read: ``why``."""
        reading = None
        if cursor.event_number is None:
            # no row fits into a batch of none: only where the rows are
            upto, above, reading, _ = self._first(cursor, {"batch": 0, "bytes": 0})
            cursor = Cursor.behind(above or 0, upto, cursor.upto)
        further = _further(cursor)
        rows = self._connection.query(_named("pass_over"), further)
        after = Snapshot.parse(further["after"])
        changes = tuple(
            Change(id_ + count - 1, int(xid), watch, RESET, None, None, at, "a change could not be read", why)
            for id_, xid, watch, count, at in rows
        )
        return Batch(after, cursor.upto, changes, complete=not rows, reading=reading)

    def remaining(self, cursor: Cursor) -> list[Remaining]:
        """How much of the batch that ``cursor`` is in has not been read, by watch."""
        return [Remaining(*row) for row in self._connection.query(_named("rest"), _further(cursor))]

    def read_lease(self) -> Reading:
        """What the pace goes by, without reading a change. Nothing was committed while the snapshot stays the same."""
        ((snapshot, lease, clock),) = self._connection.query(_named("read_lease"))
        return Reading(lease, clock, snapshot)

    def attend(self, *, presence: float, retention: float) -> int:
        """See :meth:`sseapp.log.log.Log.attend`, and ``sseapp/sql/install/pace.sql``."""
        milliseconds = {"presence": int(1000 * presence), "retention": int(1000 * retention)}
        clock = None
        with schema.needed(self._connection):
            while clock is None:
                ((clock,),) = self._connection.query(_named("attend"), milliseconds)
        return int(clock)

    def extend_lease(self, milliseconds: int) -> None:
        """Let the lease of :mod:`sseapp.log.pace` run so long from now, and NOTIFY the other listeners."""
        self._connection.query(_named("extend_lease"), {"milliseconds": milliseconds})

    def fence(self) -> int:
        """A transaction id above all that were given out before."""
        ((xid,),) = self._connection.query(_named("fence"))
        return int(xid)

    def listen(self) -> None:
        """Have NOTIFY wake :meth:`wait` from now on."""
        self._connection.query("LISTEN sseapp")

    def wait(self, timeout: float) -> bool:
        """Wait for a NOTIFY, ``timeout`` seconds at most; whether one came."""
        return self._connection.wait_for_notify(timeout)

    def close(self) -> None:
        """End the session."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Replay:
    """What a subscriber missed, up to snapshot ``upto``; ``more`` says that there was more than was asked for.

    ``changes`` are those of its watch that its cursor has not wholly seen: first the rest of the cursor's own batch,
    then what that batch did not see, each in order of id. ``reason`` says why the log can no longer be read from the
    cursor on. ``epoch`` is ``None`` where a crash has just emptied the log. ``last_ids`` are as of a
    :class:`~sseapp.log.change.Batch`, where there are more.
    """

    epoch: str | None
    upto: Snapshot
    changes: tuple[Change, ...] = ()
    more: bool = False
    reason: str | None = None
    last_ids: Mapping[int, int] = field(default_factory=dict)


def log_end(connection: Connection) -> LogEnd:
    """Where the log ends now. Raises as :func:`~sseapp.postgres.schema.needed` does."""
    with schema.needed(connection):
        found = connection.query(_named("log_end"))
        if found[0][0] is None:
            # a crash has emptied the log, which is unlogged: this is another log from now on
            connection.query(_named("mark_crash"))
            found = connection.query(_named("log_end"))
    ((epoch, snapshot, greatest, greatest_id, horizon, horizon_id),) = found
    upto = Snapshot.parse(snapshot).cut(int(greatest))
    return LogEnd(epoch, upto, greatest_id, Snapshot.parse(horizon), horizon_id)


def resume(database: Database | Connection, watch: int, cursor: Cursor, *, limit: int, size: int = _SIZE) -> Replay:
    """What a subscriber of ``watch`` missed since ``cursor``: at most ``limit`` changes, or ``size`` bytes and one."""
    return _resume(database.query, watch, cursor, limit, size)


def _resume(query: _Query, watch: int, cursor: Cursor, limit: int, size: int) -> Replay:
    rest = None if cursor.event_number is None else cursor.next_change
    (head, *rows) = query(
        _named("resume"),
        {
            "watch": watch,
            "last": str(cursor.upto.greatest),
            "after": str(cursor.after or _NOTHING),
            "upto": str(cursor.upto),
            "rest": rest,
            "batch": limit,
            "bytes": size,
        },
    )
    epoch, snapshot, greatest, horizon, horizon_id, there = head[:6]
    upto = Snapshot.parse(snapshot).cut(int(greatest))
    reason = _expiry(cursor, upto, Snapshot.parse(horizon), horizon_id, there=there)
    found = (change for row in rows if row[6] is not None for change in _changes(row[6:]))
    changes = tuple(change for change in found if change.id >= (rest or 0) or not cursor.upto.sees(change.xid))
    more = len(changes) > limit or (bool(rows) and rows[-1][6] is None)
    told = changes[:limit]
    last_ids = _last_ids(query, told) if more and reason is None else {}
    return Replay(epoch, upto, told, more=more, reason=reason, last_ids=last_ids)


def _last_ids(query: _Query, changes: Sequence[Change]) -> Mapping[int, int]:
    """The last ids of the transactions of ``changes`` that go on behind them."""
    if not changes:
        return {}
    rows = query(_named("last_ids"), {"xids": _array({change.xid for change in changes})})
    return {int(xid): last for xid, last in rows if last is not None and last > changes[-1].id}


def _expiry(cursor: Cursor, now: Snapshot, horizon: Snapshot, horizon_id: int, *, there: bool) -> str | None:
    """Why the log can no longer be read from ``cursor`` on, if so."""
    if _is_pruned(cursor, horizon, horizon_id):
        return _PRUNED
    if not now.contains(cursor.upto):
        return "the cursor is from the future of this database"
    # with synchronous_commit=off a crash undoes commits that clients have seen
    if not there and cursor.upto.greatest != horizon.greatest:
        return "the database has lost the last transaction that was seen"
    return None


def _check(cursor: Cursor, horizon: str, horizon_id: int) -> None:
    if _is_pruned(cursor, Snapshot.parse(horizon), horizon_id):
        raise CursorGoneError(_PRUNED)


def _is_pruned(cursor: Cursor, horizon: Snapshot, horizon_id: int) -> bool:
    """Whether the log may lack some of what ``cursor`` has not seen."""
    if cursor.base is not None and cursor.base.contains(horizon):
        return False
    return cursor.event_number is None or not cursor.upto.contains(horizon) or cursor.next_change <= horizon_id


def _batch(
    after: Snapshot,
    upto: Snapshot,
    rows: list[tuple[Any, ...]],
    sent: int,
    *,
    complete: bool,
    reading: Reading | None = None,
) -> Batch:
    changes = tuple(change for row in rows for change in _changes(row[-_ROW:]))
    ascending = not changes or changes[0].id > sent
    return Batch(after, upto, changes, complete=complete, ascending=ascending, reading=reading)


def _further(cursor: Cursor) -> dict[str, Any]:
    """The parameters that say which part of its batch ``cursor`` has not seen."""
    after = cursor.upto if cursor.after is None else cursor.after
    return {"after": str(after), "upto": str(cursor.upto), "above": max(0, cursor.next_change - 1)}


def _changes(row: tuple[Any, ...]) -> Iterator[Change]:
    """The change that a row of the log holds, or those of a pack."""
    id_, xid, watch, kind, count, *texts, at, reason = row
    damage = "its text is not in the database's encoding" if any(map(is_raw, texts)) else None
    old, new = (text and readable(text) for text in texts)
    if count == 1:
        yield Change(id_, int(xid), watch, kind, old, new, at, reason and readable(reason), damage)
        return
    olds, news = ([None] * count if rows is None else rows.split(_SEPARATOR) for rows in (old, new))
    for place, before, after in zip(range(count), olds, news, strict=True):
        yield Change(id_ + place, int(xid), watch, kind, before, after, at, damage=damage)


def _array(xids: Iterable[int]) -> str:
    # as one literal: to parse a thousand takes PostgreSQL as long as to read the log
    return f"{{{','.join(map(str, xids))}}}"


def _named(name: str) -> str:
    return statements.named("log")[name]
