import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from harness.clusters import wait_until
from harness.processes import Program, is_gone

from sseapp.embedded.child import Child

STUBBORN = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""

SPRINTER = """
import os, select, subprocess, sys, sseapp.embedded.supervisor as supervisor
supervisor.FIRST_DELAY, supervisor.LONGEST_DELAY, supervisor.MOST_FAILURES = 0.001, 0.01, 5
class Popen(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
subprocess.Popen = Popen
select.select([0], [], [])
sys.exit(supervisor.Supervisor("TERM:1", ["sh", "-c", "echo try; exit 7"]).run())
"""

PARENT = """
import os, sys
from pathlib import Path
from sseapp.embedded.child import Child
child = Child(["sleep", "600"], plan="TERM:1", log=Path("log"))
{more}
print(child.pid, flush=True)
os.read(0, 1)
"""

FORK = """
if os.fork() == 0:
    os.read(0, 1)
    os._exit(0)
"""


def _child(supervisor: int) -> int:
    """The one process below the supervisor."""

    def found() -> list[psutil.Process]:
        children = [child for child in psutil.Process(supervisor).children() if not is_gone(child.pid)]
        return [child for child in children if not child.name().startswith("python")]

    return wait_until(found, what="a child of the supervisor")[0].pid


def _log(tmp_path) -> str:
    return (tmp_path / "log").read_text()


@pytest.fixture
def start_child(tmp_path):
    made = []

    def make(*command: str, plan: str = "TERM:2") -> Child:
        made.append(Child(command, plan=plan, log=tmp_path / "log"))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_runs_the_command_and_stops_it(start_child):
    running = start_child("sleep", "600")
    child = _child(running.pid)
    assert running.running
    running.stop()
    assert not running.running
    assert is_gone(child)


def test_writes_what_it_prints_to_the_log_that_only_we_may_read(start_child, tmp_path):
    running = start_child("echo", "a word")
    wait_until(lambda: not running.running)
    assert _log(tmp_path) == "a word\n"
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_a_command_that_ends_before_it_is_kept_is_not_started_again(start_child, tmp_path):
    running = start_child("sh", "-c", "echo once; exit 3")
    wait_until(lambda: not running.running)
    assert _log(tmp_path) == "once\n"


def test_a_kept_command_is_started_again(start_child, tmp_path):
    running = start_child("sleep", "600")
    running.keep()
    first = _child(running.pid)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: is_gone(first))
    assert _child(running.pid) != first
    assert running.running
    assert "ended with status -9; restarting it" in _log(tmp_path)


def test_a_kept_command_that_never_lasts_is_given_up(tmp_path):
    # it always ends before the supervisor looks: that the parent wants to keep it has to count all the same
    with Program(SPRINTER, tmp_path) as program:
        program.process.stdin.write("k")
        program.process.stdin.flush()
        said = program.process.stdout.read()
        assert program.process.wait(10) == 7
    assert said.count("try") == 6


def test_what_ignores_the_plan_is_killed_in_the_time_it_names(start_child, tmp_path):
    running = start_child(sys.executable, "-c", STUBBORN, plan="TERM:0.2,QUIT:0.2")
    wait_until(lambda: "ready" in _log(tmp_path))
    (child,) = psutil.Process(running.pid).children()
    began = time.monotonic()
    running.stop()
    assert 0.4 <= time.monotonic() - began < 2.0
    assert is_gone(child.pid)


def test_ends_with_a_parent_that_is_killed(tmp_path):
    with Program(PARENT.format(more=""), tmp_path) as parent:
        supervisor = int(parent.line())
        child = _child(supervisor)
        parent.kill()
        wait_until(lambda: is_gone(child) and is_gone(supervisor), 5, "the end of the child")


def test_a_forked_worker_does_not_keep_it_alive(tmp_path):
    with Program(PARENT.format(more=FORK), tmp_path) as parent:
        supervisor = int(parent.line())
        child = _child(supervisor)
        parent.process.kill()
        parent.process.wait()  # the forked worker lives on until our pipe closes
        wait_until(lambda: is_gone(child), what="the end of the child")


def test_a_forked_worker_cannot_stop_it(tmp_path):
    fork = "if os.fork() == 0:\n    child.stop()\n    os._exit(0)\nos.wait()"
    with Program(PARENT.format(more=fork), tmp_path) as parent:
        child = _child(int(parent.line()))
        assert not is_gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux passes a parent's death on")
def test_ends_with_a_supervisor_that_is_killed(start_child):
    running = start_child("sleep", "600")
    child = _child(running.pid)
    os.kill(running.pid, signal.SIGKILL)
    wait_until(lambda: is_gone(child), what="the end of the child")
    assert not running.running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux passes a parent's death on")
def test_ends_with_a_supervisor_that_is_killed_at_once(start_child):
    """Between the fork and the call that ties the child to the supervisor, nothing would end it."""
    for _ in range(10):
        running = start_child("sleep", "600")
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        child = int(wait_until(children.read_text, pause=0))
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: is_gone(child), what="the end of the child")  # noqa: B023


def test_ctrl_c_in_the_terminal_is_not_for_the_child(start_child):
    running = start_child("sleep", "600")
    assert os.getsid(running.pid) != os.getsid(0)
    assert os.getpgid(_child(running.pid)) == running.pid


def test_a_supervisor_that_is_told_to_end_ends_the_child(start_child):
    running = start_child("sleep", "600")
    child = _child(running.pid)
    subprocess.run(["kill", str(running.pid)], check=True)
    wait_until(lambda: not running.running)
    assert is_gone(child)
