"""Filters in databases that are not UTF-8: no literal is an error there, and text sorts by code point all the same."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg2.sql import SQL, Literal

from sseapp.errors import BadParameterError
from sseapp.postgres import catalog, filter_sql, schema
from sseapp.postgres.database import Connection
from sseapp.postgres.raw_text import readable
from sseapp.query.query import parse as parse_query
from sseapp.tables.row_json import members
from sseapp.tables.table import Column, Table

QUICK = settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHARACTERS = {
    "WIN1252": "aAé€Œÿ\u2022",
    "LATIN1": "aAéÿ\x80\x9f",
    "LATIN9": "aAé€Œÿ",
    "WIN1251": "aAЖя№Ђ",
    "EUC_JP": "aAあ漢ｱ",
    "SQL_ASCII": "aAé€漢",
}
COLUMNS = (
    Column("t", "text", "text"),
    Column("c", "character(9)", "bpchar"),
    Column("j", "json", "json"),
    Column("b", "jsonb", "jsonb"),
)
LITERALS = st.text("aAé€Ж漢Œ\U0001f600", max_size=2)


def _table(encoding):
    return Table(1, 1, "public", "t", None, None, COLUMNS, 0, encoding=encoding)


@pytest.fixture(params=CHARACTERS)
def encoded(request, server):
    options = f"ENCODING '{request.param}' LOCALE_PROVIDER libc LOCALE 'C'"
    with server.database(options) as dsn, closing(Connection(dsn)) as connection:
        schema.install(connection)
        connection.query("CREATE TABLE t (t text, c char(9), j json, b jsonb)")
        yield request.param, connection


@st.composite
def conditions(draw):
    column = draw(st.sampled_from(["t", "c", "j->>k", "b->>k", "j->k", "b->k"]))
    operator = draw(st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte", "in", "like"]))
    text = draw(LITERALS)
    if column.endswith("->k"):
        operator, text = draw(st.sampled_from(["eq", "neq"])), f'"{text}"'
    if operator == "in":
        text = f"({text},a)"
    return column, draw(st.sampled_from(["", "not."])) + f"{operator}.{text}"


def test_sql_and_python_take_the_same_rows(encoded):
    encoding, connection = encoded
    table = _table(encoding)
    taken = 0
    escapes = st.sampled_from(["", "\\u0061", "\\u00e9", "\\u20ac", "\\\\u00e9"])
    texts = st.text(CHARACTERS[encoding], max_size=2)

    @QUICK
    @given(
        st.lists(st.tuples(texts, escapes), min_size=3, max_size=12), st.lists(conditions(), min_size=10, max_size=30)
    )
    def check(cells, asked):
        nonlocal taken
        filters = []
        for argument in asked:
            try:
                filters.append(parse_query(table, [argument]).filter)
            except BadParameterError as error:
                assert "encoding" in error.detail, argument  # noqa: PT017 - all others are fine
        rows = SQL(", ").join(
            SQL("({0}, {0}, {1}, {2})").format(
                Literal(text), Literal(f'{{"k":"{text}{escape}"}}'), Literal(f'{{"k":"{text}"}}')
            )
            for text, escape in cells
        )
        flags = SQL(", ").join(
            SQL("coalesce({}, false)").format(filter_sql.clause(filter_, table, "t")) for filter_ in filters
        )
        statement = SQL("INSERT INTO t AS t VALUES {} RETURNING row_to_json(t.*)::text, ARRAY[{}]::boolean[]")
        for row, chosen in connection.query(statement.format(rows, flags)):
            raw = members(row)
            for filter_, by_sql in zip(filters, chosen, strict=True):
                assert filter_.matches(raw) == by_sql, (row, filter_.canonical)
                taken += by_sql

    check()
    assert taken > 200


def test_an_order_goes_by_code_point(encoded):
    encoding, connection = encoded
    table = _table(encoding)
    values = SQL(", ").join(SQL("({})").format(Literal(text)) for text in CHARACTERS[encoding])
    connection.query(SQL("INSERT INTO t (t) VALUES {}").format(values))
    order = filter_sql.order(parse_query(table, [("order", "t")]), table)
    found = [text for (text,) in connection.query(SQL("SELECT t.t FROM t {}").format(order))]
    assert found == sorted(CHARACTERS[encoding])


def test_the_catalog_says_which_encoding_it_is(encoded):
    encoding, connection = encoded
    watch = schema.watch(connection, "t")
    assert catalog.load(connection)[watch].encoding == encoding


POISONED = [
    *(
        f"{operator}.{text}"
        for operator in ("eq", "neq", "gt", "gte", "lt", "lte")
        for text in ("x", "x\ufffdy", "\uffff")
    ),
    *("in.(x\ufffdy,a)", "like.x%", "like.x_y"),
]


@pytest.mark.parametrize("encoded", ["WIN1252"], indirect=True)
def test_a_byte_without_a_character_is_compared_as_it_is_shown(encoded):
    encoding, connection = encoded
    table = _table(encoding)
    connection.query(
        "INSERT INTO t (t) VALUES ('x');"
        "INSERT INTO t SELECT v, v, json_build_object('k', v) FROM convert_from('\\x788179', 'WIN1252') v"
    )
    filters = [parse_query(table, [(name, text)]).filter for name in ("t", "c", "j->>k") for text in POISONED]
    flags = SQL(", ").join(filter_sql.clause(filter_, table, "t") for filter_ in filters)
    order = filter_sql.order(parse_query(table, [("order", "t")]), table)
    statement = SQL("SELECT sseapp.sendable(row_to_json(t.*)::text), ARRAY[{}] FROM t AS t {}").format(flags, order)
    rows = connection.query(statement)
    assert [members(readable(row))["t"] for row, _ in rows] == ['"x"', '"x\ufffdy"']
    for row, chosen in rows:
        for filter_, by_sql in zip(filters, chosen, strict=True):
            assert filter_.matches(members(readable(row))) == bool(by_sql), filter_.canonical


@pytest.mark.parametrize(
    ("encoding", "argument", "hint"),
    [
        ("LATIN1", ("j->>€", "eq.a"), "encoding LATIN1 cannot hold the key '€'"),
        ("LATIN1", ("t", "like.€%"), "encoding LATIN1 cannot hold the pattern '€%'"),
        ("EUC_JP", ("t", "like.漢%"), "encoding EUC_JP cannot hold the pattern"),
        ("SQL_ASCII", ("t", "like._"), "SQL_ASCII"),
    ],
)
def test_what_an_encoding_cannot_do_is_refused(encoding, argument, hint):
    with pytest.raises(BadParameterError, match=hint) as refusal:
        parse_query(_table(encoding), [argument])
    assert refusal.value.parameter == argument[0]
