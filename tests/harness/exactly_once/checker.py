"""Holds what a subscriber was told against what the database's own record says was committed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Self

import psycopg2
from harness.exactly_once.batches import halves
from harness.exactly_once.ends import misplaced
from harness.exactly_once.queries import Query, Row
from harness.exactly_once.subscriber import Span, Subscriber, Told

from sseapp.log.cursor import Snapshot, decode

_AUDIT = "SELECT id, xid::text, kind::text, key, old::text, new::text FROM audit WHERE relation = %s ORDER BY id"
_SHOWN = 300


@dataclass(frozen=True)
class Entry:
    """What one committed change made of the row of one key, perhaps by a TRUNCATE."""

    id: int
    xid: int
    kind: str
    key: int
    old: Row | None
    new: Row | None


class History:
    """All that was committed to one table: the entries of each key in order, and the transactions that truncated it."""

    def __init__(self, dsn: str, relation: str) -> None:
        entries = [
            Entry(id_, int(xid), kind, key, _row(old), _row(new))
            for id_, xid, kind, key, old, new in query(dsn, _AUDIT, relation)
        ]
        self.truncates = [entry.xid for entry in entries if entry.kind == "T"]
        self.by_key: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry.kind != "T":
                self.by_key[entry.key].append(entry)
        for key, own in self.by_key.items():
            for before, after in pairwise(own):
                assert before.new == after.old, f"the rig's own record of {key} has a gap: {before} {after}"

    def __len__(self) -> int:
        return sum(map(len, self.by_key.values()))

    def rows(self, query: Query, at: Snapshot) -> dict[int, Row]:
        """The rows of ``query`` as ``at`` sees them."""
        rows = {}
        for key, entries in self.by_key.items():
            seen = [entry for entry in entries if at.sees(entry.xid)]
            row = query.shown(seen[-1].new) if seen else None
            if row is not None:
                rows[key] = row
        return rows

    def expected(self, query: Query, after: Snapshot) -> dict[int, list[tuple[Told, int]]]:
        """What a subscriber is to be told of each key after a snapshot, each with the entry's id."""
        expected: defaultdict[int, list[tuple[Told, int]]] = defaultdict(list)
        for key, entries in self.by_key.items():
            for entry in entries:
                old, new = query.shown(entry.old), query.shown(entry.new)
                # alike: the filter took neither, or no column of the query changed
                if old != new and not after.sees(entry.xid):
                    expected[key].append((_told(entry, old, new), entry.id))
        return expected


def _told(entry: Entry, old: Row | None, new: Row | None) -> Told:
    if entry.kind == "t":
        return Told("truncate", entry.key, None, old, str(entry.xid))
    name = "insert" if old is None else "delete" if new is None else "update"
    return Told(name, entry.key, new, old, str(entry.xid))


@dataclass
class Verdict:
    """What is wrong with what subscribers were told; ``faults`` say it for people."""

    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    faults: list[str] = field(default_factory=list)

    def __iadd__(self, other: Verdict) -> Self:
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.disordered += other.disordered
        self.faults += other.faults
        return self


def judge(subscriber: Subscriber, history: History, dsn: str, *, resets: int = 0) -> Verdict:
    """Judge all that ``subscriber`` was told; it may have been reset ``resets`` times."""
    verdict = Verdict()
    if not subscriber.spans:
        verdict.faults.append("it never had a first position")
        return verdict
    # a long snapshot that is cut has no id yet, and begins again
    query, spans = subscriber.query, [span for span in subscriber.spans[:-1] if span.id] + subscriber.spans[-1:]
    if len(subscriber.reasons) > resets or len(spans) > 1 + len(subscriber.reasons):
        verdict.faults.append(f"{len(spans)} snapshots for the resets {subscriber.reasons}, {resets} allowed")
    rows: dict[int, Row] = {}
    for span, following in zip(spans, [*spans[1:], None], strict=True):
        if following is None or span.told or not _is_of_another_log(span, following):
            rows = _judge_span(span, history, query, verdict, last=following is None)
    if rows != (final := selected(query, dsn)):
        verdict.faults.append(f"the final rows differ from SELECT's: {_difference(rows, final)}")
    return verdict


