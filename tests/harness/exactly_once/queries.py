"""What the subscribers ask: each filter as a query string, as SQL, and as Python of the rig's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import quote

Row = dict[str, Any]
"""A row as parsed JSON; numbers with a fraction as text, so that no digit is lost."""

STATUSES = ("new", "paid", "sent", "Würzig & süß", "")
FIRST_DAY = date(2026, 1, 1)
DAYS = 30
GROUPS = 10
_COLUMNS = ((), (), (), ("status",), ("version", "amount"), ("at", "grp", "version"))


@dataclass(frozen=True)
class Query:
    """One subscriber's: ``takes`` and ``where`` are the same filter."""

    table: str
    key: str
    query: str = ""
    where: str = "true"
    takes: Callable[[Row], bool] = lambda _: True
    columns: tuple[str, ...] | None = None
    snapshot: bool = True

    @property
    def target(self) -> str:
        return f"/tables/{self.table}/changes?{self.query}"

    def shown(self, row: Row | None) -> Row | None:
        """The row as this subscriber sees it; ``None`` where its filter does not take it."""
        if row is None or not self.takes(row):
            return None
        return row if self.columns is None else {name: row[name] for name in row if name in self.columns}


Part = tuple[str, str, Callable[[Row], bool]]


def draw(random: Random, count: int) -> list[Query]:
    """``count`` queries, some of them alike: the first all rows, the second and third a table without a key."""
    entries = Query("entry", "n")
    queries = [Query("item", "id"), entries, entries]
    while len(queries) < count:
        queries.append(_query(random) if random.random() < 0.85 else random.choice(queries))
    return queries[:count]


def _query(random: Random) -> Query:
    kinds = random.sample(_PARTS, random.choice((1, 1, 2)))
    parts = [kind(random) for kind in kinds]
    named = random.choice(_COLUMNS)
    snapshot = random.random() < 0.8
    query = [part[0] for part in parts]
    query += [f"columns={','.join(named)}"] if named else []
    query += [] if snapshot else ["snapshot=no"]
    return Query(
        "item",
        "id",
        "&".join(query),
        " AND ".join(part[1] for part in parts),
        lambda row: all(part[2](row) for part in parts),
        ("id", *named) if named else None,
        snapshot,
    )


def _days(random: Random) -> Part:
    first = FIRST_DAY + timedelta(random.randrange(DAYS))
    last = first + timedelta(random.randrange(8))
    start, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(1)))
    return (
        f"start={first}&end={last}",
        f"at >= '{start}' AND at < '{end}'",
        lambda row: start <= datetime.fromisoformat(row["at"]) < end,
    )


def _group(random: Random) -> Part:
    group = random.randrange(GROUPS)
    return f"grp=eq.{group}", f"grp = {group}", lambda row: row["grp"] == group


def _groups(random: Random) -> Part:
    groups = sorted(random.sample(range(GROUPS), random.randint(2, 4)))
    listed = ",".join(map(str, groups))
    return f"grp=in.({listed})", f"grp IN ({listed})", lambda row: row["grp"] in groups


def _status(random: Random) -> Part:
    status = random.choice(STATUSES[:3])
    return (
        f"status=neq.{quote(status)}",
        f"status <> '{status}'",
        lambda row: row["status"] is not None and row["status"] != status,
    )


def _no_note(_: Random) -> Part:
    return "note=is.null", "note IS NULL", lambda row: row["note"] is None


def _amount(random: Random) -> Part:
    least = Decimal(random.randrange(0, 8000)) / 100
    most = least + 20
    return (
        f"amount=gte.{least}&amount=lt.{most}",
        f"amount >= {least} AND amount < {most}",
        lambda row: least <= Decimal(row["amount"]) < most,
    )


def _ids(random: Random) -> Part:
    least = random.randrange(0, 300)
    return f"id=gt.{least}", f"id > {least}", lambda row: row["id"] > least


_PARTS = (_days, _group, _groups, _status, _no_note, _amount, _ids)
