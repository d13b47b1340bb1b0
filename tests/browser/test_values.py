"""Values are shown as PostgreSQL prints them, and never as anything but text."""

from __future__ import annotations

import json
import random

import pytest
from harness.page import seen

from sseapp.tables import row_json

LONG = "123456789012345678901234"
MARKUP = "<b>bold</b><script>alert(1)</script>"
ORDER = """
    given[1].toReversed()
        .map((raw) => (raw[0] === '"' ? JSON.parse(raw) : raw))
        .sort((a, b) => -module.compare(module.rank(a, given[0]), module.rank(b, given[0])))
"""
NUMBERS = [
    "NaN",
    "123456789012345678901235",
    "123456789012345678901234",
    "1e3",
    "2.5",
    "-7",
    "-123456789012345678901234",
]
DATES = ["infinity", "12026-01-01", "2026-11-22", "2026-11-21", "0044-03-15 BC", "0044-03-14 BC", "0045-12-31 BC"]
MOMENTS = [*DATES, "2026-11-22 10:00:00.12", "2026-11-22 10:00:00.1", "2026-11-22 10:00:00", "-infinity"]


@pytest.fixture
def odd(table):
    return table('"Odd ""one"""', 'n numeric PRIMARY KEY, "<i>t</i>" text, j json, b boolean, d date', "d")


def test_numbers_markup_and_null_are_literal(page, site, odd):
    page.open(table=odd)
    page.until_state("Live")
    insert = f"INSERT INTO {odd} VALUES (%s, %s, %s, %s, %s)"
    site.sql(insert, LONG, MARKUP, '{"2":1,"1":1.10}', "true", None)
    site.sql(insert, "12.50", "", '[12345678901234567890.0,  "a"]', None, "infinity")
    page.until_rows(
        [
            ["12.50", "''", '[12345678901234567890.0,  "a"]', "NULL", "infinity"],
            [LONG, MARKUP, '{"2":1,"1":1.10}', "true", "NULL"],
        ]
    )
    assert page.run("return document.querySelectorAll('.grid td > *, .grid th i').length") == 0
    assert page.run("return [...document.querySelectorAll('.null')].map(td => td.textContent)") == ["NULL", "NULL"]
    assert page.text(".grid thead th:nth-child(2) .column-name") == "<i>t</i>"


def test_a_long_text_is_cut_and_its_title_says_more(page, site, odd):
    site.sql(f"INSERT INTO {odd} VALUES (1, repeat('abcdefghij', 100000))")
    page.open(table=odd)
    page.until("#count", "1")
    seen(lambda: page.rows)
    assert page.rows[0][1] == "abcdefghij" * 20 + "…"
    assert page.run("return document.querySelector('.grid td:nth-child(2)').title.length") == 2001


def test_rows_are_taken_apart_as_the_server_does(page, site):
    del site
    page.open()
    texts = [_row(random.Random(seed)) for seed in range(300)]
    found = page.imported("client/json", "given.map((text) => [...module.members(text)])", texts)
    assert [dict(pairs) for pairs in found] == [row_json.members(text) for text in texts]


def _row(random):
    strings = ["", "a", '"', "\\", '\\"', "{", "]}", ",", ":", "é\u2028", "\n\t", "\\\\", "null"]
    values = ["null", "true", "-0.10", LONG, "1e400", "{}", "[]", '[1, {"a": "]"}]', '{"x":"\\"}"}']

    def value():
        return json.dumps("".join(random.choices(strings, k=3))) if random.random() < 0.5 else random.choice(values)

    names = {"".join(random.choices(strings, k=2)) for _ in range(random.randrange(5))}
    return "{" + ",".join(f"{json.dumps(name)}:{value()}" for name in names) + "}"


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("numeric", NUMBERS),
        ("timestamp with time zone", MOMENTS),
        ("timestamp without time zone", MOMENTS),
        ("date", DATES),
    ],
)
def test_the_order_is_that_of_the_database(page, site, type_, values):
    site.sql("SET TimeZone = 'UTC'")
    sql = f"SELECT to_json(v)::text FROM (SELECT v::{type_} FROM unnest(%s) v) s ORDER BY v DESC"
    printed = [text for (text,) in site.sql(sql, values)]
    page.open()
    assert page.imported("client/types", ORDER, [type_, printed]) == [text.strip('"') for text in printed]
