"""What a host's import of us loads, leaves behind, and how much of it there is to read."""

import ast
import importlib.util
import io
import json
import shutil
import time
import tokenize
from pathlib import Path

import pytest

from hosts import PACKAGE, Host, Interpreter, MakeHost, make_host
from loopback import loopback
from programs import program
from waiting import PATIENCE_S

OWN = {"plaintally", "plaintally._count", "plaintally._preferences", "plaintally._spawn"}
# A preference stands in a file.
RULES = {
    "plaintally.consent",
    "plaintally.consent.facts",
    "plaintally.consent.rules",
    "plaintally.consent.preferences_file",
}
REPORT = """
    import sys
    before = set(sys.modules)
    import hostpkg
    print(*sorted(set(sys.modules) - before - {"hostpkg"}))
"""


@pytest.mark.parametrize(
    "preferences", ["", "counter = true # yes\n\n[packages.hostpkg]\ncounter = true\n"]
)
def test_counting_loads_our_own_small_modules_and_nothing_else(
    each_python: Interpreter, tmp_path: Path, preferences: str
) -> None:
    with loopback() as server:
        host = make_host(each_python, tmp_path, endpoint=server.endpoint)
        if preferences:
            host.prefer(preferences)
        loaded = host.run(REPORT).stdout.decode().split()
        assert len(server.wait_for(1)) == 1
    assert set(loaded) - {"atexit"} == (OWN | RULES if preferences else OWN)


def test_refusing_by_a_preference_loads_no_more(host: MakeHost) -> None:
    refused = host(
        endpoint="https://telemetry.example.org/v1/projects/p/databases/(default)/documents"
    )
    refused.prefer("# I said no.\r\ncounter = false\r\n")
    assert set(refused.run(REPORT).stdout.decode().split()) == OWN | RULES


@pytest.mark.parametrize(
    "said",
    [
        {"PLAINTALLY": "off"},
        {"DO_NOT_TRACK": "1"},
        {"HOSTPKG_TELEMETRY": "0"},
        {"LOG_USING_HOSTPKG": "No"},
    ],
)
def test_who_says_no_in_a_variable_loads_one_module(host: MakeHost, said: dict[str, str]) -> None:
    refused = host(
        endpoint="https://telemetry.example.org/v1/projects/p/databases/(default)/documents"
    )
    assert refused.run(REPORT, env=said).stdout.decode().split() == ["plaintally"]


@pytest.mark.parametrize(("modules", "most"), [(OWN, 700), (OWN | RULES, 1_060)])
def test_all_that_runs_at_a_hosts_import_can_be_read_in_a_sitting(
    modules: set[str], most: int
) -> None:
    files = [importlib.util.find_spec(name).origin for name in modules]  # type: ignore[union-attr]
    assert sum(lines_of_code(Path(str(file)).read_text()) for file in files) <= most


