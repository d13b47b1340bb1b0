"""The commands that a person types, on a real database."""

from __future__ import annotations

from contextlib import closing

import pytest
from click.testing import CliRunner

from sseapp import cli
from sseapp.database import Connection


@pytest.fixture
def connection(pg18_dsn):
    with closing(Connection(pg18_dsn)) as found:
        found.query("CREATE TABLE customers (id int PRIMARY KEY, email text, joined date)")
        yield found


@pytest.fixture
def run(pg18_dsn, connection):  # noqa: ARG001  # the table is there
    def called(*arguments):
        answer = CliRunner().invoke(cli.main, arguments, env={"DATABASE_URL": pg18_dsn})
        return answer.exit_code, answer.output

    return called


def test_a_table_is_watched_and_what_is_watched_is_shown(run):
    code, output = run("watch", "customers", "--range", "joined", "--hide", "email")
    assert (code, output) == (0, "sseapp is installed in this database (schema sseapp).\ncustomers is watched.\n")
    assert "public.customers  key: id  range: joined  hidden: email\n" in run("status")[1]
    assert run("unwatch", "customers") == (0, "customers is no longer watched.\n")
    assert run("unwatch", "customers") == (0, "customers was not watched.\n")


@pytest.mark.parametrize(
    ("option", "shown"), [("--hide", "email"), ("--only", "all but id, joined")], ids=["hidden", "allowed"]
)
def test_columns_are_not_shown_by_a_watch_that_says_nothing_of_them(run, option, shown):
    columns = ("email",) if option == "--hide" else ("id", "joined")
    said = [part for column in columns for part in (option, column)]
    run("watch", "customers", *said)
    assert run("watch", "customers") == (0, "customers is watched.\n")
    assert f"hidden: {shown}\n" in run("status")[1]
    assert run("watch", "customers", *said) == (0, "customers is watched.\n")
    assert run("watch", "customers", "--show-all") == (0, "customers is watched.\n")
    assert "hidden: none\n" in run("status")[1]


def test_a_watch_keeps_what_it_is_not_told_to_change(run, connection):
    run("watch", "customers", "--range", "joined", "--hide", "email")
    run("watch", "customers")
    assert "range: joined  hidden: email\n" in run("status")[1]
    connection.query("ALTER TABLE customers RENAME joined TO since; ALTER TABLE customers ADD phone text")
    run("watch", "customers", "--hide", "phone")
    assert "range: since  hidden: email, phone\n" in run("status")[1]
    run("watch", "customers", "--no-range", "--show-all", "--hide", "phone")
    assert "range: none  hidden: phone\n" in run("status")[1]
    run("watch", "customers", "--only", "id")
    code, output = run("watch", "customers", "--hide", "phone")
    assert (code, "customers shows id only." in output) == (2, True)


def test_a_warning_is_shown(run, connection):
    connection.query("CREATE TABLE child () INHERITS (customers)")
    assert "customers has tables that inherit from it" in run("watch", "customers")[1]


def test_a_virtual_column_is_left_out_by_nobody(run, connection):
    connection.query("ALTER TABLE customers ADD v int GENERATED ALWAYS AS (id * 2) VIRTUAL")
    assert run("watch", "customers")[0] == run("watch", "customers")[0] == 0


def test_an_update_leaves_what_is_watched_as_it_is(run, connection):
    run("watch", "customers", "--hide", "email", "--range", "joined")
    assert run("install") == (0, "sseapp is there already, in this version.\n")
    connection.query("UPDATE sseapp.state SET digest = 'older'")
    assert run("install") == (0, "sseapp is installed in this database (schema sseapp).\n")
    assert "range: joined  hidden: email\n" in run("status")[1]


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
    assert f"Error: '{name}' is no table's name: write table or schema.table, quoted where" in output


def test_a_database_that_is_not_there_is_named_by_its_setting():
    answer = CliRunner().invoke(cli.main, ["status"], env={"DATABASE_URL": "postgresql://u:topsecret@127.0.0.1:1/x"})
    assert answer.exit_code == 1
    assert "Error: No connection to the database of DATABASE_URL: " in answer.output
    assert "secret" not in answer.output


def test_an_earlier_form_of_the_log_is_called_so(run, connection):
    run("watch", "customers")
    connection.query("UPDATE sseapp.state SET digest = 'older', version = 1; DROP FUNCTION sseapp.epoch()")
    for command in ("install", "watch"):
        code, output = run(command, *(["customers"] if command == "watch" else []))
        assert code == 1
        assert "uninstall it (python -m sseapp uninstall)" in output
    assert "of another version" in run("status")[1]
