"""A value of every type: the log's text is what row_to_json writes in a session with pinned settings."""

from __future__ import annotations

import json
import re

import pytest
from harness.versions import since
from harness.watching import execute

from sseapp.postgres import database

TYPES = r"""
CREATE TYPE mood AS ENUM ('sad', 'with "quotes"', 'größer');
CREATE DOMAIN percent AS numeric(5, 2) CHECK (value <= 100);
CREATE DOMAIN half AS percent CHECK (value <= 50);
CREATE TYPE point3 AS (x int, "y y" numeric, at timestamptz);
CREATE TYPE floats AS RANGE (subtype = float8);
CREATE DOMAIN moods AS mood[]"""
VALUES = [
    ("int2", ["-32768"]),
    ("int8", ["9223372036854775807"]),
    ("numeric", ["1.50", "NaN", "Infinity", "123456789012345678901234.10"]),
    ("float4", ["0.1", "NaN", "-0"]),
    ("float8", ["-Infinity", "1e-300", "0.1"]),
    ("money", ["-12.30"]),
    ("bool", ["true"]),
    ("text", ["", 'a\nb\t"\\u0000\\\\\u0001\x7f\u2028\U0001f600', "NULL", "x" * 1_000_000]),
    ("varchar(3)", ["abc"]),
    ("char(5)", ["ab"]),
    ("name", ["n"]),
    ('"char"', ["c"]),
    ("bytea", ["\\x00ff", "", "\\x" + "ab" * 300_000]),
    ("uuid", ["00000000-0000-0000-0000-00000000000a"]),
    ("date", ["infinity", "0044-03-15 BC", "2026-01-31"]),
    ("timestamp", ["-infinity", "0044-03-15 12:00 BC", "294276-12-31 23:59:59.999999"]),
    ("timestamptz", ["infinity", "2026-03-29 02:30+01", "0001-01-01 00:00+00 BC"]),
    ("time", ["24:00"]),
    ("timetz", ["12:00+05:30"]),
    ("interval", ["1 year -2 days 03:04:05.678", "-1 s"]),
    ("interval[]", ["{1 day}"]),
    (
        "json",
        [r'{"a": "\u0000\ud800", "a": [1 ,  2]}', " [1,\n2]\r\n", "null", r'"\\u0000 \\\u0000"', '{"hidden":"s"}'],
    ),
    ("jsonb", ['{"b": 1.50, "hidden": "secret"}']),
    ("xml", ["<a>&amp;</a>"]),
    ("int[]", ["{{1,2},{3,NULL}}", "[5:6]={7,8}", "{}"]),
    ("text[]", ['{"a,b",NULL,"NULL"}']),
    ("timestamptz[]", ['{"2026-01-01 00:00+00"}']),
    ("mood", ["größer"]),
    ("moods", [r'{sad,"with \"quotes\""}']),
    ("half", ["49.5"]),
    ("point3", ['(1,2.50,"2026-01-01 00:00+02")', "(,,)"]),
    ("point3[]", ['{"(1,2,)"}']),
    ("int4range", ["empty", "(1,5]"]),
    ("tstzrange", ["[2026-01-01 00:00+02,)"]),
    ("floats", ["[0.1,NaN]"]),
    ("datemultirange", ["{[2026-01-01,2026-01-03),[2027-01-01,)}"]),
    ("point", ["(1,2.5)"]),
    ("polygon", ["((0,0),(1,1),(1,0))"]),
    ("inet", ["::1/64"]),
    ("cidr", ["10.0.0.0/8"]),
    ("macaddr", ["08:00:2b:01:02:03"]),
    ("bit(3)", ["101"]),
    ("varbit", ["1"]),
    ("tsvector", ["a:1 b:2"]),
    ("tsquery", ["a & b"]),
    ("oid", ["4294967295"]),
    ("xid8", ["18446744073709551615"]),
    ("pg_lsn", ["16/B374D848"]),
    ("pg_snapshot", ["10:20:10,14"]),
    ("jsonpath", ["$.a"]),
]
WRITER = "SET TimeZone = 'America/St_Johns'; SET bytea_output = 'escape'; SET IntervalStyle = 'sql_standard'"


@pytest.mark.parametrize("hide", [[], ["hidden"]], ids=["all", "hidden"])
def test_every_type_with_its_odd_values(site, server, hide):
    # the wheel's PostgreSQL is built without libxml
    values_of = [entry for entry in VALUES if entry[0] != "xml" or server.version != "pg18"]
    names = [f"c{number}" for number in range(len(values_of))]
    site.run(TYPES)
    site.run(f"""CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, hidden text DEFAULT 'secret',
                 {", ".join(f"{name} {type_}" for name, (type_, _) in zip(names, values_of, strict=True))},
                 twice int GENERATED ALWAYS AS (id * 2) STORED)""")
    site.watch("t", hide=hide)
    writer = site.session(setup=WRITER)
    for name, (_, values) in zip(names, values_of, strict=True):
        for value in values:
            execute(writer, f"INSERT INTO t ({name}) VALUES (%s)", (value,))
    execute(writer, "UPDATE t SET hidden = 'changed', c0 = coalesce(c0, 0) + 1")
    if hide:
        expected = site.rows(f"(SELECT id, {', '.join(names)}, twice FROM t)")
        # spaces round an embedded json text are not kept
        assert sorted(map(json.loads, site.replayed()), key=id_) == sorted(map(json.loads, expected), key=id_)
        assert not [
            old for _, old, new in site.log() if '"secret"}' in f"{old}{new}".replace('"hidden": "secret"}', "")
        ]
    else:
        assert site.replayed() == site.rows("t")


def test_triggers_pin_what_our_sessions_do(site):
    """A snapshot and a change print a row alike."""
    pinned = dict(re.findall(r"SET (\w+) = '?([^';]*)'?", database._SESSION))
    for name in ("standard_conforming_strings", "row_security", "default_transaction_read_only"):
        del pinned[name]  # a row's text does not depend on it
    assert pinned.items() <= dict(site.run("SELECT name, value FROM sseapp.pinned_settings()")).items()
    given = site.value("SELECT proconfig FROM pg_proc WHERE proname = 'log_row_anew'")
    assert pinned.items() <= dict(each.split("=", 1) for each in given).items()


def id_(row):
    return row["id"]


def test_a_virtual_generated_column_is_not_shown(site, server):
    since(server.version, 18, "virtual generated columns")
    site.run(
        """CREATE TABLE t (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id * 2) VIRTUAL,
                           s int GENERATED ALWAYS AS (id * 3))"""
    )
    site.watch("t")
    site.run("INSERT INTO t VALUES (1)")
    assert site.events() == [("i", None, {"id": 1})]
