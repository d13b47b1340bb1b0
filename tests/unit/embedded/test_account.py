import os
import shutil

import pytest
from harness.clusters import scratch

from sseapp.embedded import account
from sseapp.embedded.account import unprivileged
from sseapp.errors import EmbeddedError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its account")


@pytest.fixture
def folder():
    folder = scratch()
    yield folder
    shutil.rmtree(folder)


def test_an_ordinary_user_stays_who_they_are(folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    found = unprivileged(folder, [])
    assert found.uid == 1234
    assert found.command(["postgres", folder]) == ["postgres", str(folder)]


@as_root
def test_root_becomes_nobody_in_a_folder_of_its_own(folder):
    found = unprivileged(folder, [])
    assert found.name == "nobody"
    assert not any("caps" in part for part in found.prefix)


@as_root
@pytest.mark.parametrize(("uid", "name"), [(1, "daemon"), (54321, "nobody")])
def test_root_becomes_the_owner_of_the_folder_if_that_has_a_name(folder, uid, name):
    os.chown(folder, uid, uid)
    assert unprivileged(folder, []).name == name


@as_root
def test_a_closed_folder_takes_the_right_to_pass_and_no_more(folder):
    inner = folder / "inner"
    inner.mkdir()
    folder.chmod(0o700)
    found = unprivileged(inner, [])
    assert "--ambient-caps=+dac_read_search" in found.prefix


@as_root
def test_programs_only_root_may_execute_take_more(folder):
    program = folder / "program"
    program.touch(0o700)
    assert "--ambient-caps=+dac_override" in unprivileged(folder, [program]).prefix


@as_root
def test_a_folder_that_cannot_be_reached_is_named_with_what_to_do(folder, monkeypatch):
    monkeypatch.setattr(account, "CAPABILITIES", ("",))
    folder.chmod(0o700)
    with pytest.raises(EmbeddedError, match=f"nobody cannot reach {folder}.*DATABASE_URL"):
        unprivileged(folder, [])


@as_root
def test_without_setpriv_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(EmbeddedError, match=r"setpriv \(util-linux\)"):
        unprivileged(folder, [])
