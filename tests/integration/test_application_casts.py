"""No cast and no operator of the application runs when rows are read: not for a filter, an order, a bound or a page."""

from __future__ import annotations

import json
from contextlib import closing, suppress

import pytest
from harness.clusters import NEWEST
from harness.running import Running, prepare
from harness.versions import require

from sseapp.errors import BadParameterError, ConnectionLostError, ShapeChangedError
from sseapp.live.row_reader import RowReader
from sseapp.postgres import catalog, snapshot_rows
from sseapp.query.query import parse as parse_query
from sseapp.tables.row_json import members

SETUP = """
CREATE TYPE e AS ENUM ('c', 'a', 'b');
CREATE DOMAIN de AS e;
CREATE DOMAIN dde AS de;
CREATE TYPE pair AS (v e, n int);
CREATE FUNCTION cast_it(e) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO seen VALUES (1); RAISE EXCEPTION 'the cast ran'; END $$;
CREATE FUNCTION compare_it(e, e) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the operator ran'; END $$;
CREATE OPERATOR = (LEFTARG = e, RIGHTARG = e, FUNCTION = compare_it);
CREATE OPERATOR <> (LEFTARG = e, RIGHTARG = e, FUNCTION = compare_it);
CREATE OPERATOR > (LEFTARG = e, RIGHTARG = e, FUNCTION = compare_it);
CREATE TABLE t (id int PRIMARY KEY, v e, d de, dd dde, vs e[], p pair, n int);
CREATE TABLE keyed (n int, d de, w text, PRIMARY KEY (n, d, w));
SELECT sseapp.watch('t', 'n'), sseapp.watch('keyed');
INSERT INTO t SELECT n, x, x, x, ARRAY[x, NULL]::e[], ROW(x, n)::pair, n
FROM unnest('{a,b,c,NULL,a}'::e[]) WITH ORDINALITY u(x, n);
INSERT INTO keyed SELECT n, x, w FROM generate_series(1, 2) n, unnest('{a,b,c}'::e[]) x, unnest('{B,a,ä}'::text[]) w;
"""
CASTS = {
    "none": "SELECT",
    "explicit": "CREATE CAST (e AS text) WITH FUNCTION cast_it(e)",
    "assignment": "CREATE CAST (e AS text) WITH FUNCTION cast_it(e) AS ASSIGNMENT",
    "implicit": "CREATE CAST (e AS text) WITH FUNCTION cast_it(e) AS IMPLICIT",
    "implicit, to and fro": """
        CREATE CAST (e AS varchar) WITH INOUT AS IMPLICIT; CREATE CAST (varchar AS e) WITH INOUT AS IMPLICIT""",
}
NO_CASTS = "DROP CAST IF EXISTS (e AS text); DROP CAST IF EXISTS (e AS varchar); DROP CAST IF EXISTS (varchar AS e)"
FILTERS = {
    "eq.a": {1, 5},
    "neq.a": {2, 3},
    "in.(a,b)": {1, 2, 5},
    "not.in.(a,b)": {3},
    "gt.c": {1, 2, 5},
    "gte.a": {1, 2, 5},
    "lt.b": {1, 3, 5},
    "lte.c": {3},
    "is.null": {4},
    "is.not_null": {1, 2, 3, 5},
}
OTHERS = {
    (("start", "2"), ("end", "4")): {2, 3, 4},
    (("or", "(v.eq.c,d.in.(b,c))"),): {2, 3},
    (("vs->>0", "eq.a"),): {1, 5},
    (("p->>v", "in.(a,b)"),): {1, 2, 5},
    (("p->n", "gt.3"),): {4, 5},
    (("vs", "is.null"),): set(),
}


@pytest.fixture(scope="module")
def running(clusters):
    require(NEWEST)
    server = clusters.shared(NEWEST)
    with server.database() as dsn:
        prepare(dsn)
        with closing(Running(server, dsn)) as running:
            running.sql(SETUP)
            yield running


@pytest.fixture
def make_cast(running):
    """Makes one of the casts for the test."""
    yield lambda name: running.sql(CASTS[name])
    running.sql(NO_CASTS)


def _rows(running, name, *arguments):
    """What is read; once more where a cast that has come or gone counts as another shape meanwhile."""
    for _ in range(10):
        with suppress(ShapeChangedError):
            return _read(running, running.table(name), *arguments)
    raise AssertionError("the table keeps changing")


def _read(running, table, *arguments):
    reader = RowReader(running.runtime.database, running.runtime.registry, deadline=10)
    asked = parse_query(table, arguments)
    with reader.pages(table, asked, asked.filter, whole=False) as pages:
        rows = [row for page in pages for row in page]
    assert rows[: asked.limit] == [*reader.read(table, asked, asked.filter).rows]
    return asked, rows


