"""Counts one import: finds out whether it may, and passes what may leave to `_spawn`.

If no variable and no file says anything, the author's default holds, and nothing more is loaded.
Otherwise `consent` decides on the facts. The only state is which packages this process has counted.
"""

import os
import sys
import time

from plaintally import _preferences, _spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plaintally import Telemetry
    from plaintally._spawn import Endpoint
    from plaintally.consent.rules import Facts

# In these, an import says nothing about use, and no person can consent. The presence of a
# variable is enough, except for the values in `consent.rules`. BUILD_ID, RUN_ID, RENDER and VERCEL
# also occur on servers, so the decision names the variable. (Taskcluster's TASK_ID comes with a
# RUN_ID.)
_VARIABLES = {
    "CI": """
        CI CONTINUOUS_INTEGRATION BUILD_NUMBER BUILD_ID RUN_ID CI_NAME CI_APP_ID CI_BUILD_ID
        CI_BUILD_NUMBER AGOLA_GIT_REF AC_APPCIRCLE APPVEYOR CODEBUILD_BUILD_ARN TF_BUILD
        bamboo_planKey BITBUCKET_COMMIT BITRISE_IO BUDDY_WORKSPACE_ID BUILDKITE CIRCLECI CIRRUS_CI
        CF_PAGES WORKERS_CI CF_BUILD_ID CM_BUILD_ID DRONE DSARI EARTHLY_CI EAS_BUILD GERRIT_PROJECT
        GITEA_ACTIONS GITHUB_ACTIONS GITLAB_CI GO_PIPELINE_LABEL BUILDER_OUTPUT HARNESS_BUILD_ID
        HUDSON_URL JENKINS_URL LAYERCI MAGNUM NETLIFY NEVERCODE PROW_JOB_ID RELEASE_BUILD_ID RENDER
        SAILCI SCREWDRIVER SEMAPHORE STRIDER TEAMCITY_VERSION TRAVIS VELA NOW_BUILDER VERCEL
        APPCENTER_BUILD_ID CI_XCODE_PROJECT XCS SHIPPABLE TDDIUM
    """,
    "test run": "PYTEST_CURRENT_TEST PYTEST_VERSION TOX_ENV_NAME NOX_CURRENT_SESSION",
    "documentation build": "READTHEDOCS",
    "AI agent": """
        CLAUDECODE CURSOR_AGENT CURSOR_TRACE_ID GEMINI_CLI CODEX_SANDBOX AI_AGENT COPILOT_CLI
        OPENCODE_CLIENT REPL_ID
    """,
    "rank above 0": "OMPI_COMM_WORLD_RANK PMI_RANK PMIX_RANK SLURM_PROCID RANK",
}
# Lists of so many constants would be slower to load.
CIRCUMSTANCES = {rule: names.split() for rule, names in _VARIABLES.items()}
# Libraries whose pools start worker processes; each has a class of processes like that of
# `multiprocessing`.
_POOLS = "multiprocessing.process", "billiard.process", "multiprocess.process"
# the packages whose import this process, or the one it was forked from, counted
_counted: "dict[str, object]" = {}


def count(telemetry: "Telemetry", endpoint: "Endpoint | None") -> None:
    """Count that this process imported the package, once, unless anybody refuses."""
    if telemetry.package in _counted:
        return
    environment = dict(os.environ)
    rule = "endpoint" if endpoint is None else "default"
    if not default_decides(telemetry, environment):
        from plaintally.consent import rules

        facts = gather(telemetry)
        decision = rules.decide("counter", facts)
        rule = decision.rule
        endpoint = facts.endpoint if decision.allowed else None
    if rule == "default" and telemetry.policy != "opt-in" and _is_interactive():
        from plaintally.consent import notice

        notice.show_once(telemetry, environment)
    token = object()
    telemetry._refused = endpoint is None
    if endpoint is not None and _counted.setdefault(telemetry.package, token) is token:
        target, body = document(telemetry, os.urandom(16), time.time_ns())
        _spawn.send(endpoint, target, body, environment=environment)


