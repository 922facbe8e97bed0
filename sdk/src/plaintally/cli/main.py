"""The command `plaintally`: its arguments and its exit codes.

The commands themselves are in `switches` and `sessions`. They import the package that they are
asked about, to learn what its author declared, and count nothing while they do so. Exit codes: 0
done, 1 failed (or what the command's `failure` is), 2 used wrongly.
"""

import argparse
import contextlib
import io
import os
import sys
import traceback

from plaintally import __version__, sharing
from plaintally.cli import sessions, switches
from plaintally.cli.output import say
from plaintally.cli.packages import entry_points, package_name, reason
from plaintally.exceptions import PlaintallyError
from plaintally.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(arguments: "Sequence[str] | None" = None) -> None:
    """Run the command and exit with its code."""
    given = sys.argv[1:] if arguments is None else arguments
    _prepare_streams()
    code = 1
    try:
        try:
            root = parser()
            if given[:1] == ["contract"]:
                _add_contract_actions(root)
            parsed, more = root.parse_known_args(given)
            if more:
                _reject(root, more)
            code = parsed.failure
            parsed.run(parsed)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        _give_up_output()
    except KeyboardInterrupt:
        sys.exit(130)  # as the shell has it; whatever there was to say has been said
    except PlaintallyError as error:
        _fail(str(error), code)
    except OSError as error:  # of the output: errors of other files are handled where they occur
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


def _fail(message: str, code: int) -> "NoReturn":
    """Print an error, if the standard error takes it, and exit."""
    with contextlib.suppress(OSError):
        say(f"plaintally: {message}", error=True)
    sys.exit(code)


def _prepare_streams() -> None:
    """Make standard output and error accept any text, also if the output is closed."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as we run
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """Have what is left in the buffer go nowhere, and no complaint about it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """A parser that prints wrong arguments safely."""

    def error(self, message: str) -> "NoReturn":
        super().error(printable(message))


def _reject(root: argparse.ArgumentParser, arguments: "Sequence[str]") -> "NoReturn":
    """Name the first unknown option, and not its value, which may be a key."""
    options = [argument.partition("=")[0] for argument in arguments if argument[:2] == "--"]
    if options:
        root.error(f"unknown option {options[0]}")
    root.error(f"arguments that are not expected: {len(arguments)}")


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

    def add(name: str, run: object, help_text: str, *, more: str = "") -> _Parser:
        description = f"{help_text[0].upper()}{help_text[1:]}.{more}"
        command = commands.add_parser(
            name, help=help_text, description=description, allow_abbrev=False
        )
        command.set_defaults(run=run, parser=command)
        return command

    status = add("status", switches.show_status, "show each rule, and the one that decided")
    off = add(
        "off",
        switches.turn_off,
        "turn the counter and sharing off, for one package or for all",
        more=" For all packages, it also withdraws each consent that you gave to a single package.",
    )
    on = add(
        "on",
        switches.turn_on,
        "turn the counter on again, for one package or for all",
        more=(
            " For all packages, it withdraws your opt-out from all and gives no consent: the "
            "policy of each author applies again, and packages that you turned off by name "
            "stay off."
        ),
    )
    about = "show or set the address that imports are sent to"
    endpoint = add("endpoint", switches.endpoint, about)
    about = "show the exact bytes that the next import would send"
    preview = add("preview", switches.preview, about)
    send_test = add(
        "send-test",
        switches.try_to_send,
        "test whether the address of a package can be reached from here",
        more=" The request holds no data of yours. If it fails, the reason is shown.",
    )
    for command in (status, off, on, endpoint, preview, send_test):
        count = "?" if command in (status, off, on) else None
        about = "name of the package, such as rxinfer"
        command.add_argument("package", nargs=count, type=package_name, help=about)
    status.add_argument("--json", action="store_true", help="write JSON")
    about = "turn automatic sharing on instead, for one package"
    on.add_argument("--sharing", action="store_true", help=about)
    about = "the new address, none to send nothing, or default for the author's"
    endpoint.add_argument("url", nargs="?", help=about)

    about = "share a session that was saved with session.save(FILE), also on another machine"
    share = add("share", sessions.share, about)
    share.add_argument("file", help="the saved session")
    about = "what else goes along, and otherwise stays; may be given again"
    share.add_argument(
        "--include", action="append", default=[], choices=sharing.PRIVATE, help=about
    )
    about = "show what would be sent, and send nothing"
    share.add_argument("--preview", action="store_true", help=about)
    forget = add("forget", sessions.forget, "have a shared session deleted")
    forget.add_argument("session", help="the ID of the session")
    about = "the package it was shared with"
    forget.add_argument("--package", required=True, type=package_name, help=about)
    about = (
        "file with its deletion key, or - for standard input; otherwise you are asked for "
        "the key at a terminal; without a key the request waits for a maintainer"
    )
    forget.add_argument("--key-file", metavar="FILE", help=about)
    for command in (share, forget):
        about = "the collector's address; by default that of the package"
        command.add_argument("--endpoint", help=about)
    contract = add(
        "contract", None, "show, check, compare and publish what a package declares to record"
    )
    root.set_defaults(contract=contract)
    return root


def _add_contract_actions(root: argparse.ArgumentParser) -> None:
    """Add the actions that `plaintally-author` brings, or exit with the way to install it."""
    contract = root.get_default("contract")
    install = "install it with: python -m pip install plaintally-author"
    for entry, _ in entry_points("plaintally.commands"):
        if entry.name == "contract":
            try:
                add_actions = entry.load()
            except Exception as error:  # noqa: BLE001  # an installation that is not complete
                message = f"plaintally-author cannot be loaded ({reason(error)}); {install}"
                contract.exit(2, f"plaintally: {printable(message)}\n")
            add_actions(contract)
            return
    contract.exit(2, f"plaintally: the command contract needs plaintally-author; {install}\n")
