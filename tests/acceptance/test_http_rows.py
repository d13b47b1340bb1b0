"""GET /tables/<table>/rows as JSON."""

from __future__ import annotations

import json
import re

import pytest

AWKWARD = {
    "big": (
        "numeric",
        "123456789012345678901234.000000000000000000001",
        "123456789012345678901234.000000000000000000001",
    ),
    "whole": ("bigint", "9223372036854775807", "9223372036854775807"),
    "real": ("float8", "0.1", "0.1"),
    "nan": ("float8", "NaN", '"NaN"'),
    "infinite": ("timestamptz", "infinity", '"infinity"'),
    "instant": ("timestamptz", "2026-03-01 12:00:00.5+02", '"2026-03-01T10:00:00.5+00:00"'),
    "bc": ("date", "0044-03-15 BC", '"0044-03-15 BC"'),
    "json": ("json", ' { "b":1 ,\n"a":[ 1.0 ,2e400, "\\u0000" ] } ', ' { "b":1 ,\n"a":[ 1.0 ,2e400, "\\u0000" ] } '),
    "jsonb": ("jsonb", '{"b": 1, "a": 1.00}', '{"a": 1.00, "b": 1}'),
    "bytes": ("bytea", "\\x00ff", '"\\\\x00ff"'),
    "list": ("int[]", "{1,NULL,3}", "[1,null,3]"),
    "lines": ("text", "a\nb\rc\r\nd\u2028e\u0085f", '"a\\nb\\rc\\r\\nd\u2028e\u0085f"'),
    "markup": ("text", "</script>\"'\\ ☃😀", '"</script>\\"\'\\\\ ☃😀"'),
    "yes": ("boolean", "t", "true"),
    "took": ("interval", "1 mon 2 days 03:04:05", '"1 mon 2 days 03:04:05"'),
    "span": ("tstzrange", "[2026-01-01,)", '"[\\"2026-01-01 00:00:00+00\\",)"'),
    "nothing": ("text", None, "null"),
}


def test_the_members_and_their_order(site):
    table = site.table(rows="(2, 'b'), (1, 'a')")
    answer = site.get(f"/tables/{table}/rows")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(
        rf'{{"table":"public\.{table}","key":\["id"\],"rows":\[{{"id":1,"a":"a"}},{{"id":2,"a":"b"}}\],'
        r'"more":false,"cursor":"[\w~!.-]+"}\n',
        answer.body.decode(),
    ), answer.body


def test_a_row_is_postgresqls_own_text(site):
    columns = ", ".join(f"{name} {type_}" for name, (type_, _, _) in AWKWARD.items())
    table = site.table(f"id int PRIMARY KEY, {columns}")
    values = [value for _, value, _ in AWKWARD.values()]
    site.sql(f"INSERT INTO {table} VALUES (1{', %s' * len(values)})", *values)
    expected = "{" + ",".join(['"id":1', *(f'"{name}":{text}' for name, (_, _, text) in AWKWARD.items())]) + "}"
    assert f'"rows":[{expected}]' in site.get(f"/tables/{table}/rows").body.decode()
    # a change shows the row just as the snapshot did
    with site.follow(table) as stream:
        assert f'"rows":[{expected}]' in stream.event("snapshot").data
        site.sql(f"UPDATE {table} SET id = 2")
        assert stream.event("delete").data.startswith(f'{{"old":{expected},"at":')
        assert stream.event("insert").data.startswith(f'{{"row":{expected.replace("1", "2", 1)},"at":')


def test_a_text_of_a_megabyte_passes(site):
    table = site.table()
    site.sql(f"INSERT INTO {table} VALUES (1, repeat('0123456789', 100000))")
    assert site.rows(table) == [{"id": 1, "a": "0123456789" * 100000}]


def test_an_empty_table(site):
    answer = site.get(f"/tables/{site.table()}/rows").json
    assert (answer["rows"], answer["more"]) == ([], False)


def test_a_keyless_table_says_that_it_has_no_key(site):
    answer = site.get(f"/tables/{site.table('a int', rows='(1), (1)')}/rows").json
    assert (answer["key"], answer["rows"]) == (None, [{"a": 1}, {"a": 1}])


def test_limit_takes_the_first_rows_of_the_order_and_says_that_there_are_more(site):
    table = site.table(rows="(3, 'x'), (1, 'y'), (2, 'z')")
    answer = site.get(f"/tables/{table}/rows", limit=2).json
    assert ([row["id"] for row in answer["rows"]], answer["more"]) == ([1, 2], True)
    answer = site.get(f"/tables/{table}/rows", limit=3).json
    assert ([row["id"] for row in answer["rows"]], answer["more"]) == ([1, 2, 3], False)
    answer = site.get(f"/tables/{table}/rows", limit=0).json
    assert (answer["rows"], answer["more"]) == ([], True)
    answer = site.get(f"/tables/{table}/rows", limit=2, order="id.desc").json
    assert ([row["id"] for row in answer["rows"]], answer["more"]) == ([3, 2], True)


