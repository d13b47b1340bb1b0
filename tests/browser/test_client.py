"""The client module in pages of one's own: it holds what SELECT shows, whatever happens on the way."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from harness.page import Page, seen, texts
from selenium.common.exceptions import WebDriverException

pytestmark = pytest.mark.usefixtures("orders")
TEN_LINES = Path(__file__).with_name("ten_lines.html").read_text(encoding="utf-8")
SELECT = "SELECT id, status, total, created_at FROM orders ORDER BY id"
HELD = "return [...document.querySelectorAll('tr')].map((line) => [...line.cells].map((cell) => cell.textContent))"
RECORDER = """<!doctype html><meta charset="utf-8"><script type="module">
  import {{ live }} from "/static/sseapp.js";
  import {{ without }} from "/static/client/link.js";
  without({ways});
  window.changes = [];
  window.states = [];
  const told = {{
    onRows: (rows) => (window.rows = rows.map((row) => ({{ ...row, id: String(row.id) }}))),
    onChange: ({{ event, row, old }}) => changes.push([event, Number((row ?? old)?.id)]),
    onState: (state) => states.push(state),
    token: {token},
  }};
  window.live = live("/tables/{table}/changes{query}", told);
</script>"""
IDS = "return window.rows && window.rows.map((row) => Number(row.id))"


@pytest.fixture
def own(chrome, front):
    """A page of one's own behind the front; complaints about the network are expected here."""
    page = Page(chrome, "http://{}:{}".format(*front.address))
    yield page
    assert [complaint for complaint in page.complaints() if "Failed to load resource" not in complaint] == []
    page.close()


def record(front, path="/own", *, table="orders", query="", ways="", credential="undefined"):
    front.pages[path] = RECORDER.format(table=table, query=query, ways=ways, token=credential)


def until_ids(page, expected):
    try:
        seen(lambda: page.run(IDS) == expected)
    except AssertionError:
        assert page.run(IDS) == expected, page.run("return window.states")


def until_state(page, name):
    seen(lambda: page.run("return window.live?.state.name") == name, what=f"the state {name}")
    return page.run("return window.live.state")


def shown(site):
    site.sql("SET TimeZone = 'UTC'")
    return [[*row[:3], row[3].isoformat()] for row in site.sql(SELECT)]


def test_the_readmes_page_shows_what_select_shows(own, site, front):
    site.sql("INSERT INTO orders VALUES (1, 'new', 12.50), (2, NULL, 123456789012345678901234.5), (3, 'x', 7)")
    front.pages["/mine.html"] = TEN_LINES
    own.go("/mine.html")

    def equal():
        found = [["-" if value == "NULL" else value for value in row] for row in texts(shown(site))]
        return [row[:3] for row in own.run(HELD)] == [row[:3] for row in found]

    seen(equal)
    site.sql("UPDATE orders SET total = 0.10 WHERE id = 1")
    site.sql("DELETE FROM orders WHERE id = 2")
    site.sql("INSERT INTO orders SELECT n, 'bulk', n FROM generate_series(10, 500) n")
    seen(equal)
    assert own.text("#state") == "live"


@pytest.mark.parametrize("ways", ["", "'worker'", "'worker', 'leader'"], ids=["worker", "leader", "alone"])
def test_cuts_lose_nothing_and_repeat_nothing(own, site, front, ways):
    record(front, ways=ways)
    own.go("/own")
    until_state(own, "live")
    for n in range(1, 61):
        site.sql("INSERT INTO orders VALUES (%s, 'new', %s)", n, n)
        if n % 3 == 0:
            site.sql("DELETE FROM orders WHERE id = %s", n - 1)
        if n % 7 == 0:
            front.cut()
    expected = [("insert", n) for n in range(1, 61)]
    for n in range(60, 2, -3):
        expected.insert(n, ("delete", n - 1))
    seen(lambda: len(own.run("return changes")) >= len(expected), what="all changes")
    assert [tuple(change) for change in own.run("return changes")] == expected
    until_ids(own, [row[0] for row in site.sql("SELECT id FROM orders ORDER BY id")])


def tabs(chrome, front, count, path="/own"):
    """Open ``count`` tabs; the handles."""
    handles = []
    for _ in range(count):
        chrome.switch_to.new_window("tab")
        chrome.get("http://{}:{}{}".format(*front.address, path))
        handles.append(chrome.current_window_handle)
    return handles


