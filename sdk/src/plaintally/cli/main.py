"""The command `plaintally`: status, opting out and in, previews, sharing, deletion.

It imports the package it is asked about, to learn what its author declared; while it does so
nothing is counted. Exit codes: 0 done, 1 failed (or what the command's `failure` is), 2 used
wrongly.
"""

import argparse
import contextlib
import functools
import importlib
import importlib.metadata
import io
import json
import os
import stat
import sys
import time
import traceback

import plaintally
from plaintally import Telemetry, __version__, _count, _preferences, _spawn
from plaintally._transport import http
from plaintally.cli import sessions
from plaintally.cli.output import say
from plaintally.consent import choices, rules, status
from plaintally.consent.facts import read
from plaintally.exceptions import PlaintallyError
from plaintally.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, NoReturn


def main(arguments: "Sequence[str] | None" = None) -> None:
    """Run the command and exit with its code."""
    closed = _open_closed_streams()
    code = 1
    try:
        try:
            root = parser()
            parsed, more = root.parse_known_args(arguments)
            if more:
                # One of them may be a key.
                root.error(f"arguments that are not expected: {len(more)}")
            code = parsed.failure
            parsed.run(parsed)
        finally:
            sys.stdout.flush()
    except SystemExit as end:  # argparse has shown a help text, or a mistake
        if end.code or not closed:
            raise
    except BrokenPipeError:  # whoever read our output has seen enough
        _give_up_output()
    except KeyboardInterrupt:
        sys.exit(130)  # as the shell has it; whatever there was to say has been said
    except PlaintallyError as error:
        _fail(str(error), code)
    except (
        OSError
    ) as error:  # all other files are read and written where such an error is understood
        _give_up_output()
        _fail(f"the output cannot be written ({error.strerror or error}); send it elsewhere", code)
    except Exception as error:  # noqa: BLE001  # a mistake of ours, whose text may hold anything
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} in {os.path.basename(frame.filename)}, line {frame.lineno}"
        _fail(
            f"the command failed unexpectedly ({place}); report this line as a mistake of "
            "plaintally",
            code,
        )
    if closed:
        _fail("the output cannot be written (it is closed); send it elsewhere", code)


def _fail(message: str, code: int) -> "NoReturn":
    """Print an error, if the standard error takes it, and exit."""
    with contextlib.suppress(OSError):
        say(f"plaintally: {message}", error=True)
    sys.exit(code)


def _open_closed_streams() -> bool:
    """Make standard output and error accept any text; True if the output leads nowhere."""
    closed = sys.stdout is None
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # for as long as we run
        elif isinstance(stream, io.TextIOWrapper):
            # A path may hold what the terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    return closed


