import pytest

from sseapp.embedded import server
from sseapp.embedded.server import programs, running_dsn
from sseapp.errors import EmbeddedError


def test_without_a_wheel_for_this_machine_the_error_asks_for_database_url(monkeypatch):
    monkeypatch.setattr(server, "find_spec", lambda _: None)
    with pytest.raises(EmbeddedError, match="Or set DATABASE_URL, such as postgresql://"):
        programs()


def test_a_wheel_without_the_programs_counts_as_none(monkeypatch, tmp_path):
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(server, "find_spec", lambda _: Spec)
    with pytest.raises(EmbeddedError, match="is not installed"):
        programs()


def test_nothing_runs_in_a_folder_that_is_not_there(tmp_path):
    assert running_dsn(tmp_path / "none") is None


def test_an_address_left_behind_does_not_count_as_a_running_server(tmp_path):
    (tmp_path / "database_url").write_text("postgresql://x@127.0.0.1:1/x")
    (tmp_path / "lock").write_text("1\n")
    assert running_dsn(tmp_path) is None


@pytest.mark.parametrize("text", ["", "\0", "postgresql://h:99999999/d", "postgresql://h:port/d", "postgresql://h/d"])
def test_a_damaged_address_of_last_time_only_costs_the_port(tmp_path, text):
    (tmp_path / "url").write_text(text)
    assert server._port_of(tmp_path / "url") is None
