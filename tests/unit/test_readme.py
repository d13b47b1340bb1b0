"""The README says what the code does."""

import re
from pathlib import Path

from sseapp.cli.commands import main
from sseapp.config import SETTINGS
from sseapp.query.query import PARAMETERS

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_lists_every_setting_as_the_code_has_it():
    table = README.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    rows = [re.split(r" ?\| ?", line)[1:4] for line in table.strip().splitlines()[2:]]
    expected = [
        [f"`{setting.variable}`", f"`{setting.default}`" if setting.default else "", setting.meaning]
        for setting in SETTINGS.values()
    ]
    assert rows == expected


def test_names_every_parameter():
    table = README.partition("| parameter | meaning |")[2].partition("\n\n")[0]
    assert [name for name in PARAMETERS if f"`{name}" not in table and f"{name}=" not in table] == []


def test_names_only_commands_that_exist():
    named = set(re.findall(r"python -m sseapp ([a-z]+)", README))
    assert named <= set(main.commands), named


def test_names_no_address_of_a_registry_and_no_path_of_a_machine():
    assert not re.search(r"(?<![\w.])/(?:root|home|work|usr|tmp)/", README)
