"""Consumers on a real database: each change once, in order, whatever fails in between."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg2
import pytest
from harness.clusters import wait_until
from harness.pooler import pooler
from harness.running import prepare
from harness.watching import execute, open_session

from sseapp.errors import BadParameterError, OvertakenError
from sseapp.live.consumer import Consumer
from sseapp.log.log import OTHER_LOG
from sseapp.log.pace import Pace
from sseapp.postgres import catalog, consumer_state, schema
from sseapp.postgres.consumer_state import Transaction
from sseapp.postgres.database import Connection, Database


class Site:
    """A database with two watched tables, and consumers that write what they are told into ``effect``."""

    def __init__(self, dsn):
        self.dsn = dsn
        prepare(dsn)
        self._session = open_session(dsn)
        self.sql("CREATE TABLE effect (place bigserial PRIMARY KEY, kind text, old text, new text, reason text)")

    def sql(self, statement, parameters=None):
        return execute(self._session, statement, parameters)

    @contextmanager
    def consumer(self, function=None, table="orders", name="copy", dsn=None, **settings):
        database = Database(dsn or self.dsn)
        pace = Pace(busy=100, poll=0.005, tick=0.2)
        consumer = Consumer(name, table, function or note, database=database, pace=pace, **settings)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        try:
            yield consumer
        finally:
            consumer.stop()
            thread.join(10)
            assert not thread.is_alive()

    def registered(self, name="copy"):
        wait_until(lambda: self.sql("SELECT 1 FROM sseapp.consumer WHERE name = %s", (name,)), what="the consumer")

    @property
    def effects(self):
        return self.sql("SELECT kind, old, new, reason FROM effect ORDER BY place")

    def effects_are(self, count):
        """The new rows of the effects, once there are so many."""
        wait_until(
            lambda: self.sql("SELECT count(*) >= %s FROM effect", (count,)) == [(True,)], what=f"{count} effects"
        )
        return [new and json.loads(new)["id"] for _, _, new, _ in self.effects]

    def status(self, name="copy"):
        with closing(Connection(self.dsn)) as connection:
            return next(one for one in consumer_state.status(connection) if one.name == name)

    def close(self):
        self._session.close()


def note(change, connection):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO effect (kind, old, new, reason) VALUES (%s, %s, %s, %s)",
            (change.kind, change.old, change.new, change.reason),
        )


@pytest.fixture
def site(dsn):
    with closing(Site(dsn)) as found:
        yield found


@pytest.fixture
def newest(pg18_dsn):
    with closing(Site(pg18_dsn)) as found:
        yield found


def test_each_kind_of_change_is_told_with_its_rows(site):
    with site.consumer():
        site.registered()
        site.sql("INSERT INTO orders VALUES (1, 'x')")
        site.sql("UPDATE orders SET a = 'y'; INSERT INTO customers VALUES (7, 'other table')")
        site.sql("DELETE FROM orders")
        site.sql("TRUNCATE orders")
        site.effects_are(4)
    x, y = '{"id":1,"a":"x"}', '{"id":1,"a":"y"}'
    assert site.effects == [
        ("insert", None, x, None), ("update", x, y, None), ("delete", y, None, None), ("truncate", None, None, None),
    ]  # fmt: skip


def test_it_goes_on_where_it_was_when_it_comes_back(site):
    with site.consumer():
        site.registered()
        site.sql("INSERT INTO orders VALUES (1)")
        site.effects_are(1)
    site.sql("INSERT INTO orders VALUES (2), (3)")
    with site.consumer():
        assert site.effects_are(3) == [1, 2, 3]
        site.sql("INSERT INTO orders VALUES (4)")
        assert site.effects_are(4) == [1, 2, 3, 4]


def test_a_transaction_that_ends_late_is_told_late(site):
    with site.consumer(), closing(open_session(site.dsn)) as late:
        site.registered()
        execute(late, "BEGIN; INSERT INTO orders VALUES (1)")
        site.sql("INSERT INTO orders VALUES (2)")
        assert site.effects_are(1) == [2]
        site.sql("INSERT INTO orders VALUES (3)")
        execute(late, "COMMIT")
        assert site.effects_are(3) == [2, 3, 1] or site.effects_are(3) == [2, 1, 3]


@pytest.mark.parametrize("stops", [1, 32, 33, 100])
def test_a_bulk_change_is_told_whole_and_goes_on_within(newest, stops):
    """A pack holds 32 changes in a row of the log; who was stopped within one goes on within it."""
    count = 0

    def stopping(change, connection):
        nonlocal count
        note(change, connection)
        count += 1
        if count == stops:
            consumer.stop()

    with newest.consumer():
        newest.registered()
    newest.sql("INSERT INTO orders VALUES (0)")
    newest.sql("INSERT INTO orders SELECT n FROM generate_series(1, 150) n")
    newest.sql("INSERT INTO customers SELECT n FROM generate_series(1, 100) n")
    with newest.consumer(stopping, piece=40) as consumer:
        assert newest.effects_are(stops) == list(range(stops))
    with newest.consumer(piece=40):
        assert newest.effects_are(151) == list(range(151))
        newest.sql("INSERT INTO orders VALUES (151)")
        assert newest.effects_are(152) == list(range(152))


def test_of_rows_that_are_larger_than_a_read_each_is_told(newest):
    with newest.consumer():
        newest.registered()
        newest.sql(
            "INSERT INTO orders SELECT n, string_agg(md5(n::text || m), '')"
            " FROM generate_series(1, 40) n, generate_series(1, 5000) m GROUP BY n"
        )
        assert sorted(newest.effects_are(40)) == list(range(1, 41))


def test_what_raises_is_called_again_for_the_same_change_and_logged_once(newest, caplog):
    failing = threading.Event()
    failing.set()
    calls = []

    def function(change, connection):
        note(change, connection)
        calls.append(json.loads(change.new)["id"])
        if calls[-1] == 2 and failing.is_set():
            raise ValueError("no\0 way")

    with caplog.at_level(logging.INFO, "sseapp.live.consumer"), newest.consumer(function) as consumer:
        newest.registered()
        newest.sql("INSERT INTO orders VALUES (1), (2), (3)")
        wait_until(lambda: calls.count(2) >= 3, what="three calls")
        assert newest.effects_are(1) == [1]
        wait_until(lambda: newest.status().error, what="the error to be shown")
        assert newest.status().error == "ValueError: no way"
        assert newest.status().failing_since
        assert newest.status().lag > 0
        failing.clear()
        assert newest.effects_are(3) == [1, 2, 3]
        wait_until(lambda: consumer.error is None, what="the end of the streak")
    assert calls[0] == 1
    assert calls[-1] == 3
    assert calls.count(1) == calls.count(3) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "Consumer copy failed and will try again: no\0 way",
        "Consumer copy goes on.",
    ]
    assert caplog.records[0].exc_info
    assert newest.status().error is None
    assert newest.status().failing_since is None


def test_of_a_batch_that_raises_all_up_to_the_change_is_consumed(newest):
    failing = threading.Event()
    failing.set()

    def function(change, connection):
        note(change, connection)
        if json.loads(change.new)["id"] == 25 and failing.is_set():
            raise ValueError

    with newest.consumer(function, batch=10) as consumer:
        newest.registered()
        newest.sql("INSERT INTO orders SELECT n FROM generate_series(0, 49) n")
        assert newest.effects_are(25) == list(range(25))
        wait_until(lambda: consumer.error, what="the failure")
        failing.clear()
        assert newest.effects_are(50) == list(range(50))
    assert newest.sql("SELECT count(DISTINCT xmin::text) < 40 FROM effect") == [(True,)]


@pytest.mark.parametrize("ending", ["commit", "rollback", "rollback and write", "error"])
def test_a_function_that_ends_the_transaction_repeats_no_effect(newest, ending):
    """What is committed has moved the cursor too; what is not is done again, and neither goes unnoticed."""
    ended = []

    def function(change, connection):
        note(change, connection)
        if ended:
            return
        ended.append(change)
        if ending == "error":
            with pytest.raises(Exception, match="division by zero"):
                execute(connection, "SELECT 1 / 0")
        elif ending == "commit":
            connection.commit()
        else:
            connection.rollback()
        if ending == "rollback and write":
            note(change, connection)

    with newest.consumer(function) as consumer:
        newest.registered()
        newest.sql("INSERT INTO orders VALUES (1), (2)")
        wait_until(lambda: consumer.error, what="the failure")
        newest.effects_are(2)
        newest.sql("INSERT INTO orders VALUES (3)")
        assert newest.effects_are(3) == [1, 2, 3]


def test_one_process_of_all_runs_it_and_another_goes_on(newest):
    tellers = []

    def teller(name):
        def function(change, connection):
            tellers.append(name)
            note(change, connection)

        return function

    with newest.consumer(teller("first")) as first:
        wait_until(
            lambda: newest.status().pid if newest.sql("SELECT 1 FROM sseapp.consumer") else None, what="its lock"
        )
        with newest.consumer(teller("second")):
            for number in range(20):
                newest.sql("INSERT INTO orders VALUES (%s)", (number,))
            newest.effects_are(20)
            assert set(tellers) == {"first"}
            first.stop()
            newest.sql("INSERT INTO orders VALUES (20)")
            assert newest.effects_are(21) == list(range(21))
            assert tellers[-1] == "second"
    assert newest.status().pid is None


def test_two_that_both_run_it_do_not_both_tell(newest, monkeypatch):
    """A lock that is believed to be held and is not: the cursor's row keeps them apart."""
    monkeypatch.setattr(consumer_state, "lock", lambda *_: True)
    together = threading.Semaphore()

    def function(change, connection):
        assert together.acquire(blocking=False)
        note(change, connection)
        together.release()

    with newest.consumer(function) as one, newest.consumer(function) as other:
        newest.registered()
        for number in range(50):
            newest.sql("INSERT INTO orders VALUES (%s)", (number,))
        assert newest.effects_are(50) == list(range(50))
        assert one.error is None
        assert other.error is None
    assert len(newest.effects) == 50


