"""The commands about consent: status, off, on, endpoint, preview and send-test."""

import json
import os
import sys
import time

from plaintally import Telemetry, _count, _preferences, _spawn
from plaintally._transport import http
from plaintally.cli import send_test
from plaintally.cli.output import say
from plaintally.cli.packages import declared, find
from plaintally.consent import choices, rules
from plaintally.consent.facts import read
from plaintally.consent.status import Status, because
from plaintally.exceptions import PlaintallyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any


def show_status(arguments: "Namespace") -> None:
    """Show each rule, for one package or for all."""
    packages = [arguments.package] if arguments.package else _known_packages()
    statuses = [_status_of(package) for package in packages]
    if arguments.json:
        found = [status.to_dict() for status in statuses]
        say(json.dumps(found[0] if arguments.package else found, indent=2), lines=True)
    elif statuses:
        say("\n\n".join(str(status) for status in statuses), lines=True)
    else:
        say(
            "No installed package declares that it uses plaintally. Ask about one by name: "
            "plaintally status PACKAGE"
        )


def turn_off(arguments: "Namespace") -> None:
    """Turn the counter and sharing off, for one package or for all."""
    keys = ("counter", "automatic_sharing")
    changes: dict[tuple[str | None, str], choices.Value] = {
        (arguments.package, key): False for key in keys
    }
    if arguments.package is None:  # a no to all is a no to those that once got a yes
        for package, own in _packages("choices").items():
            granted = [key for key in keys if rules.understand(own.get(key)) is True]
            changes |= {(package, key): None for key in granted}
    _write(changes, "plaintally off")
    _report(arguments.package, wanted=False)


def turn_on(arguments: "Namespace") -> None:
    """Turn the counter on, for one package or for all, or sharing for one.

    A yes to all would also hold for packages that ask first, and for packages installed later.
    """
    if arguments.sharing and arguments.package is None:
        arguments.parser.error("--sharing needs the name of a package")
    switch = "automatic_sharing" if arguments.sharing else "counter"
    by = "plaintally on --sharing" if arguments.sharing else "plaintally on"
    _write({(arguments.package, switch): None if arguments.package is None else True}, by)
    _report(arguments.package, wanted=True, switch=switch)


def endpoint(arguments: "Namespace") -> None:
    """Show or set the address of a package."""
    if arguments.url is not None:
        if rules.understand(arguments.url) is False:
            arguments.url = "none"
        elif arguments.url == "default":
            arguments.url = None
        else:
            handle = find(arguments.package)
            allow_http = handle is not None and handle.allow_http
            _spawn.parse_endpoint(arguments.url, allow_http=allow_http)
        _write({(arguments.package, "endpoint"): arguments.url}, "plaintally endpoint")
    facts = _status_of(arguments.package).facts
    say(f"{arguments.package}: {facts.endpoint or 'none'} (set by {facts.endpoint_where})")


def preview(arguments: "Namespace") -> None:
    """Write the bytes that the next import would send."""
    handle = find(arguments.package)
    if handle is None:
        raise PlaintallyError(
            f"no package that calls its telemetry {arguments.package!r} is installed here, so "
            "nobody can tell what it would send; ask in the environment that has it"
        )
    facts = _count.gather(handle)
    to = facts.endpoint
    decision = rules.decide("counter", facts)
    if to is None:
        raise PlaintallyError(
            f"{arguments.package} sends nothing: it has no endpoint (set by {facts.endpoint_where})"
        )
    target, body = _count.document(handle, os.urandom(16), time.time_ns())
    sent = http.request((to.scheme, to.host, to.port, f"{to.path}/{target}"), body)
    state = "will be sent"
    if not decision.allowed:
        state = f"will not be sent, because of {because(decision)}"
    address = f"{to.scheme}://{to.host}:{to.port}"
    say(f"To {address}, with a new id and the hour then; this {state}:\n", lines=True, error=True)
    sys.stderr.flush()
    sys.stdout.buffer.write(sent + (b"\n" if sys.stdout.isatty() else b""))


def try_to_send(arguments: "Namespace") -> None:
    """Test whether the address of a package can be reached."""
    package = arguments.package
    facts = _status_of(package).facts
    decision = rules.decide("counter", facts)
    if facts.endpoint is None:
        raise PlaintallyError(f"{package} has no address to test (set by {facts.endpoint_where})")
    if not decision.allowed:
        raise PlaintallyError(
            f"nothing was sent: imports of {package} are not counted here, because of "
            f"{because(decision)}"
        )
    obstacle = send_test.find_obstacle(package, str(facts.endpoint))
    if obstacle:
        raise PlaintallyError(f"{facts.endpoint} cannot be used from here: {obstacle}")
    say(f"{facts.endpoint} can be reached, and a collector answers.")


def _report(package: "str | None", *, wanted: bool, switch: str = "counter") -> None:
    """Report what holds from now on, if something stronger overrides the choice."""
    what = "the counter" if switch == "counter" else "automatic sharing"
    if package is None:
        say(f"All packages: the counter is {'on where its author has it so' if wanted else 'off'}.")
    for name in [package] if package else _known_packages():
        decision = _status_of(name).decisions[switch]
        but = (
            "" if decision.allowed is wanted else f", all the same, because of {because(decision)}"
        )
        say(f"{name}: {what} is {'on' if decision.allowed else 'off'}{but}.")


def _status_of(package: str) -> Status:
    handle = find(package)
    if handle is not None:
        return handle.status()
    say(
        f"plaintally: no package that calls its telemetry {package!r} is installed here; "
        "its author's own settings are not known",
        error=True,
    )
    return Status(_count.gather(Telemetry(package)), handle=None)


def _known_packages() -> "list[str]":
    return sorted({*(name for name, _ in declared()), *_packages("user"), *_packages("choices")})


def _packages(level: str) -> "dict[str, Any]":
    """Return what one of the user's two files says of single packages."""
    path = _preferences.paths(os.environ).get(level, "")
    packages: dict[str, Any] = read(level, path).table.get("packages", {})
    return packages


def _write(changes: "choices.Changes", by: str) -> None:
    path = choices.write(os.environ, changes, by=by)
    is_there = os.path.exists(path)
    say(f"Written to {path}." if is_there else f"Nothing to change: there is no {path}.")
