"""From the parameters of an address to a query."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from sseapp.errors import BadParameterError
from sseapp.log.cursor import Cursor, Scope, Snapshot, encode
from sseapp.query.parameters import OrderTerm
from sseapp.query.query import PARAMETERS, Query
from sseapp.query.query import parse as parse_query
from sseapp.tables.table import Column, Table

COLUMNS = (
    Column("created_at", "timestamp with time zone", "timestamptz"),
    Column("id", "bigint", "int8"),
    Column("end", "integer", "int4"),
    Column("status", "text", "text"),
    Column("a.b", "text", "text"),
    Column('a"b', "text", "text"),
    Column("body", "json", "json"),
    Column("host", "inet", "inet"),
    Column("hash", "hash", "hash"),
    Column("wall", "timestamp without time zone", "timestamp"),
    Column("day", "date", "date"),
)
CURSOR = encode(Cursor(Snapshot(7)), Scope.of("epoch", "query"))
NOW = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)


def table(range_: str | None = "created_at", key: tuple[str, ...] | None = ("id",), columns=COLUMNS) -> Table:
    return Table(1, 1, "public", "orders", key, range_, columns, "")


def parse(*arguments: tuple[str, str], of: Table | None = None, **limits: int) -> Query:
    return parse_query(of or table(), arguments, **limits)


def test_nothing_asked_is_all_rows_by_key():
    asked = parse()
    assert asked.filter.terms == ()
    assert asked.order == (OrderTerm("id"),)
    assert (asked.columns, asked.last, asked.limit, asked.snapshot, asked.after) == (None, None, 10_000, True, None)
    assert (asked.wait, asked.every, asked.tz.key) == (20.0, 1.0, "UTC")
    assert asked.canonical == ""
    assert asked.filter_at(NOW) == (asked.filter, None)


def test_a_table_without_a_key_has_no_order():
    assert parse(of=table(key=None)).order == ()


def test_start_and_end_are_short_for_conditions_on_the_range_column():
    short = parse(("start", "2026-01-01"), ("end", "2026-01-31T12:00:00Z"))
    assert short.canonical == parse(("created_at", "gte.2026-01-01"), ("created_at", "lte.2026-01-31T12:00Z")).canonical


def test_a_bare_date_as_end_is_in_to_its_end_in_the_zone_asked_for():
    asked = parse(("end", "2026-03-29"), ("tz", "Europe/Berlin"))
    assert asked.canonical == "created_at=lt.2026-03-29T22:00:00+00:00"


def test_a_column_with_a_parameters_name_is_quoted():
    asked = parse(('"end"', "eq.3"), ('"status"', "eq.a"), ('"a""b"', "eq.x"), ("a.b", "eq.y"))
    assert asked.filter.columns == ('a"b', "a.b", "end", "status")


def test_a_forgotten_quote_is_pointed_out():
    with pytest.raises(BadParameterError, match='quote it: "end"=eq') as caught:
        parse(("end", "eq.3"))
    assert caught.value.parameter == "end"
    with pytest.raises(BadParameterError) as caught:
        parse(("start", "eq.3"))
    assert "quote it" not in caught.value.detail


@pytest.mark.parametrize(
    ("of", "tz", "bound"),
    [
        ("created_at", "Asia/Kathmandu", "2026-01-01T11:45:00+00:00"),
        ("wall", "Asia/Kathmandu", "2026-01-01T17:30:00"),
        ("day", "Pacific/Apia", "2026-01-02"),
    ],
)
def test_a_moving_window_is_a_bound_in_the_range_columns_own_type(of, tz, bound):
    asked = parse(("last", "15m"), ("tz", tz), ("status", "eq.a"), of=table(of))
    assert asked.last == timedelta(minutes=15)
    filter_, text = asked.filter_at(NOW)
    assert text == f'"{bound}"'
    assert filter_ == parse((of, f"gte.{bound}"), ("status", "eq.a")).filter


def test_equal_windows_have_equal_canonical_texts():
    assert (
        parse(("last", "0.25h")).canonical
        == parse(("last", "15m")).canonical
        == parse(("last", "900s"), ("tz", "Europe/Berlin")).canonical
        == "last=900s"
    )
    zoned = [parse(("last", "1d"), ("tz", tz), of=table("day")).canonical for tz in ("UTC", "Europe/Berlin")]
    assert zoned == ["last=86400s&tz=UTC", "last=86400s&tz=Europe/Berlin"]


def test_the_canonical_text_holds_filter_window_and_columns_and_the_result_order_and_limit():
    asked = parse(("status", "eq.a"), ("last", "1h"), ("columns", "status"), ("order", "wall.desc"), ("limit", "5"))
    assert asked.canonical == 'status=eq.a&last=3600s&columns="id","status"'
    assert asked.result_key == asked.canonical + '&order="wall"df,"id"al&limit=5'
    assert parse(("wait", "1"), ("every", "2s"), ("snapshot", "no"), ("after", CURSOR)).result_key == parse().result_key


def test_columns_come_in_the_tables_order_with_the_key():
    assert parse(("columns", 'status,"a.b",created_at')).columns == ("created_at", "id", "status", "a.b")
    assert parse(("columns", '"a""b"')).columns == ("id", 'a"b')
    assert parse(("columns", "status"), of=table(key=None)).columns == ("status",)
    plain = table(columns=COLUMNS[:2])
    assert parse(("columns", "created_at"), of=plain).columns is None


def test_an_order_ends_with_the_key():
    asked = parse(("order", 'created_at.desc,"a.b".asc.nullsfirst,status.desc.nullslast,created_at,host'))
    assert asked.order == (
        OrderTerm("created_at", descending=True, nulls_first=True),
        OrderTerm("a.b", nulls_first=True),
        OrderTerm("status", descending=True),
        OrderTerm("host"),
        OrderTerm("id"),
    )
    assert parse(("order", "id.desc")).order == (OrderTerm("id", descending=True, nulls_first=True),)
    assert parse(("order", "hash"), of=table(key=("hash",))).order == (OrderTerm("hash"),)


def test_the_changes_to_follow_include_those_of_order_columns():
    assert parse().changes_query == parse()
    asked = parse(("columns", "status"), ("order", "wall"))
    assert asked.changes_query.columns == ("id", "status", "wall")


def test_single_values():
    asked = parse(
        ("limit", "0"),
        ("snapshot", "No"),
        ("after", CURSOR),
        ("wait", "500ms"),
        ("every", "1m"),
        ("tz", "Europe/Berlin"),
    )
    assert (asked.limit, asked.snapshot, asked.after, asked.wait, asked.every) == (0, False, CURSOR, 0.5, 60.0)
    assert asked.tz.key == "Europe/Berlin"
    assert parse(("wait", "60s"), ("every", "0.1s"), ("snapshot", "true")).wait == 60
    assert parse(("limit", "7"), default_limit=5, max_limit=7).limit == 7
    assert parse(default_limit=5).limit == 5


def test_a_query_is_hashable():
    assert len({parse(("status", "eq.a")), parse(("status", "eq.a")), parse()}) == 2


@pytest.mark.parametrize(
    ("arguments", "parameter", "hint"),
    [
        (
            [("statuss", "eq.a")],
            "statuss",
            "'statuss' is not a column of public.orders. Its columns are 'created_at'",
        ),
        ([("statuss", "eq.a")], "statuss", "'status'"),
        ([("secret", "eq.a")], "secret", "The parameters are start, end"),
        ([('"', "eq.a")], '"', "is not a column"),
        ([("limit", "1"), ("limit", "1")], "limit", "Given twice; give it once"),
        ([("status", "a")], "status", "did you mean status=eq.a"),
        ([("start", "soon")], "start", "a date or a timestamp"),
        ([("start", "infinity"), ("end", "soon")], "end", "a date or a timestamp"),
        ([("tz", "Berlin")], "tz", "Europe/Berlin"),
        ([("last", "15m"), ("start", "2026-01-01")], "last", "not both"),
        ([("last", "15")], "last", "Write 90s, 15m, 24h, 7d or 2w"),
        ([("last", "1.5s")], "last", "Write 90s"),
        ([("last", "0s")], "last", "Write 90s"),
        ([("last", "1000000d")], "last", "ten years at most"),
        ([("columns", "id,nope")], "columns", "has no column 'nope'. Its columns are 'created_at'"),
        ([("columns", "")], "columns", "not a list of columns"),
        ([("columns", "id,")], "columns", "not a list of columns"),
        ([("columns", 'id,"x')], "columns", "not a list of columns"),
        ([("order", "id.up")], "order", "has no column 'id.up'"),
        ([("order", "id,,status")], "order", "not a list of columns"),
        ([("order", "body")], "order", "has no order"),
        ([("order", "hash")], "order", "has no order"),
        ([("limit", "-1")], "limit", "whole number from 0 to 10000"),
        ([("limit", "10001")], "limit", "whole number from 0 to 10000"),
        ([("limit", "٣")], "limit", "whole number"),
        ([("snapshot", "maybe")], "snapshot", "neither yes nor no"),
        ([("wait", "61s")], "wait", "from 0s to 60s"),
        ([("wait", "long")], "wait", "from 0s to 60s"),
        ([("every", "50ms")], "every", "from 0.1s to 3600s"),
        ([("every", "2h")], "every", "from 0.1s to 3600s"),
        ([("status", "eq.\x00")], "status", "NUL character"),
        ([("sta\x00tus", "eq.1")], r"'sta\x00tus'", "NUL character"),
        ([("\ud800", "eq.a")], r"'\ud800'", "surrogate"),
        ([("id", "eq.1")] * 101, "id", "more than 100 conditions"),
    ],
)
def test_a_refusal_names_the_parameter_and_says_what_to_write(arguments, parameter, hint):
    with pytest.raises(BadParameterError, match=hint) as refusal:
        parse(*arguments)
    assert refusal.value.parameter == parameter


@pytest.mark.parametrize(
    ("range_", "argument", "hint"),
    [
        (None, ("start", "1"), "watched without a range column"),
        (None, ("end", "1"), "watched without a range column"),
        (None, ("last", "1h"), "watched without a range column"),
        ("gone", ("start", "1"), "watched without a range column"),
        ("host", ("end", "10.0.0.1"), "has no order that SQL and live changes agree on"),
        ("id", ("last", "1h"), "contains no date. Use start and end"),
    ],
)
def test_a_range_needs_a_range_column_that_fits(range_, argument, hint):
    with pytest.raises(BadParameterError, match=hint) as refusal:
        parse(argument, of=table(range_))
    assert refusal.value.parameter == argument[0]


def test_a_range_of_numbers_is_inclusive():
    assert parse(("start", "1"), ("end", "3"), of=table("id")).canonical == "id=gte.1&id=lte.3"


def test_a_table_with_very_many_columns_is_not_listed_in_full():
    wide = table(columns=tuple(Column(f"c{number}", "text", "text") for number in range(40)), key=None)
    with pytest.raises(BadParameterError, match="'c29' and more"):
        parse(("nope", "eq.1"), of=wide)


NAMES = (*PARAMETERS, *PARAMETERS, *(column.name for column in COLUMNS), '"end"', '"', "nope", "", "\u20ac")
PIECES = (
    *(
        "2026-01-01",
        "T00:00",
        "Z",
        " 02:00",
        "+14:00",
        "99999-",
        "infinity",
        "1e9",
        "-",
        "NaN",
        "(",
        ")",
        '"',
        ",",
        "\\",
    ),
    *("15m", "20s", "id", ".desc", "null", "true", "\x00", "\ud800", "Europe/Berlin", "../", "9" * 30, "%s", "';", "0"),
    *(
        "eq.",
        "neq.",
        "gt.",
        "gte.",
        "lt.",
        "lte.",
        "in.(",
        "is.",
        "not.",
        ".",
        " ",
        "\n",
        "\u2028",
        "\u0663",
        " BC",
        "x" * 99,
    ),
)


def _made_up(chance: random.Random) -> list[tuple[str, str]]:
    return [
        (chance.choice(NAMES), "".join(chance.choices(PIECES, k=chance.randrange(5))))
        for _ in range(chance.randrange(5))
    ]


def test_any_text_is_a_query_or_a_bad_parameter():
    chance, asked = random.Random(2), 0
    for _ in range(8000):
        arguments, of = _made_up(chance), table(chance.choice([None, *(column.name for column in COLUMNS)]))
        try:
            found = parse_query(of, arguments)
        except BadParameterError as refusal:
            assert refusal.parameter is not None, arguments  # noqa: PT017 - a query is as good
            refusal.detail.encode()
            continue
        found.result_key.encode()
        filter_, bound = found.filter_at(NOW)
        assert (bound is None) == (found.last is None), arguments
        asked += len(filter_.terms) > 0
    assert asked > 30
