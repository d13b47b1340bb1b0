"""The sample shop and what goes on in it, statement by statement."""

import time
from contextlib import closing

import pytest
from harness.clusters import wait_until

from sseapp.cli import demo
from sseapp.postgres import catalog, statements
from sseapp.postgres.database import Connection

SQL = statements.named("demo")


@pytest.fixture
def shop(pg18_dsn):
    with closing(Connection(pg18_dsn)) as connection:
        demo.open_shop(connection)
        yield connection


def _one(connection, sql):
    return connection.query(sql)[0][0]


def _logged(connection, kind, table="orders"):
    return _one(
        connection,
        f"""SELECT coalesce(sum(changes), 0) FROM sseapp.change JOIN sseapp.watched_table AS w ON w.id = watch
            WHERE kind = '{kind}' AND relation = '{table}'::regclass""",
    )


def test_opens_with_customers_and_orders_over_48_hours(shop):
    assert _one(shop, "SELECT count(*) FROM customers") == demo.CUSTOMERS
    assert _one(shop, "SELECT count(*) FROM orders") == demo.ORDERS
    assert _one(shop, "SELECT count(DISTINCT customer_id) > 30 FROM orders")
    assert _one(shop, "SELECT min(created_at) BETWEEN now() - interval '48 h' AND now() - interval '40 h' FROM orders")
    assert _one(shop, "SELECT count(DISTINCT status) FROM orders") >= 4
    assert (
        _one(
            shop,
            "SELECT count(*) FROM orders WHERE id > 1 AND created_at < (SELECT created_at FROM orders WHERE id = 1)",
        )
        == 0
    )


def test_every_statement_runs_on_each_version(dsn):
    with closing(Connection(dsn)) as connection:
        demo.open_shop(connection)
        assert {*demo.STEPS, *demo.BULK, "tidy"} < set(SQL)
        for statement in SQL.values():
            connection.query(statement, {"customers": 1, "orders": 1, "most": 100})


def test_watches_both_tables_and_hides_the_addresses(shop):
    tables = {table.name: table for table in catalog.load(shop).values()}
    assert tables["orders"].range == "created_at"
    assert "email" not in tables["customers"].by_name


def test_opening_again_changes_nothing(shop):
    before = shop.query("SELECT * FROM orders ORDER BY id"), shop.query("SELECT * FROM customers ORDER BY id")
    demo.open_shop(shop)
    assert (shop.query("SELECT * FROM orders ORDER BY id"), shop.query("SELECT * FROM customers ORDER BY id")) == before


def test_opening_after_days_fills_the_shop_up_again(shop):
    shop.query("UPDATE orders SET created_at = created_at - interval '9 days'")
    demo.open_shop(shop)
    assert _one(shop, "SELECT count(*) FROM orders WHERE created_at > now() - interval '48 h'") == demo.ORDERS
    assert _one(shop, "SELECT count(*) FROM orders") == demo.ORDERS


@pytest.mark.parametrize(
    ("name", "kind", "table", "least"),
    [
        ("order", "i", "orders", 1),
        ("advance", "u", "orders", 1),
        ("cancel", "u", "orders", 1),
        ("lorry", "u", "orders", 20),
        ("rush", "i", "orders", 40),
    ],
)
def test_each_step_is_a_change(shop, name, kind, table, least):
    before = _logged(shop, kind, table)
    shop.query(SQL[name], {"most": demo.MOST_ORDERS})
    assert _logged(shop, kind, table) - before >= least


def test_cancelled_orders_are_removed_one_at_a_time(shop):
    shop.query("UPDATE orders SET status = 'cancelled' WHERE id IN (3, 4)")
    shop.query(SQL["remove"])
    assert _one(shop, "SELECT count(*) FROM orders WHERE status = 'cancelled'") == 1


@pytest.mark.parametrize(("name", "table"), [("note", "orders"), ("move", "customers")])
def test_steps_that_may_hit_upon_the_same_value_change_one_in_the_end(shop, name, table):
    before = _logged(shop, "u", table)
    for _ in range(40):
        shop.query(SQL[name])
    assert _logged(shop, "u", table) > before


def test_the_shop_stays_bounded(shop):
    for _ in range(10):
        shop.query(SQL["rush"])
    shop.query(SQL["tidy"], {"most": 500})
    assert _one(shop, "SELECT count(*) FROM orders") == 500
    assert _one(shop, "SELECT count(*) FROM orders WHERE note = 'from the newsletter'") == 400


def test_the_workload_changes_much_at_once_now_and_then(shop, pg18_dsn, monkeypatch):
    monkeypatch.setattr(demo, "PAUSE", 0.005)
    monkeypatch.setattr(demo, "BULK_SECONDS", 0.2)
    bulk = "SELECT kind FROM sseapp.change GROUP BY xid, kind HAVING sum(changes) >= 20"
    with demo.Workload(pg18_dsn):
        wait_until(lambda: {"i", "u"} <= {kind for (kind,) in shop.query(bulk)}, what="both kinds of bulk changes")


def test_the_workload_sits_out_the_databases_absence(own_cluster, monkeypatch, caplog):
    monkeypatch.setattr(demo, "PAUSE", 0.005)
    monkeypatch.setattr(demo, "RETRY_SECONDS", 0.05)
    dsn = own_cluster.dsn()
    with closing(Connection(dsn)) as connection:
        demo.open_shop(connection)

    def orders():
        return own_cluster.execute("SELECT max(id) FROM orders")[0][0]

    with demo.Workload(dsn):
        first = orders()
        wait_until(lambda: orders() > first, what="an order")
        own_cluster.stop()
        wait_until(lambda: "tries again" in caplog.text, what="a word in the log")
        own_cluster.again()
        second = orders()
        wait_until(lambda: orders() > second, what="an order after the restart")
        began = time.monotonic()
    assert time.monotonic() - began < 5.0
