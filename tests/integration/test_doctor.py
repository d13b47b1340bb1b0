"""The doctor names what keeps changes from arriving."""

from __future__ import annotations

from contextlib import closing

import pytest
from harness.standby import standby

from sseapp.cli.doctor import examine
from sseapp.config import Settings
from sseapp.postgres import schema
from sseapp.postgres.database import Connection


@pytest.fixture
def session(pg18_dsn):
    """Of a database where one table is watched."""
    with closing(Connection(pg18_dsn)) as connection:
        schema.install(connection)
        connection.query("CREATE TABLE t (id int PRIMARY KEY)")
        schema.watch(connection, "t")
        yield connection


def findings(dsn):
    return {finding.step: finding for finding in examine(dsn, Settings.from_environ({}))}


def test_a_test_row_passes_all_steps(session, pg18_dsn):
    found = findings(pg18_dsn)
    assert list(found) == ["connect", "session", "schema", "rights", "table public.t", "trigger", "notify", "stream"]
    assert all(finding.well for finding in found.values()), found
    assert session.query("SELECT to_regnamespace('sseapp_doctor')::text") == [(None,)]


def test_a_range_column_that_was_dropped_wants_no_index(session, pg18_dsn):
    session.query("ALTER TABLE t ADD at date; SELECT sseapp.watch('t', 'at'); ALTER TABLE t DROP at")
    assert findings(pg18_dsn)["table public.t"].text == "watched, triggers in place"


def test_tables_that_came_to_inherit_are_named(session, pg18_dsn):
    session.query("CREATE TABLE child () INHERITS (t); CREATE TABLE grandchild () INHERITS (child)")
    found = findings(pg18_dsn)["table public.t"]
    assert (found.well, "not included: public.child, public.grandchild." in found.text) == (None, True)
    schema.watch(session, "child")
    assert "not included: public.grandchild." in findings(pg18_dsn)["table public.t"].text
    schema.watch(session, "grandchild")
    assert findings(pg18_dsn)["table public.t"].text == "watched, triggers in place"


@pytest.mark.parametrize(
    "harm",
    [
        'ALTER TABLE t DISABLE TRIGGER "!sseapp_{}"',
        'ALTER TABLE t ENABLE TRIGGER "!sseapp_{}"',
        'ALTER TABLE t ENABLE REPLICA TRIGGER "!sseapp_{}"',
        'DROP TRIGGER "!sseapp_{}_truncate" ON t',
    ],
)
def test_triggers_that_do_not_fire(session, pg18_dsn, harm):
    ((watch,),) = session.query("SELECT id FROM sseapp.watched_table")
    session.query(harm.format(watch))
    found = findings(pg18_dsn)["table public.t"]
    assert (found.well, "a trigger is" in found.text) == (False, True)
    assert found.advice


@pytest.mark.parametrize(
    ("harm", "step", "words"),
    [
        ("DROP SCHEMA sseapp CASCADE", "schema", "not installed"),
        ("UPDATE sseapp.state SET digest = 'another'", "schema", "another version"),
    ],
)
def test_what_leaves_nothing_to_look_at_is_the_last_it_says(session, pg18_dsn, harm, step, words):
    session.query(harm.format(pg18_dsn.rsplit("/", 1)[1]))
    *before, last = findings(pg18_dsn).values()
    assert all(finding.well for finding in before)
    assert (last.step, last.well) == (step, False)
    assert words in last.text
    assert last.advice


def test_a_role_that_may_not_even_enter(session, pg18_dsn):
    session.query("CREATE ROLE nobody_here LOGIN")
    try:
        *_, last = findings(pg18_dsn.replace("//postgres@", "//nobody_here@")).values()
        assert (last.step, last.well) == ("rights", False)
        assert "GRANT" in last.advice
    finally:
        session.query("DROP ROLE nobody_here")


def test_a_replica(own_cluster):
    with standby(own_cluster) as second:
        (found,) = findings(second.dsn()).values()
    assert (found.well, "replica" in found.text) == (False, True)


def test_a_server_that_is_not_there():
    (found,) = findings("postgresql://127.0.0.1:1/nothing").values()
    assert (found.step, found.well) == ("connect", False)
