"""A watch never breaks the application's writes, whatever types and settings do: what cannot be logged is a reset."""

from __future__ import annotations

import time
from contextlib import closing

import psycopg2
import pytest
from harness.watching import execute, open_session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sseapp.postgres import catalog, snapshot_rows
from sseapp.postgres.database import Connection, Database
from sseapp.query.query import parse as parse_query

RAISING = """CREATE TYPE e AS ENUM ('x', 'y');
    CREATE FUNCTION raises(e) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE 'not to be called'; END $$;"""
CAST = "CREATE CAST (e AS json) WITH FUNCTION raises(e)"


@pytest.fixture(autouse=True, params=["statement", "row"])
def by(request, site):
    """What plain tables are logged by."""
    site.run("SELECT set_config('sseapp.triggers', %s, false)", (request.param,))


HOLDERS = {
    "itself": ("e", "'x'", "x"),
    "a domain": ("d", "'x'", "x"),
    "an array": ("e[]", "'{x,NULL}'", "{x,NULL}"),
    "a composite": ("c", "'(1,x)'", "(1,x)"),
    "an array of composites": ("c[]", """'{"(1,x)"}'""", '{"(1,x)"}'),
    "a range": ("r", "'[x,y]'", "[x,y]"),
}
MORE = "CREATE DOMAIN d AS e; CREATE TYPE c AS (n int, v e); CREATE TYPE r AS RANGE (subtype = e);"


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("when", ["before the watch", "after it"])
def test_a_cast_to_json_that_raises_is_not_called(site, holder, when):
    type_, value, text = HOLDERS[holder]
    site.run(f"{RAISING} {MORE} CREATE TABLE t (id int PRIMARY KEY, v {type_}, h {type_}, n int)")
    if when == "before the watch":
        site.run(CAST)
    site.watch("t", hide=["h"])
    if when == "after it":
        # so that the session has its plans
        site.run(f"INSERT INTO t VALUES (9, {value}, {value}); UPDATE t SET n = 9; DELETE FROM t; {CAST}")
        site.clear()
    site.run(f"INSERT INTO t VALUES (1, {value}, {value}), (2, NULL, NULL); UPDATE t SET n = 1; DELETE FROM t")
    if when == "before the watch" or holder in ("itself", "a domain", "a range"):
        assert [new for _, _, new in site.events()][:2] == [
            {"id": 1, "v": text, "n": None},
            {"id": 2, "v": None, "n": None},
        ]
    else:
        assert site.resets() == ["a change could not be logged: not to be called"], "one a transaction"
    assert site.value("SELECT sseapp.check_shapes()") == (when == "after it" and holder != "a range")
    site.clear()
    site.run(f"INSERT INTO t VALUES (3, {value}, {value})")
    assert [new for _, _, new in site.events()] == [{"id": 3, "v": text, "n": None}]


def test_a_snapshot_prints_such_a_value_as_the_log_does(site):
    site.run(f"""{RAISING} {MORE} {CAST}; CREATE TABLE t (id int PRIMARY KEY, a e, b d, c c, l e[], r r, m money);
        INSERT INTO t VALUES (1, 'x', 'y', '(1,x)', '{{x,y}}', '[x,y)', 2)""")
    watch = site.watch("t")
    site.run("UPDATE t SET id = 2")
    ((_, _, logged),) = site.log()
    with closing(Connection(site.dsn)) as connection:
        connection.query(f"SET search_path = {site.name}")
        table = catalog.load(connection)[watch]
    with closing(Database(site.dsn)) as database:
        asked = parse_query(table, [])
        assert snapshot_rows.read(database, table, asked, asked.filter).rows == (logged,)


