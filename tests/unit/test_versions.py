from __future__ import annotations

from pathlib import Path

from harness import versions


def test_the_modules_chosen_for_every_version_are_there():
    tests = Path(__file__).parents[1]
    assert [name for name in versions._MODULES if not (tests / f"{name}.py").is_file()] == []