def test_a_transaction_that_was_overtaken_calls_nothing(newest):
    """Both have loaded the same cursor. The second one neither waits for the first nor follows it."""
    with closing(Connection(newest.dsn)) as connection:
        table = catalog.resolve(catalog.load(connection), "orders")
        state, _ = consumer_state.load(connection, "copy", table)
    to = replace(state, moves=state.moves + 1)
    calls = []
    with closing(psycopg2.connect(newest.dsn)) as one, closing(psycopg2.connect(newest.dsn)) as other:
        first, second = (Transaction(session, "copy", "orders") for session in (one, other))

        def call():
            calls.append("first")
            with pytest.raises(OvertakenError):
                second.move(to, lambda: calls.append("meanwhile"))

        first.move(to, call)
        with pytest.raises(OvertakenError):
            second.move(to, lambda: calls.append("after"))
    assert calls == ["first"]


def test_through_a_pooler_two_do_not_both_tell(pg18, newest):
    """The lock would stay with the pooler's session; the cursor's row keeps the two apart, and nobody for ever."""
    with pooler(pg18) as through:
        dsn = through(newest.dsn)
        with newest.consumer(dsn=dsn) as first, newest.consumer(dsn=dsn) as second:
            newest.registered()
            for number in range(50):
                newest.sql("INSERT INTO orders VALUES (%s)", (number,))
            assert newest.effects_are(50) == list(range(50))
            first.stop()
            newest.sql("INSERT INTO orders VALUES (50)")
            assert newest.effects_are(51) == list(range(51))
            assert second.error is None
        assert newest.status().pid is None
    assert len(newest.effects) == 51