def default_decides(telemetry: "Telemetry", environment: "dict[str, str]") -> bool:
    """Return whether the rule `default` counts an import, because no other rule says anything.

    A shortcut: loading and applying the rules takes a third more instructions of an import
    (`bench/counts.py`).
    """
    own = telemetry.package.upper()
    ours = (f"{own}_TELEMETRY", f"LOG_USING_{own}", "PLAINTALLY", "DO_NOT_TRACK")
    said = (
        telemetry._explicit
        or _is_pool_worker()
        or not all(map(environment.keys().isdisjoint, (ours, *CIRCUMSTANCES.values())))
    )
    return telemetry.policy == "opt-out" and not said and not _preferences.any_speaks(environment)


def document(telemetry: "Telemetry", randomness: bytes, now_ns: int) -> "tuple[str, bytes]":
    """Return the target below the endpoint and the JSON body of one import.

    Every value is safe to quote as it is.
    """
    identifier = uuid4(randomness)
    names = telemetry.fields
    values = {
        "id": identifier,
        "timestamp": hour(now_ns),
        "python_version": "{}.{}".format(*sys.version_info),
    }
    if "package_version" in names:
        values["package_version"] = _coarse_version(telemetry.version)
    kinds = {"timestamp": "timestampValue"}
    sent = [name for name in names if values[name]]  # without an invalid version
    inside = ",".join(
        [f'"{name}":{{"{kinds.get(name, "stringValue")}":"{values[name]}"}}' for name in sent]
    )
    return (
        f"using_{telemetry.package}?documentId={identifier}",
        f'{{"fields":{{{inside}}}}}'.encode(),
    )


def _coarse_version(version: object) -> str:
    """Return the coarse form of a version, or "".

    A plain release such as `1.2.3` needs no further module.
    """
    parts = version.split(".") if isinstance(version, str) and len(version) <= 64 else [""]
    if all(part.isdigit() and part.isascii() and len(part) < 7 for part in parts):
        return str(version)
    from plaintally.versions import coarse_version

    return coarse_version(version)


def gather(telemetry: "Telemetry") -> "Facts":
    """Return all that a decision about the package depends on."""
    from plaintally.consent import facts

    return facts.gather(telemetry, circumstances=CIRCUMSTANCES, pool_worker=_is_pool_worker())


def uuid4(randomness: bytes) -> str:
    """A version 4 UUID (RFC 9562, section 5.4) of 16 random bytes, without importing `uuid`."""
    versioned = randomness[:6] + bytes(
        (randomness[6] & 0x0F | 0x40, randomness[7], randomness[8] & 0x3F | 0x80)
    )
    digits = (versioned + randomness[9:]).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def hour(now_ns: int) -> str:
    """Return the hour of a time in nanoseconds since 1970, as RFC 3339 in UTC."""
    year, month, day, hours, *_ = time.gmtime(now_ns // 1_000_000_000)
    return f"{year:04}-{month:02}-{day:02}T{hours:02}:00:00Z"


def is_notebook() -> bool:
    """Return whether this process is a notebook's kernel, and not one that drives notebooks."""
    ipython = sys.modules.get("IPython")
    try:
        return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
    except Exception:  # noqa: BLE001  # another module of this name, or one that is half loaded
        return False


def _is_interactive() -> bool:
    """Return whether a person can read a notice, at a terminal or in a notebook."""
    try:
        if is_notebook():
            return True
        prompts = hasattr(sys, "ps1") or bool(sys.flags.interactive)
        return sys.stderr.isatty() and (prompts or sys.stdin.isatty()) and _is_foreground()
    except (AttributeError, ValueError):  # the host replaced or closed a stream
        return False


def _is_foreground() -> bool:
    """Return whether this process may write to its terminal.

    With `stty tostop`, writing would stop a job in the background.
    """
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except (OSError, AttributeError):  # not the controlling terminal, or Windows, without jobs
        return True


def _is_pool_worker() -> bool:
    """Return whether a library for pools started this process."""
    for module in filter(None, map(sys.modules.get, _POOLS)):
        process = getattr(module, "_current_process", None)
        is_preparing = getattr(process, "_inheriting", False)
        if is_preparing or getattr(process, "_parent_pid", None) is not None:
            return True
    return False
