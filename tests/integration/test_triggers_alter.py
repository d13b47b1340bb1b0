"""A watch never breaks the application's writes, whatever happens to the table."""

from __future__ import annotations

import pytest
from harness.watching import execute

CHANGES = {
    "add": "ALTER TABLE t ADD fresh int DEFAULT 7",
    "add generated": "ALTER TABLE t ADD twice int GENERATED ALWAYS AS (n * 2) STORED",
    "drop": "ALTER TABLE t DROP name",
    "drop the key": "ALTER TABLE t DROP id CASCADE",
    "drop the range column": "ALTER TABLE t DROP at",
    "rename": "ALTER TABLE t RENAME name TO title",
    "rename the key": "ALTER TABLE t RENAME id TO number",
    "rename the range column": "ALTER TABLE t RENAME at TO moment",
    "type": "ALTER TABLE t ALTER name TYPE varchar(40), ALTER n TYPE numeric",
    "type of the key": "ALTER TABLE t ALTER id TYPE bigint",
    "other key": "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD UNIQUE (name)",
    "swap names": "ALTER TABLE t RENAME id TO x; ALTER TABLE t RENAME n TO id; ALTER TABLE t RENAME x TO n",
    "unlogged": "ALTER TABLE t SET UNLOGGED",
    "owner": "ALTER TABLE t OWNER TO CURRENT_USER",
}


@pytest.mark.parametrize("change", CHANGES)
def test_columns_come_go_and_change(site, change):
    site.run("CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz DEFAULT now(), n int DEFAULT 1)")
    site.watch("t", "at")
    writer = site.session(setup="INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    site.run(CHANGES[change])
    site.run("SELECT sseapp.check_shapes()")
    before = len(site.log())
    execute(writer, "DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)")
    execute(writer, f"UPDATE t SET {touched(site)}")
    execute(writer, "DELETE FROM t")
    assert [kind for kind, _, _ in site.log()][before:] == ["d", "u", "d"]
    assert site.rows("t") == []


def touched(site):
    """What sets the first column of an integer type to another value."""
    return site.value("""SELECT format('%I = 100', attname) FROM pg_attribute
        WHERE attrelid = 't'::regclass AND attnum > 0 AND attgenerated = ''
          AND atttypid IN ('int'::regtype, 'bigint'::regtype, 'numeric'::regtype) ORDER BY attnum LIMIT 1""")


def test_renamed_and_moved_tables(site):
    site.run("CREATE TABLE t (id int PRIMARY KEY)")
    watch = site.watch("t")
    site.run(f"ALTER TABLE t RENAME TO u; CREATE SCHEMA {site.name}_b; ALTER TABLE u SET SCHEMA {site.name}_b")
    site.run(f"INSERT INTO {site.name}_b.u VALUES (1); CREATE TABLE t (id int); INSERT INTO t VALUES (2)")
    assert site.events() == [("i", None, {"id": 1})]
    assert site.value(f"SELECT sseapp.watch('{site.name}_b.u')") == watch
    site.run(f"DROP SCHEMA {site.name}_b CASCADE")


def test_the_role_that_writes_needs_no_right_of_ours(site, server):
    role = f"writer_{site.name}"
    server.execute(f"CREATE ROLE {role} LOGIN")
    site.run(f"""CREATE TABLE t (id int PRIMARY KEY, secret text); CREATE TABLE u (id int);
                 GRANT USAGE ON SCHEMA {site.name} TO {role}; GRANT ALL ON t, u TO {role}""")
    site.watch("t", hide=["secret"])
    site.watch("u")
    writer = site.session(role)
    execute(
        writer,
        "INSERT INTO t VALUES (1, 'x'); UPDATE t SET id = 2; DELETE FROM t; TRUNCATE t; INSERT INTO u VALUES (1)",
    )
    assert [kind for kind, _, _ in site.log()] == ["i", "u", "d", "t", "i"]
    for statement in ("SELECT * FROM sseapp.change", "SELECT sseapp.watch('u')", "SELECT * FROM sseapp.watched"):
        with pytest.raises(Exception, match="permission denied for schema sseapp"):
            execute(writer, statement)
