"""What a decision about a package depends on: preferences files, the endpoint, the process.

This is loaded only where somebody said something.
"""

import os
import sys

from plaintally import _preferences, _spawn
from plaintally.consent.rules import Facts, Layer, understand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from plaintally import Telemetry
    from plaintally._spawn import Endpoint

_NOTHING: "dict[str, Any]" = {"packages": {}}


def gather(
    telemetry: "Telemetry", *, circumstances: "Mapping[str, Sequence[str]]", pool_worker: bool
) -> Facts:
    """Return all that a decision about the package depends on."""
    environment = dict(os.environ)
    found = [*layers(environment), *telemetry._explicit.get("modules", {}).values()]
    endpoint, where = resolve_endpoint(telemetry, found)
    shown = False
    if telemetry.policy == "notice-first":
        from plaintally.consent import notice

        shown = notice.was_shown(telemetry, environment)
    return Facts(
        telemetry.package,
        environment=environment,
        circumstances=circumstances,
        layers=found,
        explicit=telemetry._explicit,
        endpoint=endpoint,
        endpoint_where=where,
        policy=telemetry.policy,
        notice_shown=shown,
        pool_worker=pool_worker,
        obstacles=_find_obstacles(),
    )


def layers(environment: "Mapping[str, str]") -> list[Layer]:
    """Every preferences file from the nearest to the farthest, ours also if missing."""
    projects = []
    left = _preferences.MAX_BYTES
    for path in _preferences.project_paths():
        layer, parsed = _read("project", path, left)
        projects.append(layer)
        left -= parsed
    told = [layer for layer in projects if layer.problem is not None or layer.table != _NOTHING]
    return [*told, *(read(level, path) for level, path in _preferences.paths(environment).items())]


def read(level: str, path: str) -> Layer:
    """What stands in the file at `path`; nothing when there is none."""
    return _read(level, path, _preferences.MAX_BYTES)[0]


def _read(level: str, path: str, limit: int) -> tuple[Layer, int]:
    """Return the file's table and its size; a file over `limit` bytes is not parsed."""
    parsed = 0
    try:
        content = _preferences.read_bytes(path)
        if not content or (level == "project" and b"plaintally" not in content):
            return Layer(
                level, path, _NOTHING
            ), parsed  # as nearly every project, whose file may be long
        if len(content) > limit:
            raise ValueError("it and the project files below it are larger than 256 KiB together")  # noqa: TRY301
        parsed = len(content)

        from plaintally.consent import preferences_file

        table = preferences_file.parse(content)
        if level == "project":
            tools = table.get("tool", {})
            table = tools.get("plaintally", {}) if isinstance(tools, dict) else tools
        return Layer(level, path, preferences_file.understood(table)), parsed
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Layer(level, path, {}, f"cannot be understood ({reason}), so it refuses"), parsed


def _find_obstacles() -> "dict[str, str]":
    """Return for each switch why this process can start none that sends; empty if it can."""
    obstacle = ""
    if not _spawn.find_interpreter():
        obstacle = "this program has no Python interpreter that could be started"
    elif sys.platform != "win32" and not os.access("/bin/sh", os.X_OK):
        obstacle = "there is no /bin/sh"
    on_windows = "automatic sharing does not work on Windows yet"  # a writer to a pipe might block
    return {
        "counter": obstacle,
        "automatic_sharing": on_windows if sys.platform == "win32" else obstacle,
    }


def resolve_endpoint(
    telemetry: "Telemetry", layers: "Sequence[Layer]"
) -> "tuple[Endpoint | None, str]":
    """The endpoint in force and its source: the nearest file that names one, or the author.

    That there be none is also heard from the user's choices, from a file that enforces, and from
    one that may not name another address.
    """
    chosen = None
    for layer in layers:
        said = layer.get(telemetry.package, "endpoint")
        if said is None or (chosen is not None and layer.level != "choices" and not layer.enforced):
            continue
        where = layer.path + layer.record(telemetry.package, "endpoint")
        if understand(said) is False:
            return None, where
        try:
            named = _spawn.parse_endpoint(said, allow_http=telemetry.allow_http)
        except ValueError:
            return None, f"{layer.path}, whose endpoint is no usable URL"
        if chosen is None and layer.may_allow("endpoint"):
            chosen = named, where
    return chosen or (telemetry.endpoint, "the author of the package")
