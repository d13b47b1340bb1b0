"""What triggers cannot see is found by comparing the catalog: told once, in words, and nothing else is told."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from harness.clusters import wait_until
from harness.watching import execute, installed

from sseapp.postgres import catalog
from sseapp.postgres.database import Connection

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN feeling AS mood; CREATE TYPE pair AS (x int, y int);
CREATE TABLE t (id int PRIMARY KEY, at timestamptz, name text NOT NULL, secret text, m mood, f feeling, ms mood[],
                p pair);
CREATE TYPE deep AS ENUM ('x'); CREATE TYPE inner_pair AS (e deep); CREATE TYPE outer_pair AS (i inner_pair[]);
CREATE TYPE deep_range AS RANGE (subtype = deep);
CREATE TABLE nested (id int PRIMARY KEY, o outer_pair, r deep_range);
CREATE TABLE p (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE p2a PARTITION OF p2 DEFAULT;
CREATE TABLE loose (id int PRIMARY KEY, n int);
"""


@pytest.fixture
def site(site):
    site.run(TABLES)
    site.t, site.p = site.watch("t", "at", hide=["secret"]), site.watch("p")
    site.watch("nested")
    assert site.value("SELECT sseapp.check_shapes()") == 0
    return site


def told(site, change):
    """The reasons that a change brings, and that it brings them once."""
    before = len(site.resets())
    site.run(change.format(t=site.t, p=site.p))
    site.run("SELECT sseapp.check_shapes()")
    assert site.value("SELECT sseapp.check_shapes()") == 0
    return site.resets()[before:]


TOLD = {
    "ALTER TABLE t ADD fresh int": "columns have changed: fresh",
    "ALTER TABLE t DROP name": "columns have changed: name",
    "ALTER TABLE t RENAME name TO title": "columns have changed: title",
    "ALTER TABLE t ALTER name TYPE varchar(9), ADD a int": "columns have changed: a, name",
    "ALTER TABLE t ALTER name TYPE varchar(9); ALTER TABLE t ALTER name TYPE varchar(10)": "columns have changed: name",
    "ALTER TYPE mood ADD VALUE 'mad'": "columns have changed: f, m, ms",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'": "columns have changed: f, m, ms",
    "ALTER TYPE pair RENAME ATTRIBUTE x TO z CASCADE": "columns have changed: p",
    "ALTER TYPE pair RENAME TO couple": "columns have changed: p",
    "ALTER TYPE deep RENAME VALUE 'x' TO 'y'": "columns have changed: o, r",
    "ALTER TYPE inner_pair RENAME ATTRIBUTE e TO f CASCADE": "columns have changed: o",
    "ALTER TABLE t DROP CONSTRAINT t_pkey": "the key has changed",
    "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (name)": "the key has changed",
    "ALTER TABLE t DROP at": "columns have changed: at; the range column was dropped",
    "ALTER TABLE t RENAME TO u": "the table was renamed",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY": "row-level security was switched",
    "ALTER TABLE t SET UNLOGGED": "the table was made logged or unlogged",
    'ALTER TABLE t DISABLE TRIGGER "!sseapp_{t}"': "a trigger is disabled, so changes are missed",
    'ALTER TABLE t ENABLE TRIGGER "!sseapp_{t}"': "a trigger is not ENABLE ALWAYS",
    "ALTER TABLE t DISABLE TRIGGER USER; ALTER TABLE t ENABLE TRIGGER USER": "a trigger is not ENABLE ALWAYS",
    'ALTER TABLE t DISABLE TRIGGER "!sseapp_{t}"; ALTER TABLE t ENABLE ALWAYS TRIGGER "!sseapp_{t}"': "a trigger was "
    "altered",
    'DROP TRIGGER "!sseapp_{t}_truncate" ON t': "a trigger is missing, so changes are missed",
    "DROP TABLE t": "the table was dropped",
    "ALTER TABLE p ATTACH PARTITION loose FOR VALUES FROM (20) TO (30)": "a partition was attached",
    "CREATE TABLE p3 PARTITION OF p DEFAULT": "a partition was attached",
    "CREATE TABLE p2b PARTITION OF p2 FOR VALUES FROM (11) TO (12)": "a partition was attached",
    "ALTER TABLE p DETACH PARTITION p1": "a partition was detached or dropped",
    "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY": "a partition was detached or dropped",
    "ALTER TABLE p2 DETACH PARTITION p2a": "a partition was detached or dropped",
    "DROP TABLE p1": "a partition was detached or dropped",
    "TRUNCATE p1": "a partition was truncated or rewritten",
    "TRUNCATE p2": "a partition was truncated or rewritten",
    "TRUNCATE p; TRUNCATE p1": "a partition was truncated or rewritten",
    'ALTER TABLE p1 DISABLE TRIGGER "!sseapp_{p}"': "a trigger of a partition was altered",
    "ALTER TABLE p1 SET UNLOGGED": "a partition was truncated or rewritten",
}
NOT_TOLD = [
    "INSERT INTO t (id, name) VALUES (1, 'a'); ANALYZE t; VACUUM t; CREATE INDEX ON t (name)",
    "COMMENT ON TABLE t IS 'c'",
    "VACUUM FULL t",
    "CLUSTER t USING t_pkey",
    "TRUNCATE t",
    "TRUNCATE p",
    "TRUNCATE p, loose; TRUNCATE p",
    "INSERT INTO p VALUES (1); ANALYZE p; VACUUM p; CREATE INDEX ON p (n)",
    "ALTER TABLE t RENAME secret TO open",
    "ALTER TABLE t ALTER open TYPE varchar(9)",
    "ALTER TABLE t DROP open",
    "GRANT SELECT ON t TO PUBLIC; ALTER TABLE t ALTER name SET STATISTICS 10",
    "ALTER TABLE t ADD CHECK (id > 0), ALTER name SET DEFAULT 'x'; CREATE RULE r AS ON UPDATE TO loose DO NOTHING",
    "CREATE TABLE heir () INHERITS (t); DROP TABLE heir",
    "REINDEX TABLE t",
    "REINDEX TABLE CONCURRENTLY t",
]


