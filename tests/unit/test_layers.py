"""The packages are floors, one above the other: an import may only point down."""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sseapp

HOUSE = Path(sseapp.__file__).parent

FLOORS = [  # from the ground up; a floor may import the floors below it and its own
    ("errors messages durations backoff version", ""),
    ("tables", ""),
    ("log", ""),
    ("query", ""),
    ("events", ""),
    ("client", ""),
    ("concurrency config database_url periodic signals single_flight", "blinker psycopg2"),
    ("embedded", "psutil"),
    ("postgres", "psycopg2"),
    ("live", ""),
    ("delivery", ""),
    ("process", ""),
    (
        "__init__ __main__ application extension migrations wsgi gunicorn cli views",
        "click flask markupsafe prometheus_client werkzeug psycopg2",
    ),
]
"""The packages and modules of each floor, and what they import besides the standard library and us.

gevent is nobody's: see ``concurrency.py``.
"""
PURE = ("errors", "messages", "durations", "tables", "log", "query", "events")
"""These neither wait nor read. `make test` wants every branch of them covered."""

FLOOR = {package: number for number, (packages, _) in enumerate(FLOORS) for package in packages.split()}


def _package(module):
    return module.partition(".")[0]


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


def test_every_package_has_a_floor_and_every_floor_its_packages():
    assert {_package(module) for module in MODULES} == set(FLOOR)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_only(module):
    above = {own for own in _own(module) if FLOOR[_package(own)] > FLOOR[_package(module)]}
    assert not above, f"{module} is below {', '.join(sorted(above))}"


@pytest.mark.parametrize("module", MODULES)
def test_each_floor_imports_what_it_is_made_of(module):
    roots = {name.partition(".")[0] for name in _imports(module)}
    foreign = roots - sys.stdlib_module_names - {"sseapp"}
    allowed = set(FLOORS[FLOOR[_package(module)]][1].split())
    assert foreign <= allowed, f"{module} imports {', '.join(sorted(foreign - allowed))}"


def test_imports_have_no_circle():
    try:
        list(TopologicalSorter({module: _own(module) - {module} for module in MODULES}).static_order())
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", [module for module in MODULES if _package(module) in PURE])
def test_the_core_neither_waits_nor_reads(module):
    outside = {"asyncio", "multiprocessing", "os", "pathlib", "select", "socket", "subprocess", "threading", "time"}
    assert not {name.partition(".")[0] for name in _imports(module)} & outside


@pytest.mark.parametrize("package", [package for package in FLOOR if (HOUSE / package / "__init__.py").exists()])
def test_each_package_says_where_a_reader_starts(package):
    assert "Start at ``" in ast.get_docstring(ast.parse((HOUSE / package / "__init__.py").read_text("utf-8")))


def test_a_misplaced_import_is_seen(monkeypatch, tmp_path):
    path = tmp_path / "upside_down.py"
    path.write_text(
        "from sseapp.live import hub\nfrom sseapp.events import sse\ndef late():\n    import flask\n"
        "    from sseapp.views.api import x\nif TYPE_CHECKING:\n    import gevent\n"
    )
    monkeypatch.setitem(MODULES, "upside_down", path)
    assert _own("upside_down") == {"live.hub", "events.sse", "views.api"}
    assert {name.partition(".")[0] for name in _imports("upside_down")} == {"sseapp", "flask"}