def _is_of_another_log(span: Span, following: Span) -> bool:
    """Whether the two ids are of two logs.

    A snapshot between the install of a new log and the listener's first look at it still has the old one's id. It holds
    what was committed while there were no triggers, so its id does not say what it sees; and a cursor of it is reset.
    """
    (_, scope), (_, later) = decode(span.id), decode(following.id)
    return scope.epoch != later.epoch


def selected(asked: Query, dsn: str) -> dict[int, Row]:
    """The rows of the query ``asked`` now, as its filter's SQL says."""
    columns = "*" if asked.columns is None else ", ".join(asked.columns)
    inner = f"SELECT {columns} FROM {asked.table} WHERE {asked.where}"
    rows = [_row(text) for (text,) in query(dsn, f"SELECT row_to_json(x)::text FROM ({inner}) x")]
    return {row[asked.key]: row for row in rows}


def _judge_span(span: Span, history: History, query: Query, verdict: Verdict, *, last: bool) -> dict[int, Row]:
    """Return the rows that the subscriber holds at the end of the span."""
    cursor, _ = decode(span.id)
    start = history.rows(query, cursor.upto)
    if span.rows not in (None, start):
        verdict.faults.append(f"the snapshot at {cursor} is wrong: {_difference(span.rows, start)}")
    rows = dict(start if span.rows is None else span.rows)
    verdict.faults += halves(span, rows, history, query)
    verdict.faults += misplaced(span, is_cut=not last)
    told = list(_by_row(span.told, rows))
    expected = history.expected(query, cursor.upto)
    by_key: defaultdict[int, list[Told]] = defaultdict(list)
    for one in told:
        by_key[one.key].append(one)
    for key in expected.keys() | by_key.keys():
        verdict += _judge_key(by_key[key], [one for one, _ in expected.get(key, ())], last=last)
    truncated = [xid for xid in history.truncates if not cursor.upto.sees(xid)]
    if (had := [int(one.xid) for one in span.told if one.key is None]) != truncated[: None if last else len(had)]:
        verdict.faults.append(f"it was told of the truncates {had}, there were {truncated}")
    if not verdict.faults:
        verdict += _judge_order(told, expected)
    return rows


def _by_row(told: list[Told], rows: dict[int, Row]) -> Iterator[Told]:
    """What was told, applied to ``rows``; a truncate as one event for each row that was held."""
    for one in told:
        if one.key is None:
            yield from (replace(one, key=key, old=row) for key, row in rows.items())
        else:
            yield one
        one.apply(rows)


def _judge_key(told: list[Told], expected: list[Told], *, last: bool) -> Verdict:
    """Before a reset the end may be missing: the next snapshot holds it."""
    if told == (expected if last else expected[: len(told)]):
        return Verdict()
    had, wanted = Counter(map(str, told)), Counter(map(str, expected))
    lost, more = wanted - had if last else Counter(), had - wanted
    verdict = Verdict(lost.total(), more.total(), int(not lost and not more))
    what = f"lost {list(lost)}, twice or foreign {list(more)}" if lost or more else f"out of order {told}"
    verdict.faults.append(f"{what[:1000]}\n      expected {str(expected)[-1500:]}\n      told {str(told)[-1500:]}")
    return verdict


def _judge_order(told: list[Told], expected: dict[int, list[tuple[Told, int]]]) -> Verdict:
    """Within a transaction the order is that of its writes, across keys. Each key's own order is right already."""
    places = {key: iter(ones) for key, ones in expected.items()}
    latest: dict[str, int] = {}
    for one in told:
        _, place = next(places[one.key])
        if place < latest.get(one.xid, 0) and one.name != "truncate":
            return Verdict(disordered=1, faults=[f"told before its predecessor in its transaction: {one}"])
        latest[one.xid] = place
    return Verdict()


def _difference(had: dict[int, Row], wanted: dict[int, Row]) -> str:
    keys = [key for key in had.keys() | wanted.keys() if had.get(key) != wanted.get(key)]
    return f"{len(keys)} rows: " + "; ".join(
        f"{key}: {str(had.get(key))[:_SHOWN]} for {str(wanted.get(key))[:_SHOWN]}" for key in keys[:3]
    )


def query(dsn: str, sql: str, *parameters: str) -> list[tuple]:
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _row(text: str | None) -> Row | None:
    return None if text is None else json.loads(text, parse_float=str)