def test_sessions_that_are_ended_lose_and_repeat_nothing(newest):
    with newest.consumer():
        newest.registered()
        for number in range(100):
            newest.sql("INSERT INTO orders VALUES (%s)", (number,))
            if number % 10 == 5:
                newest.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'sseapp' AND datname = current_database()"
                )
        assert newest.effects_are(100) == list(range(100))


def test_what_was_pruned_before_it_was_read_is_told_as_a_reset(newest):
    with newest.consumer():
        newest.registered()
    newest.sql("INSERT INTO orders VALUES (1), (2)")
    while newest.sql("SELECT sseapp.prune('0 s')") != [(0,)]:
        pass
    with newest.consumer():
        newest.effects_are(1)
        assert newest.effects == [("reset", None, None, "changes since then have been pruned from the log")]
        newest.sql("INSERT INTO orders VALUES (3)")
        assert newest.effects_are(2) == [None, 3]


def test_what_a_reset_reads_and_what_follows_is_each_change_once(newest):
    """The function reads the table as of the cursor that it goes on from, though it takes its time."""
    with newest.consumer():
        newest.registered()
    newest.sql("INSERT INTO orders VALUES (1)")
    while newest.sql("SELECT sseapp.prune('0 s')") != [(0,)]:
        pass
    ids = []

    def function(change, connection):
        if change.kind == "reset":
            newest.sql("INSERT INTO orders VALUES (2)")
            ids.extend(id_ for (id_,) in execute(connection, "SELECT id FROM orders"))
        else:
            ids.append(json.loads(change.new)["id"])

    with newest.consumer(function):
        wait_until(lambda: 2 in ids, what="the change")
        newest.sql("INSERT INTO orders VALUES (3)")
        wait_until(lambda: 3 in ids, what="the next change")
    assert ids == [1, 2, 3]


def test_a_dead_consumer_holds_no_pruning_back(newest):
    with newest.consumer():
        newest.registered()
    newest.sql("INSERT INTO orders SELECT n FROM generate_series(1, 100) n")
    while newest.sql("SELECT sseapp.prune('0 s')") != [(0,)]:
        pass
    assert newest.sql("SELECT count(*) FROM sseapp.change") == [(0,)]


def test_a_quiet_tables_consumer_is_not_reset_for_what_others_wrote(newest, monkeypatch):
    monkeypatch.setattr("sseapp.live.consumer_run._KEEP", 0.05)
    with newest.consumer():
        newest.registered()
        newest.sql("INSERT INTO customers VALUES (1)")
        end = newest.sql("SELECT sseapp.greatest_xid()::text::bigint")[0][0]
        kept = "SELECT pg_snapshot_xmax(upto)::text::bigint FROM sseapp.consumer"
        wait_until(lambda: newest.sql(kept)[0][0] > end, what="the cursor to be kept")
        while newest.sql("SELECT sseapp.prune('0 s')") != [(0,)]:
            pass
    newest.sql("INSERT INTO orders VALUES (1)")
    with newest.consumer():
        assert newest.effects_are(1) == [1]


