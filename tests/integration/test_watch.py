"""sseapp.watch and sseapp.unwatch: what they accept, refuse, replace and leave behind."""

from __future__ import annotations

import psycopg2
import pytest
from harness.versions import since
from harness.watching import execute

TABLE = "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, secret text, name text)"


def catalog_of(site, table="t"):
    """All that the catalog holds about our side of the table, by what would change if it were touched."""
    return site.run(
        """SELECT g.tgrelid::regclass::text, g.tgname, g.xmin::text, g.tgenabled::text FROM pg_trigger g
           WHERE g.tgrelid = %s::regclass
           UNION ALL SELECT 'watch', w.id::text, w.xmin::text, w.generation::text FROM sseapp.watched_table w
           WHERE w.relation = %s::regclass ORDER BY 1, 2""",
        (table, table),
    )


def test_returns_the_number_of_the_watch_and_lists_it(site):
    site.run(TABLE)
    number = site.watch("t", "at", hide=["secret"])
    assert site.run('SELECT * FROM sseapp.watched WHERE schema = %s AND "table" = %s', (site.name, "t"))[0][2:6] == (
        ["id"], "at", ["secret"], None,
    )  # fmt: skip
    assert site.value("SELECT relation::text FROM sseapp.watched_table WHERE id = %s", (number,)) == "t"
    assert site.resets() == ["the table is watched"]


def test_all_arguments_have_names(site):
    site.run(TABLE)
    site.run("""SELECT sseapp.watch("table" => 't', range_column => 'at', hide => '{}', only_columns => '{id,at}',
                                    subscribers_see_all_rows => false); SELECT sseapp.unwatch("table" => 't')""")


@pytest.mark.parametrize("options", [{}, {"hide": ["secret", "secret"]}, {"only_columns": ["at", "id", "id"]}])
def test_again_with_the_same_arguments_changes_nothing(site, options):
    site.run(TABLE)
    number = site.watch("t", "at", **options)
    before = catalog_of(site)
    blocker = site.session(setup="BEGIN; INSERT INTO t VALUES (1)")
    assert site.watch("t", "at", **options) == number  # it does not even want a lock
    execute(blocker, "ROLLBACK")
    assert catalog_of(site) == before
    assert len(site.resets()) == 1


def test_other_arguments_replace_under_the_same_number(site):
    site.run(TABLE)
    number = site.watch("t")
    for options in (
        {"hide": ["secret"]},
        {"hide": ["name"]},
        {"only_columns": ["id"]},
        {},
        {"subscribers_see_all_rows": True},
    ):
        assert site.watch("t", **options) == number
    assert site.resets() == ["the table is watched"] + ["the watch was changed"] * 5
    assert site.watch("t", "at") == number
    site.run("INSERT INTO t VALUES (1, NULL, 'x')")
    assert site.events() == [("i", None, {"id": 1, "at": None, "secret": "x", "name": None})]


def test_watching_again_puts_altered_triggers_right(site):
    site.run(TABLE)
    number = site.watch("t")
    for damage in (
        f'ALTER TABLE t DISABLE TRIGGER "!sseapp_{number}"',
        f'ALTER TABLE t ENABLE TRIGGER "!sseapp_{number}"',
        f'DROP TRIGGER "!sseapp_{number}" ON t',
        f'DROP TRIGGER "!sseapp_{number}_truncate" ON t',
    ):
        site.run(damage)
        assert site.value("SELECT trouble IS NOT NULL FROM sseapp.watched WHERE schema = %s", (site.name,))
        site.watch("t")
        assert site.value("SELECT trouble IS NULL FROM sseapp.watched WHERE schema = %s", (site.name,))


def test_watching_again_after_a_rename_notes_the_new_name(site):
    site.run(TABLE)
    site.watch("t", hide=["secret"])
    site.run("ALTER TABLE t RENAME secret TO open")
    with pytest.raises(psycopg2.errors.UndefinedColumn, match=r"has no column secret \(hide\)"):
        site.watch("t", hide=["secret"])
    site.watch("t", hide=["open"])
    site.run("ALTER TABLE t ADD secret int; INSERT INTO t VALUES (1, NULL, 'x', 'n', 5)")
    assert site.events() == [("i", None, {"id": 1, "at": None, "name": "n", "secret": 5})]


def test_a_name_that_was_hidden_may_be_hidden_while_no_column_has_it(site):
    site.run(TABLE)
    number = site.watch("t", hide=["secret"])
    site.run("ALTER TABLE t DROP secret")
    for _ in range(2):
        assert site.watch("t", "at", hide=["secret"]) == number
    with pytest.raises(psycopg2.errors.UndefinedColumn, match=r"has no column other \(hide\)"):
        site.watch("t", "at", hide=["secret", "other"])
    site.run("DELETE FROM sseapp.change; ALTER TABLE t ADD secret int")
    site.watch("t", "at", hide=["secret"])
    site.run("INSERT INTO t VALUES (1, NULL, 'n', 5)")
    assert site.events() == [("i", None, {"id": 1, "at": None, "name": "n"})]


