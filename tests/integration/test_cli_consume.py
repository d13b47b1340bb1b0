"""``sseapp consume``: what it says where it cannot start, and what ``status`` says of it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner
from harness.clusters import wait_until
from harness.consumers import Commands, prepare
from harness.servers import ROOT
from harness.watching import execute, open_session

from sseapp.cli import commands


@pytest.fixture
def run(pg18_dsn):
    prepare(pg18_dsn)

    def called(*arguments):
        answer = CliRunner().invoke(commands.main, arguments, env={"DATABASE_URL": pg18_dsn})
        return answer.exit_code, answer.output

    return called


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("json", "'json' is not of the form MODULE:FUNCTION."),
        ("json:", "'json:' is not of the form MODULE:FUNCTION."),
        ("no_such.module:f", "There is no module no_such."),
        ("json.no_such:f", "There is no module json.no_such."),
        ("json:no_such", "json has no no_such."),
        ("json:__name__", "json:__name__ cannot be called."),
    ],
)
def test_a_function_that_is_not_there(run, function, said):
    code, output = run("consume", "copy", function, "--table", "item")
    assert code == 2
    assert said in output


def test_a_table_that_is_not_watched(run):
    code, output = run("consume", "copy", "json:loads", "--table", "nowhere")
    assert code == 1
    assert "No watched table is named nowhere" in output


def test_a_module_that_fails_says_why(pg18_dsn, tmp_path):
    prepare(pg18_dsn)
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    command = [sys.executable, "-m", "sseapp", "consume", "copy", "broken:f", "--table", "item"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"DATABASE_URL": pg18_dsn, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "No module named 'no_such_module'" in done.stderr


def test_status_shows_whether_it_runs_and_how_far_it_is_behind(run, pg18_dsn):
    with closing(open_session(pg18_dsn)) as session:
        with closing(Commands(pg18_dsn)):
            wait_until(lambda: "consumer copy" in run("status")[1], what="the consumer")
            execute(session, "UPDATE item SET n = 1")
            wait_until(lambda: execute(session, "SELECT count(*) FROM effect") == [(50,)], what="the effects")
            wait_until(lambda: "consumer copy: public.item  runs  0.0 s behind\n" in run("status")[1], what="no lag")
        execute(session, "UPDATE item SET n = 2; UPDATE sseapp.change SET at = at - interval '1 minute'")
        assert "consumer copy: public.item  stopped  60" in run("status")[1]
        execute(session, "UPDATE sseapp.consumer SET failing_since = '2026-01-02', error = 'ValueError: no'")
        assert "failing since 2026-01-02" in run("status")[1]
        assert "ValueError: no\n" in run("status")[1]