@pytest.mark.parametrize("hide", [[], ["n"]], ids=["all", "hidden"])
def test_a_row_that_is_too_large_to_be_logged_is_a_reset(site, hide):
    site.run("CREATE TABLE t (id int PRIMARY KEY, a text, b bytea, n int); ALTER TABLE t ALTER a SET STORAGE EXTENDED")
    watch = site.watch("t", hide=hide)
    generation = site.value("SELECT sseapp.generation(%s)", (watch,))
    site.run("INSERT INTO t VALUES (1, repeat('x', 100000000)), (2, 'a')")
    site.run("UPDATE t SET n = 1, b = 'x'; DELETE FROM t WHERE id = 1")
    assert site.resets()[1:] == ["a change could not be logged: a row is too large"] * 2
    assert site.value("SELECT sseapp.generation(%s)", (watch,)) == generation + 2
    assert site.value("SELECT sseapp.check_shapes()") == 0
    assert site.run("SELECT generation, reason FROM sseapp.watched_table WHERE id = %s", (watch,)) == [
        (generation + 2, "a change could not be logged: a row is too large")
    ]
    assert site.value("SELECT count(*) FROM sseapp.loss WHERE watch = %s", (watch,)) == 0
    site.run("INSERT INTO t VALUES (3, 'c')")
    assert site.events()[-1][2]["id"] == 3


OPERATORS = {
    'int4, int8, text, float8, oid, bool, regclass, xid, "char"': ("=", "<>", "<", ">", "<=", ">="),
    "int4, int8, float8": ("+", "-", "*", "/"),
    "text": ("||", "~", "~~"),
}


def test_no_operator_of_the_writers_is_called(site):
    """They would run with the rights of the role that installed sseapp."""
    site.run("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT n, 'x' FROM generate_series(1, 99) n")
    site.watch("t")
    site.run(f"CREATE SCHEMA {site.name}_own")
    writer = site.session(setup=f"SET search_path = {site.name}_own, pg_catalog")
    for types, operators in OPERATORS.items():
        for type_ in types.split(", "):
            name = f"mine_{abs(hash(type_))}"
            execute(
                writer,
                f"""CREATE OR REPLACE FUNCTION {name}({type_}, {type_}) RETURNS bool LANGUAGE plpgsql AS
                    $$ BEGIN RAISE 'an operator of the writer''s'; END $$""",
            )
            for operator in operators:
                execute(
                    writer, f"CREATE OPERATOR {operator} (FUNCTION = {name}, LEFTARG = {type_}, RIGHTARG = {type_})"
                )
    table = f"{site.name}.t"
    execute(writer, f"INSERT INTO {table} VALUES (100, 'y'); INSERT INTO {table} SELECT 101, 'z'")
    execute(writer, f"UPDATE {table} SET a = 'new'; UPDATE {table} SET a = 'newer' WHERE id OPERATOR(pg_catalog.=) 1")
    execute(writer, f"INSERT INTO {table} SELECT id OPERATOR(pg_catalog.+) 1000, a FROM {table}; DELETE FROM {table}")
    assert len(site.events()) == 2 + 101 + 1 + 101 + 202
    site.run(f"DROP SCHEMA {site.name}_own CASCADE")


@pytest.mark.parametrize("setting", ["sseapp.depths", "sseapp.nested"])
@pytest.mark.parametrize("value", ["x", "{", "1=", "9" * 40])
def test_whatever_the_writer_sets_our_notes_to(site, setting, value):
    site.run("""CREATE TABLE t (id int PRIMARY KEY, a text);
        CREATE FUNCTION nest() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF pg_trigger_depth() = 1 THEN UPDATE t SET a = 'z' WHERE id = new.id; END IF; RETURN NULL; END $$;
        CREATE TRIGGER nest AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION nest()""")
    site.watch("t")
    writer = site.session(setup=f"SET search_path = {site.name}")
    execute(
        writer,
        f"SET {setting} = '{value}'; INSERT INTO t VALUES (1, 'x'), (2, 'y'); UPDATE t SET a = 'w'; DELETE FROM t",
    )
    assert [kind for kind, _, _ in site.events()].count("d") == 2


def test_errors_that_are_the_applications_own_stay_so(site):
    site.run("CREATE TABLE t (id int PRIMARY KEY)")
    watch = site.watch("t")
    for state in ("40001", "53100", "57P01", "58030"):
        with pytest.raises(psycopg2.Error) as raised:
            site.run("SELECT sseapp.log_loss(%s, %s, 'as it was')", (watch, state))
        assert (raised.value.pgcode, raised.value.diag.message_primary) == (state, "as it was")
    assert len(site.resets()) == 1