def test_a_change_of_shape_is_told_in_its_place(newest):
    with newest.consumer():
        newest.registered()
        newest.sql("INSERT INTO orders VALUES (1)")
        newest.sql("ALTER TABLE orders ADD b int")
        newest.sql("SELECT sseapp.check_shapes()")
        newest.sql("INSERT INTO orders VALUES (2)")
        newest.effects_are(3)
    assert [(kind, reason) for kind, _, _, reason in newest.effects] == [
        ("insert", None), ("reset", "columns have changed: b"), ("insert", None),
    ]  # fmt: skip


def test_a_table_that_is_watched_anew_is_a_reset_and_one_that_is_not_is_waited_for(newest):
    with newest.consumer() as consumer:
        newest.registered()
        newest.sql("SELECT sseapp.unwatch('orders')")
        newest.effects_are(1)
        wait_until(lambda: consumer.error, what="the failure")
        assert "No watched table is named orders" in consumer.error
        newest.sql("SELECT sseapp.watch('orders')")
        newest.effects_are(2)
        newest.sql("INSERT INTO orders VALUES (1)")
        newest.effects_are(3)
    assert [kind for kind, *_ in newest.effects] == ["reset", "reset", "insert"]


def test_a_log_that_was_installed_anew_is_a_reset_or_a_new_beginning(newest):
    with newest.consumer():
        newest.registered()
    newest.sql("UPDATE sseapp.state SET born = gen_random_uuid()")
    newest.sql("INSERT INTO orders VALUES (1)")
    with newest.consumer():
        newest.effects_are(1)
        newest.sql("INSERT INTO orders VALUES (2)")
        assert newest.effects_are(2) == [None, 2]
    assert newest.effects[0][3] == OTHER_LOG


def test_its_lag_is_the_age_of_the_oldest_change_that_it_has_not_consumed(newest):
    with newest.consumer():
        newest.registered()
    newest.sql("INSERT INTO customers VALUES (1)")
    assert newest.status().lag == 0
    newest.sql("INSERT INTO orders SELECT n FROM generate_series(1, 100) n")
    newest.sql("UPDATE sseapp.change SET at = at - interval '1 hour'")
    assert 3600 < newest.status().lag < 3700
    with newest.consumer():
        newest.effects_are(100)
        wait_until(lambda: newest.status().lag == 0, what="no lag")


def test_a_role_that_reads_only_by_default_consumes(newest):
    name = newest.dsn.rsplit("/", 1)[1]
    newest.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    writer = Connection(newest.dsn)
    with closing(writer), newest.consumer():
        writer.query("SET default_transaction_read_only = off")
        newest.registered()
        writer.query("INSERT INTO orders VALUES (1)")
        assert newest.effects_are(1) == [1]


def test_a_function_that_exits_does_not_end_the_consumer(newest):
    calls = []

    def function(change, connection):
        calls.append(change)
        if len(calls) == 1:
            raise SystemExit(3)
        note(change, connection)

    with newest.consumer(function):
        newest.registered()
        newest.sql("INSERT INTO orders VALUES (1)")
        assert newest.effects_are(1) == [1]


def test_where_sseapp_is_not_installed_it_says_so_and_waits(newest):
    with newest.consumer() as consumer:
        newest.registered()
        with closing(Connection(newest.dsn)) as connection:
            schema.uninstall(connection)
            wait_until(lambda: "sseapp is not installed" in (consumer.error or ""), 20, "the failure")
            schema.install(connection)
            schema.watch(connection, "orders")
        newest.registered()
        newest.sql("INSERT INTO orders VALUES (1)")
        assert newest.effects_are(1) == [1]


def test_a_coroutine_function_is_refused(newest):
    async def function(change, connection):
        raise AssertionError(change, connection)

    with pytest.raises(BadParameterError, match="coroutine"):
        Consumer("copy", "orders", function, database=Database(newest.dsn), pace=Pace(busy=1, poll=1, tick=1))


def test_a_consumer_that_is_forgotten_begins_anew(newest):
    with newest.consumer():
        newest.registered()
    newest.sql("INSERT INTO orders VALUES (1)")
    with closing(Connection(newest.dsn)) as connection:
        assert consumer_state.forget(connection, "copy")
        assert not consumer_state.forget(connection, "copy")
    with newest.consumer():
        newest.registered()
        newest.sql("INSERT INTO orders VALUES (2)")
        assert newest.effects_are(1) == [2]
