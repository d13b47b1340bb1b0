"""The page behind what may stand before it: a proxy that serves it below a path, a name and password in its address."""

from __future__ import annotations

import pytest
from harness.page import seen
from harness.prefix_proxy import PrefixProxy


@pytest.fixture
def below_a_path(site):
    with PrefixProxy(site.host.address, "/live") as front:
        yield front


def _shows_rows_live(page, site, orders):
    site.sql("INSERT INTO orders VALUES (1, 'new', 1)")
    page.open(table=orders)
    page.until("#count", "1")
    site.sql("INSERT INTO orders VALUES (2, 'new', 2)")
    page.until("#count", "2")
    seen(lambda: sorted(row[0] for row in page.rows) == ["1", "2"])


def test_a_proxy_that_strips_a_path(below_a_path, page, site, orders):
    page.address = "http://{}:{}/live".format(*below_a_path.address)
    _shows_rows_live(page, site, orders)


def test_an_address_with_a_name_and_a_password(page, site, orders):
    page.address = page.address.replace("http://", "http://user:pass@")
    _shows_rows_live(page, site, orders)
