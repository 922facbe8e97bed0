"""The documentation can fail: its links, its figures and its lists are held against the code."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

import plaintally
from hosts import ROOT
from plaintally import Telemetry, _count
from plaintally.cli import main
from plaintally.consent import preferences_file, rules
from plaintally.contract import COARSE
from plaintally_server.cli.main import commands
from plaintally_server.cli.settings_file import SHAPES, Secret
from plaintally_server.ingest.shared_fields import ENVIRONMENT, SHARED
from plaintally_server.reports import rows
from plaintally_server.settings import Settings

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
CONSENT = (ROOT / "docs/reference/consent.md").read_text()
README = (ROOT / "README.md").read_text()


def find_command(name: str, group: click.Group = commands) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found, name
    return found


def find_tests() -> set[str]:
    """Return all tests as `test_file.py::test_name`."""
    return {
        f"{path.name}::{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("name", ["threat-model", "durability"])
def test_every_test_that_a_page_names_is_there(name: str) -> None:
    page = (ROOT / f"docs/explanation/{name}.md").read_text()
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", page)
    assert named
    assert {f"{file}::{test}" for file, test in named} <= find_tests()


def test_every_row_of_the_threat_model_names_a_test() -> None:
    page = (ROOT / "docs/explanation/threat-model.md").read_text()
    for line in re.findall(
        r"^\| (?!What an|---).*\|$", page.partition("<!-- attacks")[0], re.MULTILINE
    ):
        columns = [column.strip() for column in line.strip("|").split("|")]
        assert len(columns) == 4, line
        is_head = columns[-1] == "Tests"
        assert is_head or columns[-1] == "*not tested*" or "::" in columns[-1], line


def test_every_decision_is_listed() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text()
    for page in (ROOT / "docs/decisions").glob("0*.md"):
        assert f"({page.name})" in index


def test_the_readme_is_short_and_shows_exactly_what_is_sent() -> None:
    assert len(README.splitlines()) <= 150
    [shown] = re.findall(r'^\{"fields".*\}$', README, re.MULTILINE)
    _, body = _count.document(Telemetry("rxinfer"), bytes(16), 0)
    shape = re.compile(r'(?<=Value":")[^"]+')
    assert shape.sub("", shown) == shape.sub("", body.decode())
    assert json.loads(shown).keys() == {"fields"}


def test_every_rule_variable_and_word_of_consent_is_documented() -> None:
    enforcing = rules.Layer("system", "/", {"enforce": True})
    for finding in rules.examine(
        "counter", rules.Facts("rxinfer", environment={}, circumstances={}, layers=[enforcing])
    ):
        assert f"| {finding.rule} |" in CONSENT
    for word in rules.NO | rules.YES:
        assert re.search(rf"\b{word}\b", CONSENT)
    for name in (
        *_count.CIRCUMSTANCES["test run"],
        *_count.CIRCUMSTANCES["rank above 0"],
        "READTHEDOCS",
    ):
        assert f"`{name}`" in CONSENT
    for key in preferences_file.KEYS:
        assert key in CONSENT
    for policy in plaintally._POLICIES:
        assert f"`{policy}`" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_of_the_server_is_one_that_it_takes(page: Path) -> None:
    for line in re.findall(
        r"^ {4}(?:\S+/)?plaintally-server (.*?)(?: [|>#].*)?$", page.read_text(), re.MULTILINE
    ):
        command: click.Command = commands
        context = click.Context(commands, **commands.context_settings)
        words = shlex.split(line)
        while isinstance(command, click.Group):
            command = find_command(words.pop(0), command)
            # click keeps the help option that a command's first context asked for
            context = click.Context(command, parent=context)
        # Raises at an option that the command does not have.
        _, more, _ = command.make_parser(context).parse_args(words)
        assert not more, line


def test_every_setting_is_in_the_settings_file_and_in_the_docs() -> None:
    everything = "".join(page.read_text() for page in PAGES)
    options = {option.name for option in find_command("serve").params}
    assert set(Settings._fields) <= options
    for name in {*Settings._fields, *SHAPES}:
        assert name in SHAPES, f"a settings file cannot have {name}"
        assert re.search(rf"`PLAINTALLY_SERVER_{name.upper()}`", everything), name


def test_every_command_is_mentioned() -> None:
    everything = "".join(page.read_text() for page in PAGES)
    for command in re.findall(r"^    (\w+)  ", main.parser().format_help(), re.MULTILINE):
        assert re.search(rf"plaintally {command}\b", everything), command
    for command in commands.list_commands(click.Context(commands)):
        assert f"plaintally-server {command}" in everything
    settings = (ROOT / "docs/howto/run-a-collector.md").read_text()
    for option in find_command("serve").params:
        if option.name != "help":
            flag = "" if isinstance(option, Secret) else f"`{option.opts[0]}`"
            assert f"| {flag} | `{option.envvar}` |".replace("|  |", "| |") in settings
    project = (ROOT / "docs/howto/use-firestore.md").read_text()
    for option in find_command("pull").params:
        if option.name != "help":
            variable = f"`{option.envvar}`" if option.envvar else ""
            assert f"| `{option.opts[0]}` | {variable}".rstrip() in project
    for field in COARSE:
        assert field in everything
    shared = (ROOT / "docs/reference/shared-documents.md").read_text()
    for collection, fields in SHARED.items():
        assert all(f"`{name}`" in shared for name in (collection, *fields, *ENVIRONMENT))


def test_exports_and_reports_are_documented() -> None:
    exports = (ROOT / "docs/reference/export.md").read_text()
    for option in [*find_command("export").params, *find_command("report").params]:
        if isinstance(option, click.Option) and option.name != "help":
            variable = f"`{option.envvar}`" if option.envvar else ""
            assert f"| `{option.opts[0]}` | {variable}".rstrip() in exports
    for table, columns in rows.COLUMNS.items():
        assert all(f"`{name}`" in exports for name in (table, *columns))
