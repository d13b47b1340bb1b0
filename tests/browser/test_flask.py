"""A live table in the page of a Flask application with its own layout and policy, and without any script of its own."""

from __future__ import annotations

import sys

import pytest
from harness.page import seen, texts
from harness.servers import Host

FIFTEEN_LINES = """
from flask import Flask, render_template
from sseapp import LiveTables

app = Flask(__name__)
LiveTables(app)

@app.get("/")
def orders():
    return render_template("orders.html", status="eq.paid")

@app.after_request
def policy(response):
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
    return response
"""
LAYOUT = "<!doctype html><title>Shop</title><h1>My shop</h1>{% block content %}{% endblock %}"
ORDERS = """{% extends "layout.html" %}{% block content %}
{{ live_table("orders", caption="Paid <now>", last="15m", status=status, columns=["status", "total"]) }}
{{ live_table("orders", nothing="eq.1") }}
{% endblock %}"""
SERVE = (sys.executable, "-m", "gunicorn", "-c", "python:sseapp.gunicorn", "shop:app")
CELLS = (
    "return [...document.querySelectorAll('tbody tr')].map((line) => [...line.cells].map((cell) => cell.textContent))"
)


@pytest.fixture
def host(site, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "shop.py").write_text(FIFTEEN_LINES)
    (tmp_path / "templates" / "layout.html").write_text(LAYOUT)
    (tmp_path / "templates" / "orders.html").write_text(ORDERS)
    with Host(site.dsn, command=SERVE, folder=tmp_path) as host:
        yield host


def test_a_page_of_fifteen_lines_shows_a_live_table(page, site, orders):
    assert len(FIFTEEN_LINES.strip().splitlines()) <= 15
    site.sql("INSERT INTO orders VALUES (1, 'paid', 12.50), (2, 'new', 3)")
    page.go("/")

    def equal():
        rows = site.sql(f"SELECT id, status, total FROM {orders} WHERE status = 'paid' ORDER BY id")
        return page.run(CELLS) == texts(rows)

    seen(equal)
    site.sql("UPDATE orders SET status = 'paid' WHERE id = 2")
    site.sql("INSERT INTO orders VALUES (3, 'paid', 7), (4, 'new', 8)")
    site.sql("DELETE FROM orders WHERE id = 1")
    seen(equal)
    assert page.text("h1") == "My shop"
    assert page.text("caption") == "Paid <now>"
    seen(lambda: "nothing" in (page.run("return document.querySelector('live-table [role=alert]')?.textContent") or ""))
    assert [complaint for complaint in page.complaints() if "nothing=eq.1" not in complaint] == []