@pytest.mark.parametrize("cast", CASTS)
def test_a_filter_takes_the_same_rows_whatever_casts_there_are(running, make_cast, cast):
    questions = OTHERS | {((name, text),): ids for name in ("v", "d", "dd") for text, ids in FILTERS.items()}
    everything = [members(text) for text in _rows(running, "t")[1]]
    make_cast(cast)
    for arguments, ids in questions.items():
        asked, rows = _rows(running, "t", *arguments)
        assert {json.loads(row)["id"] for row in rows} == ids, arguments
        assert {int(row["id"]) for row in everything if asked.filter.matches(row)} == ids, arguments
    for name in ("v", "d", "dd"):
        ordered = [json.loads(row)["id"] for row in _rows(running, "t", ("order", name))[1]]
        assert ordered == [3, 1, 5, 2, 4]
    running.sql("UPDATE t SET n = n + 10 WHERE id = 1")
    assert running.sql("SELECT count(*) FROM sseapp.loss") == [(0,)]


@pytest.mark.parametrize("cast", CASTS)
def test_pages_follow_a_key_of_an_enum(running, make_cast, cast):
    make_cast(cast)
    seen = _paged(running, "keyed", ("n", "d", "w"))
    assert seen == [[n, d, w] for n in (1, 2) for d in "cab" for w in "Baä"]


def _paged(running, name, key):
    seen, behind = [], ()
    while True:
        _, rows = _rows(running, name, ("limit", "2"), *behind)
        seen += [[json.loads(row)[column] for column in key] for row in rows[:2]]
        if len(rows) < 3:
            return seen
        behind = (("after-key", json.dumps(seen[-1])),)


def test_a_cast_made_later_is_a_change_of_shape(running, make_cast):
    before = running.table("t")
    make_cast("implicit")
    with pytest.raises(ShapeChangedError):
        _read(running, before, ("v", "eq.a"))
    with running.session() as session:
        catalog.check_shapes(session)
    assert running.table("t").generation > before.generation
    assert len(_rows(running, "t", ("v", "eq.a"))[1]) == 2


KEYS = {
    "regclass": ("'pg_class'", "'pg_type'", "'t'", "'keyed'", "'Ö'"),
    "int4range": ("'[1,3)'", "'[1,30)'", "'[10,20)'", "'empty'", "'(,)'"),
    "pg_lsn": ("'0/A'", "'0/1'", "'1/0'", "'F/0'"),
    "inet": ("'10.0.0.1'", "'9.0.0.1'", "'::1'", "'10.0.0.0/8'"),
    "bytea": (r"'\x00'", r"'\xff'", r"'\x0a'"),
    "interval": ("'1 day'", "'2 days'", "'23:00'", "'1 mon'"),
    "uuid": (f"'{'0' * 32}'", f"'{'a' * 32}'", f"'{'9' * 32}'"),
    "citext": ("'a'", "'B'", "'c'", "'Ä'", "''"),
}


def test_pages_follow_a_key_of_any_type_that_is_text_in_json(server, dsn):
    prepare(dsn)
    with closing(Running(server, dsn)) as running:
        running.sql('CREATE TABLE t (); CREATE TABLE keyed (); CREATE TABLE "Ö" ()')
        if server.version == "pg15":
            running.sql("CREATE EXTENSION citext")
        for type_, values in KEYS.items():
            if type_ == "citext" and server.version != "pg15":
                continue
            table = f"of_{type_}"
            rows = ", ".join(f"({value})" for value in values)
            running.sql(f"CREATE TABLE {table} (k {type_} PRIMARY KEY); SELECT sseapp.watch('{table}')")
            running.sql(f"INSERT INTO {table} VALUES {rows}")
            seen = [key for (key,) in _paged(running, table, ("k",))]
            assert len(seen) == len(set(seen)) == len(values), type_
            if type_ in ("regclass", "int4range", "pg_lsn", "citext"):
                assert seen == sorted(seen)
                with pytest.raises(BadParameterError, match="not a JSON string"):
                    _rows(running, table, ("after-key", "[[1]]"))
        with pytest.raises(BadParameterError, match="cannot read the key"):
            _rows(running, "of_inet", ("after-key", '["x"]'))


@pytest.mark.parametrize("type_", ["int[]", "jsonb", "pair"])
def test_pages_of_other_keys_are_refused(running, type_):
    running.sql(f"DROP TABLE IF EXISTS o; CREATE TABLE o (k {type_} PRIMARY KEY); SELECT sseapp.watch('o')")
    _rows(running, "o", ("limit", "1"))
    with pytest.raises(BadParameterError, match="event stream") as raised:
        _rows(running, "o", ("after-key", "[[1]]"))
    assert raised.value.parameter == "after-key"


def test_an_error_before_the_first_row_begins_no_answer(running, monkeypatch):
    def lost(_):
        raise ConnectionLostError(cause="lost")
        yield

    monkeypatch.setattr(snapshot_rows.Pages, "__iter__", lost)
    table = running.table("t")
    asked = parse_query(table, [])
    scope = running.runtime.hub.scope(table, asked)
    with pytest.raises(ConnectionLostError):
        running.runtime.snapshots.answer(table, asked, asked.filter, scope)
