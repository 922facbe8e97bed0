"""Interpreters whose standard library has no files, or has them elsewhere, as bundlers make them.

Real programs of cx_Freeze and PyInstaller are among the hosts of `tests/system/hosts`.
"""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from programs import program

pytestmark = pytest.mark.once

BARE = """
import decimal, os, sys
for name in ("encodings", "os", "decimal"):
    module = sys.modules[name]
    module.__file__ = None
    del module.__file__
decimal.__loader__ = sys.modules["_frozen_importlib"].FrozenImporter
sys.frozen, sys._stdlib_dir, sys.prefix = True, None, {library!r}
"""
USE = program("frozen_use")
EXPECTED = "Decimal Fraction list JSONDecodeError while making it\nargument\n"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PLAINTALLY", "PYTEST"))
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_descriptions_and_callers_where_the_standard_library_has_no_files() -> None:
    done = run(BARE.format(library=sysconfig.get_path("stdlib")) + USE)
    assert (done.stdout, done.stderr) == (EXPECTED, "")


def test_descriptions_where_the_standard_library_is_in_an_archive(tmp_path: Path) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    archive = tmp_path / "library.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in library.rglob("*.py"):
            if not {"site-packages", "test", "idlelib"} & set(path.relative_to(library).parts):
                file.write(path, path.relative_to(library))
    check = (
        f"import decimal, encodings\nassert {str(archive)!r} in encodings.__file__ and 'zip' in "
        "decimal.__file__\n"
    )
    done = run(check + USE, PYTHONPATH=str(archive), PYTHONDONTWRITEBYTECODE="1")
    assert (done.stdout, done.stderr) == (EXPECTED, "")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (
            "import os, tempfile; gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)",
            "a callback",
        ),
        ("__file__ = None", "the script {}/app.py"),
        ("__file__ = 'a\\0b'", "the script {}/a\\x00b"),
        ("import sys; sys.executable = None", "the script {}/app.py"),
    ],
)
def test_a_caller_without_a_place_is_found_without_an_error(
    tmp_path: Path, change: str, name: str
) -> None:
    """The code of a frozen program has a relative path, and a process may have lost its working
    directory."""
    code = f"{change}\n{program('frozen_caller')}"
    done = run(_launch(code, tmp_path))
    expected = name.format(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected


def _launch(code: str, folder: Path) -> str:
    """Code that runs other code as the main module of a bundled program does: its file is
    `app.py`."""
    return f"import os; os.chdir({str(folder)!r})\nexec(compile({code!r}, 'app.py', 'exec'))\n"
