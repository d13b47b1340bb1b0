"""The grid: every row can be reached, keeps its place, is sorted, marked and exported."""

from __future__ import annotations

import threading

import pytest
from harness.page import seen
from selenium.webdriver.common.keys import Keys

FRAMES = """
    const done = arguments[1];
    let count = 0;
    const start = performance.now();
    const next = () => {
        count += 1;
        const passed = performance.now() - start;
        if (passed < arguments[0]) requestAnimationFrame(next);
        else done((1000 * count) / passed);
    };
    requestAnimationFrame(next);
"""
SAVED = """
    const done = arguments[1];
    URL.createObjectURL = (blob) => (blob.text().then(done), "#");
    document.querySelector(`[data-format=${arguments[0]}]`).click();
"""


def insert(site, first, last):
    moment = "'2026-01-01'::timestamptz + n * interval '1 s'"
    site.sql(f"INSERT INTO orders SELECT n, 'new', n % 100, {moment} FROM generate_series({first}, {last}) n")


def ids(page):
    return [int(row[0]) for row in page.rows]


def first_in_sight(page):
    """The key of the line right below the head."""
    return page.run("""
        const top = document.querySelector(".grid th").getBoundingClientRect().bottom;
        const lines = [...document.querySelectorAll(".grid tbody tr:not(.leaving, .space)")];
        return lines.find((line) => line.getBoundingClientRect().top >= top - 1)?.cells[0].textContent;
    """)


def test_every_one_of_20000_rows_can_be_scrolled_to(page, site, orders):
    page.open(table=orders)
    page.until_state("Live")
    for n in range(0, 20_000, 5_000):  # past SSEAPP_LIMIT at once there would be a reset
        insert(site, n + 1, n + 5_000)
        page.until("#count", f"{n + 5_000:,}")
    page.scroll(10**9)
    seen(lambda: ids(page)[-1:] == [1], what="the last row")
    page.scroll(15_000 * 30)
    seen(lambda: 5_000 in ids(page), what="the row in the middle")
    assert len(page.rows) < 100
    page.run("document.querySelector('.scroll').focus()")
    page.press(Keys.HOME)
    seen(lambda: ids(page)[0] == 20_000, what="the first row")


def test_what_is_read_stays_in_its_place_while_rows_come(page, site, orders):
    insert(site, 1, 500)
    page.open(table=orders)
    page.until("#count", "500")
    page.scroll(3_000)
    seen(lambda: first_in_sight(page) == "400", what="the row that is scrolled to")
    insert(site, 501, 512)
    page.until(".newer", "12 new ↑")
    assert first_in_sight(page) == "400"
    site.sql("DELETE FROM orders WHERE id BETWEEN 450 AND 459")
    page.until("#count", "502")
    seen(lambda: first_in_sight(page) == "400", what="the same row in its place")
    page.click(".newer")
    seen(lambda: first_in_sight(page) == "512", what="the newest row")
    assert page.text(".newer") == ""


def test_rows_are_sorted_and_columns_hidden_by_the_address_too(page, site, orders):
    site.sql("INSERT INTO orders VALUES (1, 'b', 9), (2, NULL, 10), (3, 'a', 1e20)")
    page.open(table=orders)
    page.until("#count", "3")
    page.click(".grid th:nth-child(3) button")
    seen(lambda: ids(page) == [3, 2, 1], what="the largest first")
    page.click(".grid th:nth-child(3) button")
    seen(lambda: ids(page) == [1, 2, 3], what="the smallest first")
    assert page.run("return document.querySelector('.grid th:nth-child(3)').ariaSort") == "ascending"
    site.sql("INSERT INTO orders VALUES (4, 'c', 9.5)")
    seen(lambda: ids(page) == [1, 4, 2, 3], what="the new row in its place")
    page.click("[popovertarget=columns]")
    page.click("#columns [value=status]")
    seen(lambda: [row[:2] for row in page.rows[:1]] == [["1", "9"]], what="the column to go")
    page.chrome.refresh()
    seen(lambda: [row[:2] for row in page.rows] == [["1", "9"], ["4", "9.5"], ["2", "10"], ["3", "1" + "0" * 20]])


def test_what_changes_is_marked_by_more_than_colour(page, site, orders):
    site.sql("INSERT INTO orders VALUES (1, 'new', 1), (2, 'new', 2)")
    page.open(table=orders)
    page.until("#count", "2")
    site.sql("UPDATE orders SET status = 'paid' WHERE id = 1")
    line = "getComputedStyle(document.querySelector('.grid td.is-update')).textDecorationLine"
    seen(
        lambda: (
            page.run("return document.querySelector('.grid td.is-update')?.title") == "was new\n"
            and page.run(f"return {line}") == "underline"
        )
    )
    site.sql("INSERT INTO orders VALUES (3, 'new', 3)")
    sign = "return getComputedStyle(document.querySelector('{} td'), '::before').content"
    seen(lambda: page.run("return document.querySelector('tr.is-insert')") is not None, what="the mark")
    assert page.run(sign.format("tr.is-insert")) == '"+"'
    site.sql("DELETE FROM orders WHERE id = 2")
    seen(lambda: page.run("return document.querySelector('tr.leaving')") is not None, what="the leaving row")
    assert page.run(sign.format("tr.leaving")) == '"−"'  # noqa: RUF001 - the sign


