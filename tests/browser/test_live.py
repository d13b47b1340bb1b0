"""Rows appear, change and leave, as they do in the table."""

from __future__ import annotations

from harness.page import seen, texts

LIVE = "SELECT id, status, total FROM orders ORDER BY created_at DESC, id DESC"


def shown(page):
    return [row[:3] for row in page.rows]


def until_equal(page, site):
    seen(lambda: shown(page) == texts(site.sql(LIVE)), what="the rows of SELECT on the page")


def test_rows_appear_change_and_leave(page, site, orders):
    site.sql("INSERT INTO orders VALUES (1, 'new', 12.50, now() - interval '1 h'), (2, 'new', 7, now())")
    page.open(table=orders)
    page.until_state("Live")
    until_equal(page, site)
    site.sql("INSERT INTO orders VALUES (3, 'new', 99)")
    until_equal(page, site)
    assert page.rows[0][0] == "3"
    site.sql("UPDATE orders SET status = 'paid', total = total + 1 WHERE id <> 2")
    until_equal(page, site)
    site.sql("DELETE FROM orders WHERE id = 2")
    until_equal(page, site)
    figures = page.figures
    assert figures.pop("Last change").endswith(" s ago")
    assert figures == {"Rows": "2", "Changes seen": "4", "Inserted": "1", "Updated": "2", "Deleted": "1"}


def test_a_changed_key_and_a_truncate(page, site, orders):
    site.sql("INSERT INTO orders SELECT n, 'new', n FROM generate_series(1, 3) n")
    page.open(table=orders)
    until_equal(page, site)
    site.sql("UPDATE orders SET id = 30 WHERE id = 3")
    until_equal(page, site)
    site.sql("TRUNCATE orders")
    page.until(".empty", "The table is empty.")
    assert page.rows == []


def test_equal_rows_without_a_key_leave_one_at_a_time(page, site, table):
    table("twins", "a text")
    site.sql("INSERT INTO twins VALUES ('x'), ('x'), ('y')")
    page.open(table="twins")
    page.until("#count", "3")
    site.sql("DELETE FROM twins WHERE ctid = (SELECT min(ctid) FROM twins WHERE a = 'x')")
    seen(lambda: sorted(page.rows) == [["x"], ["y"]])
    site.sql("UPDATE twins SET a = 'y'")
    seen(lambda: page.rows == [["y"], ["y"]])


def test_ten_thousand_rows_at_once(page, site, orders):
    page.open(table=orders)
    page.until_state("Live")
    site.sql("INSERT INTO orders SELECT n, 'new', n FROM generate_series(1, 10000) n")
    seen(lambda: page.figures["Changes seen"] == "10,000", what="10,000 changes")
    assert page.figures["Rows"] == "10,000"
    assert [row[0] for row in page.rows][:20] == [str(n) for n in range(10_000, 9_980, -1)]
    site.sql("DELETE FROM orders WHERE id > 5")
    until_equal(page, site)


def test_more_rows_than_come_at_once_all_arrive(page, site, orders):
    moment = "'epoch'::timestamptz + n * interval '1 s'"
    site.sql(f"INSERT INTO orders SELECT n, 'new', n, {moment} FROM generate_series(1, 10001) n")
    page.open(table=orders)
    page.until("#count", "10,001")
    assert page.rows[0][0] == "10001"


def test_another_shape_of_the_table_shows_by_itself(page, site, orders):
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    page.open(table=orders)
    page.until("#count", "1")
    site.sql("ALTER TABLE orders ADD COLUMN note text DEFAULT 'none yet'")
    page.until(".grid thead", "note")
    seen(lambda: [row[-1] for row in page.rows] == ["none yet"])


def test_a_table_no_longer_watched_is_said_and_comes_back(page, site, orders):
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    page.open(table=orders)
    page.until("#count", "1")
    site.sql("SELECT sseapp.unwatch('orders')")
    page.until(".notice-text", "orders")
    page.until_state("Stale")
    site.sql("SELECT sseapp.watch('orders', 'created_at')")
    page.click(".notice-again")
    until_equal(page, site)
    assert all("404" in complaint for complaint in page.complaints())
