"""The versions of Python that we support, and where this machine has them: `python interpreters.py
3.12`."""

import os
import shutil
import sys
from pathlib import Path

SUPPORTED = ((3, 11), (3, 12), (3, 13))


def find_interpreter(version: tuple[int, int]) -> str | None:
    """An interpreter of this version: the running one, one on the PATH, or one of pyenv's."""
    if sys.version_info[:2] == version:
        return sys.executable
    name = "python{}.{}".format(*version)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    builds = sorted(pyenv.glob("{}.{}.*/bin/python".format(*version)))
    return str(builds[-1]) if builds else shutil.which(name)


if __name__ == "__main__":
    major, _, minor = sys.argv[1].partition(".")
    found = find_interpreter((int(major), int(minor)))
    if found is None:
        sys.exit(f"no Python {sys.argv[1]} here")
    print(found)
