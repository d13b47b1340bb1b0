"""The connection breaks, and comes back without a gap."""

from __future__ import annotations

import pytest
from harness.page import Page, seen, texts
from harness.servers import Host
from harness.site import QUICK
from harness.site import site as served


class Outage:
    """A server that goes away, and comes back at the same address."""

    def __init__(self, dsn):
        self._dsn = dsn
        self.host = Host(dsn, **QUICK)

    def kill(self):
        """SIGKILL to gunicorn and its worker."""
        for process in (self.host.master, self.host.worker):
            process.kill()
        self.host.stop()

    def end(self):
        self.host = Host(self._dsn, options=("--bind", "{}:{}".format(*self.host.address)), **QUICK)


@pytest.fixture
def outage(site):
    outage = Outage(site.dsn)
    yield outage
    outage.host.stop()


@pytest.fixture
def host(outage):
    return outage.host


def test_a_killed_server_comes_back_with_nothing_missing(page, site, outage, orders):
    site.sql("INSERT INTO orders SELECT n, 'new', n FROM generate_series(1, 5) n")
    page.open(table=orders)
    page.until("#count", "5")
    outage.kill()
    page.until_state("Stale")
    page.until(".notice-text", "the server cannot be reached. The rows may be out of date.")
    site.sql("INSERT INTO orders VALUES (6, 'new', 6)")
    site.sql("UPDATE orders SET status = 'paid' WHERE id = 1")
    site.sql("DELETE FROM orders WHERE id = 2")
    outage.end()
    page.until_state("Live")
    site.sql("INSERT INTO orders VALUES (7, 'new', 7)")
    rows = texts(site.sql("SELECT id, status FROM orders ORDER BY id"))
    seen(lambda: sorted(row[:2] for row in page.rows) == rows)
    assert page.figures["Changes seen"] == "4"
    assert page.text(".notice-text") == ""
    assert all("net::ERR_" in complaint for complaint in page.complaints())


def test_a_question_put_while_the_server_is_away_is_answered_when_it_is_back(page, site, outage, orders):
    site.sql("INSERT INTO orders VALUES (1, 'new', 1, now() - interval '2 h'), (2, 'new', 2, now())")
    page.open(table=orders)
    page.until("#count", "2")
    outage.host.stop()
    page.until_state("Stale")
    page.choose_range("1h")
    page.until_state("Stale")
    assert page.rows == []
    outage.end()
    page.until_state("Live")
    seen(lambda: [row[0] for row in page.rows] == ["2"], what="the answer to the second query")
    assert all("net::ERR_" in complaint for complaint in page.complaints())


@pytest.fixture
def own_site(own_cluster):
    """A site whose database may be stopped."""
    with served(own_cluster) as site:
        yield site


def test_the_page_says_that_the_database_is_away_and_when_it_is_back(chrome, own_site):
    own_site.sql("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    own_site.watch("orders")
    page = Page(chrome, "http://{}:{}".format(*own_site.host.address))
    page.open(table="orders")
    page.until_state("Live")
    own_site.server.stop()
    page.until_state("Stale")
    page.until(".notice-text", "the database cannot be reached")
    assert page.text(".state-detail").startswith("since ")
    own_site.server.again()
    page.until_state("Live")
    assert page.text(".notice-text") == ""
    assert all("Failed to load resource" in complaint for complaint in page.complaints())
    page.close()


def test_the_end_of_a_sign_in_is_a_link(chrome, front, orders):
    page = Page(chrome, "http://{}:{}".format(*front.address))
    page.open(table=orders)
    page.until_state("Live")
    front.answer = lambda path, _is_stream: (302, "Location: /login") if path != "/" else None
    front.cut()
    page.until_state("Sign in again")
    assert page.run("return document.querySelector('.notice-link').href") == page.chrome.current_url
    page.click(".notice-link")
    page.complaints()
    page.close()
