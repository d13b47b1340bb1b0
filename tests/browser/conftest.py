"""A browser, a server on a database of its own, and a page of it."""

from __future__ import annotations

import shutil

import pytest
from harness.clusters import NEWEST, bindir
from harness.front import Front
from harness.page import Page
from harness.site import site as served
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,800",
)


@pytest.fixture(scope="session")
def chrome(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("Chromium and its driver are not here (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    chrome.set_script_timeout(20)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def site(chrome, clusters):
    """One for all these tests; each makes tables of its own, and takes them away."""
    del chrome  # without a browser nothing of this is needed
    if bindir(NEWEST) is None:
        pytest.skip("the programs of PostgreSQL 18 are not here (see README.md)")
    with served(clusters.shared(NEWEST)) as site:
        yield site


@pytest.fixture
def table(site):
    """Make a table (named as in SQL) and watch it, for the time of a test."""
    made = []

    def make(name, columns, range_column=None):
        site.sql(f"CREATE TABLE {name} ({columns})")
        made.append(name)
        site.sql("SELECT sseapp.watch(%s, %s)", name, range_column)
        return name

    yield make
    for name in made:
        site.sql("SELECT sseapp.unwatch(%s)", name)
        site.sql(f"DROP TABLE {name}")


@pytest.fixture
def orders(table):
    return table(
        "orders", "id int PRIMARY KEY, status text, total numeric, created_at timestamptz DEFAULT now()", "created_at"
    )


@pytest.fixture
def host(site):
    """Whose page it is."""
    return site.host


@pytest.fixture
def page(chrome, host):
    """A page without complaints: what the test did not ask for with ``complaints()`` fails it."""
    page = Page(chrome, "http://{}:{}".format(*host.address))
    yield page
    complaints = page.complaints()
    page.close()
    assert complaints == []


@pytest.fixture
def front(host):
    """A front before the server, for pages of one's own."""
    with Front(host.address) as front:
        yield front
