"""Reads the change log: by the cursor of the process's listener, and by a subscriber's that resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sseapp.errors import CursorGoneError
from sseapp.log.change import Batch, Change
from sseapp.log.cursor import Cursor, Snapshot
from sseapp.log.pace import Reading
from sseapp.postgres import schema, statements
from sseapp.postgres.database import Connection, Database

_NO_ID = 2**62  # above every id: no row is asked for by its id
_ROW = 9  # columns of a row of the log
_SEPARATOR = "\x1e"  # between the rows of a pack, see sql/tables.sql
_LOST = "the log has lost changes that were read already"
_PRUNED = "changes since then have been pruned from the log"


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the log stands: its epoch, the snapshot, the greatest id that it sees, and the horizon of pruning."""

    epoch: str
    upto: Snapshot
    greatest_id: int
    horizon: Snapshot
    horizon_id: int


@dataclass(frozen=True, slots=True)
class Replay:
    """What a subscriber missed, up to snapshot ``upto``; ``more`` says that there was more than was asked for.

    ``changes`` are those of its watch that its cursor has not wholly seen: first the rest of the cursor's own batch,
    then what that batch did not see, each in order of id. ``reason`` says why the cursor no longer serves. ``epoch`` is
    ``None`` where a crash has just emptied the log.
    """

    epoch: str | None
    upto: Snapshot
    changes: tuple[Change, ...] = ()
    more: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Remaining:
    """How many changes of ``watch`` the rest of a batch holds, and the greatest id of them."""

    watch: int
    count: int
    greatest_id: int


def log_end(connection: Connection) -> LogEnd:
    """Where the log stands now. Raises as :func:`~sseapp.postgres.schema.needed` does."""
    with schema.needed(connection):
        found = connection.query(_named("position"))
        if found[0][0] is None:
            # a crash has emptied the log, which is unlogged: this is another log from now on
            connection.query(_named("mark_crash"))
            found = connection.query(_named("position"))
    ((epoch, snapshot, greatest, greatest_id, horizon, horizon_id),) = found
    upto = Snapshot.parse(snapshot).cut(int(greatest))
    return LogEnd(epoch, upto, greatest_id, Snapshot.parse(horizon), horizon_id)


def read(
    connection: Connection, cursor: Cursor, *, piece: int, sent: int, size: int = 1 << 22, without: Iterable[int] = ()
) -> Batch:
    """What of the whole log comes next after ``cursor``: what was committed since, or the rest of a batch.

    It is as many rows of the log as hold ``piece`` changes, or ``size`` bytes of them. ``sent`` is the greatest id read
    before. The rest of a batch is read without the watches ``without``. Raises
    :exc:`~sseapp.errors.CursorGoneError` where some of it has been pruned: a reader may be slower than the pruner.
    """
    reading = None
    if cursor.position is None:
        known = cursor.upto
        head, *rows = connection.query(
            _named("read_first"),
            {"xmax": str(known.xmax), "xip": _array(known.xip), "piece": piece, "bytes": size},
        )
        horizon, horizon_id, snapshot, greatest, lease, clock, above = head[:7]
        # before it goes on by id, which would not tell what was pruned before its first
        _check(cursor, horizon, horizon_id)
        reading = Reading(lease, clock, snapshot)
        upto = Snapshot.parse(snapshot).cut(int(greatest))
        if not upto.contains(known):
            # emptied by hand: to go on from what it proves now would tell again what comes back
            raise CursorGoneError(_LOST)
        if above is None:
            return _batch(known, upto, rows, sent, complete=True, reading=reading)
        cursor = Cursor(upto, 2 * above + 1, known)
    further = _rest(cursor)
    rows = connection.query(_named("read_next"), further | {"piece": piece, "bytes": size, "without": list(without)})
    _check(cursor, *rows[0][:2])
    # behind the others, a row of nulls tells that there is more
    complete = len(rows) == 1 or rows[-1][-_ROW] is not None
    rows = [row for row in rows if row[-_ROW] is not None]
    return _batch(Snapshot.parse(further["after"]), cursor.upto, rows, sent, complete=complete, reading=reading)


def _check(cursor: Cursor, horizon: str, horizon_id: int) -> None:
    if _is_pruned(cursor, Snapshot.parse(horizon), horizon_id):
        raise CursorGoneError(_PRUNED)


def _batch(
    after: Snapshot, upto: Snapshot, rows: list[tuple[Any, ...]], sent: int, *, complete: bool, reading: Reading | None
) -> Batch:
    changes = tuple(change for row in rows for change in _changes(row[-_ROW:]))
    ascending = not changes or changes[0].id > sent
    return Batch(after, upto, changes, complete=complete, ascending=ascending, reading=reading)


