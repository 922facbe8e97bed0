"""The command `plaintally`, installed, in the environment of the package that it is asked about."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from golden import Golden
from hosts import PACKAGE, Interpreter, MakeHost, make_host
from loopback import answer, loopback

ENDPOINT = "https://telemetry.example.org/v1/projects/p/databases/(default)/documents"
FORGET = ("forget", "9eb898b5-76a4-49b0-b1b6-ba209ba39adf", "--package", PACKAGE)
WAITING = json.dumps({"request": {"session": FORGET[1], "state": "waiting"}}).encode()
COMMANDS = ["", "status", "off", "on", "endpoint", "preview", "share", "forget"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_texts(
    each_python: Interpreter, tmp_path: Path, golden: Golden, command: str
) -> None:
    host = make_host(each_python, tmp_path)
    done = host.plaintally(*command.split(), "--help", env={"COLUMNS": "100"})
    assert done.returncode == 0
    golden.check(f"help{command and '-' + command}.txt", done.stdout, by_words=True)


def test_status_shows_every_rule_and_the_one_that_decides(host: MakeHost) -> None:
    asked = host(
        endpoint=ENDPOINT,
        issues_url="https://example.org/issues",
        privacy_url="https://example.org/privacy",
    )
    asked.prefer("[packages.hostpkg]\ncounter = true\n")
    done = asked.plaintally(
        "status", PACKAGE, env={"DO_NOT_TRACK": "1", "PLAINTALLY": "yes", "BUILD_ID": "canary"}
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert re.search("^  import counter: OFF, .*DO_NOT_TRACK", shown, re.MULTILINE)
    assert len(re.findall(r"^  > ", shown, re.MULTILINE)) == 3  # one decides for each switch
    assert re.search(
        r"^  > refuses  do-not-track variable +1 \(DO_NOT_TRACK in the environment\)$",
        shown,
        re.MULTILINE,
    )
    assert re.search(
        r"^    -        plaintally variable +yes \(PLAINTALLY in the environment\)$",
        shown,
        re.MULTILINE,
    )
    assert re.search(r"^    refuses  CI +set \(BUILD_ID in the environment\)$", shown, re.MULTILINE)
    assert re.search(
        rf"^    allows   preferences +counter = true \({asked.preferences}\)$", shown, re.MULTILINE
    )
    assert "canary" not in shown
    for rule in (
        "argument",
        "telemetry variable",
        "rank above 0",
        "pool worker",
        "endpoint",
        "default",
    ):
        assert f" {rule} " in shown
    for told in (
        ENDPOINT,
        "id, timestamp",
        "https://example.org/issues",
        "https://example.org/privacy",
    ):
        assert told in shown


def test_status_as_json(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT, policy="opt-in")
    done = asked.plaintally("status", PACKAGE, "--json", env={"LOG_USING_HOSTPKG": "perhaps"})
    found = json.loads(done.stdout)
    assert found["package"] == PACKAGE
    assert found["policy"] == "opt-in"
    assert found["fields"] == ["id", "timestamp"]
    assert found["switches"]["counter"]["allowed"] is False
    assert found["switches"]["counter"]["decided_by"] == {
        "rule": "log-using variable",
        "value": "perhaps (not understood, so it refuses)",
        "where": "LOG_USING_HOSTPKG in the environment",
    }
    assert found["switches"]["automatic_sharing"]["decided_by"]["rule"] == "default"


def test_status_tells_a_broken_file_and_why(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    asked.prefer("couter = false\n")
    shown = asked.plaintally("status", PACKAGE).stdout
    assert re.search("OFF, .*unknown key 'couter'", shown)


def test_status_of_all_packages_lists_those_that_declare_themselves(host: MakeHost) -> None:
    """The example package, installed in the environment, declares itself by an entry point."""
    asked = host()
    assert asked.plaintally("status").stdout.startswith("rxinfer\n  endpoint         none ")


def test_looking_at_a_package_is_no_use_of_it(host: MakeHost) -> None:
    with loopback() as server:
        asked = host(endpoint=server.endpoint)
        for arguments in (
            ["status", PACKAGE],
            ["preview", PACKAGE],
            ["off", PACKAGE],
            ["on", PACKAGE],
            ["endpoint", PACKAGE],
        ):
            assert asked.plaintally(*arguments, env={"HOSTPKG_TELEMETRY": "on"}).returncode == 0
        asked.run(env={"HOSTPKG_TELEMETRY": "on"})
        assert len(server.wait_for(1)) == 1
        assert server.connections == 1


def test_preview_prints_the_bytes_that_are_then_sent(host: MakeHost) -> None:
    with loopback() as server:
        asked = host(endpoint=server.endpoint, version="2.0")
        previewed = asked.plaintally("preview", PACKAGE)
        asked.run()
        [sent] = server.wait_for(1)
    assert "this will be sent" in previewed.stderr
    assert _without_id_and_time(previewed.stdout) == _without_id_and_time(
        sent.decode().replace("\r\n", "\n")
    )


def _without_id_and_time(request: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", re.sub(r"[0-9a-f-]{36}", "ID", request))


def test_preview_says_when_nothing_would_be_sent(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    assert "rule 'CI'" in asked.plaintally("preview", PACKAGE, env={"CI": "1"}).stderr


def test_on_for_all_takes_back_the_no_to_all_and_consents_to_nothing(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT, policy="opt-in")
    assert "Nothing to change" in asked.plaintally("on").stdout
    assert not asked.choices.exists()
    assert asked.plaintally("off").returncode == 0
    assert "hostpkg: the counter is off" not in asked.plaintally("on").stdout
    assert tomllib.loads(asked.choices.read_text()).keys() == {
        "automatic_sharing",
        "automatic_sharing_by",
    }
    assert "rule 'default': opt-in" in asked.plaintally("status", PACKAGE).stdout


def test_off_and_on_for_all_leave_each_package_as_its_author_or_its_user_has_it(
    host: MakeHost,
) -> None:
    asked = host(endpoint=ENDPOINT)
    for named, expected in (
        ("on", "ON, because of the rule 'default'"),
        ("off", "OFF, because of the rule 'prefer"),
    ):
        for arguments in ([named, PACKAGE], ["off"], ["on"]):
            done = asked.plaintally(*arguments)
            assert done.returncode == 0, done.stderr
        assert f"import counter: {expected}" in asked.plaintally("status", PACKAGE).stdout
    assert "rule 'preferences'" in done.stdout


def test_an_address_of_ones_own_and_the_way_back(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    said = asked.plaintally("endpoint", PACKAGE, "https://relay.example.org/v1").stdout
    assert f"https://relay.example.org/v1 (set by {asked.choices}, recorded: " in said
    refused = asked.plaintally("endpoint", PACKAGE, "http://relay.example.org/v1")
    assert refused.returncode == 1
    assert "only the package's author can allow" in refused.stderr
    assert (
        f"{ENDPOINT} (set by the author of the package)"
        in asked.plaintally("endpoint", PACKAGE, "default").stdout
    )
    assert "endpoint" not in asked.choices.read_text()


def test_off_for_all_is_also_a_no_to_those_that_once_got_a_yes(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    assert asked.plaintally("on", PACKAGE).stdout.endswith("hostpkg: the counter is on.\n")
    assert "hostpkg: the counter is off.\n" in asked.plaintally("off").stdout
    said = asked.plaintally("on", PACKAGE, env={"DO_NOT_TRACK": "1"}).stdout
    assert "rule 'do-not-track variable'" in said


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["off", "a b"], 2, "must be a name such as 'mypackage'"),
        (["stop"], 2, "invalid choice: 'stop'"),
        ([], 2, "required: command"),
        (["endpoint"], 2, "required: package"),
        (["endpoint", PACKAGE, "example.org"], 1, "does not start with https://"),
        (["preview", "nobody_has_it"], 1, "'nobody_has_it' is installed here"),
        (["preview", "rxinfer"], 1, "it has no endpoint"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    host: MakeHost, arguments: list[str], code: int, message: str
) -> None:
    asked = host()
    done = asked.plaintally(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not asked.choices.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*FORGET, "--key", "canary"], "unknown option --key"),
        ([*FORGET, "--key=canary"], "unknown option --key"),
        ([*FORGET, "-kcanary"], "arguments that are not expected: 1"),
        (["status", PACKAGE, "canary", "canary"], "arguments that are not expected: 2"),
        (["status", "--", PACKAGE, "--key", "canary"], "unknown option --key"),
    ],
)
def test_an_error_does_not_repeat_the_value_of_an_unknown_option(
    host: MakeHost, arguments: list[str], message: str
) -> None:
    done = host().plaintally(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"error: {message}\n")
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("x =", "ignored the entry point x of "),
        ("x\x1b = not valid!!", "ignored the entry point x\\x1b of "),
        ("1x = hostpkg", "ignored the entry point 1x of "),
        ("x", "ignored the entry points of "),
        ("x\udcff", "ignored the entry points of "),
    ],
)
def test_a_malformed_entry_point_stops_no_command(host: MakeHost, entry: str, shown: str) -> None:
    asked = host(endpoint=ENDPOINT)
    declared = {
        "broken-1": f"{entry}\nalso = also" if "=" in entry else entry,
        "good-1": f"{PACKAGE} = {PACKAGE}",
    }
    for name, text in declared.items():
        folder = asked.folder / f"{name}.dist-info"
        folder.mkdir()
        (folder / "entry_points.txt").write_bytes(
            f"[plaintally]\n{text}\n".encode(errors="surrogateescape")
        )
    for command in (["status"], ["off"], ["status", PACKAGE], ["preview", PACKAGE]):
        done = asked.plaintally(*command)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)
        assert f"{shown}{asked.folder / 'broken-1.dist-info'} (" in done.stderr
        if len(command) == 1:
            assert f"{PACKAGE}" in done.stdout
            assert ("also" in re.findall(r"^\w+", done.stdout, re.MULTILINE)) is ("=" in entry)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such links")
def test_broken_distributions_stop_no_command(each_python: Interpreter, tmp_path: Path) -> None:
    """What pip leaves behind, and folders and files that are not what their names say."""
    asked = make_host(each_python, tmp_path, endpoint=ENDPOINT)
    left = {
        name: asked.folder / f"{name}-1.0.dist-info"
        for name in ("-ip", "none", "other", "folders", "good")
    }
    for folder in left.values():
        folder.mkdir()
    (left["-ip"] / "METADATA").write_text("Name: pip\n")
    (left["other"] / "METADATA").write_bytes(b"Name: \xff\xfe\n")
    for name in ("METADATA", "entry_points.txt"):
        (left["folders"] / name).mkdir()
    (left["good"] / "entry_points.txt").write_text(f"[plaintally]\n{PACKAGE} = {PACKAGE}\n")
    (asked.folder / "file-1.0.dist-info").touch()
    (asked.folder / "\x1b-1.0.dist-info").symlink_to("\x1b-1.0.dist-info")
    for command in ("off", "on", "status"):
        done = asked.plaintally(command)
        assert (done.returncode, PACKAGE in done.stdout) == (0, True), done.stderr
        [circle] = done.stderr.splitlines()
        assert f" {asked.folder}/\\x1b-1.0.dist-info (OSError" in circle


@pytest.mark.parametrize("body", ["", "def __str__(self): raise ValueError('\\x1b')"])
@pytest.mark.parametrize("base", ["Exception", "BaseException", "ModuleNotFoundError"])
def test_a_package_that_raises_an_error_of_its_own_does_not_stop_the_command(
    host: MakeHost, base: str, body: str
) -> None:
    asked = host()
    (asked.folder / PACKAGE / "__init__.py").write_text(
        f"class Own({base}):\n    {body or 'pass'}\nraise Own('no')\n"
    )
    done = asked.plaintally("status", PACKAGE)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    reason = "Own, which has no readable text" if body else "Own: no"
    assert f"hostpkg cannot be imported ({reason})" in done.stderr


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit"])
def test_a_package_that_cannot_be_imported_does_not_stop_the_command(
    host: MakeHost, error: str
) -> None:
    asked = host()
    (asked.folder / PACKAGE / "__init__.py").write_text(
        f"print('chatter')\nraise {error}('broken')\n"
    )
    done = asked.plaintally("status", PACKAGE, "--json")
    assert json.loads(done.stdout)["policy"] is None
    assert f"({error}: broken)" in done.stderr


@pytest.mark.linux
@pytest.mark.parametrize(
    "command", ["--help", "off --help", f"off {PACKAGE}", "status", f"preview {PACKAGE}"]
)
def test_an_output_that_cannot_be_written_is_told_in_one_line(host: MakeHost, command: str) -> None:
    asked = host(endpoint=ENDPOINT)
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >/dev/full', str(asked.interpreter.command), *command.split()],
        env=asked.environment(),
        cwd=asked.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "(No space left on device)" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert asked.choices.exists() is (command == f"off {PACKAGE}")  # it was done all the same


@pytest.mark.linux
def test_a_closed_output_stops_no_command(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >&-', str(asked.interpreter.command), "off", PACKAGE],
        env=asked.environment(),
        cwd=asked.folder,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert asked.choices.exists()


@pytest.mark.linux
@pytest.mark.parametrize(("encoding", "shown"), [("cp1252", r"\u03b1"), ("utf-8", "\u03b1")])
def test_a_path_that_the_terminal_cannot_show(host: MakeHost, encoding: str, shown: str) -> None:
    asked = host(endpoint=ENDPOINT)
    folder = asked.home / "\u03b1"
    done = asked.plaintally(
        "off", PACKAGE, env={"XDG_CONFIG_HOME": str(folder), "PYTHONIOENCODING": encoding}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Written to {asked.home}/{shown}/plaintally/choices.toml." in done.stdout


def test_the_module_is_the_command(host: MakeHost) -> None:
    asked = host()
    done = asked.run(
        "import runpy, sys; sys.argv = ['x', '--version']; runpy.run_module('plaintally', "
        "run_name='__main__')"
    )
    assert done.stdout == b"plaintally 0.1.0\n"


def keys(requests: list[bytes]) -> list[str | None]:
    return [json.loads(request.partition(b"\r\n\r\n")[2]).get("key") for request in requests]


def test_a_deletion_key_comes_from_a_file_or_standard_input(host: MakeHost) -> None:
    with loopback(*[answer(200, body=WAITING)] * 3) as server:
        asked = host(endpoint=server.endpoint)
        (asked.folder / "key").write_text("of a file\n")
        assert asked.plaintally(*FORGET, "--key-file", "key").returncode == 0
        assert asked.plaintally(*FORGET, "--key-file", "-", typed="of a pipe\n").returncode == 0
        assert asked.plaintally(*FORGET, typed="of nobody").returncode == 0
        (asked.folder / "empty").touch()
        for wrong, says in (
            ("nowhere", "cannot read the deletion key from"),
            ("empty", "there is no deletion key in"),
        ):
            done = asked.plaintally(*FORGET, "--key-file", wrong)
            assert (done.returncode, f"{says} {wrong}" in done.stderr) == (1, True)
        for flag in ("--key", "--key-f"):  # no option takes it, also by no abbreviation
            done = asked.plaintally(*FORGET, flag, "canary")
            assert (done.returncode, f"unknown option {flag}" in done.stderr) == (2, True)
            assert "canary" not in done.stdout + done.stderr
    assert keys(server.requests) == ["of a file", "of a pipe", None]


@pytest.mark.linux
@pytest.mark.parametrize(("typed", "sent"), [("of a person\n", "of a person"), ("\n", None)])
def test_a_person_is_asked_for_the_deletion_key(
    host: MakeHost, typed: str, sent: str | None
) -> None:
    from terminals import see_at_terminal  # which Windows has not

    with loopback(answer(200, body=WAITING)) as server:
        asked = host(endpoint=server.endpoint)
        command = [str(asked.interpreter.command), *FORGET]
        seen = see_at_terminal(command, env=asked.environment({}), cwd=asked.folder, typed=typed)
    assert seen.startswith("Deletion key (")
    assert typed.strip() == "" or typed.strip() not in seen
    assert keys(server.requests) == [sent]
