"""What the application is told of watched tables, and which of them a path names."""

from __future__ import annotations

from contextlib import closing

import pytest
from harness.versions import since

from sseapp.errors import BadParameterError, NotFoundError, UndefinedError
from sseapp.postgres import catalog
from sseapp.postgres.database import Connection
from sseapp.tables.table import Column


@pytest.fixture
def load(site):
    with closing(Connection(site.dsn)) as connection:
        connection.query(f"SET search_path = {site.name}, {site.name}_b")

        def load():
            connection.query("SELECT sseapp.check_shapes()")
            return catalog.load(connection)

        yield load


def test_the_columns_in_the_tables_order_with_their_types(site, load):
    site.run("""CREATE TYPE mood AS ENUM ('b', 'a', 'größer'); ALTER TYPE mood ADD VALUE 'first' BEFORE 'b';
        CREATE DOMAIN amount AS numeric(10, 2); CREATE DOMAIN price AS amount; CREATE DOMAIN feeling AS mood;
        CREATE TYPE pair AS (x int, y int);
        CREATE TABLE t ("Id" int PRIMARY KEY, at timestamptz(3), price price, feeling feeling, moods mood[],
                        matrix int[][], code char(4), span tstzrange, spans tstzmultirange, pair pair, secret text,
                        "q""q" varchar(7))""")
    watch = site.watch("t", "at", hide=["secret"])
    table = load()[watch]
    assert (table.watch, table.schema, table.name, str(table)) == (watch, site.name, "t", f"{site.name}.t")
    assert table.oid == site.value("SELECT 't'::regclass::oid::bigint")
    assert (table.key, table.range, table.only, table.place, table.generation) == (("Id",), "at", True, 1, 1)
    assert table.reason == "the table is watched"
    labels = ("first", "b", "a", "größer")
    assert table.columns == (
        Column("Id", "integer", "int4"),
        Column("at", "timestamp(3) with time zone", "timestamptz"),
        Column("price", "price", "numeric"),
        Column("feeling", "feeling", "mood", "e", labels, as_text=True, schema=site.name),
        Column("moods", "mood[]", "_mood", "a"),
        Column("matrix", "integer[]", "_int4", "a"),
        Column("code", "character(4)", "bpchar"),
        Column("span", "tstzrange", "tstzrange", "r"),
        Column("spans", "tstzmultirange", "tstzmultirange", "m"),
        Column("pair", "pair", "pair", "c"),
        Column('q"q', "character varying(7)", "varchar"),
    )


KEYS = {
    "primary": ("a int, b int PRIMARY KEY, c int NOT NULL UNIQUE", ("b",)),
    "order of the index": ("a int, b int, c int, PRIMARY KEY (c, a)", ("c", "a")),
    "unique": ("a int, b int UNIQUE NOT NULL", ("b",)),
    "shortest unique": ("a int NOT NULL, b int NOT NULL, c int NOT NULL, UNIQUE (a, b), UNIQUE (c)", ("c",)),
    "included columns": ("a int NOT NULL, b int, UNIQUE (a) INCLUDE (b)", ("a",)),
    "nullable": ("a int UNIQUE, b int", None),
    "partly nullable": ("a int NOT NULL, b int, UNIQUE (a, b)", None),
    "deferrable": ("a int PRIMARY KEY DEFERRABLE", None),
    "deferrable, and another": ("a int PRIMARY KEY DEFERRABLE, b int NOT NULL UNIQUE", ("b",)),
    "none": ("a int", None),
}


@pytest.mark.parametrize("case", KEYS)
def test_the_key(site, load, case):
    columns, key = KEYS[case]
    site.run(f"CREATE TABLE t ({columns})")
    watch = site.watch("t")
    assert load()[watch].key == key


@pytest.mark.parametrize("index", ["(a) WHERE a > 0", "((a + 1))", "(a, (b || ''))"])
def test_partial_indexes_and_those_over_expressions_are_no_key(site, load, index):
    site.run(f"CREATE TABLE t (a int NOT NULL, b text NOT NULL); CREATE UNIQUE INDEX ON t {index}")
    watch = site.watch("t")
    assert load()[watch].key is None
    site.run("CREATE UNIQUE INDEX ON t (b, a)")
    assert load()[watch].key == ("b", "a")


