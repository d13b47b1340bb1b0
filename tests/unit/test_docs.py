"""The documents say what the code does, and lead to files that exist."""

import re
from pathlib import Path

import pytest

from sseapp.cli.commands import main
from sseapp.config import FOR_GUNICORN, SETTINGS
from sseapp.query.operators import Operator
from sseapp.query.query import PARAMETERS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LONGEST_LINE = 120
LONGEST_README = 200

each = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def _text(name):
    return (ROOT / name).read_text("utf-8")


def test_the_settings_have_the_variables_and_defaults_of_the_code():
    found = re.findall(r"^- `(\w+)` \((?:default `([^`]*)`|no default)\): \S", _text("docs/settings.md"), re.MULTILINE)
    assert len(found) == len(dict(found))
    assert dict(found) == {setting.variable: setting.default for setting in SETTINGS.values()}


@each
def test_names_only_settings_that_exist(document):
    named = set(re.findall(r"\bSSEAPP_[A-Z_]+\b", document.read_text("utf-8")))
    assert named <= {setting.variable for setting in SETTINGS.values()} | set(FOR_GUNICORN)


def test_the_reference_has_every_parameter_and_operator():
    text = _text("docs/http.md")
    table = text.partition("| parameter | meaning |")[2].partition("\n\n")[0]
    assert [name for name in PARAMETERS if f"`{name}`" not in table and f"`{name}=" not in table] == []
    table = text.partition("| operator | meaning |")[2].partition("\n\n")[0]
    assert [operator for operator in Operator if not re.search(rf"`{re.escape(operator.value)}[.`]", table)] == []


@each
def test_names_only_commands_that_exist(document):
    named = set(re.findall(r"python -m sseapp ([a-z]+)", document.read_text("utf-8")))
    assert named <= set(main.commands)


@each
def test_names_only_files_that_exist(document):
    text = document.read_text("utf-8")
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*\.(?:py|sql|js|html|css|md|svg))\b", text)
    assert [path for path in paths if not any((folder / path).exists() for folder in (ROOT, ROOT / "sseapp"))] == []


@each
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text("utf-8")):
        path, _, heading = target.partition("#")
        other = document.parent / path if path else document
        assert other.exists(), target
        assert not heading or heading in _anchors(other.read_text("utf-8")), target


def _anchors(text):
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each
def test_lines_fit_a_screen(document):
    lines = document.read_text("utf-8").splitlines()
    assert [number for number, line in enumerate(lines, start=1) if len(line) > LONGEST_LINE] == []


def test_the_readme_stays_a_guide():
    assert len(_text("README.md").splitlines()) <= LONGEST_README


@each
def test_names_no_path_of_a_machine(document):
    assert not re.search(r"(?<![\w.])/(?:root|home|work|usr|tmp)/", document.read_text("utf-8"))
