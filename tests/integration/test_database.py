"""Connections: deadlines, losses, errors in our own terms, the pool; green and on threads."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager

import pytest
from harness.clusters import wait_until
from harness.network import Network
from harness.processes import ROOT

from sseapp import concurrency, errors
from sseapp.postgres.database import Connection, Database


@pytest.fixture
def dsn(server):
    """These tests leave nothing in a database, so they need none of their own."""
    return server.dsn()


@pytest.fixture
def newest(pg18):
    return pg18.dsn()


@contextmanager
def _within(seconds):
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@contextmanager
def _beside(seconds, call, *arguments):
    """Call it ``seconds`` from now, and do not go on before it has returned."""
    timer = threading.Timer(seconds, call, arguments)
    timer.start()
    yield
    timer.join()


def _pid(connection):
    return connection.query("SELECT pg_backend_pid()")[0][0]


def test_rows_and_no_rows(dsn):
    with closing(Connection(dsn)) as connection:
        assert connection.query("SELECT %(n)s::int, %(a)s", {"n": 1, "a": "ä"}) == [(1, "ä")]
        assert connection.query("SELECT %s::int, %s", [1, None]) == [(1, None)]
        assert connection.query("SELECT WHERE false") == []
        assert connection.query("SET application_name = 'x'") == []
        # without parameters a percent sign is one
        assert connection.query("SELECT '100%', '%s'") == [("100%", "%s")]


def test_what_a_rows_text_depends_on_is_pinned(server):
    with server.database() as dsn:
        name = dsn.rsplit("/", 1)[1]
        for setting in ("TimeZone = 'Asia/Tokyo'", "DateStyle = 'German'", "IntervalStyle = 'iso_8601'"):
            server.execute(f"ALTER DATABASE {name} SET {setting}")
        for setting in ("bytea_output = 'escape'", "extra_float_digits = -5", "client_encoding = 'LATIN1'"):
            server.execute(f"ALTER DATABASE {name} SET {setting}")
        with closing(Connection(dsn)) as connection:
            texts = connection.query(
                "SELECT '2026-01-02 03:04:05+00'::timestamptz::text, '1 day'::interval::text, '\\xff'::bytea::text,"
                " (0.1::float8 + 0.2)::text, '☃', current_setting('application_name')"
            )
            expected = ("2026-01-02 03:04:05+00", "1 day", "\\xff", "0.30000000000000004", "☃", "sseapp")
            assert texts == [expected]


def test_each_statement_is_a_transaction(dsn):
    with closing(Connection(dsn)) as one:
        assert one.query("SELECT pg_current_xact_id()") != one.query("SELECT pg_current_xact_id()")


def test_a_statement_has_a_deadline(newest):
    with closing(Connection(newest)) as connection:
        pid = _pid(connection)
        with _within(2), pytest.raises(errors.DeadlineError):
            connection.query("SELECT pg_sleep(5)", deadline=0.2)
        # half an answer may still come: the session is given up, and the server's side of it too
        assert connection.closed
    with closing(Connection(newest)) as other:
        alive = f"SELECT FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'"
        wait_until(lambda: not other.query(alive), what="the end of the backend")


def test_the_server_ends_a_statement_too_and_the_session_goes_on(newest):
    with closing(Connection(newest, deadline=0.2)) as connection:
        with _within(2), pytest.raises(errors.DeadlineError):
            connection.query("SELECT pg_sleep(5)", deadline=5)
        assert connection.query("SELECT 1") == [(1,)]


def test_a_backend_that_is_stopped_is_noticed_by_the_deadline(newest):
    with closing(Connection(newest, deadline=0.3)) as connection:
        pid = _pid(connection)
        os.kill(pid, signal.SIGSTOP)
        try:
            with _within(3), pytest.raises(errors.DeadlineError):
                connection.query("SELECT 1")
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_port_that_never_answers_is_noticed_by_the_deadline():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with _within(3), pytest.raises(errors.DeadlineError):
            Connection(f"postgresql://postgres@127.0.0.1:{deaf.getsockname()[1]}/postgres", deadline=0.3)


@pytest.mark.parametrize(
    "act",
    [lambda connection: connection.query("SELECT 1"), lambda connection: connection.wait_for_notify(15.0)],
    ids=["query", "wait"],
)
def test_a_cable_that_was_pulled_is_noticed_before_the_deadline(pg18, act):
    """By the system, since nothing acknowledges: the statement of a request need not wait out its 15 s."""
    with Network(pg18.port) as network, closing(Connection(network.dsn(pg18.dsn()), deadline=15)) as connection:
        network.cut()
        began = time.monotonic()
        with pytest.raises(errors.ConnectionLostError) as lost:
            act(connection)
        assert not isinstance(lost.value, errors.DeadlineError)
        assert time.monotonic() - began < 8
        assert connection.closed


def test_a_session_that_is_to_notice_a_silent_peer_has_a_short_deadline(newest):
    database = Database(newest, deadline=10)
    with closing(database.connect(soon=True)) as soon, closing(database.connect()) as patient:
        assert soon.query("SHOW statement_timeout") == [("4s",)]
        assert patient.query("SHOW statement_timeout") == [("10s",)]


def test_a_port_where_nobody_listens():
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        port = unbound.getsockname()[1]
    with _within(3), pytest.raises(errors.ConnectionLostError, match="refused"):
        Connection(f"postgresql://postgres@127.0.0.1:{port}/postgres")


def test_a_database_that_is_not_there(server):
    with pytest.raises(errors.DatabaseError, match="does not exist"):
        Connection(server.dsn("nowhere"))


def test_a_backend_that_is_ended_is_a_lost_connection(dsn):
    with closing(Connection(dsn)) as connection, closing(Connection(dsn)) as other:
        other.query("SELECT pg_terminate_backend(%s, 5000)", [_pid(connection)])
        with pytest.raises(errors.ConnectionLostError):
            connection.query("SELECT 1")
        assert connection.closed
        with pytest.raises(errors.ConnectionLostError):
            connection.query("SELECT 1")


def test_a_backend_that_is_ended_in_mid_statement(dsn):
    with closing(Connection(dsn)) as connection, closing(Connection(dsn)) as other:
        pid = _pid(connection)
        end = _beside(0.2, other.query, "SELECT pg_terminate_backend(%s, 5000)", [pid])
        with end, _within(5), pytest.raises(errors.ConnectionLostError):
            connection.query("SELECT pg_sleep(8)")
        assert connection.closed


@pytest.mark.parametrize(
    ("statement", "kind", "state"),
    [
        ("SELECT * FROM nowhere", errors.UndefinedError, "42P01"),
        ("SELECT nothing FROM pg_class", errors.UndefinedError, "42703"),
        ("SELECT nothing()", errors.UndefinedError, "42883"),
        ("SELECT NULL::nothing", errors.UndefinedError, "42704"),
        ("SELECT nowhere.f()", errors.UndefinedError, "3F000"),
        ("SELECT 'x'::int", errors.DataRejectedError, "22P02"),
        ("SELECT '9999-99-99'::date", errors.DataRejectedError, "22008"),
        ("SELECT 1/0", errors.DataRejectedError, "22012"),
        ("SET ROLE pg_monitor; SELECT * FROM pg_authid", errors.MissingRightError, "42501"),
        ("SELEKT", errors.DatabaseError, "42601"),
        (
            "DO $$ BEGIN RAISE 'no' USING HINT = 'try that', ERRCODE = '57P03'; END $$",
            errors.ConnectionLostError,
            "57P03",
        ),
        ("DO $$ BEGIN RAISE 'no' USING ERRCODE = '53300'; END $$", errors.ConnectionLostError, "53300"),
        ("DO $$ BEGIN RAISE 'no' USING ERRCODE = '08006'; END $$", errors.ConnectionLostError, "08006"),
    ],
)
def test_errors_are_ours_with_the_servers_words(dsn, statement, kind, state):
    with closing(Connection(dsn)) as connection:
        with pytest.raises(errors.DatabaseError) as caught:
            connection.query(statement)
        assert type(caught.value) is kind
        assert caught.value.sqlstate == state
        assert str(caught.value)
        assert caught.value.detail.endswith(f"(SQLSTATE {state}).")
        if "HINT" in statement:
            assert str(caught.value) == "no try that"
        if not isinstance(caught.value, errors.ConnectionLostError):
            assert connection.query("SELECT 1") == [(1,)]


def test_a_wait_that_is_cut_off_closes_the_session(newest, monkeypatch):
    """Its next statement would be given the rest of this one's answer."""
    with closing(Connection(newest)) as connection:
        monkeypatch.setattr(concurrency, "wait_for", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            connection.query("SELECT pg_sleep(1)")
        assert connection.closed


def _interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.fixture
def listening(dsn):
    with closing(Connection(dsn)) as connection, closing(Connection(dsn)) as other:
        connection.query("LISTEN bell")
        yield connection, other


def test_a_notification_ends_the_wait(listening):
    connection, other = listening
    with _beside(0.1, other.query, "NOTIFY bell"), _within(3):
        assert connection.wait_for_notify(10)


def test_without_one_the_wait_ends_in_time(listening):
    connection, _ = listening
    began = time.monotonic()
    assert not connection.wait_for_notify(0.2)
    assert 0.15 < time.monotonic() - began < 3


def test_one_that_came_during_a_statement_is_not_slept_over(listening):
    """The descriptor does not become readable for it."""
    connection, other = listening
    other.query("NOTIFY bell")
    connection.query("SELECT 1")
    with _within(3):
        assert connection.wait_for_notify(10)


def test_nor_one_that_came_behind_the_second_result_of_a_statement(listening):
    """The driver has not asked for it either, when the statement's rows are there."""
    connection, _ = listening
    for _ in range(10):
        connection.query("SELECT 1; NOTIFY bell")
        assert connection.wait_for_notify(3)


def test_all_that_have_come_are_taken_at_once(listening):
    connection, other = listening
    for number in range(3):
        other.query(f"NOTIFY bell, '{number}'")
    connection.query("SELECT 1")
    assert connection.wait_for_notify(1)
    assert not connection.wait_for_notify(0)


def test_a_session_that_ends_ends_the_wait(listening):
    connection, other = listening
    pid = _pid(connection)
    end = _beside(0.1, other.query, "SELECT pg_terminate_backend(%s, 5000)", [pid])
    with end, _within(5), pytest.raises(errors.ConnectionLostError):
        _wait_for_ever(connection)


def _wait_for_ever(connection):
    # the first look may still find the server's farewell alone
    while True:
        connection.wait_for_notify(10)


def test_the_pool_lends_no_more_than_its_size(newest):
    database = Database(newest, size=2, deadline=0.3)
    with database.connection() as one:
        with database.connection() as two:
            assert _pid(one) != _pid(two)
            with _within(3), pytest.raises(errors.UnavailableError, match="in use"), database.connection():
                pass
            pid = _pid(two)
        with database.connection() as again:
            assert _pid(again) == pid
    database.close()


def test_who_waits_for_the_pool_is_served_when_one_is_given_back(newest):
    database = Database(newest, size=1)
    found = []
    with database.connection() as one:
        waiting = threading.Thread(target=lambda: found.append(database.query("SELECT 1")))
        waiting.start()
        one.query("SELECT pg_sleep(0.1)")
        assert not found
    waiting.join(5)
    assert found == [[(1,)]]
    database.close()


def test_a_session_comes_back_to_the_pool_after_an_error_and_a_dead_one_does_not(newest):
    database = Database(newest, size=1)
    with database.connection() as one:
        pid = _pid(one)
    with pytest.raises(errors.DataRejectedError):
        database.query("SELECT 1/0")
    assert database.query("SELECT pg_backend_pid()") == [(pid,)]
    with pytest.raises(errors.ConnectionLostError):
        database.query("SELECT pg_terminate_backend(pg_backend_pid())")
    assert database.query("SELECT pg_backend_pid()") != [(pid,)]
    database.close()


def test_an_idle_session_that_has_died_is_no_error(newest):
    database = Database(newest, size=3)
    with ExitStack() as stack:
        pids = [_pid(stack.enter_context(database.connection())) for _ in range(3)]
    with closing(Connection(newest)) as other:
        for pid in pids:
            other.query("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert database.query("SELECT 1") == [(1,)]
    database.close()


def test_nor_where_a_session_is_used_for_more_than_a_statement(newest):
    database = Database(newest, size=1)
    with database.connection() as one:
        pid = _pid(one)
    with closing(Connection(newest)) as other:
        other.query("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert database.run(_pid) != pid
    database.close()


def test_descriptors_above_1023(newest):
    """select() takes none of them: it strikes when the listener reconnects while a thousand streams are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with ExitStack() as stack:
        last = 0
        while last < 1100:
            last = os.open(os.devnull, os.O_RDONLY)
            stack.callback(os.close, last)
        _use_high_descriptors(newest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _use_high_descriptors(dsn):
    with closing(Connection(dsn)) as connection, closing(Connection(dsn)) as other:
        assert connection._raw.fileno() > 1023
        connection.query("LISTEN bell")
        assert connection.query("SELECT repeat('x', 3000000)") == [("x" * 3_000_000,)]
        with _beside(0.1, other.query, "NOTIFY bell"):
            assert connection.wait_for_notify(10)


GREEN = """
from gevent import monkey; monkey.patch_all()
import sys, time, gevent
from sseapp.postgres.database import Connection, Database
from sseapp import concurrency, errors
assert concurrency.is_green()
database = Database(sys.argv[1], size=4)
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic()); gevent.sleep(0.01)
ticker = gevent.spawn(tick)
began = time.monotonic()
gevent.joinall([gevent.spawn(database.query, "SELECT pg_sleep(1)") for _ in range(4)], raise_error=True)
took = time.monotonic() - began
assert took < 3, took
assert len(ticks) > 10, len(ticks)
connection = Connection(sys.argv[1])
connection.query("LISTEN bell")
gevent.spawn_later(0.1, database.query, "NOTIFY bell")
assert connection.wait_for_notify(5)
# COPY fails under a global wait callback; here there is none
import psycopg2, io
plain = psycopg2.connect(sys.argv[1])
plain.cursor().copy_expert("COPY (SELECT 1) TO STDOUT", io.StringIO())
# a greenlet that is killed in mid-statement leaves no half-read session behind
victim = gevent.spawn(database.query, "SELECT pg_sleep(5)")
gevent.sleep(0.2)
victim.kill()
assert [database.query("SELECT 1") for _ in range(4)] == [[(1,)]] * 4
"""


def test_green_a_statement_stalls_nobody_else(newest):
    subprocess.run([sys.executable, "-c", GREEN, newest], cwd=ROOT, check=True, timeout=30)