def _give_up_output() -> None:
    """Have what is left in the buffer go nowhere, and no complaint about it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """A parser that prints wrong arguments safely: the value of an option may be a key.

    `fill` adds the arguments of a command when it is called, so that no other command loads what
    they need.
    """

    fill: "Callable[[argparse.ArgumentParser], None] | None" = None

    def parse_known_args(self, args: "Any" = None, namespace: "Any" = None) -> "Any":  # noqa: ANN401  # as argparse's
        if self.fill is not None:
            self.fill(self)
        for argument in sys.argv[1:] if args is None else args:
            is_option = argument.startswith("-") and argument != "-"
            if argument == "--" or (self._subparsers is not None and not is_option):
                break  # after the name of a command, its own parser looks
            name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
            if is_option and name not in self._option_string_actions:
                self.error(f"unknown option {name}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> "NoReturn":
        super().error(printable(message))


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    root = _Parser(
        prog="plaintally",
        description=(
            "Show, allow or stop what packages report about your use of them; "
            "share or delete sessions."
        ),
        epilog="The variable PLAINTALLY=off or DO_NOT_TRACK=1 turns everything off, too.",
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"plaintally {__version__}")
    root.set_defaults(failure=1)
    commands = root.add_subparsers(metavar="command", required=True)

    def add(
        name: str, run: object, help_text: str, *, package: str = "none", more: str = ""
    ) -> _Parser:
        description = f"{help_text[0].upper()}{help_text[1:]}.{more}"
        command = commands.add_parser(
            name, help=help_text, description=description, allow_abbrev=False
        )
        command.set_defaults(run=run)
        if package != "none":
            optional = "?" if package == "optional" else None
            command.add_argument(
                "package",
                nargs=optional,
                type=package_name,
                help="name of the package, such as rxinfer",
            )
        return command

    status = add(
        "status", _show_status, "show each rule, and the one that decided", package="optional"
    )
    status.add_argument("--json", action="store_true", help="write JSON")
    add(
        "off",
        _turn_off,
        "turn the counter and sharing off, for one package or for all",
        package="optional",
        more=" For all packages, it also withdraws each consent that you gave to a single package.",
    )
    turn_on = add(
        "on",
        _turn_on,
        "turn the counter on again, for one package or for all",
        package="optional",
        more=(
            " For all packages, it withdraws your opt-out from all and gives no consent: the "
            "policy of each author applies again, and packages that you turned off by name "
            "stay off."
        ),
    )
    turn_on.add_argument(
        "--sharing", action="store_true", help="turn automatic sharing on instead, for one package"
    )
    turn_on.set_defaults(parser=turn_on)
    endpoint = add(
        "endpoint",
        _endpoint,
        "show or set the address that imports are sent to",
        package="required",
    )
    endpoint.add_argument(
        "url", nargs="?", help="the new address, none to send nothing, or default for the author's"
    )
    add(
        "preview",
        _preview,
        "show the exact bytes that the next import would send",
        package="required",
    )
    add(
        "send-test",
        _send_test,
        "test whether the address of a package can be reached from here",
        package="required",
        more=" The request holds no data of yours. If it fails, the reason is shown.",
    )
    sessions.add_commands(add, package=package_name, find=find)
    text = "show, check, compare and publish what a package declares to record"
    contract = commands.add_parser(
        "contract", help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    contract.fill = _add_contract_actions
    return root


def _add_contract_actions(parser: argparse.ArgumentParser) -> None:
    """Add the actions that `plaintally-author` brings, or exit with the way to install it."""
    install = "install it with: python -m pip install plaintally-author"
    for entry, _ in _entry_points():
        if (entry.group, entry.name) == ("plaintally.commands", "contract"):
            try:
                add_actions = entry.load()
            except Exception as error:  # noqa: BLE001  # an installation that is not complete
                message = f"plaintally-author cannot be loaded ({_reason(error)}); {install}"
                parser.exit(2, f"plaintally: {printable(message)}\n")
            add_actions(parser)
            return
    parser.exit(2, f"plaintally: the command contract needs plaintally-author; {install}\n")


def _show_status(arguments: argparse.Namespace) -> None:
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


def _turn_off(arguments: argparse.Namespace) -> None:
    changes: dict[tuple[str | None, str], bool | int | str | None] = {
        (arguments.package, "counter"): False,
        (arguments.package, "automatic_sharing"): False,
    }
    if arguments.package is None:  # a no to all is a no to those that once got a yes
        for package, own in _packages("choices").items():
            keys = ("counter", "automatic_sharing")
            changes |= {
                (package, key): None for key in keys if rules.understand(own.get(key)) is True
            }
    _write(changes, "plaintally off")
    _report(arguments.package, wanted=False)


def _turn_on(arguments: argparse.Namespace) -> None:
    # A yes to all would also be one to packages that ask first, and to those that are yet to come.
    if arguments.sharing and arguments.package is None:
        arguments.parser.error("--sharing needs the name of a package")
    switch = "automatic_sharing" if arguments.sharing else "counter"
    by = "plaintally on --sharing" if arguments.sharing else "plaintally on"
    _write({(arguments.package, switch): None if arguments.package is None else True}, by)
    _report(arguments.package, wanted=True, switch=switch)


def _endpoint(arguments: argparse.Namespace) -> None:
    if arguments.url is not None:
        if rules.understand(arguments.url) is False:
            arguments.url = "none"
        elif arguments.url == "default":
            arguments.url = None
        else:
            handle = find(arguments.package)
            _spawn.parse_endpoint(
                arguments.url, allow_http=handle is not None and handle.allow_http
            )
        _write({(arguments.package, "endpoint"): arguments.url}, "plaintally endpoint")
    status = _status_of(arguments.package)
    say(
        f"{arguments.package}: {status.facts.endpoint or 'none'} (set by "
        f"{status.facts.endpoint_where})"
    )


def _preview(arguments: argparse.Namespace) -> None:
    handle = find(arguments.package)
    if handle is None:
        raise PlaintallyError(
            f"no package that calls its telemetry {arguments.package!r} is installed here, so "
            "nobody can tell what it "
            "would send; ask in the environment that has it"
        )
    facts = _count.gather(handle)
    endpoint = facts.endpoint
    decision = rules.decide("counter", facts)
    if endpoint is None:
        raise PlaintallyError(
            f"{arguments.package} sends nothing: it has no endpoint (set by {facts.endpoint_where})"
        )
    target, body = _count.document(handle, os.urandom(16), time.time_ns())
    sent = http.request(
        (endpoint.scheme, endpoint.host, endpoint.port, f"{endpoint.path}/{target}"), body
    )
    state = (
        "will be sent"
        if decision.allowed
        else f"will not be sent, because of {status.because(decision)}"
    )
    address = f"{endpoint.scheme}://{endpoint.host}:{endpoint.port}"
    say(f"To {address}, with a new id and the hour then; this {state}:", error=True)
    say("", error=True)
    sys.stderr.flush()
    sys.stdout.buffer.write(sent + (b"\n" if sys.stdout.isatty() else b""))


def _send_test(arguments: argparse.Namespace) -> None:
    from plaintally.cli import send_test

    package = arguments.package
    facts = _status_of(arguments.package).facts
    decision = rules.decide("counter", facts)
    if facts.endpoint is None:
        raise PlaintallyError(f"{package} has no address to test (set by {facts.endpoint_where})")
    if not decision.allowed:
        raise PlaintallyError(
            f"nothing was sent: imports of {package} are not counted here, because of "
            f"{status.because(decision)}"
        )
    obstacle = send_test.find_obstacle(package, str(facts.endpoint))
    if obstacle:
        raise PlaintallyError(f"{facts.endpoint} cannot be used from here: {obstacle}")
    say(f"{facts.endpoint} can be reached, and a collector answers.")


def _report(package: "str | None", *, wanted: bool, switch: str = "counter") -> None:
    """Report what holds from now on, if something stronger overrides the choice."""
    if package is None:
        say(f"All packages: the counter is {'on where its author has it so' if wanted else 'off'}.")
    for name in [package] if package else _known_packages():
        decision = _status_of(name).decisions[switch]
        state = "on" if decision.allowed else "off"
        but = (
            ""
            if decision.allowed is wanted
            else f", all the same, because of {status.because(decision)}"
        )
        say(
            f"{name}: {'the counter' if switch == 'counter' else 'automatic sharing'} is "
            f"{state}{but}."
        )


def _status_of(package: str) -> status.Status:
    handle = find(package)
    if handle is None:
        say(
            f"plaintally: no package that calls its telemetry {package!r} is installed here; "
            "its author's own settings are not known",
            error=True,
        )
        stranger = Telemetry(package)
        return status.Status(_count.gather(stranger), handle=None)
    return handle.status()


def _known_packages() -> "list[str]":
    return sorted({*(name for name, _ in _declared()), *_packages("user"), *_packages("choices")})


def find(package: str, *, declared_only: bool = False) -> "Telemetry | None":
    """Return the handle of a package, by its entry point or the module of that name.

    Where the name is a stranger's, `declared_only` imports no module but those that installed
    packages declare.
    """
    modules = [module for name, module in _declared() if name == package]
    with _looking_only():
        for module in modules if declared_only else [*modules, package]:
            try:
                importlib.import_module(module)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  # whatever a stranger does at import
                if type(error) is not ModuleNotFoundError or error.name != module:
                    say(f"plaintally: {module} cannot be imported ({_reason(error)})", error=True)
            if package in Telemetry.handles:
                break
    return Telemetry.handles.get(package)


@contextlib.contextmanager
def _looking_only() -> "Iterator[None]":
    """Import without counting, and without a package's chatter in our output."""
    plaintally._inspecting = True
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        plaintally._inspecting = False


