"""How a user runs the command `plaintally` of this installation: under `pipx` it is not on the PATH."""

import os
import sys

import plaintally
from plaintally import _sender
from plaintally.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def name_command() -> str:
    """Return what a user types for `plaintally`, as far as that is known."""
    return find_command(os.environ) or "plaintally"


def find_command(environment: "Mapping[str, str]") -> "str | None":
    """Return what a user types for `plaintally`, or None if a new interpreter would not find the SDK."""
    interpreter = _sender.find_interpreter()
    if not interpreter:
        return None
    if _is_on_path(environment.get("PATH", ""), interpreter):
        return "plaintally"
    is_installed = os.path.dirname(plaintally.__path__[0]).endswith("-packages")
    return f"{quote(interpreter, windows=sys.platform == 'win32')} -m plaintally" if is_installed else None


def quote(path: str, *, windows: bool) -> str:
    """Return a path as it is typed at a shell, in printable form."""
    plain = path.replace("\\", "").replace(":", "") if windows else path
    if plain.isascii() and plain.translate(dict.fromkeys(map(ord, "/._-+"), "a")).isalnum():
        return path
    quoted = f'"{path}"' if windows else "'" + path.replace("'", "'\"'\"'") + "'"
    return printable(quoted)


def _is_on_path(path: str, interpreter: str) -> bool:
    """Whether the first `plaintally` on the PATH belongs to this interpreter, by its folder or its first line."""
    name = "plaintally.exe" if sys.platform == "win32" else "plaintally"
    files = (os.path.join(folder, name) for folder in path.split(os.pathsep))
    found = next((file for file in files if os.path.isfile(file) and os.access(file, os.X_OK)), None)
    if found is None:
        return False
    folder = os.path.dirname(interpreter)
    if os.path.realpath(os.path.dirname(found)) in map(os.path.realpath, (folder, os.path.join(folder, "Scripts"))):
        return True
    try:
        with open(found, "rb") as file:
            return os.path.join(folder, "python").encode(errors="surrogateescape") in file.read(1024)
    except (OSError, ValueError):
        return False
