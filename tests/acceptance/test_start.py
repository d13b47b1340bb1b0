"""gunicorn with a setting that cannot be used ends with a sentence, not with a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from harness.servers import ROOT


@pytest.mark.parametrize(
    ("variable", "value", "takes"),
    [
        ("SSEAPP_WORKERS", "two", "a whole number of at least 1"),
        ("SSEAPP_MAX_STREAMS", "lots", "a whole number of at least 1"),
        ("SSEAPP_RING", "banana", "a size such as 512k, 4m or 1g, at most 1000000g"),
    ],
)
def test_a_setting_that_cannot_be_used(variable, value, takes):
    environ = os.environ | {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "SSEAPP_BIND": "127.0.0.1:0"}
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "wsgi"],
        cwd=ROOT,
        env=environ | {variable: value},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode != 0
    assert f"{variable}='{value}' is not valid: use {takes}." in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("module", ["gunicorn wsgi", "sseapp status", "flask --app wsgi status"])
def test_an_address_of_the_database_that_cannot_be_used_does_not_show_its_password(module):
    ended = subprocess.run(
        [sys.executable, "-m", *module.split()],
        cwd=ROOT,
        env=os.environ
        | {"DATABASE_URL": "postgresql+psycopg2://user:topsecret@127.0.0.1/x", "SSEAPP_BIND": "127.0.0.1:0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode != 0
    assert 'DATABASE_URL is not valid: leave out "+psycopg2": write postgresql://' in ended.stderr
    assert "secret" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
