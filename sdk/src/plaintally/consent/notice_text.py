"""The text of the notice, its way to the terminal, and a working opt-out command.

Under `pipx` the command is not on the PATH.
"""

import os
import sys

from plaintally import _spawn
from plaintally.consent import rules
from plaintally.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from plaintally import Telemetry

_FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # where the SDK is installed


def show(telemetry: "Telemetry", environment: "Mapping[str, str]") -> bool:
    """Write the notice to the standard error; False unless all of it was written.

    What a terminal does not take, since another process made it non-blocking, must not stay in the
    host's buffer.
    """
    stream = sys.stderr
    try:
        words = text(telemetry, environment)
        stream.flush()
        is_own = sys.stderr is sys.__stderr__ and sys.platform != "win32"
        if not is_own:
            stream.write(words)
            stream.flush()
            return True
        content = words.encode(stream.encoding or "ascii", "backslashreplace")
        return os.write(stream.fileno(), content) == len(content)
    except Exception:  # noqa: BLE001  # a stream of the host's
        return False


def text(telemetry: "Telemetry", environment: "Mapping[str, str]") -> str:
    """Return the notice: three lines at most, the last one the command that opts out for good."""
    extra = "".join(f", the {name.replace('_', ' ')}" for name in telemetry.fields[2:])
    when = "From the next start on, " if telemetry.policy == "notice-first" else ""
    more = f" More: {telemetry.privacy_url}" if telemetry.privacy_url else ""
    own = rules.variables(telemetry.package)[0]
    command = find_command(environment)
    last = f", or for good run:\n  {command} off {telemetry.package}\n" if command else ".\n"
    return (
        f"{when}{telemetry.package} counts how often it is imported: a random id made anew each "
        f"time{extra} "
        f"and the hour, nothing else.{more}\n"
        f"To turn it off, set {own}=off (PLAINTALLY=off for all packages){last}"
    )


def name_command() -> str:
    """Return what a user types for `plaintally`, as far as that is known."""
    return find_command(os.environ) or "plaintally"


def find_command(environment: "Mapping[str, str]") -> "str | None":
    """Return what a user types for `plaintally`, or None if no interpreter finds the SDK."""
    interpreter = _spawn.find_interpreter()
    if not interpreter:
        return None
    if _is_on_path(environment.get("PATH", ""), interpreter):
        return "plaintally"
    if not _FOLDER.endswith("-packages"):  # it is no part of an installation
        return None
    return f"{quote(interpreter, windows=sys.platform == 'win32')} -m plaintally"


def quote(path: str, *, windows: bool) -> str:
    """Return a path as it is typed at a shell, in printable form."""
    if windows:
        return printable(f'"{path}"' if " " in path else path)
    import shlex

    return printable(shlex.quote(path))


def _is_on_path(path: str, interpreter: str) -> bool:
    """Whether the first `plaintally` on the PATH lies beside this interpreter."""
    import shutil

    found = os.path.dirname(shutil.which("plaintally", path=path) or "")
    folder = os.path.dirname(interpreter)
    own = map(os.path.realpath, (folder, os.path.join(folder, "Scripts")))
    return found != "" and os.path.realpath(found) in own
