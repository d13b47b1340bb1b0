"""Columns of every type, each with the texts that PostgreSQL takes for it and those that a filter may bring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness import strategies as texts
from hypothesis import strategies as st

from sseapp.tables.column_types import ValueType, column_type
from sseapp.tables.table import Column

LABELS = ("small", "Medium", "large", 'odd "label"', "a,b", "10")


def types_of(columns: Iterable[Column]) -> dict[str, ValueType]:
    """The value types of ``columns`` by name."""
    return {column.name: column_type(column) for column in columns}


@dataclass(frozen=True)
class Typed:
    """``sql`` is the type as in CREATE TABLE, ``only`` the one version that has it."""

    name: str
    sql: str
    column: Column
    inputs: st.SearchStrategy[str]
    literals: st.SearchStrategy[str]
    only: str = ""


def _typed(
    sql: str,
    base: str,
    inputs: st.SearchStrategy[str],
    literals: st.SearchStrategy[str] | None = None,
    *,
    name: str = "",
    kind: str = "b",
    only: str = "",
    labels: tuple[str, ...] = (),
    schema: str = "",
) -> Typed:
    column = Column("v", sql, base, kind, labels, schema=schema)
    return Typed(
        name or sql.split("(", maxsplit=1)[0], sql, column, inputs, inputs if literals is None else literals, only
    )


_LABEL_LIST = ", ".join("'" + label + "'" for label in LABELS)

SETS_UP = f"""
CREATE TYPE size AS ENUM ({_LABEL_LIST});
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN sized AS size;
CREATE DOMAIN score AS int CHECK (VALUE IS DISTINCT FROM 123456);
CREATE DOMAIN slug AS text;
CREATE DOMAIN stamp AS timestamptz;
"""
SETS_UP_15 = """
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
"""
"""Neither the extensions nor ICU come with the wheel."""

TYPES: tuple[Typed, ...] = (
    _typed("int2", "int2", texts.whole(16), texts.whole_literals(16)),
    _typed("int4", "int4", texts.whole(32), texts.whole_literals(32)),
    _typed("int8", "int8", texts.whole(64), texts.whole_literals(64)),
    _typed("oid", "oid", texts.oids()),
    _typed("numeric", "numeric", texts.numerics()),
    _typed("numeric(10,2)", "numeric", texts.scaled(), texts.scaled() | texts.CLOSE, name="numeric_scaled"),
    _typed("float4", "float4", texts.floats(32), texts.floats(32) | texts.CLOSE | texts.wide()),
    _typed("float8", "float8", texts.floats(64), texts.floats(64) | texts.CLOSE | texts.wide()),
    _typed("bool", "bool", texts.fixed("true", "false")),
    _typed("text", "text", texts.TEXTS),
    _typed("text COLLATE nd", "text", texts.TEXTS, name="text_nondeterministic", only="pg15"),
    _typed('text COLLATE "de-x-icu"', "text", texts.TEXTS, name="text_icu", only="pg15"),
    _typed("varchar(5)", "varchar", texts.TRIMMED, texts.TEXTS),
    _typed("char(5)", "bpchar", texts.TRIMMED, texts.TEXTS),
    _typed("char(5) COLLATE nd", "bpchar", texts.TRIMMED, name="char_nondeterministic", only="pg15"),
    _typed("bpchar", "bpchar", texts.TRIMMED),
    _typed("name", "name", texts.TRIMMED, texts.TRIMMED | st.just("x" * 80)),
    _typed("uuid", "uuid", texts.uuids(), texts.uuids() | texts.uuids().map(str.upper)),
    _typed("timestamptz", "timestamptz", texts.instants(), texts.moment_literals()),
    _typed("timestamptz(0)", "timestamptz", texts.instants(), texts.moment_literals(), name="timestamptz_short"),
    _typed("timestamp", "timestamp", texts.walls(), texts.moment_literals()),
    _typed("date", "date", texts.days()),
    _typed("time", "time", texts.times()),
    _typed("size", "size", texts.fixed(*LABELS), name="enum", kind="e", labels=LABELS, schema="public"),
    _typed("sized", "size", texts.fixed(*LABELS), name="domain_enum", kind="e", labels=LABELS, schema="public"),
    _typed("score", "int4", texts.whole(32), name="domain_int"),
    _typed("slug", "text", texts.TEXTS, name="domain_text"),
    _typed("stamp", "timestamptz", texts.instants(), texts.moment_literals(), name="domain_timestamptz"),
    # compared by the text that they show, so the literals are not what PostgreSQL holds to be equal
    _typed("interval", "interval", texts.fixed("1 day", "24:00:00", "1 mon -1 days", "00:00:01.5", "30 days")),
    _typed("inet", "inet", texts.fixed("10.0.0.1", "10.0.0.0/8", "::1", "10.0.0.1/32", "::ffff:1.2.3.4")),
    _typed("money", "money", texts.fixed("$1.50", "$1,000.00", "-$1.00", "1.5")),
    _typed("bytea", "bytea", texts.fixed("\\x00ff", "\\x", "\\xdead", "\\xDEAD")),
    _typed("bit(3)", "bit", texts.fixed("101", "000")),
    _typed("timetz", "timetz", texts.fixed("12:00:00+02", "10:00:00+00", "12:00:00+00")),
    _typed('"char"', "char", texts.fixed("a", "b", "", "\\"), name="one_char"),
    _typed("hstore", "hstore", texts.fixed("a=>1", "", "a=>NULL"), texts.fixed('{"a": "1"}', "{}", "a"), only="pg15"),
    _typed("citext", "citext", texts.TEXTS, only="pg15"),
    _typed("point", "point", texts.fixed("(1,2)", "(0,0)")),
    # whether there is a value is all that can be asked of these
    _typed("json", "json", texts.fixed("null", " null\n", "{}", '"null"', '"\\u0000"', '{"a":null}', "[\n1 ]")),
    _typed("jsonb", "jsonb", texts.fixed("null", "{}", '"null"', "1")),
    _typed("int[]", "int4", texts.fixed("{}", "{NULL}", "{1,2}"), name="array", kind="a"),
    _typed("pair", "pair", texts.fixed("(,)", "(1,)", "(1,x)"), name="composite", kind="c"),
    _typed("int4range", "int4range", texts.fixed("empty", "[1,2)", "(,)"), kind="r"),
    _typed("xml", "xml", texts.fixed("<a/>", "null"), only="pg15"),
)
