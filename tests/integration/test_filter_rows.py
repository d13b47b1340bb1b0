"""Whole queries against a real table: several conditions, indexes, windows, orders, odd names."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from harness.typed_columns import LABELS
from psycopg2.sql import SQL, Identifier, Literal

from sseapp.errors import ShapeChangedError
from sseapp.postgres import filter_sql
from sseapp.postgres.database import Connection
from sseapp.query.query import parse as parse_query
from sseapp.tables.row_json import members
from sseapp.tables.table import Column, Table

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
COLUMNS = (
    Column("id", "integer", "int4"),
    Column("at", "timestamp with time zone", "timestamptz"),
    Column("wall", "timestamp without time zone", "timestamp"),
    Column("day", "date", "date"),
    Column("amount", "numeric", "numeric"),
    Column("word", "text", "text"),
    Column("size", "size", "size", "e", LABELS, schema="public"),
    Column("uid", "uuid", "uuid"),
    Column('50 % "off"', "character(4)", "bpchar"),
    Column("extra", "json", "json"),
)
TABLE = Table(1, 1, "public", "orders", ("id",), "at", COLUMNS, "")
POOLS = {
    "at": [
        "2026-01-01T11:44:59Z",
        "2026-01-01T11:45:00Z",
        "2026-01-01T12:00:00.5Z",
        "infinity",
        "2025-12-31T23:00:00Z",
    ],
    "wall": ["2026-01-01T17:29:59", "2026-01-01T17:30:00", "2026-01-02", "-infinity"],
    "day": ["2025-12-31", "2026-01-01", "2026-01-02", "0044-03-15 BC"],
    "amount": ["1", "1.0", "9", "10", "NaN", "-0.5", "Infinity"],
    "word": ["a", "B", "b", "ä", "10", "9", "%s", "'", "a b", ""],
    "size": list(LABELS),
    "uid": [f"00000000-0000-0000-0000-00000000000{digit}" for digit in "019af"],
    '50 % "off"': ["a", "B", "%", "a  "],
}


@pytest.fixture
def connection(dsn):
    connection = Connection(dsn)
    labels = ", ".join("'" + label + "'" for label in LABELS)
    connection.query(f"CREATE TYPE size AS ENUM ({labels})")
    connection.query(
        "CREATE TABLE orders (id int PRIMARY KEY, at timestamptz, wall timestamp, day date, amount numeric, word text,"
        ' size size, uid uuid, "50 % ""off""" char(4), extra json)'
    )
    for name in POOLS:
        connection.query(SQL("CREATE INDEX ON orders ({})").format(Identifier(name)))
    yield connection
    connection.close()


def _fill(connection: Connection, chance: random.Random, number: int) -> None:
    rows = [
        SQL("({}, {}, '{{}}')").format(
            Literal(str(key)),
            SQL(", ").join(Literal(chance.choice([None, *pool, *pool])) for pool in POOLS.values()),
        )
        for key in range(number)
    ]
    connection.query(SQL("INSERT INTO orders VALUES {}").format(SQL(", ").join(rows)))
    connection.query("ANALYZE orders")


def _condition(chance: random.Random) -> tuple[str, str]:
    name = chance.choice(list(POOLS))
    parameter = f'"{name.replace(chr(34), chr(34) * 2)}"'
    if chance.random() < 0.15:
        return parameter, chance.choice(["is.null", "is.not_null"])
    if chance.random() < 0.2:
        texts = [f'"{text}"' for text in chance.choices([t for t in POOLS[name] if '"' not in t], k=3)]
        return parameter, f"in.({','.join(texts)})"
    operator = chance.choice(["eq", "neq", "gt", "gte", "lt", "lte"])
    return parameter, f"{operator}.{chance.choice(POOLS[name])}"


def _selected(connection: Connection, filter_) -> set[int]:
    clause = filter_sql.clause(filter_, TABLE, "t")
    return {key for (key,) in connection.query(SQL("SELECT t.id FROM orders t WHERE {}").format(clause))}


def test_the_rows_selected_are_the_rows_matched(connection):
    chance = random.Random(4)
    _fill(connection, chance, 300)
    rows = [members(row) for (row,) in connection.query("SELECT row_to_json(t.*)::text FROM orders t")]
    found = 0
    for turn in range(400):
        connection.query(f"SET enable_seqscan = {'on' if turn % 2 else 'off'}")
        arguments = [_condition(chance) for _ in range(chance.randrange(4))]
        arguments += chance.choice([[], [("last", "15m")], [("end", "2026-01-01"), ("tz", "Asia/Kathmandu")]])
        filter_, _ = parse_query(TABLE, arguments).filter_at(NOW)
        matched = {int(row["id"]) for row in rows if filter_.matches(row)}
        assert _selected(connection, filter_) == matched, arguments
        found += len(matched)
    assert found > 3000


def test_a_moving_window_is_the_same_in_both(connection):
    _fill(connection, random.Random(5), 200)
    rows = [members(row) for (row,) in connection.query("SELECT row_to_json(t.*)::text FROM orders t")]
    for range_ in ("at", "wall", "day"):
        table = Table(1, 1, "public", "orders", ("id",), range_, COLUMNS, "")
        filter_, _ = parse_query(table, [("last", "15m"), ("tz", "Asia/Kathmandu")]).filter_at(NOW)
        selected = _selected(connection, filter_)
        assert selected == {int(row["id"]) for row in rows if filter_.matches(row)}
        assert 0 < len(selected) < 200


SERVED = (
    *(("start", "2026-01-01"), ("day", "eq.2026-01-01"), ("id", "in.(1,2)"), ("uid", "lt." + "0" * 32)),
    *(("word", "eq.a"), ("word", "in.(a,b)"), ("word", "is.null"), ('"50 % ""off"""', "eq.a")),
    *(("amount", "gt.9"), ("size", "eq.small")),
)


def test_ordinary_indexes_serve(connection):
    connection.query('SET enable_seqscan = off; CREATE INDEX ON orders (word COLLATE "C")')
    for argument in (*SERVED, ("word", "like.a%"), ("word", "gt.a")):
        clause = filter_sql.clause(parse_query(TABLE, [argument]).filter, TABLE, "t")
        plan = connection.query(SQL("EXPLAIN SELECT FROM orders t WHERE {}").format(clause))
        assert any("Index Cond" in line for (line,) in plan), (argument, plan)


def test_an_order_goes_by_code_point_and_ends_with_the_key(connection):
    _fill(connection, random.Random(6), 200)
    asked = parse_query(TABLE, [("order", 'word.desc.nullslast,"50 % ""off"""')])
    ordered = connection.query(
        SQL('SELECT t.word, rtrim(t."50 % ""off"""), t.id FROM orders t {}').format(filter_sql.order(asked, TABLE))
    )
    words = [word for word, _, _ in ordered if word is not None]
    assert words == sorted(words, reverse=True)
    assert [word for word, _, _ in ordered[len(words) :]] == [None] * (200 - len(words))
    for word in {*words, None}:
        rest = [(off is None, off or "", key) for one, off, key in ordered if one == word]
        assert rest == sorted(rest)


def test_a_dropped_column_means_the_shape_has_changed():
    filter_ = parse_query(TABLE, [("word", "eq.a")]).filter
    with pytest.raises(ShapeChangedError):
        filter_sql.clause(filter_, Table(1, 1, "public", "orders", ("id",), "at", COLUMNS[:2], ""), "t")