@functools.cache
def _declared() -> "tuple[tuple[str, str], ...]":
    """Return name and module of each declared package, whatever the others hold."""
    found = []
    for entry, place in _entry_points():
        try:
            if entry.group == "plaintally":
                found.append((plaintally._valid_package(entry.name), entry.module))
        except Exception as error:  # noqa: BLE001
            say(
                f"plaintally: ignored the entry point {entry.name} of {place} ({_reason(error)})",
                error=True,
            )
    return tuple(found)


@functools.cache
def _entry_points() -> "tuple[tuple[importlib.metadata.EntryPoint, str], ...]":
    """Return our entry points, each with its distribution."""
    found: list[tuple[importlib.metadata.EntryPoint, str]] = []
    for distribution in _distributions():
        place = str(getattr(distribution, "_path", distribution))
        if reason := _obstacle(place):
            say(f"plaintally: ignored {place} ({reason})", error=True)
            continue
        try:
            for group in ("plaintally", "plaintally.commands"):
                found += [(entry, place) for entry in distribution.entry_points.select(group=group)]
        except Exception as error:  # noqa: BLE001  # whatever a stranger's file holds
            say(f"plaintally: ignored the entry points of {place} ({_reason(error)})", error=True)
    return tuple(found)


def _obstacle(place: str) -> str:
    """Return why a distribution must not be read, or nothing."""
    if os.path.basename(place).startswith(("-", "~")):
        return "an interrupted installation left it; remove it"
    try:
        is_fifo = stat.S_ISFIFO(os.stat(os.path.join(place, "entry_points.txt")).st_mode)
    except (OSError, ValueError):
        return ""
    return "its entry_points.txt is a pipe, which may never end" if is_fifo else ""


