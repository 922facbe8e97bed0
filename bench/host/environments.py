"""One environment for each system, made outside of the namespaces, since registries are elsewhere.

They lie in `build/bench`, which git ignores, and are kept as long as their requirements stay what
they are.
"""

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from host.systems import LIBRARIES, OURS, PEERS, System

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "build" / "bench"
WHEELS = FOLDER / "wheels"
_COUNT = """
import importlib.metadata as metadata, json, sys
found = list(metadata.distributions())
files = [file for one in found for file in one.files or () if "__pycache__" not in str(file)]
size = sum(file.locate().stat().st_size for file in files)
print(json.dumps([sorted(f"{one.name} {one.version}" for one in found), size]))
"""


class Installed(NamedTuple):
    """What installing a system brings: distributions with versions, and bytes of source."""

    distributions: list[str]
    size: int


def make(system: System) -> Installed:
    """Make the environment of a system, if there is none yet."""
    folder = FOLDER / system.name
    stamp = folder / "requirements.json"
    into = ("--python", str(folder / "bin/python"), "install")
    if not stamp.exists() or json.loads(stamp.read_text()) != list(system.requirements):
        venv.create(folder, symlinks=True)
        if system.requirements:
            _run_pip(*into, *system.requirements)
        stamp.write_text(json.dumps(system.requirements))
    if system in (OURS, LIBRARIES):  # our own wheel may have changed under the same version
        _run_pip(*into, "--force-reinstall", "--no-deps", str(next(WHEELS.glob("*.whl"))))
    counted = subprocess.run([python(system), "-c", _COUNT], capture_output=True, check=True)
    return Installed(*json.loads(counted.stdout))


def python(system: System) -> str:
    """The interpreter of a system's environment."""
    return str(FOLDER / (system.environment or system.name) / "bin/python")


def wheel_size() -> int:
    """Bytes of our own wheel."""
    return next(WHEELS.glob("*.whl")).stat().st_size


def make_all(names: Collection[str] = ()) -> dict[str, Installed]:
    """Make the environments, or only these; report and leave out what cannot be installed."""
    build_wheel()
    found = {}
    for system in (OURS, LIBRARIES, *(peer for peer in PEERS if not names or peer.name in names)):
        try:
            found[system.name] = make(system)
        except subprocess.CalledProcessError as error:
            print(
                f"bench: {system.name} cannot be installed: "
                f"{error.stderr.decode(errors='replace').strip()[-300:]}"
            )
    return found


def build_wheel() -> None:
    """Build our own wheel, which `make` installs."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    _run_pip("wheel", "--no-deps", "--wheel-dir", str(WHEELS), str(ROOT / "sdk"))


def _run_pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, capture_output=True, check=True)
