"""Nothing that comes from elsewhere reaches a maintainer's terminal or log as anything but
printable text."""

import ast
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

import plaintally_server
from commands import leaves
from hostile import HOSTILE, ID, dump, find_unprintable, forged_lines
from loopback import answer, loopback
from made import ENVIRONMENT, at, commit, write
from plaintally_server import log_config
from plaintally_server.cli.main import commands
from plaintally_server.exceptions import CommandError
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.model import Write
from plaintally_server.store.maintenance import Maintenance

pytestmark = pytest.mark.once

WINDOW = ["--from", "2026-11-22T13:00", "--until", "2026-11-22T14:00"]
CASES: dict[str, list[list[str]]] = {
    "audit": [[], ["--last", HOSTILE]],
    "backup": [[f"x/{HOSTILE}"], [f"copy{HOSTILE.replace('/', '_')}"]],
    "contract add": [["wrong.json"], [HOSTILE]],
    "contract list": [["--database", "contracts.sqlite3"], []],
    "copy": [
        ["--from", "a.sqlite3", "--to", f"x/{HOSTILE}"],
        ["--from", HOSTILE, "--to", "b.sqlite3"],
    ],
    "doctor": [
        [],
        ["--package", HOSTILE],
        ["--contract", "wrong.json"],
        ["--database", f"x/{HOSTILE}"],
    ],
    "export": [
        ["--to", f"out{HOSTILE.replace('/', '_')}", "--check"],
        ["--to", "out", "--package", HOSTILE],
    ],
    "forget approve": [[ID], [HOSTILE]],
    "forget erase": [[]],
    "forget list": [[]],
    "forget log": [[]],
    "forget receipt": [[HOSTILE]],
    "forget refuse": [[ID], [HOSTILE], []],
    "init": [[f"new{HOSTILE.replace('/', '_')}"], ["."], ["x", HOSTILE]],
    "lookup": [[ID], [HOSTILE], [ID, "--contract", "wrong.json"], [str(UUID(int=7))]],
    "migrate": [[], ["--database", f"x/{HOSTILE}"]],
    "pull": [
        ["--project", "p", "--package", "rxinfer", "--credentials", "wrong.json"],
        ["--project", HOSTILE],
    ],
    "report": [
        [],
        ["--format", "csv"],
        ["--format", "json"],
        [HOSTILE],
        ["--from", "parquet", "--export", HOSTILE],
    ],
    "restore": [["--deletions", "wrong.json"], [HOSTILE]],
    "serve": [
        ["--contract", "wrong.json"],
        ["--package", HOSTILE],
        ["--package", "a", "--host", HOSTILE],
        ["--port", HOSTILE],
    ],
    "strike add": [["rxinfer", *WINDOW, "--reason", HOSTILE], [HOSTILE, *WINDOW, "--reason", "r"]],
    "strike list": [[]],
    "strike look": [["rxinfer"], [HOSTILE]],
    "strike undo": [["1"], ["99"], [HOSTILE]],
    "token create": [["new", "--package", "unknown"], [HOSTILE, "--all-packages"]],
    "token list": [[]],
    "token revoke": [[HOSTILE], ["nobody"]],
    "watch": [["--webhook", "{url}"], [HOSTILE], ["--webhook", HOSTILE]],
}


def test_every_command_is_attacked() -> None:
    assert sorted(leaves(commands)) == sorted(CASES)


