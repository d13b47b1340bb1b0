"""GET /tables, and how a path names a table."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from harness.site import name, quoted


def _listed(site, table, schema="public"):
    found = site.get("/tables").json["tables"]
    return next((entry for entry in found if (entry["schema"], entry["name"]) == (schema, table)), None)


def test_lists_name_key_range_and_columns_with_types(site):
    table = site.table(
        "id int, at timestamptz NOT NULL, line smallint, price numeric(10,2), tags text[], note varchar(5),"
        "PRIMARY KEY (line, id)",
        watch="range_column => 'at'",
    )
    answer = site.get("/tables")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["tables"]
    assert _listed(site, table) == {
        "schema": "public",
        "name": table,
        "key": ["line", "id"],
        "range": "at",
        "columns": [
            {"name": "id", "type": "integer"},
            {"name": "at", "type": "timestamp with time zone"},
            {"name": "line", "type": "smallint"},
            {"name": "price", "type": "numeric(10,2)"},
            {"name": "tags", "type": "text[]"},
            {"name": "note", "type": "character varying(5)"},
        ],
    }


def test_a_table_without_key_or_range_says_null(site):
    entry = _listed(site, site.table("a int"))
    assert (entry["key"], entry["range"]) == (None, None)


def test_only_watched_tables_are_listed_and_at_once(site):
    table = name()
    site.sql(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    assert _listed(site, table) is None
    site.watch(table)
    assert _listed(site, table)
    site.sql(f"SELECT sseapp.unwatch('{table}')")
    assert _listed(site, table) is None
    assert site.get(f"/tables/{table}/rows").status == 404


def test_a_table_is_served_at_once_when_it_is_watched(site):
    assert site.rows(site.table(rows="(1, 'x')")) == [{"id": 1, "a": "x"}]


@pytest.mark.parametrize("resource", ["rows", "changes"])
@pytest.mark.parametrize(
    "path",
    [
        "unwatched",
        "pg_class",
        "pg_catalog.pg_class",
        "sseapp.change",
        "nothing",
        "nowhere.unwatched",
        "public.pg_class",
    ],
)
def test_what_is_not_watched_is_not_there(newest, path, resource):
    newest.sql("CREATE TABLE IF NOT EXISTS unwatched (id int PRIMARY KEY)")
    answer = newest.get(f"/tables/{path}/{resource}")
    assert answer.status == 404
    assert path in answer.problem["detail"]


def test_a_bare_name_is_that_of_the_first_schema_in_the_search_path(site):
    table = site.table(rows="(1, 'public')")
    site.sql(f"CREATE SCHEMA s_{table}")
    site.sql(f"CREATE TABLE s_{table}.{table} (id int PRIMARY KEY, a text)")
    site.sql(f"INSERT INTO s_{table}.{table} VALUES (1, 'other')")
    site.watch(f"s_{table}.{table}")
    assert site.rows(table) == [{"id": 1, "a": "public"}]
    assert site.rows(f"public.{table}") == [{"id": 1, "a": "public"}]
    assert site.rows(f"s_{table}.{table}") == [{"id": 1, "a": "other"}]
    assert _listed(site, table, f"s_{table}")


def test_of_two_in_the_search_path_it_is_the_first(newest):
    database = newest.sql("SELECT current_database()")[0][0]
    table = name()
    for schema in ("second", "first"):
        newest.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        newest.sql(f"CREATE TABLE {schema}.{table} AS SELECT '{schema}' AS here")
        newest.watch(f"{schema}.{table}")
    newest.sql(f"ALTER DATABASE {database} SET search_path = first, second, public")
    newest.renew_pool()
    try:
        assert newest.rows(table) == [{"here": "first"}]
    finally:
        newest.sql(f"ALTER DATABASE {database} RESET search_path")
        newest.renew_pool()


def test_a_bare_name_outside_of_the_search_path_is_not_found_but_pointed_to(site):
    site.sql("CREATE SCHEMA IF NOT EXISTS elsewhere")
    table = name()
    site.sql(f"CREATE TABLE elsewhere.{table} (id int PRIMARY KEY)")
    site.watch(f"elsewhere.{table}")
    answer = site.get(f"/tables/{table}/rows")
    assert answer.status == 404
    assert f"elsewhere.{table}" in answer.problem["detail"]


NAMES = [
    "dot.ted",
    "sla/sh",
    "dou//ble",
    "/led",
    "trailing/",
    'quo"te',
    "Upper",
    "with space",
    "Ünïcødé ☃ 😀",
    "per%cent %2F",
    "a/rows",
    "que?ry#frag&ment",
    "back\\slash",
    "%s{}",
    "new\nline",
    "..",
    "select",
    "'; DROP TABLE x; --",
]


@pytest.mark.parametrize("awkward", NAMES)
def test_any_name_can_be_written_quoted_and_percent_encoded(site, awkward):
    table = name(awkward)
    identifier = quoted(table)
    site.sql(f"CREATE TABLE {identifier} (id int PRIMARY KEY)")
    site.watch(identifier)
    site.sql(f"INSERT INTO {identifier} VALUES (7)")
    assert _listed(site, table)
    for path in (
        quote(identifier, safe=""),
        quote(f"public.{identifier}", safe=""),
        quote(f'"public".{identifier}', safe=""),
        # and as it stands
        quote(table, safe=""),
        quote(f"public.{table}", safe=""),
    ):
        answer = site.get(f"/tables/{path}/rows")
        assert answer.status == 200, answer
        assert answer.json["rows"] == [{"id": 7}]
        assert answer.json["table"] == f"public.{table}"
    with site.follow(quote(identifier, safe="")) as stream:
        assert stream.event("snapshot").json["rows"] == [{"id": 7}]
        site.sql(f"INSERT INTO {identifier} VALUES (8)")
        assert stream.event("insert").json["row"] == {"id": 8}


def test_an_unquoted_name_is_folded_as_sql_folds_it(site):
    table = site.table(rows="(1, 'x')", stem="folded")
    assert site.ids(table.upper()) == [1]
    answer = site.get(f"/tables/{quote(quoted(table.upper()))}/rows")
    assert answer.status == 404
    upper = name("Shout")
    site.sql(f'CREATE TABLE "{upper}" (id int PRIMARY KEY)')
    site.watch(f'"{upper}"')
    assert site.rows(upper) == []
    assert site.get(f"/tables/{upper.lower()}/rows").status == 404


@pytest.mark.parametrize("path", ["a.b.c", '"open', 'a"b', '""', ".", "a.", ".a", "a%2Fb", '"a"b', "%00"])
def test_an_impossible_name_is_not_found(newest, path):
    answer = newest.get(f"/tables/{path}/rows")
    assert answer.status == 404, answer
    assert answer.problem["parameter"] == "table"
