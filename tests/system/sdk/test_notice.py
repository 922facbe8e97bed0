"""The notice, at a real terminal."""

import contextlib
import fcntl
import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import plaintally
from golden import Golden
from hosts import PACKAGE, Host, Interpreter, MakeHost, make_host
from loopback import loopback
from plaintally.consent.notice_text import quote
from programs import program
from terminals import see_at_terminal


def run_at_terminal(
    host: Host, *options: str, code: str = f"import {PACKAGE}", path: str = os.defpath
) -> str:
    """Run a host with a terminal at its standard streams; return what a person sees."""
    command = [str(host.interpreter.python), *options, "-c", code]
    return see_at_terminal(command, env=host.environment({"PATH": path}), cwd=host.folder)


@pytest.fixture
def host(bare: Interpreter, tmp_path: Path) -> MakeHost:
    """Hosts that use the installed SDK, whose command the notice names, and no copy of it."""

    def make(**settings: object) -> Host:
        made = make_host(bare, tmp_path, **settings)
        shutil.rmtree(made.folder / "plaintally")
        return made

    return make


def test_notice_first_sends_nothing_before_a_person_was_told(host: MakeHost) -> None:
    with loopback() as server:
        told = host(
            endpoint=server.endpoint,
            policy="notice-first",
            privacy_url="https://example.org/privacy",
        )
        told.run()  # nobody there to read it
        seen = run_at_terminal(told)
        assert server.connections == 0
        assert len(seen.splitlines()) <= 3
        assert "hostpkg counts how often it is imported" in seen
        assert "https://example.org/privacy" in seen
        assert seen.index("HOSTPKG_TELEMETRY=off") < seen.index("plaintally off hostpkg")
        assert run_at_terminal(told) == ""  # once only, and from now on it counts
        told.run()
        assert len(server.wait_for(2)) == 2


def test_opt_out_tells_a_person_once_and_nobody_else(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint)
        told.run()
        assert list(told.home.iterdir()) == []
        assert "hostpkg counts" in run_at_terminal(told)
        assert run_at_terminal(told) == ""
        assert len(server.wait_for(3)) == 3


@pytest.mark.linux
def test_a_pipe_in_the_place_of_the_record_blocks_nothing(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint, policy="notice-first")
        record = told.preferences.parent / "notices" / PACKAGE
        record.parent.mkdir(parents=True)
        os.mkfifo(record)
        assert run_at_terminal(told) == ""
        assert server.connections == 0


def test_a_wider_contract_is_told_again_and_a_narrower_one_is_not(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint, version="1.0", policy="notice-first")
        module = told.folder / PACKAGE / "__init__.py"
        narrow = module.read_text()
        wide = narrow.replace("import Telemetry", "import Contract, Telemetry").replace(
            "version='1.0'", "version='1.0', contract=Contract(counter=['package_version'])"
        )
        assert "the hour, nothing else" in run_at_terminal(told)
        module.write_text(wide)
        told.run()
        assert server.connections == 0
        assert "the package version" in run_at_terminal(told)
        module.write_text(narrow)
        assert run_at_terminal(told) == ""
        assert len(server.wait_for(1)) == 1


@pytest.mark.parametrize("refusal", ["PLAINTALLY", "CI"])
def test_who_has_refused_is_not_told(host: MakeHost, refusal: str) -> None:
    told = host(endpoint="https://telemetry.example.org/v1/documents", policy="notice-first")
    told.prefer("counter = false\n")
    assert run_at_terminal(told) == ""
    told.preferences.unlink()
    code = (
        f"import os; os.environ[{refusal!r}] = '0' if {refusal!r} == 'PLAINTALLY' else '1'; import "
        f"{PACKAGE}"
    )
    assert run_at_terminal(told, code=code) == ""


def test_opt_in_stores_and_says_nothing(host: MakeHost) -> None:
    told = host(endpoint="https://telemetry.example.org/v1/documents", policy="opt-in")
    assert run_at_terminal(told) == ""
    assert list(told.home.iterdir()) == []


def test_a_prompt_that_nobody_reads_is_shown_nothing_and_sends_nothing(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint, policy="notice-first")
        for _ in range(2):
            done = told.run(f"import {PACKAGE}", "-i")
            assert b"counts how often" not in done.stderr
        assert server.connections == 0
        assert not told.preferences.parent.exists()


def test_a_notice_that_could_not_be_written_was_not_shown(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint)
        broken = program("notice_broken_stream")
        assert run_at_terminal(told, code=broken) == ""
        assert len(server.wait_for(1)) == 1  # it is counted all the same
        assert "hostpkg counts" in run_at_terminal(told)


def test_a_notice_that_cannot_be_remembered_is_not_shown(host: MakeHost) -> None:
    told = host(endpoint="https://telemetry.example.org/v1/documents", policy="notice-first")
    (told.home / ".config").write_text("a file where a folder should be")
    assert run_at_terminal(told) == ""


