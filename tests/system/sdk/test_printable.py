"""Nothing that comes from elsewhere reaches a terminal as anything but printable text."""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import plaintally
import plaintally_author
from hostile import HOSTILE, ID, dump, find_unprintable, forged_lines, saved_session
from loopback import answer, loopback
from plaintally import Telemetry
from plaintally.cli import main
from plaintally.exceptions import DocumentError, PlaintallyError, PreferencesError
from plaintally.printable import printable
from plaintally.session import Session
from plaintally.sharing import Receipt

PACKAGE = """
from plaintally import Telemetry
from plaintally.contract import Contract, ErrorType, Label, Name, Source
telemetry = Telemetry(
    "hostilepkg",
    endpoint={endpoint!r},
    contract=Contract(labels={{"fit": Label(
        {{"formula": Source(), "error": ErrorType(), "name": Name("[^a]*")}})}}),
)
"""
BROKEN = f"raise ValueError({HOSTILE!r})\n"
PREFERENCES = f"""
counter = {json.dumps(HOSTILE)}
[packages.hostilepkg]
endpoint = {json.dumps(HOSTILE)}
[packages.{json.dumps(HOSTILE)}]
counter = true
"""
CASES: dict[str, list[list[str]]] = {
    "status": [
        [],
        ["hostilepkg"],
        ["brokenpkg"],
        [HOSTILE],
        ["hostilepkg", "--json"],
        ["hostilepkg", HOSTILE],
    ],
    "off": [["hostilepkg"], []],
    "on": [["hostilepkg"], []],
    "endpoint": [["hostilepkg"], ["hostilepkg", HOSTILE], ["brokenpkg", "default"]],
    "preview": [["hostilepkg"], ["brokenpkg"]],
    "send-test": [["hostilepkg"], ["brokenpkg"], [HOSTILE]],
    "share": [
        ["saved.json", "--preview"],
        [
            "saved.json",
            "--preview",
            "--include",
            "source",
            "--include",
            "error_message",
            "--endpoint",
            "{endpoint}",
        ],
        ["saved.json", "--endpoint", "{endpoint}"],
        ["saved.json", "--endpoint", HOSTILE],
        ["broken.json"],
        [HOSTILE],
    ],
    "forget": [
        [ID, "--package", "hostilepkg", "--endpoint", "{endpoint}"],
        [HOSTILE, "--package", "hostilepkg"],
    ],
    "contract show": [["hostilepkg"], ["hostilepkg", "--json"], ["brokenpkg"]],
    "contract check": [["hostilepkg"], ["brokenpkg"]],
    "contract hash": [["hostilepkg"]],
    "contract export": [["hostilepkg"], ["hostilepkg", "--output", "x/" + HOSTILE]],
    "contract diff": [["hostilepkg", "contract.json"], ["hostilepkg", HOSTILE]],
    "contract docs": [
        ["hostilepkg"],
        ["hostilepkg", "--format", "html"],
        ["hostilepkg", "--format", HOSTILE],
    ],
}


def leaves(command: argparse.ArgumentParser, path: str = "") -> Iterator[str]:
    groups = [
        action for action in command._actions if isinstance(action, argparse._SubParsersAction)
    ]
    if not groups:
        yield path.strip()
    for group in groups:
        for name, inner in group.choices.items():
            yield from leaves(inner, f"{path} {name}")


def test_every_command_is_attacked() -> None:
    root = main.parser()
    main._add_contract_actions(root)
    assert sorted(leaves(root)) == sorted(CASES)


@pytest.mark.long(keep=4)
@pytest.mark.parametrize("command", CASES)
def test_no_command_prints_what_a_terminal_obeys(tmp_path: Path, command: str) -> None:
    folder = tmp_path / f"f{HOSTILE.replace('/', '_')}"
    settings = folder / ".config/plaintally/preferences.toml"
    settings.parent.mkdir(parents=True)
    refused = answer(403, body=dump({"error": {"message": HOSTILE}}))
    with loopback(refused) as server:
        (folder / "hostilepkg.py").write_text(PACKAGE.format(endpoint=server.endpoint))
        (folder / "brokenpkg.py").write_text(BROKEN)
        settings.write_text(PREFERENCES)
        (folder / "pyproject.toml").write_text(
            f"[tool.plaintally]\ncounter = {json.dumps(HOSTILE)}\n"
        )
        (folder / "saved.json").write_bytes(dump(saved_session()))
        wrong = {"labels": {"fit": {"context": {"a": {"kind": "Flag", HOSTILE: 1}}}}}
        (folder / "broken.json").write_bytes(dump(saved_session(contract=wrong)))
        (folder / "contract.json").write_bytes(dump({"package": "hostilepkg", **wrong}))
        own = {
            "HOME": str(folder),
            "PATH": os.defpath,
            "PYTHONPATH": str(folder),
            "PYTHONUTF8": "1",
        }
        said = dict.fromkeys(
            ("HOSTILEPKG_TELEMETRY", "PLAINTALLY", "DO_NOT_TRACK", "CI", "RANK"), HOSTILE
        )
        for arguments in CASES[command]:
            for environment in (own, {**own, **said}):
                done = subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        "plaintally",
                        *command.split(),
                        *(argument.format(endpoint=server.endpoint) for argument in arguments),
                    ],
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    check=False,
                )
                outputs = (
                    done.stdout.replace(b"\r\n", b"\n") if command == "preview" else done.stdout,
                    done.stderr,
                )
                for output in outputs:
                    assert find_unprintable(output) == set(), (arguments, output)
                    assert forged_lines(output) == [], (arguments, output)
                assert b"Traceback" not in done.stderr
                assert done.stdout + done.stderr


