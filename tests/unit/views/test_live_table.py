"""live_table in a template: the address it asks, escaped; and the conditions that it refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from flask import Flask, render_template_string

from sseapp import LiveTables
from sseapp.errors import BadParameterError


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def app():
    app = Flask("host")
    app.config["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    LiveTables(app, url_prefix="/rows")
    return app


def rendered(app, template, base="", **context):
    with app.test_request_context(base_url=f"http://localhost{base}"):
        return Elements(render_template_string(template, **context)).found


def test_it_loads_the_module_and_asks_for_the_table(app):
    assert rendered(app, '{{ live_table("orders", last="15m") }}', base="/sub") == [
        ("script", {"type": "module", "src": "/sub/rows/static/sseapp.js"}),
        ("live-table", {"src": "/sub/rows/tables/orders/changes?last=15m"}),
    ]
    assert rendered(app, '{{ live_table("orders") }}')[1] == ("live-table", {"src": "/rows/tables/orders/changes"})


HOSTILE = ['"><script>alert(1)</script>', "a&b=c", "ä/ö?x#y", "'; --", "line\nend", "{{ 1 }}", "%22"]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_given_stays_text(app, text):
    found = rendered(
        app,
        "{{ live_table(t, caption=t, **{t: 'eq.' + t, 'tz': t}) }}",
        t=text,
    )
    assert [tag for tag, _ in found] == ["script", "live-table"]
    attributes = found[1][1]
    address = urlsplit(attributes["src"])
    assert attributes["caption"] == text
    assert unquote(address.path) == f"/rows/tables/{text}/changes"
    assert address.path.count("/") == 4
    assert parse_qsl(address.query) == [(text, f"eq.{text}"), ("tz", text)]


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ("eq.paid", ["eq.paid"]),
        ("not.in.(a,b)", ["not.in.(a,b)"]),
        ("like.a*", ["like.a*"]),
        (7, ["eq.7"]),
        (Decimal("1.50"), ["eq.1.50"]),
        (True, ["eq.true"]),
        (None, ["is.null"]),
        (date(2026, 11, 30), ["eq.2026-11-30"]),
        (["gt.10", "lt.20"], ["gt.10", "lt.20"]),
    ],
)
def test_a_columns_value(app, value, asked):
    (_, (_, attributes)) = rendered(app, "{{ live_table('orders', total=value) }}", value=value)
    assert parse_qsl(urlsplit(attributes["src"]).query) == [("total", one) for one in asked]


@pytest.mark.parametrize(
    ("name", "value", "asked"),
    [
        ("last", timedelta(minutes=15), "900s"),
        ("start", datetime(2026, 11, 30, 8, tzinfo=UTC), "2026-11-30T08:00:00+00:00"),
        ("columns", ["id", "total"], "id,total"),
        ("limit", 5, "5"),
        ("or", "(a.eq.1,b.gt.2)", "(a.eq.1,b.gt.2)"),
    ],
)
def test_a_parameters_value(app, name, value, asked):
    (_, (_, attributes)) = rendered(app, "{{ live_table('orders', **{name: value}) }}", name=name, value=value)
    assert parse_qsl(urlsplit(attributes["src"]).query) == [(name, asked)]


def test_a_condition_without_an_operator_is_refused(app):
    with pytest.raises(BadParameterError, match=r"status='eq\.paid'"):
        rendered(app, "{{ live_table('orders', status='paid') }}")
