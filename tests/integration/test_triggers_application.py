"""The application's own triggers beside ours: every version of a row in the order in which it was made."""

from __future__ import annotations

import pytest
from harness.watching import execute


@pytest.fixture
def site(site):
    site.run(
        """CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, list int,
                           parent int REFERENCES t ON UPDATE CASCADE ON DELETE SET NULL)"""
    )
    site.watch("t")
    return site


def trigger(site, when, body):
    site.run(f"""CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
                 CREATE TRIGGER a {when} ON t FOR EACH ROW EXECUTE FUNCTION f()""")


def versions(site, column="n"):
    return [(kind, (old or new)["id"], old and old[column], new and new[column]) for kind, old, new in site.events()]


def test_a_before_trigger_that_changes_the_row(site):
    trigger(site, "BEFORE INSERT OR UPDATE", "NEW.n := NEW.n + 1; RETURN NEW;")
    site.run("INSERT INTO t VALUES (1); UPDATE t SET list = 1")
    assert versions(site) == [("i", 1, None, 1), ("u", 1, 1, 2)]


def test_a_before_trigger_that_prevents_the_change(site):
    trigger(site, "BEFORE INSERT", "RETURN NULL;")
    site.run("INSERT INTO t VALUES (1)")
    assert site.log() == []


def test_an_after_trigger_that_changes_the_same_row(site):
    trigger(site, "AFTER INSERT OR UPDATE", "UPDATE t SET n = n + 1 WHERE id = NEW.id AND n < 3; RETURN NULL;")
    site.run("INSERT INTO t VALUES (1)")
    assert versions(site) == [("i", 1, None, 0), ("u", 1, 0, 1), ("u", 1, 1, 2), ("u", 1, 2, 3)]


def test_an_after_trigger_that_changes_further_rows_of_the_same_statement(site):
    trigger(site, "AFTER INSERT", "UPDATE t SET n = 1 WHERE list = NEW.list AND id <> NEW.id AND n = 0; RETURN NULL;")
    site.run("INSERT INTO t (id, list) VALUES (1, 7), (2, 7), (3, 7), (4, 8)")
    # when row 2's own turn comes, row 1's trigger has already changed it: what is told is what it became
    assert versions(site) == [
        ("i", 1, None, 0),
        ("i", 2, None, 1),
        ("i", 3, None, 1),
        ("u", 1, 0, 1),
        ("i", 4, None, 0),
    ]
    assert site.replayed() == site.rows("t")


def test_the_same_for_updates_deletes_and_in_a_block_with_an_exception_handler(site):
    site.run("INSERT INTO t (id, list) SELECT g, 7 FROM generate_series(1, 6) g")
    trigger(
        site,
        "AFTER UPDATE",
        """BEGIN
            UPDATE t SET n = n + 10 WHERE id = NEW.id + 1 AND n < 10;
            DELETE FROM t WHERE id = NEW.id + 2 AND NEW.id = 2;
        EXCEPTION WHEN division_by_zero THEN NULL; END; RETURN NULL;""",
    )
    site.run("BEGIN; UPDATE t SET n = n + 1; UPDATE t SET n = 0; COMMIT")
    assert site.replayed() == site.rows("t")


def test_a_row_that_a_trigger_deletes_before_its_own_turn_was_never_there(site):
    trigger(site, "AFTER INSERT", "DELETE FROM t WHERE id = NEW.id + 1; RETURN NULL;")
    site.run("INSERT INTO t VALUES (1), (2)")
    assert versions(site) == [("i", 1, None, 0)]
    assert site.replayed() == site.rows("t")


def test_a_cascade_onto_rows_of_the_same_statement(site):
    site.run("INSERT INTO t (id, parent) VALUES (1, NULL), (2, 1), (3, 2), (4, 2)")
    site.run("UPDATE t SET id = id + 100, n = 1")
    assert site.replayed() == site.rows("t")
    site.run("DELETE FROM t WHERE id IN (101, 102)")
    assert site.replayed() == site.rows("t")


def test_rows_that_go_back_to_what_they_were(site):
    site.run("INSERT INTO t (id, list) VALUES (1, 7), (2, 7)")
    trigger(site, "AFTER UPDATE", "UPDATE t SET n = 0 WHERE id = NEW.id + 1 AND n = 1; RETURN NULL;")
    site.run("UPDATE t SET n = 1")
    assert site.replayed() == site.rows("t")
    assert ("u", 2, 0, 0) not in versions(site)


@pytest.mark.parametrize("hide", [[], ["list"]], ids=["all", "hidden"])
def test_a_tangle_of_triggers_over_many_statements(site, hide):
    site.watch("t", hide=hide)
    site.clear()
    trigger(
        site,
        "AFTER INSERT OR UPDATE",
        """UPDATE t SET n = n + 1, list = -list WHERE id % 5 = (NEW.id + 1) % 5 AND id <> NEW.id AND n < 4;
        IF NEW.id % 7 = 0 AND NEW.n = 4 THEN DELETE FROM t WHERE id = NEW.id + 1; END IF;
        RETURN NULL;""",
    )
    site.run("INSERT INTO t (id, list) SELECT g, g FROM generate_series(1, 30) g")
    site.run("BEGIN; UPDATE t SET n = 0 WHERE id % 2 = 0; UPDATE t SET n = n - 1; DELETE FROM t WHERE id < 4; COMMIT")
    if not hide:
        assert site.replayed() == site.rows("t")
    else:
        assert site.replayed() == site.rows("(SELECT id, n, parent FROM t)")


def test_a_trigger_that_writes_another_watched_table(site):
    site.run("CREATE TABLE audit (id int GENERATED ALWAYS AS IDENTITY, what text)")
    audit = site.watch("audit")
    trigger(site, "AFTER INSERT", "INSERT INTO audit (what) VALUES (NEW.id); RETURN NULL;")
    site.run("INSERT INTO t VALUES (1), (2)")
    assert site.log("new ->> 'what'", watch=audit) == [("1",), ("2",)]


def test_what_is_noted_for_one_transaction_is_gone_in_the_next(site):
    trigger(site, "AFTER INSERT", "UPDATE t SET n = n + 1 WHERE id = NEW.id; RETURN NULL;")
    writer = site.session()
    execute(writer, "BEGIN; INSERT INTO t VALUES (1)")
    assert execute(writer, "SELECT current_setting('sseapp.nested')") != [("",)]
    execute(writer, "COMMIT")
    assert execute(writer, "SELECT current_setting('sseapp.nested')") == [("",)]