@given(st.text())
def test_printable_text_is_printable(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text, lines=True).replace("\n", "").isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_every_character_of_a_hazardous_kind_is_escaped() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert printable(character).isascii(), hex(code)
            assert printable(character).isprintable(), hex(code)
    assert printable("a\nb") == r"a\nb"
    assert printable("a\r\nb", lines=True) == "a\\r\nb"
    assert printable("\x1b\u202e\udc80\U000e0001") == r"\x1b\u202e\udc80\U000e0001"


def test_summaries_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "saved.json").write_bytes(dump(saved_session()))
    session = Session.load(tmp_path / "saved.json")
    summary = session.summarize()
    drawn = StringIO()
    Console(file=drawn, force_terminal=True, width=400).print(summary)
    coloured = re.sub(r"\x1b\[[0-9;]*m", "", drawn.getvalue())
    receipt = Receipt(HOSTILE, "deleted", HOSTILE, 1, HOSTILE)
    for text in (
        str(summary),
        repr(session),
        repr(session.stats(HOSTILE)),
        summary.to_html(),
        coloured,
        str(receipt),
    ):
        assert find_unprintable(text.encode()) == set()
        assert forged_lines(text.encode()) == []
    assert "[link=https://example.org]Formula[/link]" in coloured
    assert "<a " not in summary.to_html()


def test_errors_are_printable() -> None:
    for error in (PlaintallyError(HOSTILE), PreferencesError(HOSTILE), DocumentError(HOSTILE)):
        assert str(error).isprintable()


@pytest.mark.parametrize(
    "changed",
    [
        {"deletion_key": "x; rm -rf ~"},
        {"deletion_key": "0" * 31 + "\n"},
        {"deletion_key": None},
        {"id": f"{ID}\n"},
        {"id": "$(id)"},
        {"environment": {"os": ["deep"]}},
        {"environment": 3},
        {"labels": {"fit": {**saved_session()["labels"]["fit"], "total_invokes": 10**400}}},
        {"labels": {"fit": {**saved_session()["labels"]["fit"], "total_duration_ms": 1e400}}},
        {"labels": {"fit": {**saved_session()["labels"]["fit"], "dropped": {"a": -1}}}},
        {"package": "a b"},
    ],
)
def test_a_saved_session_of_another_form_is_not_loaded(changed: dict[str, object]) -> None:
    Session.from_dict(saved_session())
    with pytest.raises(DocumentError) as caught:
        Session.from_dict(saved_session(**changed))
    assert str(caught.value).isprintable()


def test_a_deep_saved_session_is_not_loaded() -> None:
    deep: dict[str, object] = {"type": "dict"}
    for _ in range(100_000):
        deep = {"type": "dict", "entries": [deep]}
    contract = {"labels": {"fit": {"context": {"data": {"kind": "Description"}}}}}
    data = saved_session(contract=contract)
    data["labels"]["fit"]["invokes"][0]["context"] = {"data": deep}
    try:
        loaded = Session.from_dict(data)
    except DocumentError:
        return
    assert loaded.stats("fit").invokes[0].context == {}


def test_a_status_of_a_hostile_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTILEPKG_TELEMETRY", HOSTILE)
    os.environb[b"DO_NOT_TRACK"] = b"\xff\x1b"
    try:
        text = str(Telemetry("hostilepkg").status())
    finally:
        del os.environ["DO_NOT_TRACK"]
    assert find_unprintable(text.encode()) == set()
    assert forged_lines(text.encode()) == []


def test_commands_print_by_one_function() -> None:
    folder = Path(plaintally.__file__).parent
    for path in [*folder.glob("_cli*.py"), *Path(plaintally_author.__file__).parent.glob("*.py")]:
        called = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        }
        assert not called & {"print", "sys.stdout.write", "sys.stderr.write"}, path
