"""Nobody listens: nobody rings, and after the retention nobody logs; who comes back starts another log."""

from __future__ import annotations

from contextlib import closing

import pytest
from harness.watching import execute, make_keeper, open_session

from sseapp.postgres import schema
from sseapp.postgres.change_log import ChangeLog
from sseapp.postgres.database import Connection

ENDED = "SELECT setval('sseapp.logging', sseapp.clock() - 1), setval('sseapp.presence', sseapp.clock() - 1)"


@pytest.fixture(params=["statement", "row"])
def session(request, dsn):
    with closing(open_session(make_keeper(dsn))) as session:
        execute(session, schema.printable())
        execute(
            session,
            f"SET sseapp.triggers = '{request.param}'; CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY)",
        )
        execute(session, "SELECT sseapp.watch('shop.t')")
        yield session


@pytest.fixture
def connection(session):
    with closing(Connection(session.dsn)) as connection:
        yield connection


def bells(session):
    execute(session, "SELECT 1")
    count = len(session.notifies)
    session.notifies.clear()
    return count


def logged(session):
    return execute(session, "SELECT count(*) FROM sseapp.change WHERE kind <> 'r'")[0][0]


def attend(connection, *, presence=60.0, retention=60.0):
    return ChangeLog(connection).attend(presence=presence, retention=retention)


def test_nobody_rings_before_a_listener_comes_nor_when_it_is_gone(session, connection):
    execute(session, "LISTEN sseapp; INSERT INTO shop.t VALUES (1)")
    assert (bells(session), logged(session)) == (0, 1)
    attend(connection)
    execute(session, "INSERT INTO shop.t VALUES (2)")
    assert (bells(session), logged(session)) == (1, 2)
    execute(session, "SELECT setval('sseapp.presence', sseapp.clock() - 1)")
    execute(session, "INSERT INTO shop.t VALUES (3)")
    assert (bells(session), logged(session)) == (0, 3)


def test_nobody_logs_when_the_retention_is_over(session, connection):
    attend(connection)
    execute(session, ENDED)
    execute(session, "INSERT INTO shop.t VALUES (1); UPDATE shop.t SET id = 2; DELETE FROM shop.t; TRUNCATE shop.t")
    assert logged(session) == 0


def test_who_comes_back_starts_another_log(session, connection):
    attend(connection)
    before = ChangeLog(connection).end()
    attend(connection)
    assert ChangeLog(connection).end().epoch == before.epoch
    execute(session, ENDED)
    attend(connection)
    assert ChangeLog(connection).end().epoch != before.epoch
    execute(session, "INSERT INTO shop.t VALUES (1)")
    assert logged(session) == 1
    assert execute(session, "SELECT count(*) FROM sseapp.gap") == [(0,)], "nobody was in flight"


def test_those_who_looked_before_are_waited_for_and_what_subscribers_hold_is_reset(session, connection):
    attend(connection)
    execute(session, ENDED)
    with closing(open_session(session.dsn)) as writer:
        execute(writer, "BEGIN; INSERT INTO shop.t VALUES (1)")
        attend(connection)
        attend(connection)
        assert execute(session, "SELECT count(*) FROM sseapp.gap") == [(1,)]
        resets = "SELECT reason FROM sseapp.change WHERE kind = 'r' ORDER BY id OFFSET 1"
        assert execute(session, resets) == []
        execute(writer, "COMMIT")
    attend(connection)
    assert execute(session, resets) == [("changes were not logged while nobody listened",)]
    attend(connection)
    assert len(execute(session, resets)) == 1
    assert logged(session) == 0


def test_a_listener_that_dies_as_it_comes_back_hides_nothing(session, connection):
    """Before writers log again it is committed that they did not."""
    attend(connection)
    before = ChangeLog(connection).end()
    execute(session, ENDED)
    assert execute(session, "SELECT sseapp.attend(60000, 60000)") == [(None,)]
    execute(session, "BEGIN; SELECT sseapp.attend(60000, 60000); ROLLBACK")
    execute(session, "INSERT INTO shop.t VALUES (1)")
    assert (logged(session), ChangeLog(connection).end().epoch) == (1, before.epoch)
    attend(connection)
    assert ChangeLog(connection).end().epoch != before.epoch


def test_promises_are_renewed_when_half_is_left(session, connection):
    attend(connection)
    values = "SELECT last_value FROM sseapp.presence UNION ALL SELECT last_value FROM sseapp.logging"
    before = execute(session, values)
    attend(connection)
    assert execute(session, values) == before
    attend(connection, presence=600.0, retention=9000.0)
    assert all(later > earlier for (later,), (earlier,) in zip(execute(session, values), before, strict=True))
