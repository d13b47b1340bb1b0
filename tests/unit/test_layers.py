"""The floors of the house: imports point down only. A new file in ``sseapp/`` has to be given its floor here."""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sseapp

HOUSE = Path(sseapp.__file__).parent

CORE = """
    change conditions cursor errors filters gregorian index intervals moments operators pace parameters quantities
    question ring rowtext sse strings table texts values valuetype window zones
"""
SHARED = "backoff channel concurrency config places signals"
DATABASE = """
    account catalog changelog cluster database embedded guard hold inspector pruner schema snapshot statements tether
    where
"""
FLOW = "broadcaster crowd hub listener live poll replay runtime standing subscription wire"
FACES = """
    __init__ __main__ cli demo doctor views views.api views.caching views.dashboard views.operations views.problems
    views.trust
"""
FLOORS = [CORE.split(), SHARED.split(), DATABASE.split(), FLOW.split(), FACES.split()]
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}

FOREIGN = [
    set(),
    {"blinker", "psycopg2"},
    {"psycopg2", "psutil"},
    set(),
    {"click", "flask", "prometheus_client", "werkzeug", "psycopg2"},
]
"""What else may be imported on each floor, besides the standard library. gevent is nobody's: see concurrency.py."""


def _name(path):
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1]) if len(parts) > 1 and parts[-1] == "__init__" else ".".join(parts)


MODULES = {_name(path): path for path in sorted(HOUSE.rglob("*.py"))}


def _is_for_types(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _statements(node):
    """All import statements, in functions too, but those that no program runs."""
    for child in ast.iter_child_nodes(node):
        if _is_for_types(child):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from _statements(child)


@cache
def _imports(module):
    """The dotted names that ``module`` imports: modules, or what is in them."""
    found = set()
    for statement in _statements(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        else:
            assert not statement.level, f"{module} imports by a relative path"
            found |= {f"{statement.module}.{alias.name}" for alias in statement.names}
    return frozenset(found)


def _own(module):
    """The modules of the house that ``module`` imports."""
    found = set()
    for name in _imports(module):
        first, _, rest = name.partition(".")
        if first == "sseapp":
            longest = next((part for part in (rest, rest.rpartition(".")[0]) if part in MODULES), "__init__")
            found.add(longest)
    return found


def test_every_module_has_a_floor_and_every_floor_its_modules():
    assert sorted(FLOOR) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_only(module):
    above = {own for own in _own(module) if FLOOR[own] > FLOOR[module]}
    assert not above, f"{module} is below {', '.join(sorted(above))}"


@pytest.mark.parametrize("module", MODULES)
def test_each_floor_imports_what_it_is_made_of(module):
    roots = {name.partition(".")[0] for name in _imports(module)}
    foreign = roots - sys.stdlib_module_names - {"sseapp"}
    assert foreign <= FOREIGN[FLOOR[module]], f"{module} imports {', '.join(sorted(foreign))}"


def test_no_module_needs_itself():
    try:
        list(TopologicalSorter({module: _own(module) for module in MODULES}).static_order())
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", FLOORS[0])
def test_the_core_neither_waits_nor_reads(module):
    outside = {"asyncio", "multiprocessing", "os", "pathlib", "select", "socket", "subprocess", "threading", "time"}
    assert not {name.partition(".")[0] for name in _imports(module)} & outside


def test_a_misplaced_import_is_seen(monkeypatch, tmp_path):
    path = tmp_path / "upside_down.py"
    path.write_text(
        "from sseapp import hub, sse\ndef late():\n    import flask\n    from sseapp.views.api import x\n"
        "if TYPE_CHECKING:\n    import gevent\n"
    )
    monkeypatch.setitem(MODULES, "upside_down", path)
    assert _own("upside_down") == {"hub", "sse", "views.api"}
    assert {name.partition(".")[0] for name in _imports("upside_down")} == {"sseapp", "flask"}