def documents(today: date) -> Iterator[Write]:
    """Documents with hostile text, as a collector would never have taken them."""
    for back in range(2, 45):
        moment = at(today - timedelta(days=back), 60)
        for version in ("1.0", *([HOSTILE] if back > 10 else [])):
            for _ in range(3):
                counted = {"id": str(uuid4()), "timestamp": moment, "package_version": version}
                yield write("using_rxinfer", counted, moment)
    moment = at(today - timedelta(days=3), 60)
    yield write(
        f"using_{HOSTILE}", {"id": str(uuid4()), "timestamp": moment}, moment, package=HOSTILE
    )
    environment = {
        name: HOSTILE if isinstance(value, str) else value for name, value in ENVIRONMENT.items()
    }
    owner = {"package": "rxinfer", "deletion_key_hash": "0" * 64}
    names = {**owner, "label": HOSTILE}
    yield write(
        SESSIONS, {"id": ID, **owner, "created_at": moment, "environment": environment}, moment
    )
    numbers: dict[str, float] = dict.fromkeys(("total_invokes", "success_count", "failed_count"), 1)
    numbers |= dict.fromkeys(
        ("success_rate", "min_duration_ms", "max_duration_ms", "total_duration_ms"), 1.0
    )
    stats = {"id": ID, "session": ID, **names, **numbers, "context_keys": [HOSTILE, "model"]}
    yield write(STATS, stats, moment, parent=ID)
    invoke = {"id": ID, "session_stats": ID, **names, "status": "error", "duration_ms": 1.0}
    times = {"execution_start": moment, "execution_end": moment}
    context = {HOSTILE: HOSTILE, "model": {"type": HOSTILE}, "error": {"frames": [HOSTILE]}}
    yield write(INVOKES, {**invoke, **times, "context": context}, moment, parent=ID)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hostile text in its name, its files and its database."""
    folder = tmp_path_factory.mktemp("hostile") / f"f{HOSTILE.replace('/', '_')}"
    folder.mkdir()
    now = datetime.now(UTC)
    commit(folder / "a.sqlite3", [*documents(now.date())])
    store = Maintenance(folder / "a.sqlite3")
    store.add_token(HOSTILE, b"0" * 32, frozenset((HOSTILE,)), actor=HOSTILE, at=now)
    start = at(now.date() - timedelta(days=9))
    store.strike(
        "rxinfer", start, start + timedelta(hours=1), reason=HOSTILE, actor=HOSTILE, at=now
    )
    wrong = {"labels": {"fit": {"context": {"a": {"kind": "Flag", HOSTILE: 1}}}}}
    (folder / "wrong.json").write_bytes(dump({"package": "rxinfer", **wrong}))
    commit(folder / "contracts.sqlite3", [])
    Maintenance(folder / "contracts.sqlite3").add_contract(
        HOSTILE, dump({"package": HOSTILE, **wrong}), at=now
    )
    (folder / "unknown.toml").write_text(f"{json.dumps(HOSTILE)} = 1\n")
    return folder


def run(folder: Path, arguments: Sequence[str], **more: str) -> subprocess.CompletedProcess[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PLAINTALLY")}
    return subprocess.run(
        [sys.executable, "-m", "plaintally_server", *arguments],
        cwd=folder,
        env={
            **clean,
            "LOGNAME": HOSTILE,
            "PYTHONUTF8": "1",
            "PLAINTALLY_SERVER_DATABASE": "a.sqlite3",
            **more,
        },
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.long(keep=6)
@pytest.mark.parametrize("command", CASES)
def test_no_command_prints_what_a_terminal_obeys(folder: Path, command: str) -> None:
    with loopback(answer(500).replace(b"Status", HOSTILE.partition("\r")[0].encode())) as server:
        given = [
            [part.format(url=f"http://127.0.0.1:{server.port}/") for part in each]
            for each in CASES[command]
        ]
        runs = [(arguments, run(folder, [*command.split(), *arguments])) for arguments in given]
    for variable, value in {"CONFIG": "unknown.toml", "DATABASE": f"x/{HOSTILE}"}.items():
        done = run(
            folder, [*command.split(), *given[0]], **{f"PLAINTALLY_SERVER_{variable}": value}
        )
        runs.append(([variable], done))
    for arguments, done in runs:
        for output in (done.stdout, done.stderr):
            assert find_unprintable(output) == set(), (arguments, output)
            assert forged_lines(output) == [], (arguments, output)
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.stdout + done.stderr or command == "forget log", arguments


@pytest.mark.parametrize("form", log_config.FORMATS)
def test_the_log_is_printable(
    form: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = logging.getLogger().handlers[:]
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    log_config.set_up(form)
    try:
        logging.getLogger("plaintally_server").error(
            "it failed: %s", HOSTILE, exc_info=ValueError(HOSTILE)
        )
        log_config.flush(5)
    finally:
        logging.captureWarnings(capture=False)
        logging.getLogger().handlers[:] = before
    told = capfd.readouterr().err
    assert find_unprintable(told.encode()) == set()
    assert "it failed" in told
    assert "ValueError" in told


def test_errors_are_printable() -> None:
    assert str(CommandError(HOSTILE)).isprintable()


def test_commands_print_by_one_function() -> None:
    folder = Path(plaintally_server.__file__).parent
    for path in folder.rglob("*.py"):
        if path.name in ("terminal.py", "log_config.py"):
            continue
        called = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        }
        assert not called & {
            "print",
            "click.echo",
            "click.secho",
            "sys.stdout.write",
            "sys.stderr.write",
        }, path
