"""Tables that are logged by the statement: which they are, that no row is mistaken for another, and what ends it."""

from __future__ import annotations

import pytest
from harness.watching import execute

TABLE = "CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 0, note text)"
TRIGGER = """CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} END $$;
             CREATE TRIGGER a {} ON t FOR EACH ROW EXECUTE FUNCTION f()"""
STAMP = TRIGGER.format("NEW.n := NEW.n + 1; RETURN NEW;", "BEFORE UPDATE")
# raises n of the next row too, if that is still to do
CHAIN = TRIGGER.format("UPDATE t SET n = n + 10 WHERE id = NEW.id + 1 AND n < 10; RETURN NULL;", "AFTER UPDATE")


def inspect(site):
    """Do what the application does on its tick; how many tables' subscribers were told."""
    number = 0
    while number is not None:
        number = site.value("SELECT sseapp.go_by_row_after(%s)", (number,))
    return site.value("SELECT sseapp.check_shapes()")


def logs_by(site, table="t"):
    return site.value("SELECT trigger[1] FROM sseapp.watched_table WHERE relation = %s::regclass", (table,))


PLAIN = {
    "alone": "",
    "a foreign key": "CREATE TABLE o (id int PRIMARY KEY); ALTER TABLE t ADD o int REFERENCES o",
    "referenced": "CREATE TABLE o (t int REFERENCES t ON DELETE RESTRICT)",
    "cascades of one kind": """CREATE TABLE o (id int PRIMARY KEY);
        ALTER TABLE t ADD o int REFERENCES o ON DELETE CASCADE""",
}
NOT_PLAIN = {
    "a trigger": STAMP,
    "a trigger of statements": TRIGGER.format("RETURN NULL;", "AFTER INSERT").replace("EACH ROW", "EACH STATEMENT"),
    "cascades from it": "CREATE TABLE o (t int REFERENCES t ON DELETE CASCADE)",
    "cascades of two kinds": """CREATE TABLE o (id int PRIMARY KEY);
        ALTER TABLE t ADD o int REFERENCES o ON DELETE CASCADE, ADD p int REFERENCES o ON DELETE SET NULL""",
    "a child": "CREATE TABLE o () INHERITS (t)",
    "a parent": "CREATE TABLE o (n int); ALTER TABLE t INHERIT o",
    "the setting": "SET sseapp.triggers = 'row'",
}


@pytest.mark.parametrize("setup", PLAIN)
def test_plain_tables_are_logged_by_the_statement(site, setup):
    site.run(f"{TABLE}; {PLAIN[setup]}")
    site.watch("t")
    assert logs_by(site) == "log_rows"


@pytest.mark.parametrize("setup", NOT_PLAIN)
def test_other_tables_are_logged_by_the_row(site, setup):
    site.run(f"{TABLE}; {NOT_PLAIN[setup]}")
    site.watch("t")
    assert logs_by(site) == "log_row"


def test_partitions_are_logged_by_the_row(site):
    site.run("CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT")
    site.watch("p", hide=[])
    site.watch("p1")
    assert logs_by(site, "p") == logs_by(site, "p1") == "log_row"


def test_a_table_whose_triggers_could_not_be_changed_later_is_logged_by_the_row(site):
    god = site.session("postgres")
    execute(god, f"{TABLE}; SELECT sseapp.watch('t')")
    assert logs_by(site) == "log_row"
    execute(god, "DROP TABLE t")


@pytest.mark.parametrize("hide", [[], ["note"]], ids=["all", "hidden"])
def test_the_two_versions_of_a_row_stay_together(site, server, hide):
    site.run(TABLE)
    site.watch("t", hide=hide)
    # long and short rows, in an order that is neither that of the keys nor of the storage, some of them unchanged
    site.run(
        """INSERT INTO t SELECT g, g % 7, repeat(md5(g::text), g % 400) FROM generate_series(1, 3000) g
           ORDER BY md5(g::text)"""
    )
    site.run("UPDATE t SET n = CASE WHEN id % 3 = 0 THEN n ELSE n + 1 END")
    site.run("""INSERT INTO t SELECT g, 50 FROM generate_series(2900, 3100) g ORDER BY -g
                ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n WHERE t.id % 2 = 0""")
    if server.version != "pg14":
        site.run("""MERGE INTO t USING generate_series(2950, 3150) g ON t.id = g WHEN MATCHED AND g % 5 = 0 THEN DELETE
                    WHEN MATCHED AND g % 5 < 3 THEN UPDATE SET n = -n WHEN NOT MATCHED THEN INSERT (id) VALUES (g)""")
    site.run("WITH gone AS (DELETE FROM t WHERE id > 3000 RETURNING *) INSERT INTO t SELECT id, n, 'again' FROM gone")
    updates = [(old, new) for kind, old, new in site.events() if kind == "u"]
    assert len(updates) > 2000
    assert all(old["id"] == new["id"] and old["n"] != new["n"] for old, new in updates)
    assert site.replayed() == site.rows("(SELECT id, n FROM t)" if hide else "t")


