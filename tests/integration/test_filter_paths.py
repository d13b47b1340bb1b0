"""Groups and paths into JSON mean exactly the same to SQL and to Python, for rows and filters at random."""

from __future__ import annotations

import json

import pytest
from harness.clusters import VERSIONS, bindir
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg2.sql import SQL, Literal

from sseapp.postgres import filter_sql
from sseapp.postgres.database import Connection
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
COLUMNS = {
    "j": Column("j", "json", "json"),
    "b": Column("b", "jsonb", "jsonb"),
    "d": Column("d", "doc", "jsonb"),
    "a": Column("a", "integer[]", "_int4", "a"),
    "t": Column("t", "text[]", "_text", "a"),
    "c": Column("c", "pair", "pair", "c"),
    "or": Column("or", "integer", "int4"),
    'odd."(->) ': Column('odd."(->) ', "text", "text"),
}
TABLE = Table(1, 1, "public", "docs", None, None, tuple(COLUMNS.values()), 0)

KEYS = ("a", "b", "a b", "0", "", 'q"', "->", "ä", "\\")
NUMBERS = (
    "0",
    "-0",
    "3",
    "3.0",
    "3e0",
    "30e-1",
    "10",
    "9",
    "-1.5",
    "1e999",
    "1e1000",
    "1e-400",
    "0.1",
    "1E+2",
    "9" * 40,
)
RAW_STRINGS = (
    *('""', '"a"', '"3"', '"true"', '"null"', '"B"', '"ä"', r'"\u00e4"', r'"\ud83d\ude00"', r'"\"\\"', r'"\\u0000"'),
    *(r'"\u0000"', r'"\ud800"', r'"\ude00x"', r'"\\\ud800"', r'"a\nb"', '"a%b"', '"[1]"'),
)
SCALARS = st.sampled_from(("null", "true", "false", *NUMBERS, *RAW_STRINGS))


def _spaced(text):
    return st.sampled_from(("", " ", "\n")).map(lambda space: space + text + space)


def _object(pairs):
    return "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"


NAMES = st.sampled_from([json.dumps(key, ensure_ascii=False) for key in KEYS] + ['"\\u0061"', '"\\u00e4"'])
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(st.tuples(NAMES, inner), max_size=4).map(_object)
        | st.lists(inner.flatmap(_spaced), max_size=3).map(lambda values: "[" + ",".join(values) + "]")
    ),
    max_leaves=10,
)
CELLS = {
    "j": st.none() | DOCUMENTS.flatmap(_spaced),
    "b": st.none() | DOCUMENTS,
    "d": st.none() | DOCUMENTS,
    "a": st.sampled_from([None, "{}", "{1,2,NULL,3}", "{{3,10},{9,3}}"]),
    "t": st.sampled_from([None, "{}", '{a,"3",NULL,B}', '{"a\\"b",ä}']),
    "c": st.sampled_from([None, "(,)", "(3,a)", '(10,"ä b")']),
    "or": st.sampled_from([None, "1", "2", "3"]),
    'odd."(->) ': st.sampled_from([None, "", "a", "a,b", '"', "(a)", "ab%", "a_b"]),
}
STEPS = st.sampled_from(["a", "b", '"a b"', '"0"', '""', '"q"""', '"->"', "ä", "\\", "0", "1", "-1", "-9", "x"])
JSON_LITERALS = st.sampled_from(["3", "3.0", "10", "1e2", "0.1", "true", "false", '"a"', '"3"', '"ä"', '"true"', '""'])
TEXT_LITERALS = st.sampled_from(["a", "3", "3.0", "true", "null", "ä", "B", "", "[1]", "{}", "a\nb", "😀", '"\\'])
PATTERNS = st.sampled_from(["%", "a%", "*", "_", "%_%", r"\%", r"a\_b", "%ä", "a*b", "", "3%0", "%a%"])


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def conditions(draw, *, grouped):
    """One condition as (name, text)."""
    column = draw(st.sampled_from(sorted(COLUMNS)))
    name = f'"{column.replace(chr(34), chr(34) * 2)}"'
    negation = draw(st.sampled_from(("", "not.")))
    if column == "or":
        return name, negation + draw(st.sampled_from(["eq.1", "in.(1,2)", "gt.1", "is.null", "neq.2"]))
    write = _quoted if grouped else str
    if column == 'odd."(->) ':
        operator = draw(st.sampled_from(["eq", "gt", "lte", "like", "in", "is"]))
        texts = PATTERNS if operator == "like" else TEXT_LITERALS
    else:
        steps = draw(st.lists(STEPS, min_size=1, max_size=3))
        arrow = draw(st.sampled_from(["->", "->>"]))
        name += "".join("->" + step for step in steps[:-1]) + arrow + steps[-1]
        operator = draw(
            st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte", "in", "is", *(["like"] * (arrow == "->>"))])
        )
        texts = TEXT_LITERALS if arrow == "->>" else JSON_LITERALS
        if arrow == "->":
            write = str
            texts = (
                st.sampled_from(["3", "0", "10", "-1.5", "1e2"]) if operator in ("gt", "gte", "lt", "lte") else texts
            )
        elif operator == "like":
            texts = PATTERNS
    if operator == "is":
        return name, negation + draw(st.sampled_from(["is.null", "is.not_null"]))
    if operator == "in":
        listed = write if write is str and texts is JSON_LITERALS else _quoted
        return name, f"{negation}in.({','.join(map(listed, draw(st.lists(texts, min_size=1, max_size=3))))})"
    return name, f"{negation}{operator}.{write(draw(texts))}"


