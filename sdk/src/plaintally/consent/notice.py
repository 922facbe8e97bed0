"""Whether a person was shown the notice: at most three lines at a terminal, once for each contract.

A file in the user's preferences folder holds the names of the fields that were shown. If it cannot
be written, nothing is shown, because the notice would appear at every start.
"""

import os

from plaintally import _preferences

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from plaintally import Telemetry


def show_once(telemetry: "Telemetry", environment: "Mapping[str, str]") -> None:
    """Show the notice unless it was shown before, and remember that it was."""
    path = _record(telemetry, environment)
    if path is None or was_shown(telemetry, environment):
        return
    try:
        from plaintally.consent import notice_text

        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            os.write(descriptor, "".join(f"{name}\n" for name in telemetry.fields).encode())
        finally:
            os.close(descriptor)
        if was_shown(telemetry, environment) and not notice_text.show(telemetry, environment):
            os.unlink(path)
    except Exception:  # noqa: BLE001, S110  # the notice is no reason for the host to fail
        pass


def was_shown(telemetry: "Telemetry", environment: "Mapping[str, str]") -> bool:
    """Whether this user was shown a notice with every field of the contract."""
    path = _record(telemetry, environment)
    try:
        told = _preferences.read_bytes(path).decode(errors="replace") if path is not None else ""
        return set(telemetry.fields) <= set(told.split())
    except OSError:
        return False


def _record(telemetry: "Telemetry", environment: "Mapping[str, str]") -> "str | None":
    folder = _preferences.user_directory(environment)
    return None if folder is None else os.path.join(folder, "notices", telemetry.package)
