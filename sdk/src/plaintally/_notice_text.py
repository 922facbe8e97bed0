"""The text of the notice, and how it gets to the terminal; loaded only when it is shown."""

import os
import sys

from plaintally import _consent
from plaintally._own_command import find_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from plaintally import Telemetry


def show(telemetry: "Telemetry", environment: "Mapping[str, str]") -> bool:
    """Write the notice to the standard error; False unless all of it was written.

    What a terminal does not take, since another process made it non-blocking, must not stay in the host's buffer.
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
    own = _consent.variables(telemetry.package)[0]
    command = find_command(environment)
    last = f", or for good run:\n  {command} off {telemetry.package}\n" if command else ".\n"
    return (
        f"{when}{telemetry.package} counts how often it is imported: a random id made anew each time{extra} "
        f"and the hour, nothing else.{more}\n"
        f"To turn it off, set {own}=off (PLAINTALLY=off for all packages){last}"
    )
