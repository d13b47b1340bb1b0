"""Installing and uninstalling: idempotent, by a role that is no superuser, leaving nothing behind."""

from __future__ import annotations

import subprocess
import threading
from contextlib import closing

import pytest
from harness.versions import program
from harness.watching import KEEPER, as_user, execute, make_keeper, open_session

from sseapp import errors
from sseapp.postgres import change_log, schema
from sseapp.postgres.database import Connection

OURS = [
    f"pg_{name}"
    for name in [
        "class",
        "proc",
        "trigger",
        "type",
        "namespace",
        "attribute",
        "index",
        "constraint",
        "rewrite",
        "depend",
        "shdepend",
        "description",
        "default_acl",
        "init_privs",
        "attrdef",
        "sequence",
        "statistic_ext",
    ]
]


@pytest.fixture
def keeper(dsn):
    return make_keeper(dsn)


@pytest.fixture
def connection(keeper):
    with closing(Connection(keeper)) as connection:
        yield connection


def catalog_sizes(dsn):
    with closing(open_session(dsn)) as session:
        return {name: execute(session, f"SELECT count(*) FROM {name}")[0][0] for name in OURS}


def dump(server, dsn):
    command = [program(server.version, "pg_dump"), "--dbname", dsn]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def make_role(server, name):
    server.execute(f"DO $$ BEGIN CREATE ROLE {name} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    return name


def psql(server, dsn, text):
    command = [program(server.version, "psql"), "-d", dsn, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]
    return subprocess.run(command, check=True, capture_output=True, text=True, input=text)


def test_install_says_whether_there_was_anything_to_do(connection):
    assert not schema.is_installed(connection)
    assert not schema.is_current(connection)
    assert schema.install(connection)
    assert schema.is_current(connection)
    assert not schema.install(connection)


def test_what_an_older_program_installed_is_brought_up_to_date(connection):
    schema.install(connection)
    connection.query("UPDATE sseapp.state SET digest = 'older'; DROP FUNCTION sseapp.epoch()")
    assert not schema.is_current(connection)
    assert schema.install(connection)
    assert connection.query("SELECT sseapp.epoch() IS NOT NULL") == [(True,)]


def test_what_a_newer_program_installed_is_left_alone(connection):
    schema.install(connection)
    connection.query("UPDATE sseapp.state SET digest = 'newer', version = 1000")
    with pytest.raises(errors.DatabaseError, match="later version than this program"):
        schema.install(connection)
    assert connection.query("SELECT digest FROM sseapp.state") == [("newer",)]


def test_what_an_earlier_program_installed_is_left_alone_and_the_way_out_is_named(connection):
    schema.install(connection)
    connection.query("UPDATE sseapp.state SET digest = 'older', version = 1")
    with pytest.raises(errors.DatabaseError, match=r"of an earlier version.*sseapp\.watched.*sseapp uninstall"):
        schema.install(connection)
    connection.query("DROP FUNCTION sseapp.epoch()")  # as if it were not there yet
    with pytest.raises(errors.OtherVersionError):
        change_log.log_end(connection)
    schema.uninstall(connection)
    with pytest.raises(errors.NotInstalledError):
        change_log.log_end(connection)


def test_the_printed_statements_may_run_twice_and_then_change_nothing(server, dsn, connection):
    connection.query("CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, secret text)")
    psql(server, as_user(dsn, KEEPER), schema.printable())
    schema.watch(connection, "shop.t", hide=["secret"])
    connection.query("INSERT INTO shop.t VALUES (1)")
    before = dump(server, dsn)
    said = psql(server, as_user(dsn, KEEPER), schema.printable())
    assert dump(server, dsn) == before
    assert (said.stdout, said.stderr.replace("NOTICE", "")) == ("", "")
    assert schema.is_current(connection)


def test_uninstall_leaves_nothing_behind(server, dsn, connection):
    connection.query("""CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY); CREATE TABLE shop."T 2" (id int);
        CREATE TABLE shop.p (id int) PARTITION BY RANGE (id); CREATE TABLE shop.p1 PARTITION OF shop.p DEFAULT;
        CREATE FUNCTION shop.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER mine BEFORE INSERT ON shop.t FOR EACH ROW EXECUTE FUNCTION shop.f()""")
    sizes, text = catalog_sizes(dsn), dump(server, dsn)
    for uninstall in (
        lambda: schema.uninstall(connection),
        lambda: psql(server, dsn, schema.printable(uninstall=True)),
    ):
        schema.install(connection)
        for table in ("shop.t", 'shop."T 2"', "shop.p"):
            schema.watch(connection, table)
        connection.query("INSERT INTO shop.t VALUES (1); DELETE FROM shop.t")
        uninstall()
        assert catalog_sizes(dsn) == sizes
        assert dump(server, dsn) == text
    schema.uninstall(connection)


def test_uninstall_waits_for_open_transactions_without_blocking_writers(keeper, connection):
    connection.query("CREATE SCHEMA shop; CREATE TABLE shop.t (id int)")
    schema.install(connection)
    schema.watch(connection, "shop.t")
    connection.query("SET sseapp.patience = '10ms'")
    with (
        closing(open_session(keeper, "BEGIN; INSERT INTO shop.t VALUES (1)")),
        pytest.raises(errors.DatabaseError, match="No lock"),
    ):
        schema.uninstall(connection)
    assert schema.is_current(connection)
    schema.uninstall(connection)


def test_installs_at_once_do_not_disturb_each_other(keeper):
    failures = []

    def install():
        try:
            with closing(Connection(keeper)) as connection:
                schema.install(connection)
        except errors.SseappError as error:
            failures.append(error)

    threads = [threading.Thread(target=install) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_installing_role_needs_create_on_the_database(server, dsn):
    role = make_role(server, "nobody_of_ours")
    with (
        closing(Connection(as_user(dsn, role))) as connection,
        pytest.raises(errors.MissingRightError, match="permission denied for database"),
    ):
        schema.install(connection)


def test_the_public_has_no_right_on_anything(server, connection):
    schema.install(connection)
    role = make_role(server, "nobody_of_ours")
    rights = connection.query(
        f"""SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'sseapp'::regnamespace
              AND relkind IN ('r', 'v')
              AND has_table_privilege('{role}', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES')
            UNION ALL SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'sseapp'::regnamespace
              AND CASE relkind WHEN 'S' THEN has_sequence_privilege('{role}', oid, 'USAGE, SELECT, UPDATE') END
            UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'sseapp'::regnamespace
              AND has_function_privilege('{role}', oid, 'EXECUTE')
            UNION ALL SELECT 'schema' WHERE has_schema_privilege('{role}', 'sseapp', 'USAGE, CREATE')"""
    )
    assert rights == []


def test_functions_that_run_with_our_rights_have_a_fixed_search_path(connection):
    schema.install(connection)
    loose = connection.query("""SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'sseapp'::regnamespace
        AND prosecdef AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)""")
    assert loose == []


def test_a_role_that_was_granted_it_may_read_and_check(server, dsn, connection):
    schema.install(connection)
    role = make_role(server, "reader_of_ours")
    connection.query(f"""GRANT USAGE ON SCHEMA sseapp TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA sseapp TO {role};
                         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA sseapp TO {role}""")
    connection.query("CREATE SCHEMA shop; CREATE TABLE shop.t (id int)")
    schema.watch(connection, "shop.t")
    connection.query("DROP TABLE shop.t")
    with closing(Connection(as_user(dsn, role))) as reader:
        assert reader.query("SELECT sseapp.check_shapes()") == [(1,)]
        assert reader.query("SELECT sseapp.epoch()") == connection.query("SELECT sseapp.epoch()")
        with pytest.raises(errors.MissingRightError):
            reader.query("SELECT sseapp.tell_reset(1, 'forged')")


def test_epoch_names_cluster_timeline_database_and_birth(connection):
    schema.install(connection)
    ((epoch,),) = connection.query("SELECT sseapp.epoch()")
    ((cluster, timeline, database),) = (
        connection.query("""SELECT system_identifier::text, lpad(to_hex(c.timeline_id), 8, '0'),
        (SELECT oid::text FROM pg_database WHERE datname = current_database())
        FROM pg_control_system(), pg_control_checkpoint() c""")
    )
    assert epoch.split("-", 3)[:3] == [cluster, timeline, database]
    schema.uninstall(connection)
    schema.install(connection)
    ((reborn,),) = connection.query("SELECT sseapp.epoch()")
    assert reborn.split("-", 3)[:3] == epoch.split("-", 3)[:3]
    assert reborn != epoch


def test_watch_and_unwatch_by_their_wrappers(connection):
    connection.query('CREATE SCHEMA shop; CREATE TABLE shop."T" (id int PRIMARY KEY, at date, a int, b int)')
    schema.install(connection)
    number = schema.watch(connection, 'shop."T"', range_column="at", hide=["a"])
    assert schema.watch(connection, 'shop."T"', range_column="at", hide=["a"]) == number
    assert schema.watch(connection, 'shop."T"', only_columns=["id"], subscribers_see_all_rows=True) == number
    assert connection.query("SELECT only_columns FROM sseapp.watched") == [(["id"],)]
    assert schema.unwatch(connection, 'shop."T"')
    assert not schema.unwatch(connection, 'shop."T"')
    with pytest.raises(errors.UndefinedError, match="does not exist"):
        schema.watch(connection, "shop.t")


def test_a_superuser_who_watches_the_table_of_another_is_warned(dsn, keeper):
    with closing(open_session(keeper, "CREATE SCHEMA shop; CREATE TABLE shop.t (id int)")):
        pass
    with closing(open_session(dsn, schema.printable())) as god:
        god.notices.clear()
        execute(god, "SELECT sseapp.watch('shop.t')")
        assert "could run code with its rights" in "".join(god.notices)
        god.notices.clear()
        execute(god, "CREATE TABLE own (id int); SELECT sseapp.watch('own')")
        assert god.notices == []