def test_no_more_than_30_things_move_at_once(page, site, orders):
    insert(site, 1, 200)
    page.open(table=orders)
    page.until("#count", "200")
    site.sql("UPDATE orders SET status = 'paid', total = total + 1")
    page.until("#seen", "200")
    assert page.run("return document.getAnimations().length") <= 30


def test_frames_at_200_changes_a_second(page, site, orders):
    insert(site, 1, 5_000)
    page.open(table=orders)
    page.until("#count", "5,000")
    stop = threading.Event()

    def write():
        with site.session() as cursor:
            cursor.connection.autocommit = True
            while not stop.wait(0.05):
                cursor.execute("UPDATE orders SET total = total + 1 WHERE id > 4990 AND id <= 5000")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        frames = page.chrome.execute_async_script(FRAMES, 3_000)
    finally:
        stop.set()
        writer.join()
    assert frames > 30, frames  # 55 on a machine of its own


def test_empty_texts_blanks_and_line_ends_can_be_told_apart(page, site, orders):
    values = ["", " ", "a\nb", " a ", "a", "\t"]
    for n, value in enumerate(values):
        site.sql("INSERT INTO orders VALUES (%s, %s, 1)", n, value)
    page.open(table=orders, sort="id.asc")
    seen(lambda: [row[1] for row in page.rows] == ["''", "␣", "a↵b", "␣a␣", "a", "⇥"])


def test_a_row_opens_with_all_its_columns_and_its_changes(page, site, orders):
    site.sql("INSERT INTO orders VALUES (1, E'two\\nlines', 1), (2, 'new', 2)")
    page.open(table=orders)
    page.until("#count", "2")
    page.click(".grid tbody tr:nth-child(3) td")
    page.press(Keys.ENTER)
    page.until(".panel-cells", "two\nlines")
    site.sql("UPDATE orders SET total = 5 WHERE id = 1")
    page.until(".panel-changes", "total 1 → 5")
    page.press(Keys.ESCAPE)
    assert page.text("#panel") == ""
    page.press(Keys.ARROW_UP, Keys.ENTER)
    page.until(".panel-title", "id 2")


LINES = (
    r'{"id":1,"status":"a \"b\", c","total":12.50}',
    '{"id":2,"status":"","total":null}',
    '{"id":3,"status":null,"total":1}',
)
FILES = {
    "csv": 'id,status,total\r\n1,"a ""b"", c",12.50\r\n2,"",\r\n3,,1\r\n',
    "json": "[\n{}\n]\n".format(",\n".join(LINES)),
    "ndjson": "".join(f"{line}\n" for line in LINES),
}


@pytest.mark.parametrize(("format_", "expected"), FILES.items())
def test_the_rows_are_exported(page, site, orders, format_, expected):
    site.sql("""INSERT INTO orders VALUES (1, 'a "b", c', 12.50), (2, '', NULL), (3, NULL, 1)""")
    page.open(table=orders, sort="id.asc", hide="created_at")
    page.until("#count", "3")
    assert page.chrome.execute_async_script(SAVED, format_) == expected


def test_a_pause_loses_nothing(page, site, orders):
    page.open(table=orders)
    page.until_state("Live")
    page.press("p")
    page.until_state("Paused")
    insert(site, 1, 40)
    site.sql("DELETE FROM orders WHERE id > 35")
    page.until(".state-detail", "45 waiting")
    assert page.rows == []
    page.press("p")
    page.until("#count", "35")
    seen(lambda: ids(page)[:9] == list(range(35, 26, -1)), what="what waited")
    page.click("#tab-changes")
    kinds = "return [...document.querySelectorAll('.changes li')].map((item) => item.dataset.kind)"
    seen(lambda: page.run(kinds) == ["delete"] * 5 + ["insert"] * 40, what="the changes")
    page.until_state("Live")
    page.run("document.querySelector('#tab-events').click()")
    page.until(".events", "delete")


def test_a_reset_says_why(page, site, orders):
    page.open(table=orders, view="changes")
    page.until_state("Live")
    site.sql("SELECT sseapp.watch('orders', hide => '{status}')")
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    page.until("#count", "1")
    seen(lambda: page.run("return document.querySelector('.changes [data-kind=reset]') !== null"), what="the reset")
    assert page.text(".changes [data-kind=reset] .entry-text")
    assert "status" not in page.run("return document.querySelector('.grid thead').textContent")


def test_a_renamed_column_shows_its_new_name(page, site, orders):
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    page.open(table=orders)
    page.until("#count", "1")
    site.sql("ALTER TABLE orders RENAME COLUMN status TO standing")
    seen(
        lambda: page.run("return document.querySelector('.grid thead').textContent").find("standing") > 0,
        what="the heading",
    )
    seen(lambda: [row[1] for row in page.rows] == ["new"], what="its values")
    page.until_state("Live")
