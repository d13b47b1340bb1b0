"""gunicorn with a setting that cannot be used: it ends with a sentence, and not with a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.servers import ROOT


@pytest.mark.parametrize(
    ("variable", "value", "takes"),
    [
        ("SSEAPP_WORKERS", "two", "a whole number from 1 on"),
        ("SSEAPP_MAX_STREAMS", "lots", "a whole number from 1 on"),
        ("SSEAPP_RING", "banana", "a size such as 512k, 4m or 1g"),
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
    assert f"{variable}='{value}' cannot be used: it takes {takes}." in ended.stderr
    assert "Traceback" not in ended.stderr