def test_the_cursor_is_where_the_rows_stand(site):
    table = site.table(rows="(1, 'x')")
    answer = site.get(f"/tables/{table}/rows", a="neq.no").json
    site.sql(f"UPDATE {table} SET a = 'y'")
    changes = site.changes(table, a="neq.no", after=answer["cursor"], wait=5)["changes"]
    assert [(c["event"], c["old"], c["row"]) for c in changes] == [("update", {"id": 1, "a": "x"}, {"id": 1, "a": "y"})]
    with site.follow(table, after=answer["cursor"], a="neq.no") as stream:
        assert stream.event("update").json["row"] == {"id": 1, "a": "y"}


def test_a_partitioned_table_and_its_partitions(site):
    table = site.table("id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day")
    site.sql(f"CREATE TABLE {table}_a PARTITION OF {table} FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
    site.sql(f"INSERT INTO {table}_a VALUES (1, '2026-05-05')")
    assert site.rows(table) == [{"id": 1, "day": "2026-05-05"}]
    assert site.get(f"/tables/{table}_a/rows").status == 404


def test_rows_of_inheriting_tables_are_not_the_tables_own(site):
    table = site.table(rows="(1, 'parent')")
    site.sql(f"CREATE TABLE {table}_child () INHERITS ({table})")
    site.sql(f"INSERT INTO {table}_child VALUES (2, 'child')")
    assert site.ids(table) == [1]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/*", "json"),
        ("application/json", "json"),
        ("APPLICATION/JSON", "json"),
        ("application/json; charset=utf-8", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("text/event-stream", "stream"),
        ("Text/Event-Stream", "stream"),
        ("text/*", "stream"),
        ("text/event-stream, application/json", "json-or-stream"),
        ("text/event-stream;q=0.9, application/json;q=0.5", "stream"),
        ("text/event-stream;q=0.5, application/json;q=0.9", "json"),
        ("application/json;q=0.5, text/event-stream", "stream"),
        ("text/event-stream, */*;q=0.1", "stream"),
        ("application/json;q=0, */*", "stream"),
        ("text/event-stream;q=0, */*", "json"),
        ("text/html", None),
        ("application/xml;q=1.0", None),
        ("application/json;q=0", None),
        ("text/event-stream;q=0", None),
        ("*/*;q=0", None),
    ],
)
@pytest.mark.parametrize("resource", ["rows", "changes"])
def test_the_representation_is_the_one_that_the_client_prefers(newest, negotiated, resource, accept, kind):
    headers = {} if accept is None else {"Accept": accept}
    target = f"/tables/{negotiated}/{resource}"
    answer = newest.head(target, headers)
    if kind is None:
        assert answer.status == 406
        problem = newest.get(target, headers).problem
        assert "application/json" in problem["detail"]
        assert "text/event-stream" in problem["detail"]
        return
    assert answer.status == 200
    assert answer.headers["vary"] == "Accept"
    expected = "no-store, no-transform" if answer.headers["content-type"] == "text/event-stream" else "no-store"
    assert answer.headers["cache-control"] == expected
    expected = {"json": ["application/json"], "stream": ["text/event-stream"]}
    expected["json-or-stream"] = expected["json"] + expected["stream"]
    assert answer.headers["content-type"] in expected[kind]


@pytest.fixture(scope="module")
def negotiated(newest):
    return newest.table()


def test_pages_by_the_key(site):
    rows = "('é', 1, 1), ('Z', 2, 2), ('a', 10, 3), ('a', 9, 4)"
    table = site.table("a text, b int, v int, PRIMARY KEY (a, b)", rows=rows)
    seen, after = [], {}
    while rows := site.rows(table, limit=1, **after):
        seen.append((rows[0]["a"], rows[0]["b"]))
        after = {"after-key": json.dumps([rows[0]["a"], rows[0]["b"]])}
    assert seen == [("Z", 2), ("a", 9), ("a", 10), ("é", 1)]
    assert site.rows(table, **{"after-key": '["a", 9]', "v": "lt.3"}) == [{"a": "é", "b": 1, "v": 1}]
    for text in ("[1]", "1", "x", '["a", "x"]', "[[], {}]"):
        assert site.refused(table, **{"after-key": text})["parameter"] == "after-key"
    assert site.refused(table, **{"after-key": '["a", 9]', "order": "v"})["parameter"] == "after-key"
    assert site.refused(table, "changes", **{"after-key": '["a", 9]'})["parameter"] == "after-key"