LEAVES = conditions(grouped=True).map(".".join)
GROUPS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda name, terms: f"{name}({','.join(terms)})",
        st.sampled_from(["or", "and", "not.or", "not.and"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def _group(text):
    name, bracket, rest = text.partition("(")
    return (name, bracket + rest) if name in ("or", "and", "not.or", "not.and") else ("or", f"({text})")


ASKED = st.lists(conditions(grouped=False) | GROUPS.map(_group), min_size=1, max_size=2)


@pytest.fixture(scope="module", params=VERSIONS)
def connection(request, clusters):
    if bindir(request.param) is None:
        pytest.skip(f"the programs of PostgreSQL {request.param} are not here (see README.md)")
    with clusters.shared(request.param).database() as dsn:
        connection = Connection(dsn)
        connection.query(
            "CREATE DOMAIN doc AS jsonb; CREATE TYPE pair AS (x int, y text);"
            'CREATE TABLE docs (j json, b jsonb, d doc, a int[], t text[], c pair, "or" int, "odd.""(->) " text)'
        )
        yield connection
        connection.close()


def test_an_index_on_a_path_serves(connection):
    connection.query("CREATE INDEX ON docs ((b ->> 'a')); SET enable_seqscan = off")
    for text in ("eq.x", "in.(x,y)"):
        clause = filter_sql.clause(parse_query(TABLE, [("b->>a", text)]).filter, TABLE, "t")
        plan = connection.query(SQL("EXPLAIN SELECT FROM docs t WHERE {}").format(clause))
        assert any("Index Cond" in line for (line,) in plan), plan


def _insertable(row):
    """jsonb takes neither NUL nor unpaired surrogates, and no number that numeric does not take."""
    return {name: None if name in "bd" and _unfit(text) else text for name, text in row.items()}


def _unfit(text):
    return text is not None and any(bad in text for bad in (r'"\u0000', r"\ud800", r"\ude00x"))


def test_sql_and_python_take_the_same_rows(connection):
    counted = {"accepted": 0, "taken": 0, "left": 0}

    @QUICK
    @given(
        st.lists(st.fixed_dictionaries(CELLS).map(_insertable), min_size=3, max_size=12),
        st.lists(ASKED, min_size=10, max_size=30),
    )
    def check(rows, asked):
        filters = [parse_query(TABLE, arguments).filter for arguments in asked]
        counted["accepted"] += len(filters)
        flags = SQL(", ").join(
            SQL("coalesce({}, false)").format(filter_sql.clause(filter_, TABLE, "t")) for filter_ in filters
        )
        values = SQL(", ").join(
            SQL("({})").format(SQL(", ").join(Literal(row[name]) for name in COLUMNS)) for row in rows
        )
        statement = SQL("INSERT INTO docs AS t VALUES {} RETURNING row_to_json(t.*)::text, ARRAY[{}]::boolean[]")
        for text, chosen in connection.query(statement.format(values, flags)):
            raw = members(text)
            for filter_, by_sql in zip(filters, chosen, strict=True):
                assert filter_.matches(raw) == by_sql, (text, filter_.canonical)
                counted["taken" if by_sql else "left"] += 1

    check()
    assert min(counted.values()) > 200, counted
