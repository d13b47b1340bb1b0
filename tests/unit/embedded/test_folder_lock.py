from harness.processes import Program

from sseapp.embedded.folder_lock import FolderLock

HOLDER = """
from pathlib import Path
from sseapp.embedded.folder_lock import FolderLock
print(FolderLock(Path()).take(), flush=True)
input()
"""

FORKING_HOLDER = """
import os
from pathlib import Path
from sseapp.embedded.folder_lock import FolderLock
lock = FolderLock(Path())
lock.take()
if os.fork() == 0:
    print("forked", flush=True)
os.read(0, 1)
os._exit(0)
"""


def test_takes_a_free_folder_and_names_the_holder(tmp_path):
    lock = FolderLock(tmp_path)
    assert not lock.is_taken()
    with Program(HOLDER, tmp_path) as other:
        assert other.line() == "True"
        assert lock.is_taken()
        assert lock.holder() == str(other.process.pid)


def test_is_refused_while_another_process_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("sseapp.embedded.folder_lock.PATIENCE", 0.05)
    with Program(HOLDER, tmp_path) as other:
        other.line()
        assert not FolderLock(tmp_path).take()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    with Program(HOLDER, tmp_path) as other:
        other.line()
        other.kill()
        lock = FolderLock(tmp_path)
        assert lock.take()
        lock.let_go()


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    with Program(FORKING_HOLDER, tmp_path) as other:
        other.line()
        other.process.kill()
        other.process.wait()  # its child still waits for our end of the pipe
        assert not FolderLock(tmp_path).is_taken()


def test_asking_for_the_holder_does_not_keep_others_from_the_lock(tmp_path):
    first = FolderLock(tmp_path)
    assert first.take()
    first.let_go()
    assert not FolderLock(tmp_path).is_taken()
    assert first.take()
    first.let_go()
