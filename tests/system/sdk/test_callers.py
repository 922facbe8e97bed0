"""Who may turn on what: a person for good, the user's modules for one process, and packages nothing
that shares."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hosts import MARKER, PACKAGE, Host, Interpreter, MakeHost, make_host, wait_until_gone
from loopback import loopback
from programs import program
from terminals import see_at_terminal

ENDPOINT = "https://telemetry.example.org/v1/projects/p/databases/(default)/documents"
ELSEWHERE = "https://elsewhere.example.org/v1/projects/p/databases/(default)/documents"
ENABLE = [
    "enable_counter()",
    "enable_session_logging()",
    "enable_automatic_sharing()",
    f"set_endpoint({ELSEWHERE!r})",
    "set_session_capacity(7)",
]
REPORT = program("callers_report")

WRAPPER = """
def enable_sharing():
    return telemetry.enable_automatic_sharing()
"""

LOOP = """
import asyncio
loop = asyncio.new_event_loop()
loop.call_soon(telemetry.enable_automatic_sharing)
loop.call_soon(loop.stop)
loop.run_forever()
"""


def add_to_package(host: Host, code: str) -> None:
    """Add lines to the host package's own module, before its import is counted."""
    module = host.folder / PACKAGE / "__init__.py"
    lines = module.read_text().replace("telemetry.count_import()", "")
    module.write_text(f"{lines}\n{textwrap.dedent(code)}\ntelemetry.count_import()\n")


def add_module(host: Host, name: str, code: str, *, installed: bool = False) -> Path:
    folder = host.folder / "site-packages" if installed else host.folder
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(code))
    return folder