def lines_of_code(source: str) -> int:
    """The number of lines that run: no white space, comments, docstrings, nor what is for type
    checkers alone."""
    prose = {
        line
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    silent = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    spoken = {
        line
        for token in tokens
        if token.type not in silent
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(spoken - prose)


LINGER = program("import_path_lingers")


@pytest.mark.linux
def test_nothing_is_left_in_the_host_while_the_endpoint_is_silent(
    each_python: Interpreter, tmp_path: Path
) -> None:
    """The sender still works for three packages, but the host has no thread, child, descriptor or
    setting more."""
    with loopback(held=True) as server:
        host = make_host(each_python, tmp_path, endpoint=server.endpoint)
        for name in ("second", "third"):
            shutil.copytree(host.folder / PACKAGE, host.folder / name)
            code = (host.folder / name / "__init__.py").read_text()
            (host.folder / name / "__init__.py").write_text(code.replace(PACKAGE, name))
        with (
            host.start(LINGER) as counted,
            host.start(LINGER, env={"PLAINTALLY": "off"}) as refused,
        ):
            assert len(server.wait_for(3)) == 3
            found = []
            for process in (counted, refused):
                assert process.stdin
                assert process.stdout
                assert json.loads(process.stdout.readline()) == {"changed": []}
                found.append(_wait_for_single_thread(process.pid))
                assert process.communicate(b"\n")[0] == b"no child\n"
                assert process.returncode == 0
    assert found[0] == found[1]


def _wait_for_single_thread(pid: int) -> dict[str, object]:
    """What /proc tells of a process, once its short-lived thread is gone."""
    folder = Path(f"/proc/{pid}")
    deadline = time.monotonic() + PATIENCE_S
    while len(list((folder / "task").iterdir())) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return {
        "threads": len(list((folder / "task").iterdir())),
        "children": (folder / f"task/{pid}/children").read_text().split(),
        "descriptors": sorted(entry.name for entry in (folder / "fd").iterdir()),
    }


def test_a_second_import_a_reload_and_a_fork_count_no_second_time(host: MakeHost) -> None:
    code = program("import_path_reload")
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        assert counted.run(code).returncode == 0
        counted.run(env={"HOSTPKG_TELEMETRY": "on"})
        assert len(server.wait_for(2)) == 2


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("imports", ["in the main module", "in the worker only"])
def test_pool_workers_are_not_counted(
    host: MakeHost, tmp_path: Path, method: str, imports: str
) -> None:
    script = tmp_path / "main.py"
    before = f"import {PACKAGE}\n" if imports == "in the main module" else ""
    code = program("import_path_pool", POOLS="multiprocessing", METHOD=repr(method))
    script.write_text(before + code)
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        done = counted.run(
            f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", env={}
        )
        assert done.returncode == 0, done.stderr
        counted.run()  # a last one, behind which a straggler would be seen
        assert len(server.wait_for(2)) == 2


# Celery's, and pathos'.
POOLS = {
    "billiard": ("fork", "spawn"),
    "multiprocess": ("fork", "spawn", "forkserver"),
}


@pytest.mark.linux
@pytest.mark.parametrize(
    ("library", "method"),
    [(library, method) for library, methods in POOLS.items() for method in methods],
)
def test_workers_of_other_pools_are_not_counted(
    host: MakeHost, tmp_path: Path, library: str, method: str
) -> None:
    found = importlib.util.find_spec(library)
    if found is None or found.origin is None:
        pytest.skip(f"{library} is not installed; see requirements-tests.txt")
    script = tmp_path / "main.py"
    script.write_text(program("import_path_pool", POOLS=library, METHOD=repr(method)))
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        path = {"PYTHONPATH": f"{counted.folder}:{Path(found.origin).parent.parent}"}
        done = counted.run(
            f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", env=path
        )
        assert done.returncode == 0, done.stderr
        counted.run()  # a last one, behind which a straggler would be seen
        assert len(server.wait_for(2)) == 2


def test_one_rank_of_many_is_counted(host: MakeHost) -> None:
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        for rank in ("3", "2", "1", "0"):
            counted.run(env={"OMPI_COMM_WORLD_RANK": rank})
        assert len(server.wait_for(1)) == 1
        counted.run()
        assert len(server.wait_for(2)) == 2


def test_what_a_session_needs_is_loaded_with_the_first_invoke(
    bare: Interpreter, tmp_path: Path
) -> None:
    code = program("import_path_first_invoke")
    first, second = Host(bare, tmp_path, tmp_path).run(code).stdout.decode().splitlines()
    assert set(first.split()) == OWN
    assert second == "True"


IN_SUBINTERPRETER = program("import_path_in_subinterpreter")


def test_a_subinterpreter_has_a_log_of_its_own(each_python: Interpreter, tmp_path: Path) -> None:
    done = Host(each_python, tmp_path, tmp_path).run(IN_SUBINTERPRETER)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(set(done.stdout.split())) == 2
