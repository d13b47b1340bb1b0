from __future__ import annotations

import traceback
from dataclasses import fields

import pytest

from sseapp import concurrency
from sseapp.config import FOR_GUNICORN, SETTINGS, Settings
from sseapp.errors import SettingError


def test_each_setting_has_a_variable_of_its_own_and_a_meaning():
    assert [field.name for field in fields(Settings)] == list(SETTINGS)
    variables = [setting.variable for setting in SETTINGS.values()]
    assert len(set(variables)) == len(variables)
    assert all(setting.meaning for setting in SETTINGS.values())


def test_without_an_environment_every_default_is_good():
    settings = Settings.from_environ({})
    assert settings.database_url == ""
    assert settings.hosts == ()
    assert settings.heartbeat == 15
    assert settings.ring == 16 << 20
    assert settings.retention == 3600


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("DATABASE_URL", "postgresql://x", "database_url", "postgresql://x"),
        ("DATABASE_URL", "host=/tmp dbname=x", "database_url", "host=/tmp dbname=x"),
        ("SSEAPP_HOSTS", "Example.com, b.example,,", "hosts", ("example.com", "b.example")),
        ("SSEAPP_HOSTS", "*", "hosts", ("*",)),
        ("SSEAPP_HOSTS", "10.0.0.1, [2001:DB8::1], my_host-2", "hosts", ("10.0.0.1", "[2001:db8::1]", "my_host-2")),
        ("SSEAPP_TICK", "500ms", "tick", 0.5),
        ("SSEAPP_TICK", "1.5s", "tick", 1.5),
        ("SSEAPP_TICK", "3", "tick", 3),
        ("SSEAPP_RETENTION", "2m", "retention", 120),
        ("SSEAPP_RETENTION", "2h", "retention", 7200),
        ("SSEAPP_RETENTION", " 1d ", "retention", 86400),
        ("SSEAPP_DEADLINE", "1d", "deadline", 86400),
        ("SSEAPP_RETENTION", "3650d", "retention", 315360000),
        ("SSEAPP_NOTIFY", "", "notify", None),
        ("SSEAPP_NOTIFY", "on", "notify", True),
        ("SSEAPP_NOTIFY", "off", "notify", False),
        ("SSEAPP_BATCH", "1", "batch", 1),
        ("SSEAPP_RING", "100", "ring", 100),
        ("SSEAPP_RING", "512k", "ring", 512 << 10),
        ("SSEAPP_RING", "2M", "ring", 2 << 20),
        ("SSEAPP_LOG_SIZE", "3g", "log_size", 3 << 30),
        ("SSEAPP_LOG_SIZE", "", "log_size", 1 << 30),
        ("SSEAPP_LOG_SIZE", "1000000g", "log_size", 1_000_000 << 30),
    ],
)
def test_a_setting_is_read_from_its_variable(variable, text, name, value):
    assert getattr(Settings.from_environ({variable: text}), name) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SSEAPP_TICK", "0"),
        ("SSEAPP_TICK", "0.0s"),
        ("SSEAPP_TICK", "-1s"),
        ("SSEAPP_TICK", "soon"),
        ("SSEAPP_TICK", "1w"),
        ("SSEAPP_TICK", "inf"),
        ("SSEAPP_TICK", "\u0661s"),
        ("SSEAPP_TICK", "9" * 400),
        ("SSEAPP_DEADLINE", "86400001ms"),
        ("SSEAPP_DEADLINE", "30d"),
        ("SSEAPP_RETENTION", "999999999d"),
        ("SSEAPP_LOG_SIZE", "1000001g"),
        ("SSEAPP_LOG_SIZE", "999999999999g"),
        ("SSEAPP_HOSTS", "a b,http://x"),
        ("SSEAPP_HOSTS", "a.example,a b"),
        ("SSEAPP_HOSTS", "http://a.example"),
        ("SSEAPP_HOSTS", "a.example:8000"),
        ("SSEAPP_HOSTS", "a.example."),
        ("SSEAPP_HOSTS", "*.example"),
        ("SSEAPP_HOSTS", "2001:db8::1"),
        ("SSEAPP_HOSTS", "b\u00fccher.example"),
        ("SSEAPP_BATCH", "1\u0661"),
        ("SSEAPP_BATCH", "0"),
        ("SSEAPP_BATCH", "1.5"),
        ("SSEAPP_BATCH", "9999999999"),
        ("SSEAPP_RING", "4mb"),
        ("SSEAPP_RING", "0k"),
        ("SSEAPP_POOL", "many"),
        ("SSEAPP_NOTIFY", "no"),
    ],
)
def test_a_bad_value_is_refused_by_the_variables_name(variable, text):
    with pytest.raises(SettingError, match=f"^{variable}=") as raised:
        Settings.from_environ({variable: text})
    assert repr(text) in str(raised.value)
    assert "is not valid: use " in str(raised.value), "what would do"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg2://user:topsecret@127.0.0.1/x",
        "postgresql://user:topsecret@127.0.0.1/x?nosuch=1",
        "postgresql://user:topsecret%zz@127.0.0.1/x",
        "password=topsecret x",
    ],
)
def test_a_bad_address_of_the_database_is_refused_without_its_password(text):
    with pytest.raises(SettingError, match=r"^DATABASE_URL is not valid: ") as raised:
        Settings.from_environ({"DATABASE_URL": text})
    assert "secret" not in "".join(traceback.format_exception(raised.value))


def test_a_misspelt_setting_is_not_passed_over():
    with pytest.raises(SettingError, match=r"^SSEAPP_TICKS is not a setting of sseapp. Did you mean SSEAPP_TICK\?"):
        Settings.from_environ({"SSEAPP_TICKS": "1s"})


def test_other_variables_are_left_alone():
    others = {"PATH": "/bin", "TICK": "x"} | dict.fromkeys(FOR_GUNICORN, "x")
    assert Settings.from_environ(others) == Settings.from_environ({})


def test_overrides_win():
    assert Settings.from_environ({"SSEAPP_TICK": "9s"}, tick=0.1).tick == 0.1


@pytest.mark.parametrize(
    ("is_green", "most", "threads", "streams"),
    [(True, 1000, 4, 1000), (False, 1000, 8, 6), (False, 3, 8, 3), (False, 1000, 2, 1), (False, 1000, 1, 1)],
)
def test_on_threads_two_are_kept_for_everything_else(monkeypatch, is_green, most, threads, streams):
    monkeypatch.setattr(concurrency, "is_green", lambda: is_green)
    assert Settings.from_environ({}, max_streams=most, threads=threads).streams == streams


def test_what_kubernetes_says_of_a_service_of_our_name_is_no_setting():
    said = {"SSEAPP_SERVICE_HOST": "10.0.0.1", "SSEAPP_PORT": "tcp://10.0.0.1:80", "SSEAPP_PORT_80_TCP_PORT": "80"}
    assert Settings.from_environ(said) == Settings.from_environ({})
    with pytest.raises(SettingError, match="SSEAPP_PORTS"):
        Settings.from_environ({"SSEAPP_PORTS": "80"})


def test_flask_run_has_a_thread_for_each_request():
    environ = {"FLASK_RUN_FROM_CLI": "true"}
    assert Settings.from_environ(environ).threads == 200
    assert Settings.from_environ(environ | {"SSEAPP_THREADS": "9"}).threads == 9