@pytest.fixture
def windows(chrome, own):
    """Close the tabs that a test opens, before its own page is."""
    del own
    first = chrome.current_window_handle
    yield
    for handle in chrome.window_handles:
        if handle != first:
            chrome.switch_to.window(handle)
            chrome.close()
    chrome.switch_to.window(first)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("ways", ["", "'worker'"], ids=["worker", "leader"])
def test_seven_tabs_share_one_connection(own, site, front, ways):
    chrome = own.chrome
    site.sql("INSERT INTO orders SELECT n, 'new', n FROM generate_series(1, 100) n")
    record(front, ways=ways)
    handles = tabs(chrome, front, 7)
    ids = list(range(1, 101))
    for n in range(101, 105):
        for handle in handles:
            chrome.switch_to.window(handle)
            until_ids(own, ids)
        assert front.streams == 1
        chrome.switch_to.window(handles.pop(0))  # the one that holds the connection, where one does
        chrome.close()
        site.sql("INSERT INTO orders VALUES (%s, 'new', 1)", n)
        ids.append(n)
    for handle in handles:
        chrome.switch_to.window(handle)
        until_ids(own, ids)
        assert own.run("return changes") == [["insert", n] for n in range(101, 105)]
    seen(lambda: front.streams == 1, what="one stream")


@pytest.mark.usefixtures("windows")
def test_a_killed_leader_loses_nothing(own, chrome, site, front):
    record(front, ways="'worker'")
    handles = tabs(chrome, front, 4)
    expected = []
    for n in range(1, 4):
        chrome.switch_to.window(handles.pop(0))
        until_state(own, "live")
        kill_renderer(chrome)
        for m in range(10 * n, 10 * n + 5):
            site.sql("INSERT INTO orders VALUES (%s, 'new', 1)", m)
            expected.append(["insert", m])
    chrome.switch_to.window(handles[0])
    seen(lambda: len(own.run("return changes")) == len(expected), what="all changes")
    assert own.run("return changes") == expected


def kill_renderer(chrome):
    """End the tab as a crash does: no event of leaving is fired."""
    with pytest.raises(WebDriverException):
        chrome.execute_cdp_cmd("Page.crash", {})


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_ends_an_event_source_for_good_does_not_end_it(own, site, front, status):
    record(front)
    own.go("/own")
    until_state(own, "live")
    front.answer = lambda _path, is_stream: (status, "Retry-After: 1") if is_stream else None
    front.cut()
    assert until_state(own, "stale")["reason"]
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    front.answer = lambda _path, _is_stream: None
    until_ids(own, [1])
    until_state(own, "live")


@pytest.mark.parametrize(
    "answer", [(401, "WWW-Authenticate: Bearer"), (302, "Location: /login"), (200, "Content-Type: text/html")]
)
def test_the_end_of_a_sign_in_is_told(own, front, answer):
    record(front)
    own.go("/own")
    until_state(own, "live")
    front.answer = lambda _path, is_stream: answer if is_stream else None
    front.cut()
    until_state(own, "sign-in")
    front.answer = lambda _path, _is_stream: None
    own.run("live.hurry()")
    until_state(own, "live")


def test_a_token_is_sent_and_renewed(own, front):
    def answer(_path, is_stream):
        isnew = "Authorization: Bearer t2" in front.asked[-1]
        return None if isnew or not is_stream else (401, "WWW-Authenticate: Bearer")

    front.answer = answer
    record(front, credential="() => `t${(window.asked = (window.asked ?? 0) + 1)}`")
    own.go("/own")
    until_state(own, "live")
    names = [name for name, _ in groupby(state["name"] for state in own.run("return states"))]
    assert names[-3:] == ["sign-in", "connecting", "live"]


@pytest.mark.slow
def test_a_front_that_holds_streams_back_is_polled_through(own, site, front):
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    front.stall = True
    record(front)
    own.go("/own")
    seen(lambda: own.run(IDS) == [1], seconds=45, what="the rows by a poll")
    site.sql("INSERT INTO orders VALUES (2, 'new', 1)")
    site.sql("DELETE FROM orders WHERE id = 1")
    until_ids(own, [2])
    assert own.run("return live.state.name") == "live"
    assert own.run("return changes") == [["insert", 2], ["delete", 1]]