def test_keys_are_changed_in_the_order_in_which_they_were_made_free(site):
    site.run(TABLE)
    site.watch("t")
    site.run("INSERT INTO t SELECT g FROM generate_series(40, 1, -1) g; UPDATE t SET id = id + 1")
    keys = set()
    for _, old, new in site.events():
        keys -= {old and old["id"]}
        assert new["id"] not in keys
        keys.add(new["id"])


def test_that_order_is_kept_where_the_rows_do_not_fit_into_memory(site):
    site.run(TABLE)
    site.watch("t")
    site.run("INSERT INTO t SELECT g, 0, repeat('x', 500) FROM generate_series(5000, 1, -1) g")
    writer = site.session(setup="INSERT INTO t VALUES (9001), (9002); UPDATE t SET n = 1 WHERE id > 9000")
    execute(writer, "SET work_mem = '64kB'; UPDATE t SET id = id + 1 WHERE id <= 5000")
    keys = [old["id"] for kind, old, _ in site.events() if kind == "u"]
    assert keys[2:] == list(range(5000, 0, -1))


def test_the_writers_own_cursors_stay_as_they_are(site):
    """An UPDATE's versions are read through a cursor: it has a name of its own, and does not outlive the statement."""
    site.run(TABLE)
    site.watch("t")
    site.run("INSERT INTO t SELECT generate_series(1, 3)")
    writer = site.session(setup="BEGIN; DECLARE versions CURSOR FOR SELECT id FROM t ORDER BY id")
    execute(writer, "FETCH versions; UPDATE t SET n = 1; UPDATE t SET n = 2")
    assert execute(writer, "SELECT name FROM pg_cursors") == [("versions",)]
    assert execute(writer, "FETCH versions") == [(2,)]
    execute(writer, "COMMIT")
    assert site.replayed() == site.rows("t")


def test_a_row_in_cascades_from_several_rows_of_one_statement(site):
    site.run("""CREATE TABLE o (id int PRIMARY KEY);
        CREATE TABLE t (id int PRIMARY KEY, a int REFERENCES o ON UPDATE CASCADE
                        ON DELETE SET NULL, b int REFERENCES o ON UPDATE CASCADE
                        ON DELETE SET NULL)""")
    site.watch("t")
    assert logs_by(site) == "log_rows"
    site.run(
        "INSERT INTO o SELECT generate_series(1, 9); INSERT INTO t SELECT g, g, 10 - g FROM generate_series(1, 9) g"
    )
    site.run("UPDATE o SET id = id + 20 WHERE id NOT IN (SELECT a FROM t WHERE id < 6); DELETE FROM o")
    assert site.replayed() == site.rows("t")


def packs(site):
    """How many changes each row of the log holds, and of how many bytes."""
    size = "octet_length(concat(old, new))"
    rows = site.run(
        f"SELECT changes, {size} FROM sseapp.change WHERE watch = ANY (%s) AND kind <> 'r' ORDER BY id", (site.watches,)
    )
    return [count for count, _ in rows], [size for _, size in rows]


@pytest.mark.parametrize("hide", [[], ["note"]], ids=["all", "hidden"])
@pytest.mark.parametrize("many", [1, 2, 32, 33, 1000])
def test_many_rows_of_a_statement_are_logged_in_packs(site, hide, many):
    site.run(TABLE)
    site.watch("t", hide=hide)
    shown = "(SELECT id, n FROM t)" if hide else "t"
    statements = {
        "i": f"INSERT INTO t SELECT g, 0, 'x' FROM generate_series({many}, 1, -1) g",
        "u": "UPDATE t SET n = n + 1",
        "d": "DELETE FROM t",
    }
    for statement in statements.values():
        site.run(statement)
        assert site.replayed() == site.rows(shown)
    assert [kind for kind, _, _ in site.log()] == ["i"] * many + ["u"] * many + ["d"] * many
    assert [new["id"] for kind, _, new in site.events() if kind == "i"] == list(range(many, 0, -1)), "in order"
    counts, sizes = packs(site)
    assert sum(counts) == 3 * many
    assert max(counts) <= 32
    assert max(sizes) <= 1901
    assert len(counts) < 3 * 32 + many * 3 / 8


