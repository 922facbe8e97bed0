"""The actions of `plaintally contract`; pure modules make what they print.

Exit codes are those of `plaintally`, except for `diff`: 0 not wider, 1 wider, 2 nothing could be
compared.
"""

import argparse
import json
import sys
from collections.abc import Callable

from plaintally import Telemetry
from plaintally.cli import find, package_name, say, write
from plaintally.contract import Contract, check_given
from plaintally.exceptions import ContractError, PlaintallyError
from plaintally_author import checks, differences, files, page
from plaintally_author.declaration import declare
from plaintally_author.words import show

Run = Callable[[argparse.Namespace, Telemetry, Contract], None]


def add_actions(contract: argparse.ArgumentParser) -> None:
    """Add the actions to the parser of `plaintally contract`; the entry point that it loads."""
    actions = contract.add_subparsers(metavar="action", required=True)

    def add(name: str, run: Run, help_text: str, epilog: str = "") -> argparse.ArgumentParser:
        description = f"{help_text[0].upper()}{help_text[1:]}."
        action = actions.add_parser(name, help=help_text, description=description, epilog=epilog)
        action.set_defaults(run=lambda arguments: run(arguments, *_find(arguments.package)))
        action.add_argument(
            "package", type=package_name, help="name of the package, such as rxinfer"
        )
        return action

    show = add("show", _show, "show what a package declares, field by field")
    add("check", _check, "report what to fix in a contract", "Exit code: 0 no errors, 1 errors.")
    add("hash", _hash, "print the 64 hexadecimal digits that identify a contract")
    export = add("export", _export, "write a contract as the JSON that a collector loads")
    diff = add(
        "diff",
        _diff,
        "compare an exported contract with that of the installed package",
        "Exit code: 0 not wider than the file, 1 wider, 2 nothing could be compared.",
    )
    diff.set_defaults(failure=2)  # 1 says that the contract is wider, and nothing else
    diff.add_argument("file", help="an earlier contract, written by export")
    docs = add("docs", _docs, "write the privacy page of a package, or the card for its README")
    docs.add_argument(
        "--format", choices=("md", "html"), help="Markdown (default) or one HTML file"
    )
    docs.add_argument("--card", action="store_true", help="the card for a README, in Markdown")
    docs.set_defaults(usage_error=docs.error)
    for action in (show, diff):
        action.add_argument("--json", action="store_true", help="write JSON")
    for action in (export, docs):
        action.add_argument(
            "--output", metavar="FILE", help="write into this file, whole or not at all"
        )


def _show(arguments: argparse.Namespace, telemetry: Telemetry, contract: Contract) -> None:
    if arguments.json:
        found = {"package": telemetry.package, "hash": contract.hash(), **contract.to_dict()}
        say(_dump(found), lines=True)
    else:
        say(show(telemetry.package, contract), lines=True)


def _check(_: argparse.Namespace, telemetry: Telemetry, contract: Contract) -> None:
    endpoint = None if telemetry.endpoint is None else str(telemetry.endpoint)
    problems = checks.check(contract, privacy_url=telemetry.privacy_url, endpoint=endpoint)
    for problem in problems:
        say(problem)
    if checks.is_wrong(problems):
        sys.exit(1)
    if all(problem.level == checks.NOTE for problem in problems):
        say(f"{telemetry.package}: nothing to complain about")


def _hash(_: argparse.Namespace, __: Telemetry, contract: Contract) -> None:
    say(contract.hash())


def _export(arguments: argparse.Namespace, telemetry: Telemetry, contract: Contract) -> None:
    _put(arguments.output, _dump({"package": telemetry.package, **contract.to_dict()}) + "\n")


def _diff(arguments: argparse.Namespace, telemetry: Telemetry, contract: Contract) -> None:
    package, old = files.read_contract(arguments.file)
    if package != telemetry.package:
        raise ContractError(
            f"{arguments.file} holds the contract of {package!r}, not of {telemetry.package!r}"
        )
    changes = differences.compare(old, contract)
    wider = differences.is_wider(changes)
    if arguments.json:
        found = {"package": package, "old": old.hash(), "new": contract.hash(), "wider": wider}
        say(_dump({**found, "changes": [change._asdict() for change in changes]}), lines=True)
    else:
        for change in changes:
            say(change)
        say(f"{package}: {_verdict(changes, wider=wider)}")
    if wider:
        sys.exit(1)


def _verdict(changes: tuple[differences.Change, ...], *, wider: bool) -> str:
    if not changes:
        return "no change"
    return "wider: more may leave or stay than before" if wider else "not wider"


def _docs(arguments: argparse.Namespace, telemetry: Telemetry, contract: Contract) -> None:
    if arguments.card and arguments.format == "html":
        arguments.usage_error("the card is Markdown; leave --format out")
    said = declare(telemetry, contract)
    make = page.make_html if arguments.format == "html" else page.make_markdown
    _put(arguments.output, page.make_card(said) if arguments.card else make(said))
    problems = checks.check(contract, privacy_url=said.privacy_url, endpoint=said.endpoint)
    if checks.is_wrong(problems):
        say(
            f"plaintally: something is missing; see plaintally contract check {said.package}",
            error=True,
        )


def _find(package: str) -> tuple[Telemetry, Contract]:
    telemetry = find(package)
    if telemetry is None:
        raise PlaintallyError(
            f"no package that calls its telemetry {package!r} is installed here; ask in the "
            "environment that has it"
        )
    contract = check_given(telemetry.contract)
    if contract is None:
        raise PlaintallyError(
            f"{package} declares no contract: its imports send {' and '.join(telemetry.fields)}, "
            "and nothing else is recorded; its author can say more with "
            "Telemetry(..., contract=Contract(...))"
        )
    return telemetry, contract


def _put(path: str | None, text: str) -> None:
    if path is None:
        write(text)
    else:
        files.write(path, text)


def _dump(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
