"""Groups, negation, patterns and paths into JSON, all the way to the client: rows, their stream, and changes."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import pytest
from harness.site import name
from harness.site import site as serve_site

ROWS = {
    1: ("new", 50, '{"kind": "paid", "n": 3, "tags": ["a", "b"]}'),
    2: ("new", 150, '{"kind": "open", "n": 10, "tags": []}'),
    3: ("done", 150, '{"kind": "paid", "n": "3"}'),
    4: (None, None, None),
    5: ("half_done", 1, '{"kind": null, "a key": {"0": true}}'),
    6: ("DONE", 99, "null"),
}
QUERIES = [
    ({"or": "(status.eq.new,total.gt.100)"}, [1, 2, 3]),
    ({"and": "(status.eq.new,total.gt.100)"}, [2]),
    ({"or": "(status.eq.done,and(status.eq.new,total.lt.100))"}, [1, 3]),
    ({"not.or": "(status.eq.new,total.gt.100)"}, [5, 6]),
    ({"not.and": "(status.eq.new,total.gt.100)"}, [1, 3, 5, 6]),
    ({"or": ["(status.eq.new,status.eq.done)", "(total.eq.50,id.eq.3)"]}, [1, 3]),
    ({"status": "not.eq.new"}, [3, 5, 6]),
    ({"status": "not.in.(new,done)"}, [5, 6]),
    ({"status": "not.is.null", "total": "not.gt.99"}, [1, 5, 6]),
    ({"status": "like.%done"}, [3, 5]),
    ({"status": "like.*done"}, [3, 5]),
    ({"status": "like._one"}, [3]),
    ({"status": r"like.half\_%"}, [5]),
    ({"status": "not.like.*e*"}, [6]),
    ({"payload->>kind": "eq.paid"}, [1, 3]),
    ({"payload->>kind": "is.null"}, [4, 5, 6]),
    ({"payload->n": "gt.3"}, [2]),
    ({"payload->n": "eq.3"}, [1]),
    ({"payload->n": 'in.(10,"3")'}, [2, 3]),
    ({"payload->n": "neq.3"}, [2, 3]),
    ({"payload->>n": "eq.3"}, [1, 3]),
    ({"payload->tags->>0": "eq.a"}, [1]),
    ({"payload->tags->-1": 'eq."b"'}, [1]),
    ({'payload->"a key"->"0"': "eq.true"}, [5]),
    ({"or": '(payload->>kind.eq.open,payload->"a key"->"0".eq.true,status.like."d*")'}, [2, 3, 5]),
    ({"or": '("or".eq.1,id.eq.2)', '"and"': "is.null"}, [1, 2]),
]


@pytest.fixture(scope="module", params=["json", "jsonb"])
def orders(request, site):
    table = site.table(f'id int PRIMARY KEY, status text, total int, payload {request.param}, "or" int, "and" int')
    _fill(site, table)
    return table


def _fill(site, table):
    for number, row in ROWS.items():
        site.sql(f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s)", number, *row, number)


@pytest.mark.parametrize(("query", "ids"), QUERIES)
def test_rows(site, orders, query, ids):
    assert site.ids(orders, **query) == ids


def test_changes(site, orders):
    site.sql(f"TRUNCATE {orders}")
    queries = [query for query, _ in QUERIES]
    with _following(site, orders, queries) as inserted:
        _fill(site, orders)
        site.sql(f"TRUNCATE {orders}")
        for (query, ids), live in zip(QUERIES, inserted(), strict=True):
            assert live == ids, query
    _fill(site, orders)


@contextmanager
def _following(site, table, queries):
    """Streams of ``queries``; yields a function that gives the ids inserted to each, up to a TRUNCATE."""
    with ExitStack() as stack:
        streams = [stack.enter_context(site.follow(table, snapshot="no", **query)) for query in queries]
        for stream in streams:
            stream.until(lambda block: block.id)
        yield lambda: [_inserted(stream) for stream in streams]


def _inserted(stream):
    ids = []
    while (event := stream.event()).name != "truncate":
        ids.append(event.json["row"]["id"])
    return ids


def test_a_row_enters_and_leaves_by_either_part_of_an_or(site):
    table = site.table("id int PRIMARY KEY, a int, j jsonb", rows="""(1, 0, '{"n": 1}')""")
    query = {"or": "(a.gt.5,j->n.gt.5)"}
    with site.follow(table, **query) as changes, site.follow(table, "rows", every="100ms", **query) as rows:
        assert changes.event("snapshot").json["rows"] == []
        assert rows.event("rows").json["rows"] == []
        site.sql(f"UPDATE {table} SET a = 6")
        assert changes.event("insert").json["row"]["a"] == 6
        assert [row["id"] for row in rows.event("rows").json["rows"]] == [1]
        site.sql(f"""UPDATE {table} SET a = 0, j = '{{"n": 6}}'""")
        assert changes.event("update").json["row"]["j"] == {"n": 6}
        rows.until(lambda block: block.name == "rows" and block.json["rows"][0]["a"] == 0)
        site.sql(f"UPDATE {table} SET j = NULL")
        assert changes.event("delete").json["old"]["j"] == {"n": 6}
        assert rows.event("rows").json["rows"] == []


def test_a_cursor_goes_on_with_another_spelling_of_its_filter(site):
    table = site.table(rows="(1, 'x')")
    first = site.changes(table, **{"or": "(id.gt.3,a.eq.y)"})["cursor"]
    site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
    found = site.changes(table, after=first, **{"and": "(or(a.in.(y),id.not.lte.3,a.eq.y))"})
    assert [change["row"]["id"] for change in found["changes"]] == [2]
    answer = site.get(f"/tables/{table}/changes", after=first, **{"or": "(id.gt.4,a.eq.y)"})
    assert answer.status == 410


REFUSED = [
    ({"or": "status.eq.new"}, "or", "parenthesis"),
    ({"or": "(total.eq.abc)"}, "or", "'abc' is not a whole number"),
    ({"status": "new"}, "status", "did you mean status=eq.new?"),
    ({"status": "ilike.n*"}, "status", "ilike is not available"),
    ({"status->a": "eq.1"}, "status->a", "json"),
    ({"payload->n": "gt.x"}, "payload->n", "number"),
    ({"not.or": "(" + "or(" * 10 + "id.eq.1" + ")" * 11}, "not.or", "nested more than 10 deep"),
    ({"or": "(" + ",".join(f"id.eq.{number}" for number in range(101)) + ")"}, "or", "more than 100 conditions"),
]


@pytest.mark.parametrize(("query", "parameter", "hint"), REFUSED)
def test_a_filter_that_cannot_be_used_says_what_to_write(newest, query, parameter, hint):
    table = newest.table("id int PRIMARY KEY, status text, total int, payload json")
    for resource in ("rows", "changes"):
        problem = newest.refused(table, resource, **query)
        assert problem["parameter"] == parameter
        assert hint in problem["detail"]


def test_a_document_that_no_path_can_enter_stops_no_other(newest):
    """PostgreSQL raises an error for any path into these."""
    table = newest.table("id int PRIMARY KEY, j json", rows="""(1, '{"k":1}')""")
    with newest.follow(table, **{"j->>k": "eq.1"}) as stream:
        stream.event("snapshot")
        newest.sql(
            f"INSERT INTO {table} VALUES (2, %s), (3, %s), (4, %s)",
            r'{"k":1,"x":"\u0000"}',
            r'{"k":1,"x":"\ud800"}',
            '{"k":1}',
        )
        assert stream.event("insert").json["row"]["id"] == 4
    assert newest.ids(table, **{"j->>k": "eq.1"}) == [1, 4]
    assert newest.ids(table, **{"j->>k": "is.null"}) == [2, 3]


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252"])
def test_a_database_that_is_not_utf8(clusters, encoding):
    with serve_site(clusters.shared("pg18"), database=f"ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'") as site:
        table, texts = name(), "aéÿ" + ("€" if encoding == "WIN1252" else "")
        site.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, v text)")
        site.watch(table)
        queries = [{"v": f"{operator}.{text}"} for operator in ("eq", "neq", "gt", "lte") for text in "é€漢"]
        with _following(site, table, queries) as live:
            for number, text in enumerate(texts):
                site.sql(f"INSERT INTO {table} VALUES (%s, %s)", number, text)
            site.sql(f"INSERT INTO {table} VALUES (100, NULL)")
            rows = [site.ids(table, **query) for query in queries]
            site.sql(f"TRUNCATE {table}")
            assert live() == rows
        assert rows[queries.index({"v": "gt.é"})] == [number for number, text in enumerate(texts) if text > "é"]