def _array(xids: Iterable[int]) -> str:
    # as one literal: of a thousand PostgreSQL takes as long to parse as to read the log
    return f"{{{','.join(map(str, xids))}}}"


def read_lease(connection: Connection) -> Reading:
    """What the pace goes by, without reading the log. No transaction has ended where the snapshot is as it was."""
    ((snapshot, lease, clock),) = connection.query(_named("glance"))
    return Reading(lease, clock, snapshot)


def fence(connection: Connection) -> int:
    """A transaction id that is above all that were given out before."""
    ((xid,),) = connection.query(_named("fence"))
    return int(xid)


def extend_lease(connection: Connection, milliseconds: int) -> None:
    """Let the lease of :mod:`sseapp.log.pace` run so long from now, and ring."""
    connection.query(_named("quicken"), {"milliseconds": milliseconds})


def remaining(connection: Connection, cursor: Cursor) -> list[Remaining]:
    """What the rest of ``cursor``'s batch holds, by watch."""
    return [Remaining(*row) for row in connection.query(_named("rest"), _rest(cursor))]


def _rest(cursor: Cursor) -> dict[str, Any]:
    after = cursor.upto if cursor.after is None else cursor.after
    return {"after": str(after), "upto": str(cursor.upto), "above": (cursor.position or 0) >> 1}


def expiry(connection: Connection, cursor: Cursor) -> str | None:
    """Why the whole log's ``cursor`` no longer serves, if so."""
    return _resume(connection.query, 0, cursor, 0).reason


def resume(database: Database | Connection, watch: int, cursor: Cursor, *, limit: int) -> Replay:
    """What a subscriber of ``watch`` who stands at ``cursor`` has not seen, ``limit`` changes of it at the most."""
    return _resume(database.query, watch, cursor, limit)


def _resume(query: Callable[..., list[tuple[Any, ...]]], watch: int, cursor: Cursor, limit: int) -> Replay:
    base = cursor.base
    known = cursor.upto if base is None else base
    rest = _NO_ID if cursor.position is None else (cursor.position + 1) >> 1
    rows = query(
        _named("resume"),
        {
            "watch": watch,
            "last": str(cursor.upto.greatest),
            "xmax": str(known.xmax),
            "xip": _array(known.xip),
            "upto": str(cursor.upto),
            "from": rest,
            "also": rest if base is None else _NO_ID,
            "piece": limit,
        },
    )
    epoch, snapshot, greatest, horizon, horizon_id, there = rows[0][:6]
    upto = Snapshot.parse(snapshot).cut(int(greatest))
    reason = _expiry(cursor, upto, Snapshot.parse(horizon), horizon_id, there=there)
    found = (change for row in rows if row[6] is not None for change in _changes(row[6:]))
    changes = tuple(change for change in found if change.id >= rest or not cursor.upto.sees(change.xid))
    return Replay(epoch, upto, changes[:limit], more=len(changes) > limit, reason=reason)


def _expiry(cursor: Cursor, now: Snapshot, horizon: Snapshot, horizon_id: int, *, there: bool) -> str | None:
    """Why ``cursor`` no longer serves, if so."""
    if _is_pruned(cursor, horizon, horizon_id):
        return _PRUNED
    if not now.contains(cursor.upto):
        return "the cursor is from the future of this database"
    # with synchronous_commit=off a crash undoes commits that clients have seen
    if not there and cursor.upto.greatest != horizon.greatest:
        return "the database has lost the last transaction that was seen"
    return None


def _is_pruned(cursor: Cursor, horizon: Snapshot, horizon_id: int) -> bool:
    """Whether the log may lack some of what ``cursor`` has not seen."""
    if cursor.base is not None and cursor.base.contains(horizon):
        return False
    return cursor.position is None or not cursor.upto.contains(horizon) or cursor.position <= 2 * horizon_id


def _named(name: str) -> str:
    return statements.named("queries")[name]


def _changes(row: tuple[Any, ...]) -> Iterator[Change]:
    """The change that a row of the log holds, or those of a pack."""
    id_, xid, watch, kind, count, old, new, at, reason = row
    if count == 1:
        yield Change(id_, int(xid), watch, kind, old, new, at, reason)
        return
    olds, news = ([None] * count if rows is None else rows.split(_SEPARATOR) for rows in (old, new))
    for place, before, after in zip(range(count), olds, news, strict=True):
        yield Change(id_ + place, int(xid), watch, kind, before, after, at)
