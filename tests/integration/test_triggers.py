"""What the log holds after each way to change rows, and that the application notices nothing."""

from __future__ import annotations

import io

import psycopg2
import pytest
from harness.versions import since
from harness.watching import execute


@pytest.fixture(autouse=True, params=["statement", "row"])
def by(request, site):
    """What plain tables are logged by; those that are not plain are so by the row in any case."""
    site.run("SELECT set_config('sseapp.triggers', %s, false)", (request.param,))


@pytest.fixture
def table(site):
    site.run("CREATE TABLE t (id int PRIMARY KEY, name text, extra json)")
    site.watch("t")
    return site


def kinds(site):
    return "".join(kind for kind, _, _ in site.log())


def test_each_kind_of_change_with_the_rows_as_row_to_json_writes_them(table):
    table.run("INSERT INTO t VALUES (1, 'a', '{\"x\": 1}')")
    table.run("UPDATE t SET name = 'b'")
    table.run("DELETE FROM t")
    first, second = '{"id":1,"name":"a","extra":{"x": 1}}', '{"id":1,"name":"b","extra":{"x": 1}}'
    assert table.log() == [("i", None, first), ("u", first, second), ("d", second, None)]


def test_an_update_that_changes_nothing_is_no_change(table):
    table.run("INSERT INTO t VALUES (1, 'a', '{}')")
    table.run("UPDATE t SET id = id, name = 'a', extra = '{}'")
    assert kinds(table) == "i"


def test_a_value_written_otherwise_is_a_change(table):
    table.run("INSERT INTO t VALUES (1, 'a', '{}')")
    table.run("UPDATE t SET extra = '{ }'")
    assert kinds(table) == "iu"


def test_a_changed_key_is_one_update(table):
    table.run("INSERT INTO t VALUES (1), (2)")
    table.run("UPDATE t SET id = id + 10 WHERE id = 1")
    assert [(old["id"], new["id"]) for kind, old, new in table.events() if kind == "u"] == [(1, 11)]


def test_a_bulk_statement_logs_each_row_in_one_transaction(table):
    table.run("INSERT INTO t SELECT g, 'n' || g FROM generate_series(1, 500) g")
    table.run("UPDATE t SET name = upper(name)")
    table.run("DELETE FROM t WHERE id % 2 = 0")
    assert kinds(table) == "i" * 500 + "u" * 500 + "d" * 250
    assert [count for (count,) in table.log("count(*) OVER (PARTITION BY xid)")][::500] == [500, 500, 250]
    assert table.replayed() == table.rows("t")


def test_copy(table):
    with table.session().cursor() as cursor:
        cursor.copy_expert("COPY t (id, name) FROM STDIN", io.StringIO("1\ta\n2\tb\n"))
    assert [new["name"] for _, _, new in table.events()] == ["a", "b"]


def test_on_conflict(table):
    table.run("INSERT INTO t VALUES (1, 'a')")
    table.run("INSERT INTO t VALUES (1, 'x') ON CONFLICT DO NOTHING")
    table.run("INSERT INTO t VALUES (1, 'b'), (2, 'c') ON CONFLICT (id) DO UPDATE SET name = excluded.name")
    assert kinds(table) == "iui"
    assert table.replayed() == table.rows("t")


def test_merge(table, server):
    since(server.version, 15, "MERGE")
    table.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    table.run("""MERGE INTO t USING (VALUES (1, 'x'), (2, NULL), (3, 'c')) v(id, name) ON t.id = v.id
                 WHEN MATCHED AND v.name IS NULL THEN DELETE
                 WHEN MATCHED THEN UPDATE SET name = v.name
                 WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)""")
    assert sorted(kinds(table)[2:]) == ["d", "i", "u"]
    assert table.replayed() == table.rows("t")


def test_a_writing_with_clause(table):
    table.run("WITH gone AS (INSERT INTO t VALUES (1, 'a') RETURNING *) INSERT INTO t SELECT id + 1, name FROM gone")
    assert kinds(table) == "ii"