def test_lists_no_column_that_was_dropped_and_all_that_are_hidden(site):
    site.run(TABLE)
    site.watch("t", "at", hide=["secret", "name"])
    site.run("CREATE TABLE few (id int PRIMARY KEY, at timestamptz, name text)")
    site.watch("few", only_columns=["id", "name"])
    site.run("ALTER TABLE t DROP at, DROP secret, DROP name; ALTER TABLE t ADD secret int; ALTER TABLE few DROP name")
    listed = site.run(
        "SELECT key, range_column, hidden, only_columns FROM sseapp.watched WHERE schema = %s ORDER BY since",
        (site.name,),
    )
    assert listed == [(["id"], None, ["secret"], None), (["id"], None, None, ["id"])]


def test_in_one_transaction_with_the_creation_and_with_writes(site):
    site.run("BEGIN")
    site.run(TABLE)
    site.run("INSERT INTO t VALUES (1)")
    site.watch("t")
    site.run("INSERT INTO t VALUES (2); ROLLBACK")
    assert site.log() == []
    assert site.value("SELECT count(*) FROM sseapp.watched_table WHERE id = ANY (%s)", (site.watches,)) == 0


def test_unwatch_leaves_nothing_behind(site):
    site.run(TABLE)
    site.run("CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT")

    def traces():
        return site.run("""SELECT tgrelid, tgname FROM pg_trigger
                           UNION ALL SELECT id::oid, 'watch' FROM sseapp.watched_table
                           UNION ALL SELECT objid, refobjid::text FROM pg_depend ORDER BY 1, 2""")

    before = traces()
    site.watch("t", "at", hide=["secret"])
    site.watch("p")
    assert site.run("SELECT sseapp.unwatch('t'), sseapp.unwatch('p'), sseapp.unwatch('t')") == [(True, True, False)]
    assert traces() == before
    assert [reason for reason in site.resets() if "no longer" in reason] == ["the table is no longer watched"] * 2
    site.run("INSERT INTO t VALUES (1); INSERT INTO p VALUES (1)")
    assert site.log() == []


def test_unwatch_of_a_table_with_triggers_of_rows_has_no_more_to_say(site):
    site.run("CREATE TABLE p (id int) PARTITION BY RANGE (id)")
    site.watch("p")
    session = site.session()
    execute(session, "SELECT sseapp.unwatch('p')")
    assert session.notices == []


