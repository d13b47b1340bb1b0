"""What each parameter means, and how one that cannot be used is refused."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from harness.site import name

MOMENTS = {
    1: "2026-03-01 00:00:00+00",
    2: "2026-03-01 23:30:00+00",
    3: "2026-03-01 23:59:59.999999+00",
    4: "2026-03-02 00:00:00+00",
    5: "2026-03-02 12:00:00+00",
}


@pytest.fixture(scope="module")
def times(site):
    values = ", ".join(f"({number}, '{moment}')" for number, moment in MOMENTS.items())
    return site.table("id int PRIMARY KEY, at timestamptz", watch="range_column => 'at'", rows=values)


@pytest.mark.parametrize(
    ("parameters", "ids"),
    [
        ({"start": "2026-03-02T00:00:00Z"}, [4, 5]),
        ({"end": "2026-03-01T23:30:00Z"}, [1, 2]),
        ({"start": "2026-03-01T23:30:00Z", "end": "2026-03-02T00:00:00Z"}, [2, 3, 4]),
        ({"start": "2026-03-02", "end": "2026-03-02"}, [4, 5]),
        ({"end": "2026-03-01"}, [1, 2, 3]),
        ({"start": "2026-03-02", "tz": "Europe/Berlin"}, [2, 3, 4, 5]),
        ({"end": "2026-03-01", "tz": "Europe/Berlin"}, [1]),
        ({"start": "2026-03-02 01:00", "tz": "Europe/Berlin"}, [4, 5]),
        ({"start": "2026-03-02 01:00+01:00", "tz": "Asia/Tokyo"}, [4, 5]),
        ({"start": "2026-03-03"}, []),
        ({"start": "-infinity", "end": "infinity"}, [1, 2, 3, 4, 5]),
        ({"start": "2026-03-01", "id": "gt.3", "at": "lt.2026-03-02 12:00Z"}, [4]),
    ],
)
def test_start_and_end_are_inclusive_and_a_bare_date_ends_with_its_day(site, times, parameters, ids):
    assert site.ids(times, **parameters) == ids


def test_a_space_in_an_offset_is_the_plus_it_was(site, times):
    answer = site.get(f"/tables/{times}/rows?start=2026-03-02T01:00:00+01:00")  # "+" in a query is a space
    assert [row["id"] for row in answer.json["rows"]] == [4, 5]


@pytest.mark.parametrize(
    ("kind", "rows", "asked", "ids"),
    [
        ("date", "(1, '2026-01-01'), (2, '2026-01-02')", {"start": "2026-01-02", "end": "2026-01-02"}, [2]),
        ("timestamp", "(1, '2026-01-01 23:59'), (2, '2026-01-02')", {"end": "2026-01-01"}, [1]),
        ("numeric", "(1, 1.5), (2, 2.5), (3, NULL)", {"start": "1.5", "end": "2.49"}, [1]),
        ("bigint", "(1, 10), (2, 9)", {"start": "10"}, [1]),
    ],
)
def test_a_range_column_of_any_kind(site, kind, rows, asked, ids):
    table = site.table(f"id int PRIMARY KEY, r {kind}", watch="range_column => 'r'", rows=rows)
    assert site.ids(table, **asked) == ids


@pytest.fixture(scope="module")
def things(site):
    return site.table(
        'id int PRIMARY KEY, t text, n numeric, b boolean, c char(3), "end" int, "a.b,c" text, j json',
        rows="(1, 'a', 1.50, true, 'x', 3, 'p', '1'), (2, 'B', 10, false, 'yz', 4, 'q', NULL),"
        "(3, 'ä', NULL, NULL, NULL, 3, 'r,s', 'null'), (4, '10', 9, true, '', NULL, NULL, '{}')",
    )


@pytest.mark.parametrize(
    ("parameters", "ids"),
    [
        ({"t": "eq.a"}, [1]),
        ({"t": "neq.a"}, [2, 3, 4]),
        ({"t": "lt.a"}, [2, 4]),  # by code point, whatever the database's collation
        ({"t": "gt.a"}, [3]),
        ({"t": "gte.a"}, [1, 3]),
        ({"t": "lte.B"}, [2, 4]),
        ({"t": "in.(a,B)"}, [1, 2]),
        ({"n": "eq.1.5"}, [1]),
        ({"n": "gt.9"}, [2]),
        ({"n": "is.null"}, [3]),
        ({"n": "is.not_null"}, [1, 2, 4]),
        ({"n": "neq.9"}, [1, 2]),  # NULL is not unequal
        ({"b": "is.true"}, [1, 4]),
        ({"b": "eq.false"}, [2]),
        ({"c": "eq.x"}, [1]),  # without its padding
        ({"c": "eq."}, [4]),
        ({'"end"': "eq.3"}, [1, 3]),
        ({'"end"': "gte.4"}, [2]),
        ({"a.b,c": "eq.p"}, [1]),
        ({'"a.b,c"': 'in.("r,s",q)'}, [2, 3]),
        ({"j": "is.not_null"}, [1, 4]),
        ({"id": ["gte.2", "lt.4"]}, [2, 3]),
        ({"id": "gte.2", "t": "neq.ä", "n": "is.not_null"}, [2, 4]),
    ],
)
def test_filters(site, things, parameters, ids):
    assert site.ids(things, **parameters) == ids


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        ("id.desc", [4, 3, 2, 1]),
        ("t", [4, 2, 1, 3]),
        ("t.desc", [3, 1, 2, 4]),
        ("n", [1, 4, 2, 3]),
        ("n.desc", [3, 2, 4, 1]),
        ("n.desc.nullslast", [2, 4, 1, 3]),
        ("n.nullsfirst", [3, 1, 4, 2]),
        ('b.desc,"end".desc', [3, 4, 1, 2]),
        ('"a.b,c".desc', [4, 3, 2, 1]),
    ],
)
def test_order(site, things, order, ids):
    assert site.ids(things, order=order) == ids


def test_an_enum_is_ordered_as_it_was_declared(site):
    kind = name("mood")
    site.sql(f"CREATE TYPE {kind} AS ENUM ('sad', 'glad', 'Elated')")
    table = site.table(f"id int PRIMARY KEY, m {kind}", rows="(1, 'Elated'), (2, 'sad'), (3, 'glad')")
    assert site.ids(table, order="m") == [2, 3, 1]
    assert site.ids(table, m="gte.glad") == [1, 3]
    assert site.refused(table, m="eq.happy")["parameter"] == "m"
    with site.follow(table, m="gt.sad") as stream:
        stream.event("snapshot")
        site.sql(f"UPDATE {table} SET m = 'sad' WHERE id = 1")
        assert stream.event("delete").json["old"] == {"id": 1, "m": "Elated"}


def test_columns(site, things):
    assert site.rows(things, columns="t", id="eq.1") == [{"id": 1, "t": "a"}]
    assert site.rows(things, columns='"a.b,c","end",id', id="eq.1") == [{"id": 1, "end": 3, "a.b,c": "p"}]


def test_a_large_limit_and_the_default(newest):
    table = newest.table("id int PRIMARY KEY")
    newest.sql(f"INSERT INTO {table} SELECT generate_series(1, 10001)")
    answer = newest.get(f"/tables/{table}/rows").json
    assert (len(answer["rows"]), answer["more"]) == (10000, True)
    with newest.follow(table) as stream:
        assert stream.event("snapshot").json["more"] is True
    with newest.follow(table, limit=2, order="id.desc") as stream:
        snapshot = stream.event("snapshot").json
        assert ([row["id"] for row in snapshot["rows"]], snapshot["more"]) == ([10001, 10000], True)


def test_snapshot_no_tells_changes_from_now_on(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, snapshot="no") as stream:
        first = stream.until(lambda block: block.id)
        assert not first.fires
        site.sql(f"INSERT INTO {table} VALUES (2, 'y')")
        assert stream.event().name == "insert"
    # the first id stands before that change
    with site.follow(table, snapshot="no", last_id=first.id) as stream:
        assert stream.event("insert").json["row"]["id"] == 2


def test_a_reset_without_snapshots_still_sends_one(site):
    table = site.table(rows="(1, 'x')")
    with site.follow(table, snapshot="no", last_id="garbage") as stream:
        assert [block.name for block in stream.events(2)] == ["reset", "snapshot"]


REFUSED = [
    ({"start": "yesterday"}, "start", "2026"),
    ({"end": "2026-02-30"}, "end", ""),
    ({"start": "2026-03-01", "tz": "Mars/Base"}, "tz", ""),
    ({"last": "soon"}, "last", "15m"),
    ({"last": "0s"}, "last", "15m"),
    ({"last": "1h", "start": "2026-03-01"}, "last", "start"),
    ({"columns": "id,nope"}, "columns", "id"),
    ({"columns": ""}, "columns", ""),
    ({"order": "nope"}, "order", "id"),
    ({"order": "id.sideways"}, "order", ""),
    ({"limit": "-1"}, "limit", "0"),
    ({"limit": "many"}, "limit", "10000"),
    ({"limit": "10001"}, "limit", "10000"),
    ({"snapshot": "perhaps"}, "snapshot", "yes"),
    ({"wait": "1y"}, "wait", "2s"),
    ({"wait": "61"}, "wait", "60"),
    ({"every": "0"}, "every", "0.1"),
    ({"every": "2h"}, "every", "3600"),
    ({"after": "x"}, "after", "cursor"),
    ({"after": ""}, "after", "cursor"),
    ({"limit": ["1", "2"]}, "limit", "twice"),
    ({"nonsense": "eq.1"}, "nonsense", "columns"),
    ({"id": "1"}, "id", "eq"),
    ({"id": "like.1"}, "id", "eq"),
    ({"id": "not.1"}, "id", "did you mean"),
    ({"id": "eq.one"}, "id", "integer"),
    ({"id": "eq.99999999999"}, "id", ""),
    ({"id": "in.1,2"}, "id", "in.("),
    ({"id": "in.()"}, "id", ""),
    ({"id": "is.true"}, "id", "null"),
    ({"at": "eq.\0"}, "at", "NUL"),
]


@pytest.mark.parametrize(("parameters", "named", "hint"), REFUSED)
def test_what_cannot_be_used_is_named_with_what_would_do(newest, ranged, parameters, named, hint):
    for resource in ("rows", "changes"):
        for accept in ("application/json", "text/event-stream"):
            answer = newest.get(f"/tables/{ranged}/{resource}", {"Accept": accept}, **parameters)
            assert answer.status == 400, answer
            assert answer.problem["parameter"] == named
            assert hint in answer.problem["detail"]


@pytest.fixture(scope="module")
def ranged(newest):
    return newest.table("id int PRIMARY KEY, at timestamptz", watch="range_column => 'at'")


@pytest.mark.parametrize("parameter", ["start", "end", "last"])
def test_a_range_without_a_range_column_is_refused(newest, parameter):
    problem = newest.refused(newest.table(), **{parameter: "2026-01-01" if parameter != "last" else "1h"})
    assert problem["parameter"] == parameter
    assert "range column" in problem["detail"]


@pytest.mark.parametrize(("column", "condition"), [("j", "eq.1"), ("p", "lt.(1,2)"), ("i", "gt.10.0.0.1")])
def test_a_type_without_a_safe_order_or_equality_is_refused(newest, column, condition):
    problem = newest.refused(newest.table("id int PRIMARY KEY, j json, p point, i inet"), **{column: condition})
    assert problem["parameter"] == column
    assert "is" in problem["detail"]


def test_a_filter_is_the_same_to_the_snapshot_and_to_a_live_change(site):
    """The property test proves it for all types; here it goes all the way to the client."""
    table = site.table("id int PRIMARY KEY, t text, c char(5), n float8, at timestamptz")
    values = [("a", "a", 0.1, "infinity"), ("B", "a ", float("nan"), "2026-01-01"), ("ä", "", 1e300, None)]
    queries = [{"t": "gt.a"}, {"t": "lte.B"}, {"c": "eq.a"}, {"n": "gt.1"}, {"n": "eq.0.1"}, {"at": "gt.2026-01-01"}]
    for query in queries:
        site.sql(f"TRUNCATE {table}")
        with site.follow(table, **query) as stream:
            stream.event("snapshot")
            for number, row in enumerate(values):
                site.sql(f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s)", number, *row)
            live = []
            site.sql(f"TRUNCATE {table}")
            while (event := stream.event()).name != "truncate":
                live.append(event.json["row"]["id"])
        for number, row in enumerate(values):
            site.sql(f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s)", number, *row)
        assert live == site.ids(table, **query), query
        assert live, query


def test_a_parameter_is_decoded_once(newest):
    table = newest.table(rows="(1, '%41'), (2, 'A'), (3, 'a+b'), (4, 'a b')")
    for text, number in (("%41", 1), ("A", 2), ("a+b", 3), ("a b", 4)):
        assert newest.ids(table, a=f"eq.{text}") == [number]
    assert newest.get(f"/tables/{table}/rows?a=eq.a+b").json["rows"][0]["id"] == 4
    assert newest.get(f"/tables/{table}/rows?{quote('a')}=eq.%2541").json["rows"][0]["id"] == 1


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("resource", ["rows", "changes"])
@pytest.mark.parametrize("asked", ["a=eq.%FF", "%ff=eq.1", "a=eq.%ED%A0%80", "a=eq.%C3%A4&a=eq.%C3"])
def test_what_is_no_utf8_is_refused(newest, resource, accept, asked):
    answer = newest.get(f"/tables/{newest.table()}/{resource}?{asked}", {"Accept": accept})
    assert answer.status == 400
    assert "UTF-8" in answer.problem["detail"]


def test_a_query_is_read_as_forms_write_it(newest):
    table = newest.table('id int PRIMARY KEY, "ä b" text', rows="(1, 'é f'), (2, 'x+y'), (3, ''), (4, 'g=h;i')")
    for asked, ids in {
        "%C3%A4+b=eq.%C3%A9+f": [1],
        "%C3%A4%20b=eq.%C3%A9%20f": [1],
        "%C3%A4+b=eq.x%2By": [2],
        "%C3%A4+b=eq.": [3],
        "%C3%A4+b=eq.g=h;i": [4],
        "id=gte.2&%C3%A4+b=neq.x%2By&id=lte.3": [3],
        "&&id=eq.1&": [1],
    }.items():
        answer = newest.get(f"/tables/{table}/rows?{asked}")
        assert [row["id"] for row in answer.json["rows"]] == ids, asked
