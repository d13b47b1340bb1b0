"""The house stands: imports point down only, and the pure core knows the standard library and itself."""

import ast
import sys

import pytest
from support.floors import FLOOR_OF, FLOORS, modules, path

HEIGHT = {floor: height for height, floor in enumerate(FLOORS)}


def _imports(source: str, module: str) -> set[str]:
    """All that a module imports, wherever in it: ``sseapp.x`` for our own, the top name of others."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {_ours(name) or name.split(".")[0] for name in found}


def _ours(name: str) -> str | None:
    """The longest part of ``name`` that is a module: of ``sseapp.views.api.init_app`` it is ``sseapp.views.api``."""
    package, *parts = name.split(".")
    if package != "sseapp":
        return None
    for length in range(len(parts), 0, -1):
        for module in (".".join(parts[:length]), ".".join([*parts[:length], "__init__"])):
            if module in FLOOR_OF:
                return f"sseapp.{module}"
    return "sseapp.__init__"


def _faults(module: str, source: str) -> list[str]:
    floor = FLOOR_OF[module]
    faults = []
    for name in sorted(_imports(source, module)):
        ours = FLOOR_OF[name.removeprefix("sseapp.")] if name.startswith("sseapp.") else None
        if ours is not None and HEIGHT[ours] > HEIGHT[floor]:
            faults.append(f"{module} ({floor}) imports {name} ({ours})")
        if ours is None and floor == "core" and name not in sys.stdlib_module_names:
            faults.append(f"{module} (core) imports {name}")
    return faults


def test_every_module_stands_on_a_floor():
    assert modules() == set(FLOOR_OF)


@pytest.mark.parametrize("module", sorted(FLOOR_OF))
def test_imports_point_down(module):
    assert _faults(module, path(module).read_text()) == []


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("ring", "import gevent", "ring (core) imports gevent"),
        ("ring", "from flask import Flask", "ring (core) imports flask"),
        ("ring", "def f():\n    from sseapp import hub", "ring (core) imports sseapp.hub (flow)"),
        ("ring", "from sseapp.database import Connection", "ring (core) imports sseapp.database (database)"),
        ("hub", "import sseapp.views.api", "hub (flow) imports sseapp.views.api (faces)"),
        ("hub", "from sseapp.views import api", "hub (flow) imports sseapp.views.api (faces)"),
        ("database", "from sseapp import create_app", "database (database) imports sseapp.__init__ (faces)"),
    ],
)
def test_a_breach_is_found(module, source, fault):
    assert _faults(module, source) == [fault]