@pytest.mark.linux
@pytest.mark.parametrize(
    "place", ["nowhere", "another environment", "this environment", "the user's folder"]
)
def test_the_notice_names_a_command_that_works(
    host: MakeHost, golden: Golden, tmp_path: Path, place: str
) -> None:
    """The tools pipx and uv keep the commands of dependencies off the PATH."""
    told = host(endpoint="https://telemetry.example.org/v1/documents")
    own = told.interpreter.command
    folder = tmp_path / "bin"
    folder.mkdir()
    other = f"#!{sys.executable}\n" if place == "another environment" else own.read_text()
    if place != "nowhere":
        (folder / "plaintally").write_text(other)
        (folder / "plaintally").chmod(0o755)
    path = f"{own.parent if place == 'this environment' else folder}:{os.defpath}"
    [_, first, command] = run_at_terminal(told, path=path).splitlines()
    golden.check("notice.txt", first, part="with a command")
    expected = (
        "plaintally" if place == "this environment" else f"{told.interpreter.python} -m plaintally"
    )
    assert command == f"  {expected} off hostpkg"
    environment = told.environment({"PATH": path, "PYTHONPATH": ""})
    subprocess.run(["sh", "-c", command], env=environment, check=True, capture_output=True)
    assert "counter = false" in told.choices.read_text()


@pytest.mark.parametrize(
    ("path", "windows", "quoted"),
    [
        (
            "/home/u/.local/pipx/venvs/x-1_2+3/bin/python3.12",
            False,
            "/home/u/.local/pipx/venvs/x-1_2+3/bin/python3.12",
        ),
        ("/home/a b/bin/python", False, "'/home/a b/bin/python'"),
        ("/home/it's/$x/python", False, "'/home/it'\"'\"'s/$x/python'"),
        ("/home/\x1b/python", False, "'/home/\\x1b/python'"),
        ("C:\\venv\\Scripts\\python.exe", True, "C:\\venv\\Scripts\\python.exe"),
        ("C:\\Program Files\\Python\\python.exe", True, '"C:\\Program Files\\Python\\python.exe"'),
    ],
)
def test_a_path_is_quoted_for_a_shell(path: str, quoted: str, *, windows: bool) -> None:
    assert quote(path, windows=windows) == quoted
    if not windows and path.isprintable():
        shown = subprocess.run(["sh", "-c", f"printf %s {quoted}"], capture_output=True, check=True)
        assert shown.stdout.decode() == path


@pytest.mark.linux
def test_where_no_command_works_the_variables_are_named_alone(
    host: MakeHost, golden: Golden
) -> None:
    """The SDK lies in a folder of the program's own, which a new interpreter does not know."""
    told = host(endpoint="https://telemetry.example.org/v1/documents")
    shutil.copytree(Path(plaintally.__file__).parent, told.folder / "plaintally")
    [_, line] = run_at_terminal(told).splitlines()
    golden.check("notice.txt", line, part="without a command")


JOB = program("notice_job")
ASK = f"import {PACKAGE}; {PACKAGE}.ask()"


@pytest.mark.linux
@pytest.mark.parametrize("code", [f"import {PACKAGE}", ASK], ids=["the notice", "a warning"])
def test_a_job_in_the_background_is_not_stopped(host: MakeHost, code: str) -> None:
    """After `stty tostop`, the terminal stops a job in the background that writes to it."""
    with loopback() as server:
        told = host(endpoint=server.endpoint, policy="notice-first")
        module = told.folder / PACKAGE / "__init__.py"
        module.write_text(
            module.read_text() + "def ask():\n    telemetry.enable_counter(persist=True)\n"
        )

        def run(place: str) -> str:
            command = [sys.executable, "-c", JOB, place, str(told.interpreter.python), "-c", code]
            return see_at_terminal(command, env=told.environment(), cwd=told.folder)

        assert run("background") == ""
        assert not told.preferences.parent.exists()
        if code == ASK:  # enabling the counter counts the import of this process
            assert len(server.wait_for(1)) == 1
        else:
            assert server.connections == 0
        seen = run("foreground")
    assert ("UserWarning: counter = true" if code == ASK else "hostpkg counts how often") in seen


@pytest.mark.linux
def test_a_terminal_that_takes_no_more_does_not_count_as_told(host: MakeHost) -> None:
    """Another process has made the terminal non-blocking, and it is full."""
    told = host(endpoint="https://telemetry.example.org/v1/documents")
    controller, terminal = pty.openpty()
    os.set_blocking(terminal, False)
    for _ in range(20):  # the kernel makes more room for a while
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(terminal, b"x")
        time.sleep(0.02)
    command = [str(told.interpreter.python), "-c", f"import {PACKAGE}"]
    environment = told.environment()
    folder = told.folder
    subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        timeout=60,
        check=True,
    )
    assert fcntl.fcntl(terminal, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(terminal)
    os.close(controller)
    assert "hostpkg counts" in run_at_terminal(told)


@pytest.mark.linux
def test_a_notice_whose_record_is_a_device_is_not_shown(host: MakeHost) -> None:
    """It would be shown at every start."""
    told = host(endpoint="https://telemetry.example.org/v1/documents")
    record = told.preferences.parent / "notices" / PACKAGE
    record.parent.mkdir(parents=True)
    record.symlink_to("/dev/null")
    assert run_at_terminal(told) == ""