LEAKING = [
    "enable_seqscan = off",
    "enable_nestloop = off",
    "enable_sort = off",
    "enable_hashagg = off",
    "plan_cache_mode = force_custom_plan",
    "TimeZone = 'Asia/Kathmandu'",
    "DateStyle = 'German'",
    "IntervalStyle = 'sql_standard'",
    "bytea_output = escape",
    "extra_float_digits = -15",
    "lc_monetary = 'C.UTF-8'",
    "quote_all_identifiers = on",
    "standard_conforming_strings = off",
    "row_security = off",
    "xmlbinary = hex",
    "xmloption = document",
    "array_nulls = off",
    "client_encoding = 'LATIN1'",
    "transform_null_equals = on",
    "default_transaction_isolation = serializable",
]


def test_the_writers_settings_do_not_make_it_slow(site):
    """Cost that a setting makes look high would have each statement compiled."""
    site.run(
        """CREATE TABLE t (id int PRIMARY KEY, n int, at timestamptz); CREATE TABLE u (id int);
           SET sseapp.triggers = statement"""
    )
    site.watch("t")
    site.run("""CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN UPDATE t SET n = n + 1 WHERE id = 1; RETURN NULL; END $$;
                CREATE TRIGGER a AFTER INSERT ON u FOR EACH ROW EXECUTE FUNCTION f()""")
    writer = site.session(
        setup="INSERT INTO t SELECT g, 0 FROM generate_series(1, 50) g; SET jit = on; SET client_min_messages = error"
    )
    for setting in ("enable_seqscan = off", "enable_nestloop = off", "enable_sort = off"):
        execute(writer, f"SET {setting}")
    began = time.monotonic()
    for _ in range(100):
        execute(writer, "INSERT INTO u VALUES (1); UPDATE t SET n = n + 1 WHERE id < 40")
    assert time.monotonic() - began < 4, "compiled for each statement it takes 10 s"


COLUMNS = {
    "int": ["1", "-5"],
    "text": ["a", 'b"\\', "é\n"],
    "numeric(8,2)": ["1.50"],
    "float8": ["0.1", "NaN", "1e-7"],
    "float4": ["0.3"],
    "timestamptz": ["2026-03-29 01:30+00", "infinity"],
    "timestamp": ["2026-01-31 12:00"],
    "date": ["2026-01-31"],
    "interval": ["1 day 02:00"],
    "bytea": ["\\x00ff"],
    "money": ["12.5"],
    "json": ['{"a" : 1}'],
    "jsonb": ['{"a": [1, null]}'],
    "int[]": ["{1,NULL}"],
    "timestamptz[]": ['{"2026-01-01 00:00+02"}'],
    "tstzrange": ["[2026-01-01 00:00+02,)"],
    "daterange": ["[2026-01-01,)"],
    "regclass": ["pg_class", "sseapp.change"],
    "uuid": ["00000000-0000-0000-0000-00000000000a"],
    "e": ["x", "y"],
    "e[]": ["{x,y}"],
    "d": ["x"],
    "c": ["(1,x)"],
    "c[]": ['{"(2,y)"}'],
    "r": ["[x,y]"],
    "stamp": ["2026-01-01 00:00+01"],
    "moment": ['("2026-01-01 00:00+01",1.5)'],
    "floats": ["[0.1,2)"],
}
TYPES = f"""{RAISING} {MORE} CREATE DOMAIN stamp AS timestamptz; CREATE TYPE moment AS (at timestamptz, f float8);
    CREATE TYPE floats AS RANGE (subtype = float8);"""
DECOYS = """CREATE FUNCTION row_to_json(record) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
    CREATE FUNCTION octet_length(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
    CREATE FUNCTION num_nulls(e) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
    CREATE FUNCTION differ(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
    CREATE OPERATOR <> (LEFTARG = text, RIGHTARG = text, FUNCTION = differ); CREATE TABLE change (watch int)"""
