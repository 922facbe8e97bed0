"""`plaintally contract`, installed, in the environment of the package that it is asked about."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from golden import Golden
from hosts import PACKAGE, Host, Interpreter, MakeHost, make_host
from plaintally.contract import Contract
from programs import program

ACTIONS = ["", "show", "check", "hash", "export", "diff", "docs"]
HOST = program("contract_host")


def write(host: Host, source: str) -> None:
    (host.folder / PACKAGE / "__init__.py").write_text(source)


@pytest.fixture
def sample(author_host: MakeHost) -> Host:
    """A host whose contract has one field of each kind."""
    made = author_host()
    write(made, HOST)
    return made


def test_the_help_texts(
    each_author_environment: Interpreter, tmp_path: Path, golden: Golden
) -> None:
    host = make_host(each_author_environment, tmp_path)
    for action in ACTIONS:
        done = host.plaintally("contract", *action.split(), "--help", env={"COLUMNS": "100"})
        assert done.returncode == 0, done.stderr
        golden.check(f"help-contract{action and '-' + action}.txt", done.stdout)
    (host.folder / PACKAGE / "__init__.py").write_text(HOST)
    golden.check("contract-docs.md", host.plaintally("contract", "docs", PACKAGE).stdout)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check", PACKAGE], ["diff", PACKAGE, "old.json"], []]
)
def test_without_the_distribution_the_command_reports_what_to_install(
    host: MakeHost, golden: Golden, arguments: list[str]
) -> None:
    asked = host()
    done = asked.plaintally("contract", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    golden.check("contract-errors.txt", done.stderr, part="not installed")
    assert asked.plaintally("status", PACKAGE).returncode == 0


def test_an_incomplete_installation_is_reported(host: MakeHost) -> None:
    """The entry point is there, and what it names is not."""
    asked = host()
    metadata = asked.folder / "plaintally_author-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: plaintally-author\nVersion: 0.1.0\n"
    )
    (metadata / "entry_points.txt").write_text(
        "[plaintally.commands]\ncontract = plaintally_author.commands:add\n"
    )
    done = asked.plaintally("contract", "show", PACKAGE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("plaintally: ")
    assert "(ModuleNotFoundError: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_only_contract_loads_the_authors_tools(sample: Host) -> None:
    """An import of a package and the commands for users load none of it."""
    for arguments in (["status", PACKAGE], ["off", PACKAGE], ["endpoint", PACKAGE], ["--help"]):
        done = sample.run(program("command_loads", ARGUMENTS=arguments))
        assert done.stdout.decode().splitlines()[-1] == "loaded", arguments
    done = sample.run(program("command_loads", ARGUMENTS=["contract", "hash", PACKAGE]))
    assert "plaintally_author.commands" in done.stdout.decode().splitlines()[-1]
    imported = sample.run(f"import sys, {PACKAGE}\nsys.exit('plaintally_author' in sys.modules)")
    assert imported.returncode == 0


def test_an_error_does_not_repeat_the_value_of_an_unknown_option(sample: Host) -> None:
    done = sample.plaintally("contract", "hash", PACKAGE, "--key", "canary")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("error: unknown option --key\n")
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["show", PACKAGE], "contract-show.txt"),
        (["check", PACKAGE], "contract-check.txt"),
        (["export", PACKAGE], "contract-export.json"),
        (["docs", PACKAGE], "contract-docs.md"),
        (["docs", PACKAGE, "--card"], "contract-card.md"),
    ],
)
def test_what_they_print(sample: Host, golden: Golden, arguments: list[str], file: str) -> None:
    done = sample.plaintally("contract", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    golden.check(file, done.stdout)


def test_no_preference_of_whoever_asks_changes_what_the_author_publishes(
    sample: Host, golden: Golden
) -> None:
    sample.prefer('[packages.hostpkg]\nendpoint = "none"\ncounter = false\n')
    done = sample.plaintally("contract", "docs", PACKAGE, env={"DO_NOT_TRACK": "1"})
    golden.check("contract-docs.md", done.stdout)


def test_the_page_knows_a_firestore_project_by_its_endpoint(sample: Host) -> None:
    write(
        sample, HOST.replace("https://telemetry.example.org/", "https://firestore.googleapis.com/")
    )
    done = sample.plaintally("contract", "docs", PACKAGE)
    assert "in Firestore, each import" in done.stdout
    assert "no record of a single import" not in done.stdout


def test_an_exported_contract_is_the_same_contract(sample: Host) -> None:
    exported = json.loads(sample.plaintally("contract", "export", PACKAGE).stdout)
    shown = json.loads(sample.plaintally("contract", "show", PACKAGE, "--json").stdout)
    printed = sample.plaintally("contract", "hash", PACKAGE).stdout
    assert exported.pop("package") == PACKAGE
    restored = Contract.from_dict(exported)
    assert printed == f"{restored.hash()}\n"
    assert len(printed) == 65
    assert shown == {"package": PACKAGE, "hash": restored.hash(), **restored.to_dict()}


def test_a_file_is_written_whole_or_not_at_all(sample: Host, golden: Golden) -> None:
    target = sample.folder / "real.json"
    target.write_text("old")
    (sample.folder / "link.json").symlink_to(target)
    done = sample.plaintally("contract", "export", PACKAGE, "--output", "link.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    golden.check("contract-export.json", target.read_text())
    assert (sample.folder / "link.json").is_symlink()
    assert sorted(path.name for path in sample.folder.iterdir()) == [
        PACKAGE,
        "link.json",
        "plaintally",
        "real.json",
    ]
    if sys.platform != "win32":
        umask = os.umask(0o022)
        os.umask(umask)
        new = sample.folder / "new.json"
        sample.plaintally("contract", "export", PACKAGE, "--output", "new.json")
        assert stat.S_IMODE(new.stat().st_mode) == 0o666 & ~umask
    for path in ("nowhere/x.json", "."):
        done = sample.plaintally("contract", "export", PACKAGE, "--output", path)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "cannot write" in done.stderr


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("", ""), 0),
        (("1_000_000", "1_000"), 0),
        (("1_000_000", "2_000_000"), 1),
        (('"time"', '"time", "x"'), 1),
        (('["package_version"]', '["package_version", "python_version"]'), 1),
        (('["package_version"]', "[]"), 0),
        (("retention_days=30", "retention_days=31"), 1),
        (("Flag(", "Real(0, 1, "), 1),
        (("releases to support", "releases to mend"), 0),
        (('"local_level", ', ""), 0),
        (('"plot": Label', '"draw": Label'), 1),
    ],
)
def test_diff_says_what_changed_and_whether_it_widens(
    sample: Host, golden: Golden, change: tuple[str, str], code: int
) -> None:
    sample.plaintally("contract", "export", PACKAGE, "--output", "old.json")
    write(sample, HOST.replace(*change))
    done = sample.plaintally("contract", "diff", PACKAGE, "old.json")
    assert (done.returncode, done.stderr) == (code, "")
    golden.check("contract-diff.txt", done.stdout, part=" -> ".join(map(repr, change)))
    found = json.loads(sample.plaintally("contract", "diff", PACKAGE, "old.json", "--json").stdout)
    assert found["wider"] is (code == 1)
    assert (found["old"] != found["new"]) is bool(found["changes"])
    assert [
        f"{entry['effect']:<8} {entry['place']}: {entry['what']}" for entry in found["changes"]
    ] == (done.stdout.splitlines()[:-1])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing", None),
        ("broken", "{"),
        ("deep", "[" * 100_000),
        ("a list", "[]"),
        ("an unknown form", '{"package": "hostpkg", "labels": {"a": 1}}'),
        ("another package", '{"package": "other"}'),
    ],
)
def test_what_cannot_be_compared_is_no_verdict(
    sample: Host, golden: Golden, name: str, content: str | None
) -> None:
    if content is not None:
        (sample.folder / "old.json").write_text(content)
    done = sample.plaintally("contract", "diff", PACKAGE, "old.json")
    assert (done.returncode, done.stdout) == (2, "")
    golden.check("contract-diff-errors.txt", done.stderr, part=name)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("action", ["show", "check", "hash", "export", "diff", "docs"])
@pytest.mark.parametrize("package", ["nobody_has_it", PACKAGE])
def test_without_a_contract_there_is_one_sentence(
    author_host: MakeHost, golden: Golden, action: str, package: str
) -> None:
    done = author_host().plaintally(
        "contract", action, package, *(["old.json"] if action == "diff" else [])
    )
    assert done.returncode == (2 if action == "diff" else 1)
    assert done.stdout == ""
    golden.check("contract-errors.txt", done.stderr, part=package)
    assert done.stderr.count("\n") == 1


def test_check_fails_where_users_are_owed_more(sample: Host, golden: Golden) -> None:
    spoilt = HOST.replace('controller="The hostpkg project"', 'controller=""').replace(
        r"[a-z]+(-v\d|\|x)", ".*"
    )
    write(sample, spoilt)
    done = sample.plaintally("contract", "check", PACKAGE)
    assert done.returncode == 1
    golden.check("contract-check-errors.txt", done.stdout)
    told = sample.plaintally("contract", "docs", PACKAGE)
    assert told.returncode == 0
    assert told.stderr.endswith("plaintally contract check hostpkg\n")
    assert "- **Controller:** the controller (not named yet)\n" in told.stdout


def test_the_card_is_markdown_only(sample: Host) -> None:
    done = sample.plaintally("contract", "docs", PACKAGE, "--card", "--format", "html")
    assert done.returncode == 2
    assert "the card is Markdown; leave --format out" in done.stderr
