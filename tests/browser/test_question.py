"""Table, range and filter: by hand, from the address, back again."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from harness.page import seen

FILL = """
    const field = document.querySelector(arguments[0]);
    field.value = arguments[1];
    field.dispatchEvent(new Event("change", {bubbles: true}));
"""


@pytest.fixture
def aged(site, orders):
    """Orders of now, of two hours ago and of two days ago."""
    site.sql(
        "INSERT INTO orders SELECT n, 'new', n, now() - age FROM "
        "unnest('{0 s,2 h,2 d}'::interval[]) WITH ORDINALITY ages (age, n)"
    )
    return orders


def ids(page):
    return [row[0] for row in page.rows]


def until_ids(page, *expected):
    seen(lambda: ids(page) == list(expected), what=f"the rows {expected}")


def address(page):
    return {name: value for name, (value,) in parse_qs(urlsplit(page.chrome.current_url).query).items()}


def test_a_preset_asks_for_its_range_and_stays_in_the_address(page, site, aged):
    page.open(table=aged)
    until_ids(page, "1", "2", "3")
    page.choose_range("24h")
    until_ids(page, "1", "2")
    page.choose_range("1h")
    until_ids(page, "1")
    assert address(page) == {"table": "public.orders", "last": "1h"}
    page.chrome.refresh()
    until_ids(page, "1")
    site.sql("UPDATE orders SET created_at = now() - interval '1 min' WHERE id = 3")
    until_ids(page, "1", "3")
    site.sql("INSERT INTO orders VALUES (4, 'new', 4, now() - interval '3 h'), (5, 'new', 5, now())")
    until_ids(page, "5", "1", "3")
    page.chrome.back()
    until_ids(page, "5", "1", "3", "2", "4")
    assert address(page)["last"] == "24h"


def test_rows_that_grow_too_old_leave_by_themselves(page, site, orders):
    page.open(table=orders, last="3s")
    page.until_state("Live")
    site.sql("INSERT INTO orders VALUES (1, 'new', 1, now()), (2, 'new', 2, now() + interval '1 h')")
    until_ids(page, "2", "1")
    until_ids(page, "2")
    assert page.figures["Deleted"] == "0"


def test_a_free_range_from_and_to(page, site, orders):
    moment = "'2026-03-01'::timestamptz + n * interval '1 day'"
    site.sql(f"INSERT INTO orders SELECT n, 'new', n, {moment} FROM generate_series(1, 9) n")
    page.open(table=orders)
    until_ids(page, *"987654321")
    page.choose_range("free")
    page.run(FILL, "#start", "2026-03-04T00:00")
    until_ids(page, *"9876543")
    page.run(FILL, "#end", "2026-03-06T00:00:00")
    until_ids(page, *"543")
    assert address(page) == {"table": "public.orders", "start": "2026-03-04T00:00", "end": "2026-03-06T00:00"}
    page.chrome.refresh()
    until_ids(page, *"543")
    assert page.run("return document.querySelector('#start').value") == "2026-03-04T00:00"


def test_a_filter_and_one_that_is_refused(page, site, aged):
    page.open(table=aged)
    until_ids(page, "1", "2", "3")
    page.filter("status=paid")
    page.until_state("Closed")
    page.until(".filter-error", "status: ")
    assert all("400" in complaint for complaint in page.complaints())
    page.filter("status=eq.paid&total=gt.1")
    page.until_state("Live")
    page.until(".empty", "No row matches yet.")
    assert page.text(".filter-error") == ""
    site.sql("UPDATE orders SET status = 'paid'")
    until_ids(page, "2", "3")
    assert address(page)["filter"] == "status=eq.paid&total=gt.1"


def test_another_table_is_another_question(page, site, table, aged):
    site.sql('CREATE SCHEMA IF NOT EXISTS "Back office"')
    other = table('"Back office"."a.b/c"', "k text PRIMARY KEY")
    site.sql(f"INSERT INTO {other} VALUES ('x')")
    page.open(table=aged, last="24h", filter="total=gt.1")
    until_ids(page, "2")
    page.choose_table(other)
    until_ids(page, "x")
    assert address(page) == {"table": other}
    assert "Range" not in page.text(".controls")
    page.chrome.back()
    until_ids(page, "2")


def test_the_liveliest_table_is_the_one_to_begin_with(page, site, table, orders):
    table("addresses", "id int PRIMARY KEY")
    site.sql(f"INSERT INTO {table('customers', 'id int PRIMARY KEY, joined date', 'joined')} VALUES (1, '2020-01-01')")
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    page.open()
    page.until_state("Live")
    assert page.text(".picker-name") == orders


def test_a_table_that_is_not_watched(page, orders):
    page.open(table="nothere")
    page.until_state("Closed")
    page.until(".notice-text", "No table “nothere” is watched here.")
    page.choose_table(f"public.{orders}")
    page.until_state("Live")


def test_without_any_table_it_tells_how_to_watch_one(page, site, table):
    page.open()
    page.until(".welcome", "python -m sseapp watch")
    assert page.state == "Waiting for a first table"
    site.sql(f"INSERT INTO {table('first', 'id int PRIMARY KEY')} VALUES (7)")
    page.until_rows([["7"]])
    assert page.text(".welcome") == ""


def test_a_window_is_not_taken_along_to_a_table_that_has_no_times(page, site, table, aged):
    other = table("numbered", "id int PRIMARY KEY, n int", "n")
    site.sql("INSERT INTO numbered VALUES (7, 70)")
    page.open(table=aged, last="24h")
    until_ids(page, "1", "2")
    page.choose_table(f"public.{other}")
    until_ids(page, "7")
    page.until_state("Live")
    assert address(page) == {"table": f"public.{other}"}
    assert page.run("return document.querySelector('[name=range]:checked').value") == "all"


def test_a_table_that_is_watched_later_is_offered(page, table, orders):
    page.open(table=orders)
    page.until_state("Live")
    table("later", "id int PRIMARY KEY")
    page.click("#table")
    offered = "return [...document.querySelectorAll('#picker li')].map((choice) => choice.textContent)"
    seen(lambda: page.run(offered) == ["later", "orders"], what="the table of later")
    assert page.text(".picker-name") == "orders"


def test_a_table_that_was_renamed_is_offered_under_its_new_name(page, site, orders):
    page.open(table=orders)
    page.until_state("Live")
    site.sql("ALTER TABLE orders RENAME TO orders_2")
    try:
        page.until_state("Reconnecting")
        offered = "return [...document.querySelectorAll('#picker li')].map((choice) => choice.textContent)"
        seen(lambda: page.run(offered) == ["orders_2"], what="the new name")
    finally:
        site.sql("ALTER TABLE orders_2 RENAME TO orders")
        page.complaints()
