"""The rules that the layout promises: what may import, read, connect and query what."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from hosts import ROOT

SDK = ROOT / "sdk/src/plaintally"
SERVER = ROOT / "server/src/plaintally_server"
AUTHOR = ROOT / "author/src/plaintally_author"
NETWORK = {
    "socket",
    "_socket",
    "ssl",
    "_ssl",
    "http",
    "urllib",
    "asyncio",
    "socketserver",
    "selectors",
    "ftplib",
}
CLOCKS_AND_RANDOMNESS = {"time", "random", "secrets", "uuid"}
CLOCKS = {"now", "utcnow", "today"}
PURE = {SDK / "consent/rules.py", SDK / "exceptions.py", *(SDK / "contract").glob("*.py")}
PURE |= {*(SDK / "firestore").glob("*.py"), *(SERVER / "reports").glob("*.py")}
PURE |= {
    path
    for path in (*SDK.rglob("*.py"), *AUTHOR.rglob("*.py"), *SERVER.rglob("*.py"))
    if re.search(r"\bPure\b", ast.get_docstring(ast.parse(path.read_text())) or "")
}
OPTIONAL = {"rich", "tqdm"}  # used for a summary and for bars where a user has them
LEAVES = {
    f"plaintally.{name}"
    for name in (
        "contract",
        "describe",
        "exceptions",
        "firestore",
        "printable",
        "session",
        "sharing",
        "versions",
    )
}


def imports(path: Path) -> set[str]:
    """The full names of all modules that a file imports, inside functions and for type checkers,
    too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:  # the modules of `plaintally._transport`
                module = f"plaintally.{path.parent.name}.{module}".rstrip(".")
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path) if not name.startswith("urllib.parse")}


def test_the_sdk_depends_on_nothing() -> None:
    assert tomllib.loads((ROOT / "sdk/pyproject.toml").read_text())["project"]["dependencies"] == []
    for path in SDK.rglob("*.py"):
        assert roots(path) <= {*sys.stdlib_module_names, "plaintally", *OPTIONAL}, path.name


def test_only_the_transport_has_sockets() -> None:
    assert {path.parent.name for path in SDK.rglob("*.py") if roots(path) & NETWORK} == {
        "_transport"
    }


def test_only_the_preferences_and_the_notice_touch_the_users_files() -> None:
    touching = set()
    for path in SDK.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "open",
                "os.open",
                "posix.open",
                "os.makedirs",
                "os.replace",
            ):
                touching.add(str(path.relative_to(SDK)))
    # The sender opens its pipe, the null device and files of the SDK. The command line opens the
    # null device, for a pipe without a reader. Sessions, deletion keys and contracts are
    # read from and written to the files that somebody names.
    assert touching == {
        "consent/files.py",
        "_preferences.py",
        "_spawn.py",
        "_transport/sender.py",
        "cli/main.py",
        "cli/sessions.py",
        "consent/choices.py",
        "consent/notice.py",
        "session/saved.py",
    }


def test_what_is_pure_knows_no_clock_no_chance_and_no_system() -> None:
    """Each module that says so of itself, and some that go without saying."""
    for path in PURE:
        assert not roots(path) & {"os", "io", "pathlib", *NETWORK, *CLOCKS_AND_RANDOMNESS}, path
        asked = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute)
        }
        assert not asked & CLOCKS, path


def test_the_server_uses_the_sdks_public_leaves() -> None:
    for path in SERVER.rglob("*.py"):
        for name in imports(path):
            if name.partition(".")[0] == "plaintally" and name != "plaintally":
                assert any(f"{name}.".startswith(f"{leaf}.") for leaf in LEAVES), (
                    path.name,
                    name,
                )


def test_the_authors_tools_use_public_modules_of_the_sdk() -> None:
    for path in AUTHOR.rglob("*.py"):
        for name in imports(path):
            if name.partition(".")[0] == "plaintally":
                assert not any(part.startswith("_") for part in name.split(".")), (path.name, name)


def test_the_distributions_depend_on_the_sdk_only() -> None:
    others = {SDK: {"plaintally_author", "plaintally_server"}, AUTHOR: {"plaintally_server"}}
    for folder, forbidden in {**others, SERVER: {"plaintally_author"}}.items():
        for path in folder.rglob("*.py"):
            assert not roots(path) & forbidden, path


def test_sql_stands_in_the_store_only() -> None:
    """`export/queries.py` asks exported files, which have no tables of the store's."""
    for path in SERVER.rglob("*.py"):
        place = path.relative_to(SERVER)
        if "store" not in place.parts and place.as_posix() != "export/queries.py":
            assert not any(
                f"{verb} " in path.read_text() for verb in ("SELECT", "INSERT INTO", "DELETE FROM")
            ), path.name


@pytest.mark.parametrize(
    ("project", "package"),
    [("sdk", "plaintally"), ("author", "plaintally_author"), ("server", "plaintally_server")],
)
def test_a_wheel_holds_its_package_its_types_and_its_license(
    project: str, package: str, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*command, str(ROOT / project)], check=True)
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {
        str(path.relative_to(ROOT / project / "src"))
        for path in (ROOT / project / "src" / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith(f"{package}/")} == files
    assert f"{package}/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert wheel.stat().st_size <= {"sdk": 165_000, "author": 40_000}.get(project, 10**9)
