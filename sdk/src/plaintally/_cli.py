"""The command `plaintally`: where a user sees what is on and why, says no or yes, and sees what would leave.

It imports the package it is asked about, to learn what its author declared; while it does so nothing is counted.
Exit codes: 0 done, 1 failed, 2 used wrongly.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import json
import os
import sys
import time

from plaintally import (
    __version__,
    _cli_contract,
    _consent,
    _deliver,
    _preferences,
    _preferences_write,
    _sender,
    _status,
    _telemetry,
)
from plaintally.exceptions import PlaintallyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plaintally._telemetry import Telemetry


def main(arguments: "Sequence[str] | None" = None) -> None:
    """Run the command and exit with its code."""
    parsed = parser().parse_args(arguments)
    try:
        parsed.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except PlaintallyError as error:
        sys.exit(f"plaintally: {error}")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    root = argparse.ArgumentParser(
        prog="plaintally",
        description="See what packages count about your use of them, and turn it off or on.",
        epilog="Everything is off, too, where the environment says PLAINTALLY=off or DO_NOT_TRACK=1.",
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"plaintally {__version__}")
    commands = root.add_subparsers(metavar="command", required=True)

    def add(name: str, run: object, help_text: str, *, package: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        command.set_defaults(run=run)
        optional = "?" if package == "optional" else None
        command.add_argument("package", nargs=optional, type=_package, help="name of the package, such as rxinfer")
        return command

    status = add(
        "status", _show_status, "show every rule that was looked at, and which one decided", package="optional"
    )
    status.add_argument("--json", action="store_true", help="write JSON")
    add("off", _turn_off, "turn the counter and sharing off, for a package or for all of them", package="optional")
    add("on", _turn_on, "turn the counter on again, for a package or for all of them", package="optional")
    endpoint = add("endpoint", _endpoint, "show or set the address that counts are sent to", package="required")
    endpoint.add_argument("url", nargs="?", help="the new address, or none to send nothing")
    add("preview", _preview, "show the exact bytes that the next count would send", package="required")
    _cli_contract.add_commands(commands, package=_package, find=_find)
    return root


def _show_status(arguments: argparse.Namespace) -> None:
    packages = [arguments.package] if arguments.package else _known_packages()
    statuses = [_status_of(package) for package in packages]
    if arguments.json:
        found = [status.to_dict() for status in statuses]
        print(json.dumps(found[0] if arguments.package else found, indent=2))
    elif statuses:
        print("\n\n".join(str(status) for status in statuses))
    else:
        print("No installed package declares that it uses plaintally. Ask about one by name: plaintally status PACKAGE")


def _turn_off(arguments: argparse.Namespace) -> None:
    changes: dict[tuple[str | None, str], bool | int | str | None] = {
        (arguments.package, "counter"): False,
        (arguments.package, "automatic_sharing"): False,
    }
    if arguments.package is None:  # a no to all is a no to those that once got a yes
        for package, own in _user_layer().table.get("packages", {}).items():
            changes |= {(package, key): False for key in ("counter", "automatic_sharing") if key in own}
    _write(changes)
    _report(arguments.package, wanted=False)


def _turn_on(arguments: argparse.Namespace) -> None:
    _write({(arguments.package, "counter"): True})
    _report(arguments.package, wanted=True)


def _endpoint(arguments: argparse.Namespace) -> None:
    if arguments.url is not None:
        if _consent.understand(arguments.url) is False:
            arguments.url = "none"
        else:
            handle = _find(arguments.package)
            _sender.parse_endpoint(arguments.url, allow_http=handle is not None and handle.allow_http)
        _write({(arguments.package, "endpoint"): arguments.url})
    status = _status_of(arguments.package)
    print(f"{arguments.package}: {status.facts.endpoint or 'none'} (set by {status.facts.endpoint_where})")


def _preview(arguments: argparse.Namespace) -> None:
    handle = _find(arguments.package)
    if handle is None:
        raise PlaintallyError(
            f"no package that calls its telemetry {arguments.package!r} is installed here, so nobody can tell what it "
            "would send; ask in the environment that has it"
        )
    endpoint, where = handle._resolve_endpoint(handle._facts().layers)
    decision = _consent.decide("counter", handle._facts())
    if endpoint is None:
        raise PlaintallyError(f"{arguments.package} sends nothing: it has no endpoint (set by {where})")
    target, body = handle._document(os.urandom(16), time.time_ns())
    sent = _deliver.request(endpoint.host, endpoint.port, f"{endpoint.path}/{target}", body, scheme=endpoint.scheme)
    state = "will be sent" if decision.allowed else f"will not be sent, because of {_status.because(decision)}"
    address = f"{endpoint.scheme}://{endpoint.host}:{endpoint.port}"
    print(f"To {address}, with a new id and the time then; this {state}:\n", file=sys.stderr, flush=True)
    sys.stdout.buffer.write(sent + (b"\n" if sys.stdout.isatty() else b""))


def _report(package: "str | None", *, wanted: bool) -> None:
    """Say what holds from now on, which is not what was asked for where something stronger speaks."""
    if package is None:
        print(f"All packages: the counter is {'on where its author has it so' if wanted else 'off'}.")
    for name in [package] if package else _known_packages():
        decision = _status_of(name).decisions["counter"]
        state = "on" if decision.allowed else "off"
        but = "" if decision.allowed is wanted else f", all the same, because of {_status.because(decision)}"
        print(f"{name}: the counter is {state}{but}.")


def _status_of(package: str) -> _status.Status:
    handle = _find(package)
    if handle is None:
        print(
            f"plaintally: no package that calls its telemetry {package!r} is installed here; "
            "its author's own settings are not known",
            file=sys.stderr,
        )
        stranger = _telemetry.Telemetry(package)
        return _status.Status(stranger._facts(), handle=None)
    return handle.status()


def _known_packages() -> "list[str]":
    installed = {_preferences.normalise(entry.name) for entry in importlib.metadata.entry_points(group="plaintally")}
    return sorted(installed | set(_user_layer().table.get("packages", {})))


def _find(package: str) -> "Telemetry | None":
    """The handle of a package: of the module of that name, or of the one that an entry point names for it."""
    entries = importlib.metadata.entry_points(group="plaintally")
    modules = [entry.module for entry in entries if _preferences.normalise(entry.name) == package]
    with _looking_only():
        for module in [*modules, package]:
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    _complain(module, error)
            except Exception as error:  # noqa: BLE001  # whatever a stranger's package does while it is imported
                _complain(module, error)
            if package in _telemetry._handles:
                break
    return _telemetry._handles.get(package)


@contextlib.contextmanager
def _looking_only() -> "Iterator[None]":
    """Import without counting, and without a package's chatter in our output."""
    _telemetry._inspecting = True
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _telemetry._inspecting = False


def _complain(module: str, error: Exception) -> None:
    print(f"plaintally: {module} cannot be imported ({type(error).__name__}: {error})", file=sys.stderr)


def _user_layer() -> _preferences.Layer:
    path = _preferences.paths(os.environ).get("user", "")
    return _preferences.read("user", path)


def _write(changes: "dict[tuple[str | None, str], bool | int | str | None]") -> None:
    path = _preferences_write.write_user(os.environ, changes)
    print(f"Written to {path}.")


def _package(name: str) -> str:
    try:
        return _telemetry.valid_package(name)
    except PlaintallyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