def test_a_large_row_between_small_ones_lies_in_a_pack_of_its_own_size(site):
    """Packs end by their bytes: a thousand large rows in one would be more than PostgreSQL can hold."""
    site.run(TABLE)
    site.watch("t")
    site.run(
        """INSERT INTO t SELECT g, 0, repeat('x', CASE WHEN g % 50 = 0 THEN 300000 ELSE g % 5 * 99 END)
           FROM generate_series(1, 400) g"""
    )
    site.run("UPDATE t SET n = 1")
    counts, sizes = packs(site)
    assert max(counts) > 7
    assert 600_000 < max(sizes) < 605_000
    assert max(size for size in sizes if size < 300_000) <= 1901
    assert site.replayed() == site.rows("t")


def test_what_separates_the_rows_of_a_pack_may_be_in_them(site):
    site.run("CREATE TABLE t (id int PRIMARY KEY, a text, j json)")
    site.watch("t")
    site.run(
        """INSERT INTO t SELECT g, E'\\x1e' || g || E'\\x1f', E'{"\\\\u001e":\\t"\\\\u001e", \\n\\r "b": [ ]}'
           FROM generate_series(1, 99) g"""
    )
    site.run("UPDATE t SET a = a || E'\\x1e'")
    assert len(site.log()) == 198
    assert site.replayed() == site.rows("t")
    assert site.events()[-1][2]["a"] == "\x1e99\x1f\x1e"


def test_unchanged_rows_are_in_no_pack(site):
    site.run(TABLE)
    site.watch("t")
    site.run(
        "INSERT INTO t SELECT generate_series(1, 200); UPDATE t SET n = 0; UPDATE t SET n = n + 1 WHERE id % 2 = 0"
    )
    site.run("UPDATE t SET n = id % 2 * 7")
    assert [kind for kind, _, _ in site.log()] == ["i"] * 200 + ["u"] * 300
    assert site.replayed() == site.rows("t")


def test_the_plan_of_one_row_serves_for_many(site):
    site.run(TABLE)
    site.watch("t")
    writer = site.session(setup="SET statement_timeout = '20s'; INSERT INTO t SELECT generate_series(1, 20000)")
    for key in range(1, 8):
        execute(writer, f"UPDATE t SET n = 1 WHERE id IN ({key}, {key + 100})")
    execute(writer, "UPDATE t SET n = n + 1")  # a join of both versions that was planned for two would take minutes
    assert (
        site.value("SELECT sum(changes) FROM sseapp.change WHERE watch = ANY (%s) AND kind = 'u'", (site.watches,))
        == 20014
    )


@pytest.mark.parametrize("hide", [[], ["note"]], ids=["all", "hidden"])
@pytest.mark.parametrize(
    "later",
    [CHAIN, "CREATE TABLE o () INHERITS (t)", "CREATE TABLE o (n int); ALTER TABLE t INHERIT o",
     "CREATE TABLE o (LIKE t) PARTITION BY RANGE (id); ALTER TABLE o ATTACH PARTITION t DEFAULT"],
    ids=["trigger", "child", "parent", "partition"],
)  # fmt: skip
def test_a_table_that_is_no_longer_plain_goes_over_to_triggers_of_rows_and_is_reset(site, later, hide):
    site.run(TABLE)
    site.watch("t", hide=hide)
    site.run("INSERT INTO t SELECT generate_series(1, 5)")
    site.run(later)
    assert inspect(site) == 1
    assert logs_by(site) == "log_row"
    assert "a trigger was altered, changes may have been missed" in site.resets()[-1]
    assert inspect(site) == 0
    site.run("UPDATE t SET n = n + 1")
    if "TABLE o" in later:
        site.run(f"INSERT INTO o VALUES {'(8)' if 'LIKE' in later or '()' in later else '(1)'}")
        site.run("UPDATE o SET n = 3")
    assert site.replayed() == site.rows("(SELECT id, n FROM ONLY t)" if hide else "ONLY t")
    assert site.value("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgname LIKE '!%%'") == 2
    site.watch("t", hide=hide)
    assert site.resets()[-1] != "the watch was changed"


LINES = """CREATE TABLE line (id serial PRIMARY KEY, t int, price int);
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN UPDATE t SET n = n + NEW.price WHERE id = NEW.t; RETURN NULL; END $$;
    CREATE TRIGGER a AFTER INSERT ON line FOR EACH ROW EXECUTE FUNCTION f()"""
OWNERS = """CREATE TABLE owner (id int PRIMARY KEY); ALTER TABLE t ADD owner int REFERENCES owner ON DELETE SET NULL;
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN UPDATE t SET n = n + 1 WHERE owner IS NULL; RETURN NULL; END $$;
    CREATE TRIGGER a AFTER DELETE ON owner FOR EACH ROW EXECUTE FUNCTION f()"""
