"""Databases in other encodings: a filter's value that theirs lacks, and text that they order otherwise."""

from __future__ import annotations

from itertools import product

import pytest
from harness.clusters import wait_until
from harness.poisons import Poison, three


@pytest.fixture
def served(pg18, request):
    with three(pg18, Poison("", "", request.param)) as found:
        yield found


@pytest.mark.parametrize("served", ["LATIN1", "SQL_ASCII", "WIN1252", "EUC_JP"], indirect=True)
def test_a_value_that_the_database_cannot_hold_is_refused_or_found_nowhere(served):
    served.database.sql("INSERT INTO poisoned VALUES (1, 'x'), (2, 'y')")
    for condition in ["eq.€", "neq.€", "gt.€", "in.(€,x)", "eq.日", "lt.😀"]:
        _is_refused_or_found_nowhere(served, condition)
    served.others_live(rounds=1)


def _is_refused_or_found_nowhere(served, condition):
    rows = served.site.get("/tables/poisoned/rows", a=condition)
    if rows.status == 400:
        served.site.refused("poisoned", "changes", a=condition)
        return
    assert rows.status == 200, rows
    cursor = served.site.changes("poisoned", a=condition)["cursor"]
    served.database.sql("UPDATE poisoned SET m = CASE m WHEN 'sad' THEN 'happy'::mood ELSE 'sad' END")
    changes = served.site.changes("poisoned", a=condition, after=cursor, wait="0s")["changes"]
    assert {change["row"]["id"] for change in changes} == {row["id"] for row in rows.json["rows"]}, condition


@pytest.mark.parametrize("served", ["LATIN1", "WIN1252", "EUC_JP", "KOI8R"], indirect=True)
def test_text_is_ordered_alike_in_a_snapshot_and_in_a_change(served):
    """By code point, where the database orders its own bytes."""
    encoding = {"LATIN1": "latin-1", "WIN1252": "cp1252", "EUC_JP": "euc_jp", "KOI8R": "koi8_r"}
    name = encoding[served.database.poison.encoding]
    texts = ["a", "z", *(text for text in "é€žŠ日あアжЖ░" if text.encode(name, "ignore"))]
    served.database.owner.set_client_encoding("UTF8")
    for number, text in enumerate(texts):
        served.database.sql(f"INSERT INTO poisoned VALUES ({number}, '{text}')")
    for operator, bound in product(["gt", "gte", "lt", "lte"], texts):
        condition = f"{operator}.{bound}"
        rows = served.site.get("/tables/poisoned/rows", a=condition)
        assert rows.status == 200, rows
        cursor = served.site.changes("poisoned", a=condition)["cursor"]
        served.database.sql("UPDATE poisoned SET m = CASE m WHEN 'sad' THEN 'happy'::mood ELSE 'sad' END")
        changes = served.site.changes("poisoned", a=condition, after=cursor, wait="0s")["changes"]
        assert {change["row"]["id"] for change in changes} == {row["id"] for row in rows.json["rows"]}, condition


@pytest.mark.parametrize("served", ["SQL_ASCII"], indirect=True)
def test_a_table_with_a_name_that_is_not_utf_8_is_told_by_whoever_is_asked(served):
    served.database.sql(
        r"DO $$ BEGIN EXECUTE format('CREATE TABLE menu (id int PRIMARY KEY, %I text)', E'caf\xe9'); END $$"
    )
    served.database.sql("SELECT sseapp.watch('menu')")
    cause = r"a name of the table, of a column or of a type is not UTF-8 (caf\351), so the table is not served"
    (warning,) = served.database.owner.notices
    assert r"not UTF-8 (caf\351)" in warning
    for name in ("menu", "public.menu", '"menu"'):
        answer = served.site.get(f"/tables/{name}/rows")
        assert (answer.status, answer.problem["detail"]) == (404, f"public.menu is watched, but {cause}."), name
    wait_until(lambda: f"public.menu is watched, but {cause}." in served.host.log)
    served.database.sql(r"DO $$ BEGIN EXECUTE format('ALTER TABLE menu RENAME %I TO cafe', E'caf\xe9'); END $$")
    assert served.site.get("/tables/menu/rows").status == 200