REFUSED = {
    "view": ("CREATE VIEW v AS SELECT 1 AS x", "v", "is a view; only tables can be watched"),
    "materialized view": ("CREATE MATERIALIZED VIEW m AS SELECT 1 AS x", "m", "is a materialized view"),
    "index": ("CREATE TABLE b (x int PRIMARY KEY)", "b_pkey", "only tables"),
    "sequence": ("CREATE SEQUENCE s", "s", "only tables"),
    "temporary": ("CREATE TEMPORARY TABLE tmp (x int)", "tmp", "is a temporary table"),
    "catalog": ("", "pg_catalog.pg_class", "is a system table"),
    "information schema": ("", "information_schema.sql_features", "is a system table"),
    "ours": ("", "sseapp.change", "belongs to sseapp itself"),
    "not there": ("", "nothing_of_that_name", "does not exist"),
    "rows": (
        f"{TABLE}; ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "t",
        "row-level security.*subscribers_see_all_rows => true",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_tables(site, case):
    setup, table, message = REFUSED[case]
    site.run(setup or "SELECT 1")
    with pytest.raises(psycopg2.Error, match=message):
        site.watch(table)
    assert site.watches == []


OPTIONS = {
    "unknown": ({"hide": ["secret", "nö", "x y"]}, r'no column "nö", "x y" \(hide\)'),
    "unknown range": ({"range_column": "when"}, r'no column "when" \(range column\)'),
    "unknown only": ({"only_columns": ["id", "ctid"]}, r"no column ctid \(only_columns\)"),
    "null": ({"hide": [None]}, r"no column NULL \(hide\)"),
    "key": ({"hide": ["id"]}, r"need the key and the range column, so they cannot be left out \(id\)"),
    "range": ({"range_column": "at", "hide": ["at"]}, r"cannot be left out \(at\)"),
    "both": ({"hide": ["name"], "only_columns": ["id"]}, "Give hide or only_columns, not both"),
    "only without key": (
        {"range_column": "at", "only_columns": ["name"]},
        r"left out \(id, at\)\.\nHINT:  Name them in only_columns too",
    ),
    "only nothing": ({"only_columns": []}, r"left out \(id\)"),
    "type": ({"range_column": "name"}, "a range column is a date, a timestamp or a number; name is of type text"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_refused_arguments(site, case):
    options, message = OPTIONS[case]
    site.run(TABLE)
    with pytest.raises(psycopg2.Error, match=message):
        site.watch("t", **options)
    assert site.value("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass") == 0
    assert site.value("SELECT count(*) FROM sseapp.watched_table WHERE relation = 't'::regclass") == 0


@pytest.mark.parametrize("options", [{"hide": ["code"]}, {"only_columns": ["name"]}], ids=["hide", "only"])
def test_a_key_that_is_no_primary_one_cannot_be_left_out_either(site, options):
    site.run("CREATE TABLE k (code text NOT NULL UNIQUE, name text)")
    with pytest.raises(psycopg2.Error, match=r"cannot be left out \(code\)"):
        site.watch("k", **options)
    site.run("ALTER TABLE k ALTER name SET NOT NULL, ADD UNIQUE (name)")
    site.watch("k", **options)
    assert site.value("SELECT key FROM sseapp.watched WHERE \"table\" = 'k'") == ["name"]


@pytest.mark.parametrize("key", ["PRIMARY KEY (id) INCLUDE (s)", "PRIMARY KEY (s) DEFERRABLE"])
def test_what_is_no_key_may_be_left_out(site, key):
    site.run(f"CREATE TABLE k (id int, s text, {key})")
    site.watch("k", hide=["s"])


def test_a_table_without_a_key_must_show_something(site):
    site.run("CREATE TABLE bag (x int)")
    with pytest.raises(psycopg2.Error, match="no column is left to see"):
        site.watch("bag", hide=["x"])


@pytest.mark.parametrize("type_", ["date", "timestamp", "timestamptz", "bigint", "numeric(5, 2)", "float8", "day"])
def test_range_columns_of_dates_times_and_numbers(site, type_):
    site.run(f"CREATE DOMAIN day AS date; CREATE TABLE r (x {type_})")
    site.watch("r", "x")


def test_virtual_generated_columns_cannot_be_asked_for(site, server):
    since(server.version, 18, "virtual generated columns")
    site.run("CREATE TABLE g (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id * 2) VIRTUAL)")
    for options in ({"range_column": "v"}, {"only_columns": ["id", "v"]}):
        with pytest.raises(psycopg2.Error, match=r"do not see the values of virtual generated columns \(v\)"):
            site.watch("g", **options)


def test_foreign_tables_also_as_partitions(site):
    god = site.session("postgres")
    execute(
        god,
        f"CREATE FOREIGN DATA WRAPPER w_{site.name}; CREATE SERVER s_{site.name} FOREIGN DATA WRAPPER w_{site.name}",
    )
    execute(
        god,
        f"""CREATE FOREIGN TABLE f (id int) SERVER s_{site.name};
        CREATE TABLE p (id int) PARTITION BY RANGE (id);
        CREATE FOREIGN TABLE p1 PARTITION OF p DEFAULT SERVER s_{site.name}""",
    )
    for table, message in {"f": "is a foreign table", "p": "has a partition that is a foreign table"}.items():
        with pytest.raises(psycopg2.Error, match=message):
            execute(god, "SELECT sseapp.watch(%s::regclass)", (table,))
    execute(god, f"DROP SERVER s_{site.name} CASCADE; DROP FOREIGN DATA WRAPPER w_{site.name}; DROP TABLE p")


def test_the_table_of_another_role(site, server):
    role = f"other_{site.name}"
    server.execute(f"CREATE ROLE {role} LOGIN")
    site.run(f"CREATE TABLE t (id int); GRANT ALL ON SCHEMA {site.name} TO {role}")
    execute(site.session("postgres"), f"ALTER TABLE t OWNER TO {role}; GRANT ALL ON t TO keeper")
    with pytest.raises(psycopg2.Error, match=f"belongs to {role}, and only its owner can have it watched"):
        site.watch("t")
    execute(site.session("postgres"), "ALTER TABLE t OWNER TO keeper")


def test_row_level_security_if_the_caller_says_so(site):
    site.run(f"{TABLE}; ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    with pytest.raises(psycopg2.Error, match="row-level security"):
        site.watch("t", subscribers_see_all_rows=None)
    site.watch("t", subscribers_see_all_rows=True)
    site.run("INSERT INTO t VALUES (1)")
    assert len(site.log()) == 1
