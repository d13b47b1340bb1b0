"""The commands that a person types, on a real database."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from sseapp.cli import commands
from sseapp.postgres.database import Connection

NEXT = "Next: `python -m sseapp serve` shows it at http://127.0.0.1:8000/; `doctor` checks the way.\n"


@pytest.fixture
def connection(pg18_dsn):
    with closing(Connection(pg18_dsn)) as found:
        found.query("CREATE TABLE customers (id int PRIMARY KEY, email text, joined date)")
        yield found


@pytest.fixture
def run(pg18_dsn, connection):  # noqa: ARG001  # the table is there
    def called(*arguments):
        answer = CliRunner().invoke(commands.main, arguments, env={"DATABASE_URL": pg18_dsn})
        return answer.exit_code, answer.output

    return called


def test_a_table_is_watched_and_what_is_watched_is_shown(run):
    code, output = run("watch", "customers", "--range", "joined", "--hide", "email")
    assert (code, output) == (
        0,
        "sseapp is installed in this database (schema sseapp).\ncustomers is watched.\n" + NEXT,
    )
    assert "public.customers  key: id  range: joined  hidden: email  log: " in run("status")[1]
    assert "epoch" not in run("status")[1]
    assert run("unwatch", "customers") == (0, "customers is no longer watched.\n")
    assert run("unwatch", "customers") == (0, "customers was not watched.\n")


@pytest.mark.parametrize(
    ("option", "shown"), [("--hide", "email"), ("--only", "all but id, joined")], ids=["hidden", "allowed"]
)
def test_a_second_watch_changes_only_what_it_names(run, option, shown):
    columns = ("email",) if option == "--hide" else ("id", "joined")
    run("watch", "customers", "--range", "joined", *(part for column in columns for part in (option, column)))
    for options, expected in (
        ((), f"range: joined  hidden: {shown}  log: "),
        (("--no-range",), f"range: none  hidden: {shown}  log: "),
        (("--range", "joined"), f"range: joined  hidden: {shown}  log: "),
        (("--show-all",), "range: joined  hidden: none  log: "),
    ):
        assert run("watch", "customers", *options) == (0, "customers is watched.\n")
        assert expected in run("status")[1], options


def test_a_column_is_hidden_besides_those_hidden_so_far(run, connection):
    connection.query("ALTER TABLE customers ADD phone text, ADD street text")
    run("watch", "customers", "--hide", "email")
    run("watch", "customers", "--hide", "phone", "--hide", "email")
    assert "hidden: email, phone  log: " in run("status")[1]
    run("watch", "customers", "--show-all", "--hide", "street")
    assert "hidden: street  log: " in run("status")[1]
    run("watch", "customers", "--only", "id", "--only", "phone")
    assert "hidden: all but id, phone  log: " in run("status")[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--hide", "email"), "customers shows only id, joined so far"),
        (("--hide", "email", "--only", "id"), "not both"),
    ],
)
def test_options_that_contradict_what_is_shown_are_refused(run, options, words):
    run("watch", "customers", "--only", "id", "--only", "joined")
    code, output = run("watch", "customers", *options)
    assert code == 2
    assert words in output
    assert "hidden: all but id, joined  log: " in run("status")[1]


def test_contradicting_options_are_refused(run):
    run("watch", "customers", "--range", "joined", "--hide", "email")
    for options, words in (
        (("--range", "id", "--no-range"), "Give --range or --no-range, not both."),
        (("--only", "id", "--show-all"), "Give --only or --show-all, not both."),
        (("--only", "id", "--hide", "email"), "Give --hide or --only, not both."),
    ):
        code, output = run("watch", "customers", *options)
        assert (code, words in output) == (2, True), options
        assert "range: joined  hidden: email  log: " in run("status")[1]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_hidden_column_that_is_dropped_and_created_again_stays_hidden(run, connection, renamed):
    run("watch", "customers", "--hide", "email")
    name = "address" if renamed else "email"
    if renamed:
        connection.query("ALTER TABLE customers RENAME email TO address")
        run("watch", "customers")
    connection.query(f"ALTER TABLE customers DROP {name}")
    run("watch", "customers", "--range", "joined")
    connection.query(f"ALTER TABLE customers ADD {name} text")
    assert run("watch", "customers") == (0, "customers is watched.\n")
    assert f"range: joined  hidden: {name}  log: " in run("status")[1]
    run("watch", "customers", "--show-all")
    assert "hidden: none  log: " in run("status")[1]


def test_the_agreement_to_show_all_rows_is_kept(run, connection):
    connection.query("ALTER TABLE customers ENABLE ROW LEVEL SECURITY")
    assert run("watch", "customers")[0] == 1
    assert run("watch", "customers", "--subscribers-see-all-rows")[0] == 0
    assert run("watch", "customers", "--range", "joined")[0] == 0
    assert "all rows, in spite of row-level security" in run("status", "--verbose")[1]


def test_the_status_says_how_much_of_the_log_is_whose(run, connection):
    run("watch", "customers")
    connection.query("CREATE TABLE quiet (id int PRIMARY KEY)")
    run("watch", "quiet")
    connection.query("INSERT INTO customers SELECT generate_series(1, 999)")
    output = run("status")[1]
    assert "public.customers  key: id  range: none  hidden: none  log: 100%\n" in output
    assert "public.quiet  key: id  range: none  hidden: none  log: 0%\n" in output


def test_the_status_as_json(run):
    run("watch", "customers", "--hide", "email")
    told = json.loads(run("status", "--json")[1])
    (table,) = told["tables"]
    assert (table["name"], table["key"], table["hidden"]) == ("public.customers", ["id"], ["email"])
    assert told["log"]["rows"] >= 0
    assert told["details"]["polled_for"] == 0


def test_a_verbose_status_says_what_a_server_depends_on(run, connection, pg18_dsn):
    run("watch", "customers")
    output = run("status", "--verbose")[1]
    assert "servers learn of changes by: NOTIFY\n" in output
    assert "watch 1, generation 1, since " in output
    with closing(Connection(pg18_dsn)):
        assert "servers at 127.0.0.1: 2 sessions" in run("status", "--verbose")[1]
    connection.query("SELECT sseapp.quicken(5000)")
    assert "servers learn of changes by: polling, for another 4." in run("status", "--verbose")[1]


def test_a_watch_keeps_its_columns_when_they_are_renamed(run, connection):
    run("watch", "customers", "--range", "joined", "--hide", "email")
    connection.query("ALTER TABLE customers RENAME joined TO since; ALTER TABLE customers ADD phone text")
    run("watch", "customers", "--hide", "phone")
    assert "range: since  hidden: email, phone  log: " in run("status")[1]


def test_a_warning_is_shown(run, connection):
    connection.query("CREATE TABLE child () INHERITS (customers)")
    assert "customers has tables that inherit from it" in run("watch", "customers")[1]


def test_tables_that_came_to_inherit_later_are_named(run, connection):
    run("watch", "customers")
    connection.query("CREATE TABLE child () INHERITS (customers)")
    assert "without the rows of tables that inherit from it: public.child\n" in run("status")[1]


def test_what_fires_on_a_table_is_printed(run, connection):
    connection.query("""CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                        CREATE TABLE "Odd ""name" (id int PRIMARY KEY, secret text)""")
    run("watch", "customers", "--hide", "email")
    code, output = run("sql", "customers")
    assert (code, output.count("CREATE OR REPLACE FUNCTION sseapp.")) == (0, 4)
    assert output.index("FUNCTION sseapp.log_1_delete()") < output.index("FUNCTION sseapp.log_truncate()")
    assert output.count("CREATE TRIGGER ") == output.count("ENABLE ALWAYS TRIGGER ") == 4
    assert "r.joined" in output
    assert "email" not in output
    # it is SQL, and what is there already
    connection.query(output.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER"))
    connection.query("CREATE TRIGGER mine AFTER INSERT ON customers FOR EACH ROW EXECUTE FUNCTION mine()")
    connection.query("SELECT sseapp.go_by_row_after(0)")
    output = run("sql", "customers")[1]
    assert output.count("CREATE OR REPLACE FUNCTION sseapp.") == output.count("CREATE TRIGGER ") == 2, "by row"
    assert "mine" not in output
    run("watch", 'Odd "name')
    assert 'ON public."Odd ""name" ' in run("sql", 'Odd "name')[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("customers",), 1, "customers is not watched, so nothing fires on it. Watch it first: `watch customers`."),
        (("nowhere",), 1, "nowhere"),
        (("customers", "--uninstall"), 2, "Give TABLE or --uninstall, not both."),
    ],
)
def test_what_does_not_fire_is_said(run, arguments, code, words):
    run("install")
    found, output = run("sql", *arguments)
    assert found == code
    assert words in output


def test_before_the_install_nothing_fires(run):
    code, output = run("sql", "customers")
    assert (code, "install" in output) == (1, True)


def test_a_virtual_column_is_left_out_by_nobody(run, connection):
    connection.query("ALTER TABLE customers ADD v int GENERATED ALWAYS AS (id * 2) VIRTUAL")
    assert run("watch", "customers")[0] == run("watch", "customers")[0] == 0


def test_an_update_leaves_what_is_watched_as_it_is(run, connection):
    run("watch", "customers", "--hide", "email", "--range", "joined")
    assert run("install") == (0, "sseapp is already installed, in this version.\n")
    connection.query("UPDATE sseapp.state SET digest = 'older'")
    assert run("install") == (0, "sseapp is installed in this database (schema sseapp).\n")
    assert "range: joined  hidden: email  log: " in run("status")[1]


@pytest.mark.parametrize("command", [("unwatch", "customers"), ("prune",)])
def test_where_it_is_not_installed_that_is_said(run, command):
    code, output = run(*command)
    assert (code, output) == (
        1, "Error: sseapp is not installed in this database: `python -m sseapp watch TABLE` installs it.\n",
    )  # fmt: skip


@pytest.mark.parametrize("command", [("watch",), ("watch", "--hide", "email"), ("unwatch",)])
@pytest.mark.parametrize("name", ["", "a b", "a..b"])
def test_what_is_no_tables_name(run, command, name):
    run("install")
    code, output = run(*command, name)
    assert code == 1
    assert f"Error: '{name}' is not the name of a table. Write table or schema.table." in output


def test_a_database_that_is_not_there_is_named_by_its_setting():
    answer = CliRunner().invoke(
        commands.main, ["status"], env={"DATABASE_URL": "postgresql://u:topsecret@127.0.0.1:1/x"}
    )
    assert answer.exit_code == 1
    assert "Error: Cannot connect to the database of DATABASE_URL: " in answer.output
    assert "secret" not in answer.output


def test_an_earlier_form_of_the_log_is_called_so(run, connection):
    run("watch", "customers")
    connection.query("UPDATE sseapp.state SET digest = 'older', version = 1; DROP FUNCTION sseapp.epoch()")
    for command in ("install", "watch"):
        code, output = run(command, *(["customers"] if command == "watch" else []))
        assert code == 1
        assert "uninstall it (python -m sseapp uninstall)" in output
    assert "another version of sseapp" in run("status")[1]