DDL = [
    "ALTER TABLE t ADD fresh e DEFAULT 'x'",
    "ALTER TABLE t ADD fresh timestamptz DEFAULT '2026-01-01'",
    "ALTER TABLE t RENAME c0 TO other",
    "ALTER TABLE t DROP c0",
    "ALTER TABLE t ALTER c0 TYPE text",
    "ALTER TABLE t RENAME TO t2; ALTER TABLE t2 RENAME TO t",
    "ALTER TYPE moment ADD ATTRIBUTE b bytea CASCADE",
    CAST,
]


@st.composite
def scenarios(draw):
    """Columns, those that are hidden, whether a cast raises, statements with DDL among them, the writer's settings."""
    types = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=6))
    statements = []
    for number in range(draw(st.integers(1, 6))):
        values = ", ".join(_literal(draw, type_) for type_ in types)
        column = draw(st.integers(0, len(types) - 1))
        changed = _literal(draw, types[column])
        statements.append(
            draw(
                st.sampled_from(
                    [
                        f"INSERT INTO t VALUES ({number}, {values})",
                        f"INSERT INTO t SELECT g, {values} FROM generate_series(100, 140) g",
                        f"UPDATE t SET c{column} = {changed}",
                        f"UPDATE t SET c{column} = {changed} WHERE id = {number - 1}",
                        "UPDATE t SET id = id + 1000",
                        f"DELETE FROM t WHERE id = {number - 1}",
                        "DELETE FROM t",
                        "TRUNCATE t",
                        "INSERT INTO t (id) VALUES (1), (1)",
                        *DDL,
                    ]
                )
            )
        )
    return {
        "types": types,
        "hide": [f"c{n}" for n in sorted(draw(st.sets(st.integers(0, len(types) - 1))))][: len(types)],
        "cast": draw(st.booleans()),
        "decoys": draw(st.booleans()),
        "generated": draw(st.booleans()),
        "settings": draw(st.lists(st.sampled_from(LEAKING), max_size=4, unique=True)),
        "statements": statements,
    }


def _literal(draw, type_):
    value = draw(st.sampled_from([None, *COLUMNS[type_]]))
    return "NULL" if value is None else "E'" + value.replace("\\", "\\\\") + "'"


def outcome(session, statement):
    try:
        execute(session, statement)
    except psycopg2.Error as error:
        return error.pgcode
    return None


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenario=scenarios())
def test_each_statement_succeeds_or_fails_alike_with_and_without_a_watch(site, scenario):
    columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(scenario["types"]))
    extra = ", twice int GENERATED ALWAYS AS (id * 2) STORED" if scenario["generated"] else ""
    results = []
    for watched in (False, True):
        name = f"{site.name}_of_test"
        site.run(f"""DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; SET search_path = {name}; {TYPES}
                     {CAST if scenario["cast"] else ""}; CREATE TABLE t (id int PRIMARY KEY, {columns}{extra})""")
        watch = site.watch("t", hide=scenario["hide"]) if watched else None
        path = f"{name}, pg_catalog" if scenario["decoys"] else name
        with closing(open_session(site.dsn, f"SET search_path = {path}; SET client_min_messages = error")) as writer:
            if scenario["decoys"]:
                execute(writer, DECOYS)
            for setting in scenario["settings"]:
                execute(writer, f"SET {setting}")
            done = [outcome(writer, statement) for statement in scenario["statements"]]
            left = execute(writer, "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY name")
        results.append((done, left, site.run("SELECT t::text FROM t ORDER BY 1")))
        if watched:
            checked(site, watch)
        site.run(f"DROP SCHEMA {name} CASCADE; SET search_path = {site.name}; SELECT sseapp.check_shapes()")
    assert results[0] == results[1]


def checked(site, watch):
    """After the check, what is logged of each row equals what a snapshot shows."""
    site.run("SELECT sseapp.check_shapes(); UPDATE t SET id = id + 5000")
    with closing(Connection(site.dsn)) as connection:
        table = catalog.load(connection)[watch]
    with closing(Database(site.dsn)) as database:
        asked = parse_query(table, [])
        shown = snapshot_rows.read(database, table, asked, asked.filter).rows
    logged = [new for (new,) in site.log("new::text", "u", watch)][-len(shown) :] if shown else []
    assert sorted(logged) == sorted(shown)
