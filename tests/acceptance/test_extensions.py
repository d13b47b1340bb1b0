"""Columns of extensions' types: a change shows what a snapshot shows, and a filter takes the same rows in both.

Debian's PostgreSQL 15 has hstore, citext and ltree, the wheel's 18 has pgvector. PostGIS is a package of its own:
``apt-get install postgresql-15-postgis-3``, 170 MB.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from harness.versions import WHOLE

ROW = re.compile(r'"row":(\{.*?\}),"(?:old|at)":')


@dataclass(frozen=True)
class Type:
    """A type of an extension, three values of it, and one more that the first is changed to."""

    extension: str
    name: str
    values: tuple[str, str, str]
    other: str

    def __str__(self) -> str:
        return re.sub(r"\W+", "-", self.name).strip("-")


TYPES = (
    Type("hstore", "hstore", ("a=>1", 'a=>NULL, "b c"=>"\\"quoted\\""', "ü=>€"), ""),
    Type("hstore", "hstore[]", ('{"a=>1"}', "{}", "{NULL}"), '{"a=>1","b=>2"}'),
    Type("citext", "citext", ("Straße", "STRASSE", "straße"), "sTRAßE"),
    Type("ltree", "ltree", ("Top.Science.Astronomy", "Top", "Top.Hobbies"), "Top.Science"),
    Type("vector", "vector(3)", ("[1,2,3]", "[0.1,-2.5e-7,3e10]", "[0,0,0]"), "[1,2,4]"),
    Type(
        "postgis",
        "geometry(Geometry, 4326)",
        ("SRID=4326;POINT(1 2)", "SRID=4326;POLYGON((0 0,1 0,1 1,0 0))", "SRID=4326;POINT EMPTY"),
        "SRID=4326;POINT(1 3)",
    ),
    Type("postgis", "geography", ("POINT(13.4 52.5)", "LINESTRING(0 0,1 1)", "POINT(-180 90)"), "POINT(13 52)"),
    Type(
        "postgis",  # its cast to json raises for these
        "geometry",
        (
            "CIRCULARSTRING(0 0,1 1,2 0)",
            "CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0))",
            "TRIANGLE((0 0,0 9,9 0,0 0))",
        ),
        "TIN(((0 0 0,0 0 1,0 1 0,0 0 0)))",
    ),
)


@pytest.fixture(params=TYPES, ids=str)
def type_(request):
    return request.param


@pytest.fixture(params=WHOLE)
def site(request, serving, type_):
    """A server on a version that has the type."""
    found = serving(request.param)
    if not found.sql("SELECT 1 FROM pg_available_extensions WHERE name = %s", type_.extension):
        pytest.skip(f"PostgreSQL {request.param.removeprefix('pg')} has no extension {type_.extension} here")
    found.sql(f"CREATE EXTENSION IF NOT EXISTS {type_.extension}")
    return found


@pytest.fixture
def table(site, type_):
    return site.table(f"id int PRIMARY KEY, v {type_.name}, n int DEFAULT 0", stem="extended")


def fill(site, table, values):
    for number, value in enumerate([*values, None]):
        site.sql(f"INSERT INTO {table} VALUES (%s, %s)", number, value)


def test_a_change_shows_what_a_snapshot_shows(site, table, type_):
    with site.follow(table) as stream:
        stream.event("snapshot")
        fill(site, table, type_.values)
        told = [ROW.search(event.data)[1] for event in stream.events(4)]
        site.sql(f"UPDATE {table} SET v = %s WHERE id = 0", type_.other)
        update = stream.event("update")
        assert update.json["old"]["v"] != update.json["row"]["v"]
        told[0] = ROW.search(update.data)[1]
        site.sql(f"DELETE FROM {table} WHERE id = 1")
        assert stream.event("delete").json["old"]["id"] == 1
    with site.follow(table, order="id") as stream:
        assert f'"rows":[{",".join([told[0], *told[2:]])}]' in stream.event("snapshot").data


def test_a_filter_takes_the_same_rows_in_a_snapshot_and_in_the_changes(site, table, type_):
    fill(site, table, type_.values)
    shown = site.sql(f"SELECT v::text FROM {table} WHERE v IS NOT NULL ORDER BY id")
    values = [value for (value,) in shown]
    listed = ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values[:2])
    conditions = ["is.null", "is.not_null", f"in.({listed})"]
    conditions += [f"{operator}.{value}" for operator in ("eq", "neq") for value in [*values, type_.values[0].upper()]]
    compared = 0
    for condition in conditions:
        answer = site.get(f"/tables/{table}/rows", v=condition)
        if answer.status == 400:
            assert "v" in answer.problem["parameter"]
            site.refused(table, "changes", v=condition)
            continue
        cursor = site.changes(table, v=condition)["cursor"]
        site.sql(f"UPDATE {table} SET n = n + 1")
        changes = site.changes(table, v=condition, after=cursor, wait="0s")["changes"]
        assert {change["row"]["id"] for change in changes} == {row["id"] for row in answer.json["rows"]}, condition
        compared += 1
    assert compared >= 2
    for operator in ("gt", "lte"):
        site.refused(table, v=f"{operator}.{values[0]}")
