"""What else is in the database: publications, event triggers, policies, tables that inherit, other watched tables."""

from __future__ import annotations

from contextlib import closing

import pytest
from harness.watching import as_user, execute, make_keeper, open_session

from sseapp.errors import DatabaseError, MissingRightError, NotFoundError
from sseapp.postgres import catalog, schema, snapshot_rows
from sseapp.postgres.database import Connection, Database
from sseapp.query.query import parse as parse_query

NOTED = """CREATE TABLE public.ddl (tag text); GRANT ALL ON public.ddl TO PUBLIC;
    CREATE FUNCTION public.noted() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO ddl VALUES (tg_tag); END $$;
    CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION public.noted();"""
REFUSES = """CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%sseapp.log_{0}%') THEN
            RAISE 'no functions here';
        END IF;
    END $$; CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION public.refuse()"""


@pytest.fixture
def god(dsn):
    """A superuser's session on a database of the test's own."""
    make_keeper(dsn)
    with closing(open_session(dsn)) as session:
        yield session


@pytest.fixture
def connection(god):
    with closing(Connection(as_user(god.dsn, "keeper"))) as connection:
        yield connection


def tables(connection, *names):
    schema.install(connection)
    connection.query("CREATE SCHEMA shop")
    for name in names:
        connection.query(f"CREATE TABLE shop.{name} (id int PRIMARY KEY, v text)")
        schema.watch(connection, f"shop.{name}")


def test_all_our_tables_can_be_published(god, connection):
    tables(connection, "t", "b")
    execute(god, "CREATE PUBLICATION p FOR ALL TABLES")
    assert (
        execute(
            god,
            """SELECT c.oid::regclass::text FROM pg_class c
           WHERE c.relnamespace = 'sseapp'::regnamespace AND c.relkind = 'r' AND c.relreplident <> 'f'
           AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)""",
        )
        == []
    )
    connection.query(
        "INSERT INTO shop.t VALUES (1); INSERT INTO sseapp.entangled_table (relation) VALUES (1); DROP TABLE shop.b"
    )
    assert catalog.check_shapes(connection) == 1
    connection.query("SELECT sseapp.log_loss(id, '54000', 'x') FROM sseapp.watched_table; SELECT sseapp.prune('0 s')")
    assert catalog.check_shapes(connection) == 0
    assert schema.unwatch(connection, "shop.t")
    schema.uninstall(connection)


def test_a_publication_that_carries_the_log_is_named(god, connection):
    schema.install(connection)
    execute(god, "CREATE TABLE t (id int); ALTER TABLE t OWNER TO keeper")
    execute(god, 'CREATE PUBLICATION "All of it" FOR ALL TABLES; CREATE PUBLICATION fine FOR TABLE t')
    schema.watch(connection, "t")
    assert any(
        'WARNING:  The change log of sseapp is published by "All of it"' in notice for notice in connection.notices
    )
    assert any("Publish your tables by name" in notice for notice in connection.notices)


def test_tables_that_inherit_are_named(connection):
    tables(connection, "t")
    connection.query(
        "CREATE TABLE shop.child () INHERITS (shop.t); CREATE TABLE shop.p (id int) PARTITION BY RANGE (id)"
    )
    connection.query("CREATE TABLE shop.p1 PARTITION OF shop.p DEFAULT")
    schema.watch(connection, "shop.p")
    assert connection.notices == []
    schema.watch(connection, "shop.t", only_columns=["id"])
    assert ["shop.child" in notice and "Watch each of them" in notice for notice in connection.notices] == [True]


def test_event_triggers_run_under_the_path_that_they_expect(god, connection):
    execute(god, NOTED)
    tables(connection, "t")
    connection.query("ALTER TABLE shop.t ADD fresh int")
    assert catalog.check_shapes(connection) == 1
    connection.query("CREATE TABLE shop.child () INHERITS (shop.t)")
    catalog.go_by_row(connection)
    assert connection.query("SELECT trigger[1], failure FROM sseapp.watched_table") == [("log_row", None)]
    schema.unwatch(connection, "shop.t")
    schema.uninstall(connection)
    assert ("CREATE TRIGGER",) in execute(god, "SELECT DISTINCT tag FROM ddl")