def test_cascades(site):
    site.run("""CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE,
                            other int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE)""")
    watch = site.watch("child")
    site.run("INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1, 1), (2, 1, 2), (3, 2, 1)")
    site.run("UPDATE parent SET id = 10 WHERE id = 1; DELETE FROM parent WHERE id = 2")
    changed = [key for (key,) in site.log("kind::text || (coalesce(old, new) ->> 'id')", watch=watch)][3:]
    assert sorted(changed) == ["d3", "u1", "u1", "u2", "u2", "u3"]
    assert site.replayed() == site.rows("child")


def test_truncate_is_one_change(table):
    table.run("INSERT INTO t VALUES (1), (2); TRUNCATE t; INSERT INTO t VALUES (3)")
    assert kinds(table) == "iiti"
    assert table.replayed() == table.rows("t")


def test_truncate_of_several_tables_and_by_cascade(site):
    site.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int REFERENCES a); CREATE TABLE c (id int)")
    numbers = [site.watch(name) for name in "abc"]
    site.run("TRUNCATE a, c CASCADE")
    assert sorted(site.log("watch, kind::text")) == [(number, "t") for number in numbers]


def test_what_is_rolled_back_is_not_logged(table):
    table.run("BEGIN; INSERT INTO t VALUES (1); ROLLBACK")
    table.run("""BEGIN; INSERT INTO t VALUES (2); SAVEPOINT s; INSERT INTO t VALUES (3); UPDATE t SET name = 'x';
                 ROLLBACK TO s; INSERT INTO t VALUES (4); SAVEPOINT s2;
                 DELETE FROM t WHERE id = 2; RELEASE s2; COMMIT""")
    assert kinds(table) == "iid"
    assert table.replayed() == table.rows("t")


def test_the_log_row_carries_the_transaction_also_from_a_savepoint(table):
    writer = table.session(setup="BEGIN; SAVEPOINT a")
    execute(writer, "INSERT INTO t VALUES (1); SAVEPOINT b")
    ((xid,),) = execute(writer, "INSERT INTO t VALUES (2) RETURNING pg_current_xact_id()::text")
    assert table.log() == []
    execute(writer, "COMMIT")
    assert table.log("xid::text") == [(xid,), (xid,)]


@pytest.mark.parametrize("many", [1, 32, 33])
def test_the_bell_rings_once_a_transaction_and_not_for_nothing(table, many):
    listener = table.session(setup="LISTEN sseapp")
    table.run(f"INSERT INTO t SELECT generate_series(1, {many})")
    table.run("UPDATE t SET id = id")
    table.run("BEGIN; DELETE FROM t; ROLLBACK")
    table.run("TRUNCATE t")
    execute(listener, "SELECT 1")
    assert [notify.payload for notify in listener.notifies] == ["", ""]


def test_a_read_only_transaction_still_reads(table):
    assert table.run("BEGIN READ ONLY; SELECT count(*) FROM t") == [(0,)]
    table.run("COMMIT")


def test_composite_keys_and_keyless_tables(site):
    site.run("CREATE TABLE pair (a int, b text, c int, PRIMARY KEY (b, a)); CREATE TABLE bag (x int)")
    pair, bag = site.watch("pair"), site.watch("bag")
    site.run("INSERT INTO pair VALUES (1, 'x', 0), (1, 'y', 0); UPDATE pair SET c = 1 WHERE b = 'y'")
    site.run("INSERT INTO bag VALUES (7), (7); UPDATE bag SET x = 8")
    assert site.log("new::text", watch=pair)[2] == ('{"a":1,"b":"y","c":1}',)
    assert site.log("kind::text, old::text, new::text", watch=bag)[2:] == [("u", '{"x":7}', '{"x":8}')] * 2


def test_names_that_want_quotes(site):
    name, column = '"Ta.b/le ""x"" 100% ñ"', '"Schlüssel ""1"" "'
    site.run(f'CREATE TABLE {name} ({column} int PRIMARY KEY, "new" int, "a\\b" int)')
    site.watch(name)
    site.run(f"INSERT INTO {name} VALUES (1, 2, 3)")
    assert site.events() == [("i", None, {'Schlüssel "1" ': 1, "new": 2, "a\\b": 3})]


