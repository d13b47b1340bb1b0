"""The page itself: its policy, its labels, narrow screens."""

from __future__ import annotations

import pytest
from harness.page import seen

from sseapp import create_app

UNLABELLED = """
    const fields = [...document.querySelectorAll("select, input")];
    return fields.filter((field) => !field.labels.length && !field.ariaLabel).map((field) => field.name);
"""


def test_the_policy_is_strict():
    response = create_app().test_client().get("/", base_url="http://127.0.0.1")
    assert response.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_a_violation_of_the_policy_would_be_noticed(page):
    page.open()
    page.run("document.body.setAttribute('style', 'color: red')")
    seen(lambda: "style-src-attr" in page.complaints(), what="the violation")
    page.complaints()


def test_every_field_has_a_label_and_the_state_speaks(page, orders):
    page.open(table=orders, start="2026-01-01")
    page.until_state("Live")
    assert page.run(UNLABELLED) == []
    assert page.run("return document.querySelector('[role=status]').textContent") == "Live"


@pytest.mark.parametrize("width", [320, 360, 640, 1200])
def test_nothing_is_wider_than_the_screen(page, site, orders, width):
    site.sql("INSERT INTO orders VALUES (1, repeat('long ', 100), 1e40)")
    page.chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    )
    page.open(table=orders, start="2026-01-01")
    page.until("#count", "1")
    assert page.run("return document.documentElement.scrollWidth") <= width
    page.chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