@pytest.mark.parametrize("change", TOLD)
def test_told_once(site, change):
    reasons = told_statements(site, change)
    assert len(reasons) == 1
    assert reasons[0].startswith(TOLD[change])


def test_a_partition_that_is_being_detached(site):
    """Its rows are gone from the table at once, though the statement waits for those who still read them."""
    reader = site.session(setup="BEGIN; SELECT FROM p")
    session = site.session()
    detacher = threading.Thread(target=execute, args=(session, "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"))
    detacher.start()
    wait_until(lambda: site.value("SELECT sseapp.check_shapes()"), what="the difference")
    assert site.resets(site.p)[1:] == ["a partition is being detached"]
    execute(reader, "COMMIT")
    detacher.join()
    assert told(site, "SELECT") == ["a partition was detached or dropped"]


def test_not_told(site):
    for change in NOT_TOLD:
        assert told_statements(site, change) == [], change


def told_statements(site, change):
    """As told(), each statement in a transaction of its own: some cannot run in a block."""
    *first, last = change.split("; ")
    for statement in first:
        site.run(statement.format(t=site.t, p=site.p))
    return told(site, last)


def test_however_many_listeners_look_at_once(site):
    sessions = [site.session() for _ in range(6)]
    results = []
    for number in range(5):
        site.run(f"ALTER TABLE t ADD c{number} int")
        threads = [
            threading.Thread(target=lambda s=session: results.append(execute(s, "SELECT sseapp.check_shapes()")[0][0]))
            for session in sessions
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # one that met another at work told nothing, and need not: it looks again
    assert sum(results) == 5
    assert site.resets(site.t)[1:] == [f"columns have changed: c{number}" for number in range(5)]


def test_it_takes_no_lock_on_tables_and_waits_for_none(site):
    blocker = site.session(setup="BEGIN; LOCK TABLE t, p IN ACCESS EXCLUSIVE MODE")
    site.run("CREATE TYPE other AS ENUM (); SET lock_timeout = '1s'")
    assert site.value("SELECT sseapp.check_shapes()") == 0
    execute(blocker, "ALTER TABLE p ADD x int")
    assert site.value("SELECT sseapp.check_shapes()") == 0
    execute(blocker, "COMMIT")
    assert site.value("SELECT sseapp.check_shapes()") == 1
    site.run("BEGIN; SELECT sseapp.check_shapes()")
    assert (
        site.run(
            """SELECT relation::regclass::text FROM pg_locks
               WHERE pid = pg_backend_pid() AND relation IN ('t'::regclass, 'p'::regclass)"""
        )
        == []
    )
    site.run("COMMIT")


def test_a_watch_under_way_does_not_hold_it_up(site):
    site.run("ALTER TABLE t ADD x int; ALTER TABLE p ADD x int")
    changer = site.session(setup="BEGIN; SELECT sseapp.watch('t', 'at')")
    site.run("SET lock_timeout = '1s'")
    assert site.value("SELECT sseapp.check_shapes()") == 1
    execute(changer, "COMMIT")
    assert site.value("SELECT sseapp.check_shapes()") == 0
    assert site.resets(site.t) == ["the table is watched", "the watch was changed"]


def test_generations_count_the_resets_and_keep_the_last_reason(site):
    def generation():
        return site.run("SELECT generation, reason FROM sseapp.watched_table WHERE id = %s", (site.t,))

    assert generation() == [(1, "the table is watched")]
    told(site, "ALTER TABLE t ADD fresh int")
    assert generation() == [(2, "columns have changed: fresh")]
    told(site, "ALTER TABLE t RENAME secret TO open")
    assert generation() == [(2, "columns have changed: fresh")]


def test_the_wrapper(site):
    with closing(Connection(site.dsn)) as connection:
        assert catalog.check_shapes(connection) == 0
        site.run("ALTER TABLE t ADD fresh int; ALTER TABLE p ADD fresh int")
        assert catalog.check_shapes(connection) == 2
        assert catalog.check_shapes(connection) == 0


def test_an_unlogged_table_that_a_crash_has_emptied(own_cluster):
    with installed(own_cluster) as dsn:
        with closing(Connection(dsn)) as connection:
            connection.query("""CREATE SCHEMA s; CREATE UNLOGGED TABLE s.u (id int); CREATE TABLE s.logged (id int);
                CREATE TABLE s.p (id int) PARTITION BY RANGE (id);
                CREATE UNLOGGED TABLE s.p1 PARTITION OF s.p DEFAULT""")
            watches = [connection.query(f"SELECT sseapp.watch('s.{name}')")[0][0] for name in ("u", "logged", "p")]
            connection.query("INSERT INTO s.u VALUES (1); INSERT INTO s.p VALUES (1); SELECT sseapp.check_shapes()")
        own_cluster.kill()
        own_cluster.again()
        with closing(Connection(dsn)) as connection:
            assert connection.query("SELECT count(*) FROM s.u") == [(0,)]
            assert catalog.check_shapes(connection) == 2
            assert catalog.check_shapes(connection) == 0
            assert connection.query("SELECT watch, reason FROM sseapp.change WHERE kind = 'r' ORDER BY id")[-2:] == [
                (watches[0], "a crash has emptied the table, which is unlogged"),
                (watches[2], "a crash has emptied a partition, which is unlogged"),
            ]