def test_a_key_over_a_hidden_column_is_no_key(site, load):
    site.run("CREATE TABLE t (a int NOT NULL, secret int NOT NULL)")
    watch = site.watch("t", hide=["secret"])
    site.run("ALTER TABLE t ADD UNIQUE (secret)")
    assert load()[watch].key is None
    site.run("ALTER TABLE t ADD PRIMARY KEY (a, secret)")
    assert load()[watch].key is None


def test_not_null_that_is_promised_for_new_rows_only_is_no_key(site, load, server):
    since(server.version, 18, "NOT NULL ... NOT VALID")
    site.run(
        "CREATE TABLE t (a int UNIQUE); INSERT INTO t VALUES (NULL);ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID"
    )
    watch = site.watch("t")
    assert load()[watch].key is None
    site.run("DELETE FROM t; ALTER TABLE t VALIDATE CONSTRAINT n")
    assert load()[watch].key == ("a",)


def test_partitioned_tables_are_read_whole(site, load):
    site.run("CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT")
    parent, part = site.watch("p"), site.watch("p1")
    tables = load()
    assert (tables[parent].only, tables[part].only) == (False, True)
    assert tables[parent].key == ("id",)


def test_hidden_and_allowed_columns_after_renames(site, load):
    site.run("CREATE TABLE t (id int, secret int, name int); CREATE TABLE u (id int, secret int, name int)")
    hidden, allowed = site.watch("t", hide=["secret"]), site.watch("u", only_columns=["id", "name"])
    site.run("ALTER TABLE t RENAME secret TO open; ALTER TABLE t ADD secret int; ALTER TABLE t ADD fresh int")
    site.run("ALTER TABLE u RENAME name TO title; ALTER TABLE u ADD fresh int; ALTER TABLE u ADD name int")
    tables = load()
    assert list(tables[hidden].by_name) == ["id", "name", "fresh"]
    assert list(tables[allowed].by_name) == ["id", "title"]


def test_virtual_generated_columns_are_left_out(site, load, server):
    since(server.version, 18, "virtual generated columns")
    site.run("CREATE TABLE t (id int, v int GENERATED ALWAYS AS (id * 2) VIRTUAL)")
    watch = site.watch("t")
    assert list(load()[watch].by_name) == ["id"]
    site.run("ALTER TABLE t ADD w int GENERATED ALWAYS AS (id * 3) VIRTUAL")
    assert list(load()[watch].by_name) == ["id"]


def test_a_range_column_that_was_dropped_and_a_table_that_was(site, load):
    site.run("CREATE TABLE t (id int, at date); CREATE TABLE u (id int)")
    watch, gone = site.watch("t", "at"), site.watch("u")
    site.run("ALTER TABLE t DROP at; DROP TABLE u")
    tables = load()
    assert tables[watch].range is None
    assert gone not in tables


def test_row_level_security_switched_on_later_takes_the_table_out(site, load):
    site.run("CREATE TABLE t (id int); CREATE TABLE u (id int)")
    plain, open_to_all = site.watch("t"), site.watch("u", subscribers_see_all_rows=True)
    site.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE u ENABLE ROW LEVEL SECURITY")
    tables = load()
    assert plain not in tables
    assert open_to_all in tables


@pytest.fixture
def tables(site, load):
    other = f"{site.name}_b"
    site.run(f"""CREATE SCHEMA {other}; CREATE TABLE orders (id int); CREATE TABLE {other}.orders (id int);
        CREATE TABLE {other}.late (id int); CREATE TABLE "Orders" (id int); CREATE TABLE "ta/b.le ""x"" " (id int);
        CREATE TABLE "with space-and-dash ñ" (id int); CREATE TABLE unwatched (id int);
        CREATE SCHEMA "{site.name}.c"; CREATE TABLE "{site.name}.c".far (id int);
        CREATE TABLE "OrderItem" (id int); CREATE TABLE orderitem (id int); CREATE TABLE "late.orders" (id int);
        CREATE TABLE {other}."OrderItem" (id int); CREATE TABLE {other}."Bestellung Straße" (id int)""")
    for name in (
        "orders",
        f"{other}.orders",
        f"{other}.late",
        '"Orders"',
        '"ta/b.le ""x"" "',
        '"with space-and-dash ñ"',
        '"OrderItem"',
        "orderitem",
        '"late.orders"',
        f'{other}."OrderItem"',
        f'{other}."Bestellung Straße"',
    ):
        site.watch(name)
    site.watch(f'"{site.name}.c".far')
    yield load()
    site.run(f'DROP SCHEMA {other}, "{site.name}.c" CASCADE')


