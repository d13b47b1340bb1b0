"""The SQL for migrations: no name leaves its literal, and SQLAlchemy finds no parameter in it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from sseapp import migrations
from sseapp.errors import BadParameterError

PARAMETER = re.compile(r"(?<![:\w\x5c]):(\w+)(?!:)")
"""What SQLAlchemy's text() takes for one."""


def test_no_colon_is_taken_for_a_parameter():
    name = r"a:b'; DROP :x \ --"
    texts = [migrations.watch(name, range_column=name, hide=[name]), migrations.unwatch(name)]
    for text in (*texts, migrations.install(), migrations.uninstall()):
        assert PARAMETER.findall(text) == []
        assert "COMMIT;" not in text


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_cannot_be_is_refused(name):
    with pytest.raises(BadParameterError):
        migrations.watch(name)


def test_one_name_is_no_list_of_names():
    with pytest.raises(BadParameterError, match="list"):
        migrations.watch("orders", hide="secret")


def test_autogenerate_leaves_ours_alone():
    ours, theirs = SimpleNamespace(schema="sseapp"), SimpleNamespace(schema=None)
    assert not migrations.include_object(ours, "change", "table", True, None)
    assert not migrations.include_object(SimpleNamespace(table=ours), "id", "column", True, None)
    assert not migrations.include_object(theirs, "!sseapp_1", "trigger", True, None)
    assert migrations.include_object(theirs, "orders", "table", True, None)
    assert migrations.include_object(SimpleNamespace(table=theirs), None, "index", True, None)
    assert not migrations.include_name("sseapp", "schema", {})
    assert migrations.include_name(None, "schema", {})
    assert migrations.include_name("sseapp", "table", {})