def _distributions() -> "Iterator[importlib.metadata.Distribution]":
    """Yield the installed distributions, whatever unreadable entries `sys.path` has."""
    for folder in sys.path:
        try:
            yield from importlib.metadata.distributions(path=[folder])
        except Exception as error:  # noqa: BLE001  # an entry of another type, or a finder of a stranger's
            entry = folder if type(folder) is str else type(folder).__name__
            say(f"plaintally: ignored the entry {entry} of sys.path ({_reason(error)})", error=True)


def _reason(error: BaseException) -> str:
    """Return the type and text of a foreign error, whose `__str__` may fail as well."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001
        return f"{type(error).__name__}, which has no readable text"


def _packages(level: str) -> "dict[str, Any]":
    """Return what one of the user's two files says of single packages."""
    path = _preferences.paths(os.environ).get(level, "")
    packages: dict[str, Any] = read(level, path).table.get("packages", {})
    return packages


def _write(changes: "dict[tuple[str | None, str], bool | int | str | None]", by: str) -> None:
    path = choices.write(os.environ, changes, by=by)
    say(
        f"Written to {path}." if os.path.exists(path) else f"Nothing to change: there is no {path}."
    )


def package_name(name: str) -> str:
    """The name of a package, as an argument of a command."""
    try:
        return plaintally._valid_package(name)
    except PlaintallyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