def test_paths(site, tables):
    one, two, three = site.name, f"{site.name}_b", f"{site.name}.c"
    for path, name in {
        "orders": f"{one}.orders",
        "ORDERS": f"{one}.orders",
        '"orders"': f"{one}.orders",
        '"Orders"': f"{one}.Orders",
        f"{one}.orders": f"{one}.orders",
        f"{two.upper()}.Orders": f"{two}.orders",
        f'"{two}"."orders"': f"{two}.orders",
        f"{two}.orders": f"{two}.orders",
        # literally first
        "Orders": f"{one}.Orders",
        "OrderItem": f"{one}.OrderItem",
        "ORDERITEM": f"{one}.orderitem",
        f"{two}.OrderItem": f"{two}.OrderItem",
        f'{two.upper()}."OrderItem"': f"{two}.OrderItem",
        "late.orders": f"{one}.late.orders",
        f"{one}.late.orders": f"{one}.late.orders",
        "Bestellung Straße": f"{two}.Bestellung Straße",
        'ta/b.le "x" ': f'{one}.ta/b.le "x" ',
        f"{three}.far": f"{three}.far",
        "late": f"{two}.late",
        '"ta/b.le ""x"" "': f'{one}.ta/b.le "x" ',
        f'{one}."ta/b.le ""x"" "': f'{one}.ta/b.le "x" ',
        "with space-and-dash ñ": f"{one}.with space-and-dash ñ",
        f'"{three}".far': f"{three}.far",
    }.items():
        assert str(catalog.resolve(tables, path)) == name, path


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a.b.c", '"', '""', '"a', 'a"', '"a"b', 'a"b"', '"a"".b', "a..b", 'a."b".c', "a/b"]
)
def test_a_name_that_sql_cannot_read_is_not_found(tables, path):
    with pytest.raises(NotFoundError, match="No watched table is named") as caught:
        catalog.resolve(tables, path)
    assert caught.value.parameter == "table"


def test_of_two_tables_that_show_alike_the_first_in_the_search_path_is_meant(site, tables):
    one = site.name
    site.run(f'CREATE SCHEMA "{one}.late"; CREATE TABLE "{one}.late".orders (id int)')
    assert str(catalog.resolve(tables, f"{one}.late.orders")) == f"{one}.late.orders"
    site.run(f'DROP SCHEMA "{one}.late" CASCADE')


def test_a_command_names_a_table_as_an_address_does(site, tables):
    with closing(Connection(site.dsn)) as connection:
        connection.query(f"SET search_path = {site.name}, {site.name}_b")
        other = f"{site.name}_b"
        names = ("orders", "ORDERS", "Orders", '"Orders"', "OrderItem", "ORDERITEM", "late.orders", "Bestellung Straße")
        for path in (*names, 'ta/b.le "x" ', f"{other}.OrderItem", f'{other}."OrderItem"', "late"):
            assert catalog.relation(connection, path) == catalog.resolve(tables, path).oid, path
        assert catalog.relation(connection, "unwatched") == site.value("SELECT 'unwatched'::regclass::oid::bigint")
        with pytest.raises(UndefinedError, match="nothing"):
            catalog.relation(connection, "nothing")
        for path in ("", "a b", "a..b"):
            with pytest.raises(BadParameterError, match="is not the name of a table"):
                catalog.relation(connection, path)


@pytest.mark.parametrize("path", ["unwatched", "nothing", "pg_class", "pg_catalog.pg_class", "sseapp.change", '" "'])
def test_what_is_not_watched_is_not_found_whether_it_is_there_or_not(tables, path):
    with pytest.raises(NotFoundError) as caught:
        catalog.resolve(tables, path)
    assert caught.value.detail == f"No watched table is named {path}. GET /tables lists them; sseapp.watch() adds one."
    assert caught.value.parameter == "table"


def test_the_error_helps_with_schemas_and_upper_case(site, tables):
    with pytest.raises(NotFoundError, match=rf"Do you mean {site.name}\.c\.far\?"):
        catalog.resolve(tables, "far")
    with pytest.raises(NotFoundError, match=rf"Do you mean {site.name}\.Orders or {site.name}\.orders or .*\?"):
        catalog.resolve(tables, '"ORDERS"')
