"""A filter means exactly the same to the SQL that reads rows and to the Python that matches a change."""

from __future__ import annotations

import pytest
from harness.clusters import VERSIONS
from harness.strategies import ZONES
from harness.typed_columns import SETS_UP, SETS_UP_15, TYPES
from harness.versions import require
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg2.sql import SQL, Identifier, Literal

from sseapp.errors import BadParameterError
from sseapp.postgres import filter_sql
from sseapp.postgres.database import Connection
from sseapp.query.filters import Filter
from sseapp.query.query import parse as parse_query
from sseapp.tables.column_types import column_type
from sseapp.tables.row_json import members
from sseapp.tables.table import Table

ORDERED = ("eq", "neq", "gt", "gte", "lt", "lte", "in")
EQUATED = ("eq", "neq", "in")
PATTERN_TYPES = ("text", "varchar", "bpchar", "name")
QUICK = settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=VERSIONS)
def version(request):
    require(request.param)
    return request.param


@pytest.fixture(scope="module")
def connection(version, clusters):
    with clusters.shared(version).database() as dsn:
        connection = Connection(dsn)
        connection.query(SETS_UP + (SETS_UP_15 if version == "pg15" else ""))
        yield connection
        connection.close()


def _table(typed) -> Table:
    return Table(1, 1, "public", typed.name, None, None, (typed.column,), "")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def conditions(draw, typed) -> tuple[str, str]:
    """The text of one condition on the column ``v``, and a time zone to read it in."""
    value_type = column_type(typed.column)
    names = ORDERED if value_type.ordered else EQUATED if value_type.comparable else ()
    if typed.column.base in PATTERN_TYPES and typed.column.kind == "b":
        names = (*names, "like")
    name = draw(st.sampled_from((*names, "is")))
    # what the rows hold, or anything else of the type
    texts = typed.literals | typed.inputs
    if name == "is":
        text = draw(st.sampled_from(["null", "not_null", *(["true", "false"] if typed.column.base == "bool" else [])]))
    elif name == "in":
        text = "(" + ",".join(map(_quoted, draw(st.lists(texts, min_size=1, max_size=4)))) + ")"
    elif name == "like":
        text = "".join(draw(st.lists(texts | st.sampled_from("%_*"), max_size=3)))
    else:
        text = draw(texts)
    return draw(st.sampled_from(("", "not."))) + f"{name}.{text}", draw(st.sampled_from(ZONES))


def _filters(table: Table, asked: list[tuple[str, str]]) -> list[Filter]:
    """The filters that are accepted: a refusal is consistent too."""
    found = []
    for text, tz in asked:
        try:
            found.append(parse_query(table, [("v", text), ("tz", tz)]).filter)
        except BadParameterError:
            continue
    return found


@pytest.mark.parametrize("typed", TYPES, ids=lambda typed: typed.name)
def test_sql_and_python_take_the_same_values(typed, version, connection):
    if typed.only not in ("", version):
        pytest.skip(f"{version} has no {typed.sql}")
    table = _table(typed)
    name = Identifier(f"of_{typed.name}")
    connection.query(SQL(f"CREATE TABLE {{}} (v {typed.sql})").format(name))
    accepted = 0

    @QUICK
    @given(
        st.lists(st.none() | typed.inputs, min_size=5, max_size=40),
        st.lists(conditions(typed), min_size=10, max_size=40),
    )
    def check(texts, asked):
        nonlocal accepted
        filters = _filters(table, asked)
        accepted += len(filters)
        flags = SQL(", ").join(
            SQL("coalesce({}, false)").format(filter_sql.clause(filter_, table, "t")) for filter_ in filters
        )
        rows = SQL(", ").join(SQL("({})").format(Literal(text)) for text in texts)
        statement = SQL("INSERT INTO {} AS t VALUES {} RETURNING row_to_json(t.*)::text, ARRAY[{}]::boolean[]")
        for row, chosen in connection.query(statement.format(name, rows, flags)):
            raw = members(row)
            for filter_, by_sql in zip(filters, chosen, strict=True):
                assert filter_.matches(raw) == by_sql, (row, filter_.canonical)

    check()
    assert accepted > 50