ENTANGLED = {
    "a WITH part and what another table's trigger makes of it": (
        LINES,
        """WITH i AS (INSERT INTO t VALUES ({0}) RETURNING id)
           INSERT INTO line (t, price) SELECT i.id, p FROM i, (VALUES (5), (7)) v(p)""",
    ),
    "a cascade and the trigger of the table it comes from": (
        OWNERS,
        "INSERT INTO owner VALUES ({0}); INSERT INTO t (id, owner) VALUES ({0}, {0}); DELETE FROM owner",
    ),
}


@pytest.mark.parametrize("case", ENTANGLED)
def test_a_table_that_a_trigger_changes_in_the_midst_of_its_own_statement_goes_by_row(site, case):
    setup, statement = ENTANGLED[case]
    site.run(f"{TABLE}; {setup}")
    site.watch("t")
    assert logs_by(site) == "log_rows"
    site.run(statement.format(1))
    assert inspect(site) == 1
    assert "a trigger was altered, changes may have been missed" in site.resets()[-1]
    assert logs_by(site) == "log_row"
    site.run("DELETE FROM t")
    site.clear()
    site.run(statement.format(2))
    assert site.replayed() == site.rows("t") != []
    site.watch("t")
    assert logs_by(site) == "log_row", "remembered"
    site.run("SELECT sseapp.unwatch('t')")
    site.watch("t")
    assert logs_by(site) == "log_rows"


def test_a_table_that_triggers_write_and_no_statement_of_its_own_around_them_stays_plain(site):
    site.run(f"{TABLE}; {LINES}; {OWNERS.replace('f()', 'g()')}")
    site.watch("t")
    site.run("INSERT INTO owner VALUES (1), (2); INSERT INTO t (id, owner) VALUES (1, 1), (2, 2), (3, NULL)")
    site.run("BEGIN; UPDATE t SET n = 1; INSERT INTO line (t, price) VALUES (1, 3), (2, 4); COMMIT")
    site.run("ALTER TABLE owner DISABLE TRIGGER a; DELETE FROM owner")
    writer = site.session(setup="BEGIN; INSERT INTO line (t, price) VALUES (3, 1)")
    execute(writer, "SAVEPOINT s; INSERT INTO line (t, price) VALUES (3, 1); ROLLBACK TO s; COMMIT; UPDATE t SET n = 9")
    assert inspect(site) == 0
    assert logs_by(site) == "log_rows"
    assert site.replayed() == site.rows("t")


def test_it_goes_over_when_it_can_have_the_lock(site):
    site.run(TABLE)
    site.watch("t")
    site.run(CHAIN)
    reader = site.session(setup="BEGIN; SELECT * FROM t")
    assert inspect(site) == 0
    assert logs_by(site) == "log_rows"
    execute(reader, "COMMIT")
    assert inspect(site) == 1
    assert logs_by(site) == "log_row"


def test_who_cannot_have_a_lock_keeps_nobody_from_the_next(site):
    for name in ("t", "u"):
        site.run(TABLE.replace("TABLE t", f"TABLE {name}"))
        site.watch(name)
        site.run(f"CREATE TABLE of_{name} () INHERITS ({name})")
    reader = site.session(setup="BEGIN; SELECT * FROM t")
    assert inspect(site) == 1
    assert (logs_by(site), logs_by(site, "u")) == ("log_rows", "log_row")
    assert site.value("SELECT count(*) FROM pg_locks WHERE relation = 'u'::regclass") == 0
    execute(reader, "COMMIT")
    assert inspect(site) == 1
    assert logs_by(site) == "log_row"


def test_watching_again_goes_from_one_to_the_other_and_back(site):
    site.run(TABLE)
    number = site.watch("t")
    site.run(STAMP)
    assert (site.watch("t"), logs_by(site)) == (number, "log_row")
    site.run("DROP TRIGGER a ON t; INSERT INTO t VALUES (1); UPDATE t SET n = 1")
    assert (site.watch("t"), logs_by(site)) == (number, "log_rows")
    site.run("UPDATE t SET n = 2; DELETE FROM t")
    assert [kind for kind, _, _ in site.log()] == ["i", "u", "u", "d"]


@pytest.mark.parametrize("event", ["update", "delete"])
def test_each_of_its_triggers_is_missed(site, event):
    site.run(TABLE)
    number = site.watch("t")
    site.run(f'DROP TRIGGER "!sseapp_{number}_{event}" ON t; SELECT sseapp.check_shapes()')
    assert site.resets()[-1] == "a trigger is missing, so changes are missed: call sseapp.watch() again"
    site.watch("t")
    site.run("INSERT INTO t VALUES (1); UPDATE t SET n = 1; DELETE FROM t")
    assert [kind for kind, _, _ in site.log()] == ["i", "u", "d"]