def test_back_and_forward(own, site, front):
    record(front)
    front.pages["/away"] = "<!doctype html><title>away</title>"
    for n in range(1, 15, 2):
        own.go("/own")
        site.sql("INSERT INTO orders VALUES (%s, 'new', 1)", n)
        until_ids(own, list(range(1, n + 1)))
        own.go("/away")
        seen(lambda: front.streams == 0, what="the stream to be let go")
        site.sql("INSERT INTO orders VALUES (%s, 'new', 1)", n + 1)
        own.chrome.back()
        until_ids(own, list(range(1, n + 2)))


def test_a_window_that_moves_lets_rows_go(own, site, front):
    record(front, query="?last=3s")
    own.go("/own")
    until_state(own, "live")
    site.sql("INSERT INTO orders VALUES (1, 'new', 1, now()), (2, 'new', 1, now() + interval '1 h')")
    until_ids(own, [1, 2])
    until_ids(own, [2])


def test_numbers_are_exact(own, front):
    front.pages["/json"] = "<!doctype html>"
    own.go("/json")
    long, decimal = "9007199254740993", "123456789.123456789123"
    given = ["12.50", long, "-1", "0.1", "1e400", decimal, "0.30000000000000004", f'{{"a":[{long}]}}']
    shown = "JSON.stringify(module.value(raw), (_, held) => (typeof held === 'bigint' ? `${held}n` : held))"
    assert own.imported("client/json", f"given.map((raw) => [typeof module.value(raw), {shown}])", given) == [
        ["number", "12.5"],
        ["bigint", f'"{long}n"'],
        ["number", "-1"],
        ["number", "0.1"],
        ["string", '"1e400"'],
        ["string", f'"{decimal}"'],
        ["number", "0.30000000000000004"],
        ["object", f'{{"a":["{long}n"]}}'],
    ]


def test_a_stream_is_read_alike_however_it_is_cut(own, front):
    front.pages["/sse"] = "<!doctype html>"
    own.go("/sse")
    stream = "\ufeff:hi\r\nretry: 5\r\n\r\nevent: a\rdata: 1\rdata: 2\rid: x\r\r"
    stream += "event:b\ndata:3\nid: bad\0\n\nid: y\n\ndata\n\n"
    script = """
        [1, 2, 3, 1000].map((size) => {
          const told = [];
          const parser = new module.Parser({
            block: ({ name, data, id }) => told.push([name, data, id ?? null]),
            retry: (n) => told.push(n),
            comment: (text) => told.push(text),
          });
          for (let at = 0; at < given.length; at += size) parser.feed(given.slice(at, at + size));
          return told;
        })
    """
    expected = ["hi", 5, ["a", "1\n2", "x"], ["b", "3", None], ["message", None, "y"], ["message", "", None]]
    assert own.imported("client/sse", script, stream) == [expected] * 4


def test_the_element(own, site, front):
    site.sql("INSERT INTO orders VALUES (1, '<b>', 12.50)")
    front.pages["/element"] = """<!doctype html><script type="module" src="/static/sseapp.js"></script>
        <live-table src="/tables/orders/changes?columns=id,status,total" caption="Orders"></live-table>"""
    own.go("/element")
    seen(lambda: own.run(HELD)[1:2] == [["1", "<b>", "12.50"]], what="the row")
    assert own.run(HELD)[0] == ["id", "status", "total"]
    site.sql("UPDATE orders SET status = NULL")
    seen(lambda: own.run(HELD)[1] == ["1", "NULL", "12.50"], what="the change")
    assert own.run("return document.querySelector('live-table').dataset.state") == "live"


def test_a_server_gone_silent_is_noticed(own, site, front):
    record(front)
    front.pages["/own"] = front.pages["/own"].replace("onRows:", "heartbeat: 400, onRows:", 1)
    own.go("/own")
    until_state(own, "live")
    site.host.worker.suspend()
    try:
        assert until_state(own, "stale")["reason"] == "The server has gone silent."
    finally:
        site.host.worker.resume()
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    until_ids(own, [1])
    until_state(own, "live")