def test_an_event_trigger_that_refuses_is_named(god, connection):
    schema.install(connection)
    execute(god, REFUSES.format("1"))
    connection.query("CREATE SCHEMA shop; CREATE TABLE shop.t (id int)")
    with pytest.raises(DatabaseError, match=r"no functions here.*event trigger.*: refuse\."):
        schema.watch(connection, "shop.t")


def test_a_table_that_cannot_be_checked_stops_no_other_and_is_told_once(god, connection):
    tables(connection, "a", "b", "c")
    ((broken,),) = connection.query("SELECT id FROM sseapp.watched_table WHERE relation = 'shop.a'::regclass")
    execute(god, REFUSES.format(broken))
    connection.query("ALTER TABLE shop.a ADD x int; ALTER TABLE shop.b ADD x int; ALTER TABLE shop.c ADD x int")
    assert catalog.check_shapes(connection) == 3
    assert catalog.check_shapes(connection) == 0
    reasons = connection.query("SELECT relation::text, reason, failure FROM sseapp.watched_table ORDER BY 1")
    assert "no functions here" in reasons[0][1]
    assert "no functions here" in reasons[0][2]
    assert reasons[1:] == [
        ("shop.b", "columns have changed: x", None),
        ("shop.c", "columns have changed: x", None),
    ]
    assert connection.query("""SELECT "table" FROM sseapp.watched WHERE trouble LIKE '%no functions here%'""") == [
        ("a",)
    ]
    connection.query("INSERT INTO shop.a VALUES (1)")
    execute(god, "DROP EVENT TRIGGER refuse")
    assert catalog.check_shapes(connection) == 1
    assert connection.query("SELECT count(failure) FROM sseapp.watched_table") == [(0,)]
    assert connection.query("SELECT count(trouble) FROM sseapp.watched") == [(0,)]


POLICY = """CREATE POLICY part ON shop.t USING (id > 1);
    ALTER TABLE shop.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"""


def test_a_watched_table_that_is_not_served_is_told_with_the_cause(connection):
    tables(connection, "t", "b")
    connection.query("ALTER TABLE shop.t ENABLE ROW LEVEL SECURITY; ALTER TABLE shop.b DROP id, DROP v")
    served = catalog.load(connection)
    with pytest.raises(NotFoundError, match=r"shop\.t is watched, but row-level security was switched on"):
        catalog.served(connection, served, "shop.t")
    with pytest.raises(NotFoundError, match=r"shop\.b is watched, but no column is left"):
        catalog.served(connection, served, "shop.b")
    with pytest.raises(NotFoundError, match=r"No watched table is named shop\.none"):
        catalog.served(connection, served, "shop.none")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_snapshot_under_policies_is_complete_or_none(god, connection, when):
    schema.install(connection)
    connection.query("CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY); INSERT INTO shop.t VALUES (1), (2)")
    if when == "before":
        connection.query(POLICY)
    watch = schema.watch(connection, "shop.t", subscribers_see_all_rows=True)
    if when == "after":
        connection.query(POLICY)
        assert catalog.check_shapes(connection) == 1
        assert connection.query("SELECT reason FROM sseapp.watched_table") == [("row-level security was switched",)]
    table = catalog.load(connection)[watch]
    asked = parse_query(table, [])
    with (
        closing(Database(as_user(god.dsn, "keeper"))) as database,
        pytest.raises(MissingRightError, match=r"(?i)row-level security"),
    ):
        snapshot_rows.read(database, table, asked, asked.filter)
    assert (
        "row-level security keeps rows from the role keeper"
        in connection.query("SELECT trouble FROM sseapp.watched")[0][0]
    )
    connection.query("ALTER TABLE shop.t NO FORCE ROW LEVEL SECURITY")
    assert catalog.check_shapes(connection) == 1
    assert connection.query("SELECT trouble FROM sseapp.watched") == [(None,)]
    table = catalog.load(connection)[watch]
    with closing(Database(as_user(god.dsn, "keeper"))) as database:
        assert len(snapshot_rows.read(database, table, asked, asked.filter).rows) == 2


def test_a_table_that_policies_were_switched_on_for_is_told_so(connection):
    tables(connection, "t")
    connection.query(POLICY)
    assert catalog.check_shapes(connection) == 1
    assert "so the table is not served" in connection.query("SELECT trouble FROM sseapp.watched")[0][0]
    assert catalog.load(connection) == {}
