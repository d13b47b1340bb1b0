"""One row, table or fault never stops another: whatever a piece of the log holds, the listener gets past it."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing

import pytest
from harness.clusters import wait_until
from harness.running import Running, prepare

from sseapp.delivery.changes_stream import ChangesStream
from sseapp.events import event as event_module
from sseapp.live import hub as hub_module
from sseapp.query.filter_index import FilterIndex


@pytest.fixture
def make(pg18):
    with ExitStack() as stack:

        def make(options="", **settings):
            dsn = stack.enter_context(pg18.database(options))
            prepare(dsn)
            return stack.enter_context(closing(Running(pg18, dsn, **settings)))

        yield make


ENCODINGS = {
    "SQL_ASCII": (r"E'caf\xe9'", "caf\ufffd"),
    "WIN1252": (r"convert_from('\x788179', 'WIN1252')", "x\ufffdy"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_that_is_not_in_the_database_s_encoding_is_told_in_a_replaced_form(make, encoding, caplog):
    text, shown = ENCODINGS[encoding]
    running = make(f"ENCODING '{encoding}' LOCALE 'C'")
    orders, customers = running.join("orders"), running.join("customers")
    running.sql(f"INSERT INTO orders VALUES (1, {text}); INSERT INTO customers VALUES (1, 'x')")
    running.sql(f"INSERT INTO orders SELECT n, {text} FROM generate_series(2, 50) n")
    assert running.rows(customers, 1) == ['{"id":1,"a":"x"}']
    assert [json.loads(row)["a"] for row in running.rows(orders, 50)] == [shown] * 50
    listener = running.runtime.listener
    assert (listener.damaged, listener.error, orders.reason) == (50, None, None)
    assert caplog.text.count("could not be read as it is") == 1
    # a snapshot shows it alike
    services = running.runtime.services
    with closing(ChangesStream(services, "orders", [])) as stream:
        body = stream.body()
        next(body)
        assert next(body).decode().count(f'"a":"{shown}"') == 50


BROKEN = """
CREATE OR REPLACE FUNCTION sseapp.sendable(value text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF value LIKE '%poison%' THEN
        RAISE data_corrupted USING MESSAGE = 'missing chunk number 0 for toast value';
    END IF;
    RETURN value;
END $$
"""


@pytest.mark.parametrize("batch", ["2000", "1"])
@pytest.mark.parametrize("first", ["customers", "orders"])
def test_a_change_that_cannot_be_read_is_passed_over(make, caplog, batch, first):
    """As where the log has lost a part of a large value."""
    running = make(batch=batch)
    orders, customers = running.join("orders"), running.join("customers")
    running.sql(BROKEN)
    writes = ["INSERT INTO customers VALUES (1, 'x')", "INSERT INTO orders VALUES (1, 'poison')"]
    writes = writes if first == "customers" else writes[::-1]
    running.sql(f"BEGIN; {writes[0]}; {writes[1]}; INSERT INTO customers VALUES (2, 'x'); COMMIT")
    assert running.rows(customers, 2) == ['{"id":1,"a":"x"}', '{"id":2,"a":"x"}']
    wait_until(lambda: orders.reason, what="the reset")
    assert (orders.reason, customers.reason) == ("a change could not be read", None)
    assert running.runtime.listener.damaged == 1
    assert caplog.text.count("missing chunk") == 1
    orders = running.join("orders")
    running.sql("INSERT INTO orders VALUES (2, 'x')")
    assert running.rows(orders, 1) == ['{"id":2,"a":"x"}']


def _fails(*_):
    raise ZeroDivisionError("a fault")


STEPS = {
    "matching": (FilterIndex, "matching"),
    "encoding": (event_module.sse, "body"),
    "framing": (hub_module, "frames"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_at_one_table_resets_that_one(make, monkeypatch, caplog, step):
    running = make()
    orders, customers = running.join("orders", ("a", "eq.x")), running.join("customers")
    module, name = STEPS[step]
    whole, tell = getattr(module, name), running.runtime.hub._tell

    def fails_for_orders(watch, *args):
        monkeypatch.setattr(module, name, _fails if watch == orders.table.watch else whole)
        tell(watch, *args)

    monkeypatch.setattr(running.runtime.hub, "_tell", fails_for_orders)
    for number in range(3):
        running.sql(f"INSERT INTO orders VALUES ({number}, 'x'); INSERT INTO customers VALUES ({number}, 'x')")
    assert len(running.rows(customers, 3)) == 3
    assert orders.reason == "a change could not be read"
    assert running.runtime.listener.error is None
    assert running.runtime.hub.failures == 1
    assert caplog.text.count("could not be told") == 1
