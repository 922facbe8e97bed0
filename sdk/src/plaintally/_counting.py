"""Counts one import: gathers the facts that `_consent` decides on, and passes what may leave to `_sender`.

It keeps no state but which packages this process has counted.
"""

import os
import sys
import time

from plaintally import _consent, _preferences, _sender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaintally import Telemetry
    from plaintally._preferences import Layer
    from plaintally._sender import Endpoint

_counted: "dict[str, object]" = {}  # the packages whose import this process, or the one it was forked from, counted


def count(telemetry: "Telemetry") -> None:
    """Count that this process imported the package, once, unless anybody refuses."""
    if telemetry.package in _counted:
        return
    facts = gather(telemetry)
    decision = _consent.decide("counter", facts)
    if decision.rule == "default" and telemetry.policy != "opt-in" and _is_interactive():
        from plaintally import _notice

        _notice.show_once(telemetry, facts.environment)
    telemetry._refused = not decision.allowed
    token = object()
    if telemetry._refused or _counted.setdefault(telemetry.package, token) is not token:
        return
    endpoint, _ = resolve_endpoint(telemetry, facts.layers)
    if endpoint is not None:
        target, body = document(telemetry, os.urandom(16), time.time_ns())
        _sender.send(endpoint, target, body, environment=facts.environment)


def document(telemetry: "Telemetry", randomness: bytes, now_ns: int) -> "tuple[str, bytes]":
    """The target below the endpoint and the JSON body of one count; every value is safe to quote as it is."""
    identifier = uuid4(randomness)
    values = {
        "id": identifier,
        "timestamp": timestamp(now_ns),
        "package_version": telemetry.version,
        "python_version": "{}.{}".format(*sys.version_info),
    }
    kinds = {"timestamp": "timestampValue"}
    inside = ",".join(f'"{name}":{{"{kinds.get(name, "stringValue")}":"{values[name]}"}}' for name in telemetry.fields)
    return f"using_{telemetry.package}?documentId={identifier}", f'{{"fields":{{{inside}}}}}'.encode()


def gather(telemetry: "Telemetry") -> _consent.Facts:
    """All that a decision about the package depends on."""
    environment = dict(os.environ)
    layers = _preferences.layers(environment)
    endpoint, where = resolve_endpoint(telemetry, layers)
    shown = False
    if telemetry.policy == "notice-first":
        from plaintally import _notice

        shown = _notice.was_shown(telemetry, environment)
    return _consent.Facts(
        telemetry.package,
        environment=environment,
        layers=layers,
        explicit=telemetry._explicit,
        endpoint=None if endpoint is None else str(endpoint),
        endpoint_where=where,
        policy=telemetry.policy,
        notice_shown=shown,
        pool_worker=_is_pool_worker(),
    )


def resolve_endpoint(telemetry: "Telemetry", layers: "Sequence[Layer]") -> "tuple[Endpoint | None, str]":
    """The address in force and who set it: the nearest preferences file that names one, else the author.

    That there be none is also heard from a file that enforces, and from one that may not name another address.
    """
    chosen = None
    for layer in layers:
        said = layer.get(telemetry.package, "endpoint")
        if said is None or (chosen is not None and not layer.enforced):
            continue
        if _consent.understand(said) is False:
            return None, layer.path
        try:
            named = _sender.parse_endpoint(said, allow_http=telemetry.allow_http)
        except ValueError:
            return None, f"{layer.path}, whose endpoint is no usable URL"
        if chosen is None and layer.may_allow("endpoint"):
            chosen = named, layer.path
    return chosen or (telemetry._endpoint, "the author of the package")


def uuid4(randomness: bytes) -> str:
    """A version 4 UUID (RFC 9562, section 5.4) of 16 random bytes, without importing `uuid`."""
    versioned = randomness[:6] + bytes((randomness[6] & 0x0F | 0x40, randomness[7], randomness[8] & 0x3F | 0x80))
    digits = (versioned + randomness[9:]).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def timestamp(now_ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 in UTC, to the microsecond."""
    seconds, nanoseconds = divmod(now_ns, 1_000_000_000)
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds // 1000:06}Z"


def _is_interactive() -> bool:
    """Whether a person sits there to read a notice: a prompt, a notebook, or a terminal at both ends."""
    if sys.stderr is None:
        return False
    if hasattr(sys, "ps1") or sys.flags.interactive:
        return True
    try:
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    except (AttributeError, ValueError):  # a stream that the host has replaced or closed
        return False


def _is_pool_worker() -> bool:
    """Whether multiprocessing started this process; while a worker is being prepared, only its own flag tells."""
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    return process.parent_process() is not None or getattr(process.current_process(), "_inheriting", False)