def report(host: Host, before: str = "", **env: str) -> list[str]:
    """What is on in a process, after `before` has run in it."""
    done = host.run(f"{textwrap.dedent(before)}\n{REPORT}", env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split()


def written(host: Host) -> str:
    return host.choices.read_text() if host.choices.exists() else ""


@pytest.mark.linux
def test_two_lines_in_a_package_undo_no_opting_out(host: MakeHost) -> None:
    """The attack: after `plaintally off`, the package says yes to both while it is imported."""
    with loopback() as server:
        attacked = host(endpoint=server.endpoint)
        assert attacked.plaintally("off").returncode == 0
        before = written(attacked)
        add_to_package(
            attacked,
            """
            for persist in (True, False):
                telemetry.enable_automatic_sharing(persist)
                telemetry.enable_counter(persist)
            """,
        )
        assert report(attacked)[:3] == ["False", "True", "False"]
        assert report(attacked)[:3] == ["False", "True", "False"]
        assert written(attacked) == before
        assert server.connections == 0


@pytest.mark.linux
@pytest.mark.parametrize(
    "said", [{"DO_NOT_TRACK": "1"}, {"PLAINTALLY": "off"}, {"HOSTPKG_TELEMETRY": "no"}, {"CI": "1"}]
)
def test_a_module_overrides_no_variable(host: MakeHost, said: dict[str, str]) -> None:
    with loopback() as server:
        attacked = host(endpoint=server.endpoint)
        add_module(
            attacked,
            "mine",
            f"from {PACKAGE} import telemetry\ntelemetry.enable_counter(persist=False)\n",
        )
        assert report(attacked, "import mine", **said)[0] == "False"
        assert server.connections == 0


@pytest.mark.parametrize("call", ENABLE)
def test_what_a_package_says_of_itself_is_not_kept_and_never_shares(
    host: MakeHost, call: str
) -> None:
    asked = host(endpoint=ENDPOINT, policy="opt-in")
    add_to_package(asked, f"telemetry.{call}")
    expected = {
        "enable_counter()": ["True", "True", "False", ENDPOINT, "1000"],
        "enable_automatic_sharing()": ["False", "True", "False", ENDPOINT, "1000"],
        f"set_endpoint({ELSEWHERE!r})": ["False", "True", "False", ELSEWHERE, "1000"],
        "set_session_capacity(7)": ["False", "True", "False", ENDPOINT, "7"],
    }.get(call, ["False", "True", "False", ENDPOINT, "1000"])
    assert report(asked, "import os; os.environ['CI'] = 'false'") == expected
    assert not asked.choices.exists()


@pytest.mark.parametrize("call", ENABLE)
def test_what_a_module_of_the_user_says_holds_for_its_process(host: MakeHost, call: str) -> None:
    asked = host(endpoint=ENDPOINT, policy="opt-in")
    add_module(asked, "mine", f"from {PACKAGE} import telemetry\ndecision = telemetry.{call}\n")
    expected = {
        "enable_counter()": ["True", "True", "False", ENDPOINT, "1000"],
        "enable_automatic_sharing()": ["False", "True", "True", ENDPOINT, "1000"],
        f"set_endpoint({ELSEWHERE!r})": ["False", "True", "False", ELSEWHERE, "1000"],
        "set_session_capacity(7)": ["False", "True", "False", ENDPOINT, "7"],
    }.get(call, ["False", "True", "False", ENDPOINT, "1000"])
    assert report(asked, "import mine") == expected
    assert not asked.choices.exists()
    assert report(asked) == ["False", "True", "False", ENDPOINT, "1000"]
    if "capacity" not in call:
        note = asked.run("import mine; print(mine.decision.note)").stdout.decode()
        assert "the module mine" in note


@pytest.mark.parametrize("call", ENABLE)
@pytest.mark.parametrize("place", ["own", "installed"])
def test_what_the_user_recorded_is_stronger_than_what_modules_say(
    host: MakeHost, call: str, place: str
) -> None:
    asked = host(endpoint=ENDPOINT)
    asked.prefer(
        "counter = false\nsession_log = false\nautomatic_sharing = false\nsession_capacity = "
        '5\nendpoint = "none"\n'
    )
    kept = written(asked)
    folder = add_module(
        asked,
        "mine",
        f"from {PACKAGE} import telemetry\ntelemetry.{call}\n",
        installed=place == "installed",
    )
    assert (
        report(asked, f"import sys; sys.path.insert(0, {str(folder)!r}); import mine")
        == ["False"] * 3 + ["None"] * 2
    )
    assert written(asked) == kept


@pytest.mark.parametrize("call", ENABLE[2:4])
def test_another_package_neither_shares_nor_redirects(host: MakeHost, call: str) -> None:
    asked = host(endpoint=ENDPOINT)
    folder = add_module(
        asked, "other", f"from {PACKAGE} import telemetry\ntelemetry.{call}\n", installed=True
    )
    found = report(
        asked, f"import sys; sys.path.insert(0, {str(folder)!r}); import other", PLAINTALLY="off"
    )
    assert found == ["False", "False", "False", ENDPOINT, "None"]
    found = report(asked, f"import sys; sys.path.insert(0, {str(folder)!r}); import other")
    assert found[2:4] == ["False", ENDPOINT]
    assert not asked.choices.exists()


@pytest.mark.linux
@pytest.mark.parametrize(
    "code",
    [
        (
            "import threading; t = threading.Thread(target=telemetry.enable_automatic_sharing); "
            "t.start(); t.join()"
        ),
        "import atexit; atexit.register(telemetry.enable_automatic_sharing)",
        LOOP,
        "def infer(): telemetry.enable_automatic_sharing()",
        (
            "import functools\ninfer = functools.wraps(print)(lambda: "
            "telemetry.enable_automatic_sharing())"
        ),
    ],
    ids=["thread", "exit", "loop", "function", "wrapped"],
)
def test_neither_a_thread_nor_a_callback_nor_a_function_of_a_package_shares(
    host: MakeHost, code: str
) -> None:
    asked = host(endpoint=ENDPOINT)
    add_to_package(asked, code)
    call = f"import {PACKAGE}; getattr({PACKAGE}, 'infer', int)()"
    assert report(asked, call)[2] == "False"
    assert "automatic_sharing" not in written(asked)


@pytest.mark.linux
@pytest.mark.parametrize(
    ("code", "script"),
    [
        ("__getattr__ = on", "from hostpkg import infer"),
        ("run = on", "hostpkg.run()"),
        ("track = on", "@hostpkg.track\ndef f(): pass"),
        ("class Model: data = property(on)", "hostpkg.Model().data"),
        (
            "class Scope:\n    __enter__ = staticmethod(on)\n    def __exit__(*_): pass",
            "with hostpkg.Scope(): pass",
        ),
        ("import collections\ncounts = collections.defaultdict(on)", "hostpkg.counts[1]"),
        (
            "import weakref\nclass M: pass\nm = M(); m.me = m; kept = weakref.ref(m, on); del m",
            "import gc; gc.collect()",
        ),
        (
            "import signal; signal.signal(signal.SIGALRM, on); signal.setitimer(0, 0.05)",
            "import time; time.sleep(0.3)",
        ),
        ("exec('t.enable_automatic_sharing()', {'t': telemetry})", "pass"),
        ("import sys\nsys.settrace(lambda *_: [on(), None][1])", "def f(): pass\nf()"),
    ],
)
@pytest.mark.parametrize("what", ["enable_automatic_sharing", "enable_counter"])
def test_what_python_calls_by_itself_is_no_word_of_the_user(
    host: MakeHost, code: str, script: str, what: str
) -> None:
    """A bound method of the SDK, called without a frame of the package while the user's script
    runs."""
    asked = host(endpoint=ENDPOINT, policy="opt-in")
    setup = (
        f"def on(*_, ask=telemetry.{what}): ask()\n"
        if "track" in code
        else f"on = telemetry.{what}\n"
    )
    add_to_package(asked, f"{setup}{code}".replace("enable_automatic_sharing()", f"{what}()"))
    attacked = (
        f"import {PACKAGE}\ntry:\n    {script.replace(chr(10), chr(10) + '    ')}\nexcept "
        "Exception: pass"
    )
    found = report(asked, attacked)
    assert found[2] == "False"
    assert written(asked) == ""


@pytest.mark.linux
@pytest.mark.parametrize("code", ["enable_sharing = telemetry.enable_automatic_sharing", WRAPPER])
def test_a_package_may_rename_or_wrap_a_function_if_its_name_says_the_same(
    host: MakeHost, code: str
) -> None:
    asked = host(endpoint=ENDPOINT)
    add_to_package(asked, code)
    assert report(asked, f"import {PACKAGE}; {PACKAGE}.enable_sharing()")[2] == "True"
    assert 'automatic_sharing_by = "true by python -c on ' in written(asked)


@pytest.mark.linux
def test_a_script_in_a_folder_of_commands_is_no_person(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    command = asked.home / ".local" / "bin" / "tool"
    command.parent.mkdir(parents=True)
    command.write_text(f"import {PACKAGE}; {PACKAGE}.telemetry.enable_automatic_sharing()")
    done = subprocess.run(
        [str(asked.interpreter.python), str(command)],
        env=asked.environment({"PYTHONPATH": str(asked.folder)}),
        cwd=asked.folder,
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    assert written(asked) == ""


@pytest.mark.linux
@pytest.mark.parametrize("way", ["-c", "script", "-m", "stdin"])
def test_a_person_turns_sharing_on_for_good(host: MakeHost, way: str) -> None:
    asked = host(endpoint=ENDPOINT)
    code = f"import {PACKAGE}; {PACKAGE}.telemetry.enable_automatic_sharing()"
    script = asked.folder / "mine.py"
    script.write_text(code)
    command = {"-c": ["-c", code], "script": ["mine.py"], "-m": ["-m", "mine"], "stdin": ["-"]}[way]
    done = subprocess.run(
        [str(asked.interpreter.python), *command],
        env=asked.environment(),
        cwd=asked.folder,
        input=code.encode() if way == "stdin" else b"",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    who = {"-c": "python -c", "stdin": "a prompt"}.get(way, f"the script {script}")
    assert re.search(
        rf'^automatic_sharing_by = "true by {re.escape(who)} on \d{{4}}-\d\d-\d\d"$',
        written(asked),
        re.MULTILINE,
    )
    assert report(asked)[2] == "True"
    shown = asked.plaintally("status", PACKAGE).stdout
    assert f"recorded: true by {who} on 20" in shown


@pytest.mark.linux
def test_a_program_of_the_package_is_none_of_the_user(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    code = f"import {PACKAGE}; print({PACKAGE}.telemetry.enable_automatic_sharing())"
    (asked.folder / PACKAGE / "__main__.py").write_text(code)
    command = asked.interpreter.python.parent / "hostcommand"
    command.write_text(code)
    for arguments in (["-m", PACKAGE], [str(command)]):
        done = subprocess.run(
            [str(asked.interpreter.python), *arguments],
            env=asked.environment(),
            cwd=asked.folder,
            capture_output=True,
            check=True,
        )
        assert b"allowed=False" in done.stdout
        assert b"was ignored" in done.stdout
        assert not asked.choices.exists()
    command.unlink()


@pytest.mark.linux
def test_a_prompt_turns_sharing_on_for_good(each_python: Interpreter, tmp_path: Path) -> None:
    asked = make_host(each_python, tmp_path, endpoint=ENDPOINT)
    python = str(asked.interpreter.python)
    call = f"import {PACKAGE}; {PACKAGE}.telemetry.enable_automatic_sharing()"
    code = program(
        "callers_prompt",
        PYTHON=repr(python),
        ENVIRONMENT=repr(asked.environment({"TERM": "xterm"})),
        CALL=repr((call + chr(10)).encode()),
        CHOICES=repr(str(asked.choices)),
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert 'automatic_sharing_by = "true by a prompt on ' in written(asked)


def test_a_notebooks_cell_turns_sharing_on_for_good(host: MakeHost) -> None:
    """The kernel is IPython's own, as far as cells concern it."""
    pytest.importorskip("IPython")
    asked = host(endpoint=ENDPOINT)
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    code = f"""
        import sys
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        shell.run_cell({f"import {PACKAGE}; {PACKAGE}.telemetry.enable_automatic_sharing()"!r})
    """
    (asked.folder / "kernel.py").write_text(textwrap.dedent(code))
    done = asked.run("import kernel", env={"PYTHONPATH": f"{asked.folder}{os.pathsep}{packages}"})
    assert done.returncode == 0, done.stderr
    assert 'automatic_sharing_by = "true by a ' in written(asked)


@pytest.mark.linux
def test_a_person_at_a_prompt_is_told_what_a_function_of_a_package_could_not_do(
    host: MakeHost,
) -> None:
    asked = host(endpoint=ENDPOINT)
    add_to_package(asked, "def share_all(): return telemetry.enable_automatic_sharing()")
    command = [str(asked.interpreter.python), "-c", f"import {PACKAGE}; {PACKAGE}.share_all()"]
    seen = see_at_terminal(command, env=asked.environment({"PLAINTALLY": "off"}), cwd=asked.folder)
    assert "automatic_sharing = true of hostpkg was ignored" in seen
    quiet = asked.run(f"import {PACKAGE}; {PACKAGE}.share_all()")
    assert (quiet.stdout, quiet.stderr) == (b"", b"")


@pytest.mark.linux
def test_the_command_turns_sharing_on_and_off(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    done = asked.plaintally("on", PACKAGE, "--sharing")
    assert done.stdout.endswith("hostpkg: automatic sharing is on.\n"), done.stderr
    assert 'automatic_sharing_by = "true by plaintally on --sharing on 20' in written(asked)
    assert "counter" not in written(asked)
    assert report(asked)[2] == "True"
    assert asked.plaintally("off").returncode == 0
    assert report(asked)[2] == "False"
    assert f"[packages.{PACKAGE}]\n\n" not in written(asked)
    assert "true by" not in written(asked)
    wrong = asked.plaintally("on", "--sharing")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--sharing needs the name of a package" in wrong.stderr


@pytest.mark.parametrize(
    ("call", "key"), [("disable_counter()", "counter"), ("set_endpoint(None)", "endpoint")]
)
def test_a_no_is_taken_from_anybody_and_kept_with_its_author(
    host: MakeHost, call: str, key: str
) -> None:
    asked = host(endpoint=ENDPOINT)
    add_to_package(asked, f"telemetry.{call}")
    assert report(asked)[0] == "False"
    value = "false " if key == "counter" else ""
    assert f'{key}_by = "{value}by the module {PACKAGE} on 20' in written(asked)


def test_a_strange_name_of_a_script_leaves_the_file_readable(
    host: MakeHost, tmp_path: Path
) -> None:
    asked = host(endpoint=ENDPOINT)
    script = tmp_path / 'a "quoted"\n\x1b[2Jname\\.py'
    script.write_text(f"import {PACKAGE}; {PACKAGE}.telemetry.disable_counter()")
    done = subprocess.run(
        [str(asked.interpreter.python), str(script)], env=asked.environment(), check=False
    )
    assert done.returncode == 0
    assert "a 'quoted'/n/x1b[2Jname/.py on 20" in written(asked)
    assert report(asked)[0] == "False"


@pytest.mark.linux
@pytest.mark.parametrize("way", ["import", "thread", "exit"])
def test_a_package_shares_no_session_by_itself(host: MakeHost, way: str) -> None:
    with loopback() as server:
        asked = host(endpoint=server.endpoint)
        module = asked.folder / PACKAGE / "__init__.py"
        call = "telemetry.share(show_progress=False)"
        when = {
            "import": call,
            "thread": (
                f"import threading; t = threading.Thread(target=lambda: {call}); t.start(); "
                "t.join()"
            ),
            "exit": f"import atexit; atexit.register(lambda: {call})",
        }[way]
        module.write_text(
            "from plaintally import Telemetry\n"
            f"telemetry = Telemetry({PACKAGE!r}, endpoint={server.endpoint!r})\n{when}\n"
            f"def share(): return {call}\n"
        )
        assert (
            b"the module hostpkg asked for it" in asked.run(env={MARKER: str(asked.folder)}).stderr
        )
        wait_until_gone(str(asked.folder))
        assert server.connections == 0


@pytest.mark.linux
def test_a_function_of_a_package_shares_when_a_person_calls_it(host: MakeHost) -> None:
    with loopback() as server:
        asked = host(endpoint=server.endpoint)
        add_to_package(asked, "def share(): return telemetry.share(show_progress=False)")
        asked.run(f"import {PACKAGE}; {PACKAGE}.share()", env={"LOG_USING_HOSTPKG": "off"})
        [request] = server.wait_for(1)
        assert b"sessions/" in request


def test_a_strange_name_of_a_module_is_made_printable(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    code = program("callers_strange_name")
    done = asked.run(code, env={"PLAINTALLY": "off"})
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout
    assert b"\\x1b[2J" in done.stdout


def test_status_as_json_has_the_record(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    asked.plaintally("off", PACKAGE)
    found = json.loads(asked.plaintally("status", PACKAGE, "--json").stdout)
    decided = found["switches"]["counter"]["decided_by"]["value"]
    assert "recorded: false by plaintally off" in decided


def test_a_record_in_a_file_that_came_with_a_clone_is_not_shown(host: MakeHost) -> None:
    asked = host(endpoint=ENDPOINT)
    (asked.folder / "pyproject.toml").write_text(
        '[tool.plaintally]\ncounter = false\ncounter_by = "true by plaintally on on 2026-01-01"\n'
    )
    assert "recorded" not in asked.plaintally("status", PACKAGE).stdout
