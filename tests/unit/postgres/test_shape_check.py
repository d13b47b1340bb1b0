"""The check of shapes: each time the triggers, then the shapes."""

from __future__ import annotations

import pytest

from sseapp.errors import LockedError
from sseapp.postgres import catalog
from sseapp.postgres.shape_check import ShapeCheck
from sseapp.tables.table import Table


class Database:
    def run(self, use):
        return use(self)


def test_triggers_that_cannot_be_changed_keep_no_shape_from_being_compared(monkeypatch):
    def fail(_):
        raise LockedError

    asked = []
    monkeypatch.setattr(catalog, "go_by_row", fail)
    monkeypatch.setattr(catalog, "check_shapes", asked.append)
    with pytest.raises(LockedError):
        ShapeCheck(Database(), tick=1).work()
    assert len(asked) == 1


def test_it_looks_at_triggers_and_shapes(monkeypatch):
    asked = []
    for name in ("go_by_row", "check_shapes"):
        monkeypatch.setattr(catalog, name, lambda _, name=name: asked.append(name))
    monkeypatch.setattr(catalog, "unserved", lambda _: [])
    ShapeCheck(Database(), tick=1).work()
    assert asked == ["go_by_row", "check_shapes"]


def test_a_table_that_is_not_served_is_logged_once_for_each_cause(monkeypatch, caplog):
    menu = Table(1, 1, "public", "menu", None, None, (), 0)
    check = ShapeCheck(Database(), tick=1)
    monkeypatch.setattr(catalog, "go_by_row", lambda _: None)
    monkeypatch.setattr(catalog, "check_shapes", lambda _: 0)
    for found in ([(menu, "why")], [(menu, "why")], [], [(menu, "why")], [(menu, "another")]):
        monkeypatch.setattr(catalog, "unserved", lambda _, found=found: found)
        check.work()
    assert caplog.messages == [f"public.menu is watched, but {why}." for why in ("why", "why", "another")]