AWKWARD = [
    "new",
    "old",
    "n",
    "tg_op",
    "tg_argv",
    "watch",
    "id",
    "xid",
    "kind",
    "at",
    "reason",
    "before",
    "after",
    "names",
    "shown",
    "name",
    "row_text",
    "members",
    "result",
    "key",
    "value",
    "place",
    "m",
    "member",
    "rest",
    "masking",
    "number",
    "numbers",
    "relation",
    "nested",
    "later",
    "r",
    "o",
    "t",
    "p",
    "row",
    "rows",
    "touched",
    "old_rows",
    "new_rows",
    "upto",
    "changes",
    "logged",
    "count",
]


@pytest.mark.parametrize("many", [1, 40])
@pytest.mark.parametrize("hide", [[], ["later"]], ids=["all", "hidden"])
def test_columns_named_like_what_the_functions_use(site, hide, many):
    columns = ", ".join(f'"{name}" int DEFAULT 1' for name in AWKWARD)
    site.run(f"CREATE TABLE t ({columns})")
    site.watch("t", hide=hide)
    site.run(f"INSERT INTO t (new) SELECT 1 FROM generate_series(1, {many})")
    site.run("UPDATE t SET new = 2, id = 3; DELETE FROM t")
    row = {name: 1 for name in AWKWARD if name not in hide}
    changed = {**row, "new": 2, "id": 3}
    assert site.events() == [("i", None, row)] * many + [("u", row, changed)] * many + [("d", changed, None)] * many


def test_a_table_named_like_ours_in_a_search_path_of_the_writers(site):
    site.run("""CREATE TABLE change (id int); CREATE FUNCTION row_to_json(record) RETURNS json LANGUAGE plpgsql AS $$
                BEGIN RAISE 'not this one'; END $$""")
    site.watch("change")
    writer = site.session(setup=f"SET search_path = {site.name}, pg_catalog")
    execute(writer, "INSERT INTO change VALUES (1)")
    assert site.events() == [("i", None, {"id": 1})]


def test_the_writers_settings_neither_leak_in_nor_change(site):
    site.run("""CREATE TABLE t (at timestamptz, span interval, bytes bytea, real float8, price money, days daterange,
                                during tstzrange)""")
    site.watch("t")
    settings = {
        "TimeZone": "Asia/Kathmandu", "DateStyle": "SQL, DMY", "IntervalStyle": "iso_8601", "bytea_output": "escape",
        "extra_float_digits": "-3", "lc_monetary": "C.UTF-8", "search_path": "pg_temp",
    }  # fmt: skip
    writer = site.session()
    for name, value in settings.items():
        execute(writer, f"SET {name} = '{value}'")
    execute(
        writer,
        f"""INSERT INTO {site.name}.t VALUES ('2026-01-31 12:00+00', '1 day 2 hours', '\\x00ff', 0.1::float8 + 0.2,
            1234.5, '[31/01/2026,01/02/2026)', '[31/01/2026 12:00,)')""",
    )
    shown = {name: execute(writer, f"SHOW {name}")[0][0] for name in settings}
    assert shown == {**settings, "DateStyle": "SQL, DMY"}
    ((_, _, new),) = site.events()
    assert new == {
        "at": "2026-01-31T12:00:00+00:00", "span": "1 day 02:00:00", "bytes": "\\x00ff", "real": 0.30000000000000004,
        "price": "$1,234.50", "days": "[2026-01-31,2026-02-01)", "during": '["2026-01-31 06:15:00+00",)',
    }  # fmt: skip
    assert site.replayed() == site.rows("t")


def test_replication_does_not_blind_it(site):
    site.run("CREATE TABLE t (id int)")
    site.watch("t")
    replica = site.session("postgres", "SET session_replication_role = replica")
    execute(replica, "INSERT INTO t VALUES (1); TRUNCATE t")
    assert kinds(site) == "it"


def test_each_session_may_be_of_any_isolation(table):
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        table.run(
            f"BEGIN ISOLATION LEVEL {level}; INSERT INTO t VALUES (1); UPDATE t SET name = 'x'; DELETE FROM t; COMMIT"
        )
    assert kinds(table) == "iud" * 3


def test_an_error_of_the_application_stays_its_own(table):
    table.run("INSERT INTO t VALUES (1)")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        table.run("INSERT INTO t VALUES (1)")
    assert kinds(table) == "i"
    table.run("INSERT INTO t VALUES (2)")
    assert kinds(table) == "ii"
