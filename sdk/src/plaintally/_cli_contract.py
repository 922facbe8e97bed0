"""The commands about a contract. The pure modules of `_contract_tools` make what they print.

Exit codes are those of the command, except for `diff`: 0 not wider, 1 wider, 2 nothing could be compared.
"""

import argparse
import json
import sys

from plaintally._contract_tools import check, diff, files, page, text
from plaintally._contract_tools.declaration import Declaration
from plaintally._contract_tools.html import to_html
from plaintally._contract_tools.markup import to_markdown
from plaintally._output import say, write
from plaintally._requests import is_firestore
from plaintally.contract import check_given
from plaintally.exceptions import ContractError, PlaintallyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from plaintally import Telemetry
    from plaintally.contract import Contract

    Run = Callable[[argparse.Namespace, Telemetry, Contract], None]


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    *,
    package: "Callable[[str], str]",
    find: "Callable[[str], Telemetry | None]",
) -> None:
    """Add `contract` to the commands; `package` reads a name, `find` returns its handle."""
    text = "show, check, compare and publish what a package declares to record"
    contract = commands.add_parser("contract", help=text, description=f"{text[0].upper()}{text[1:]}.")
    actions = contract.add_subparsers(metavar="action", required=True)

    def add(name: str, run: "Run", help_text: str, epilog: str = "") -> argparse.ArgumentParser:
        action = actions.add_parser(
            name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.", epilog=epilog
        )
        action.set_defaults(run=lambda arguments: run(arguments, *_ask(arguments.package, find)))
        action.add_argument("package", type=package, help="name of the package, such as rxinfer")
        return action

    show = add("show", _show, "show what a package declares, field by field")
    add("check", _check, "tell the author what to mend in a contract", "Exit code: 0 no errors, 1 errors.")
    add("hash", _hash, "print the 64 hexadecimal digits that stand for a contract")
    export = add("export", _export, "write a contract as the JSON that a collector loads")
    diff = add(
        "diff",
        _diff,
        "compare an exported contract with that of the installed package",
        "Exit code: 0 not wider than the file, 1 wider, 2 nothing could be compared.",
    )
    diff.set_defaults(failure=2)  # 1 says that it is wider, so that nothing else may
    diff.add_argument("file", help="an earlier contract, written by export")
    docs = add("docs", _docs, "write the privacy page of a package, or the card for its README")
    docs.add_argument("--format", choices=("md", "html"), help="Markdown (the default) or one HTML file")
    docs.add_argument("--card", action="store_true", help="the card for a README, in Markdown")
    docs.set_defaults(usage_error=docs.error)
    for command in (show, diff):
        command.add_argument("--json", action="store_true", help="write JSON")
    for command in (export, docs):
        command.add_argument("--output", metavar="FILE", help="write into this file, whole or not at all")


def _show(arguments: argparse.Namespace, handle: "Telemetry", contract: "Contract") -> None:
    if arguments.json:
        say(_dump({"package": handle.package, "hash": contract.hash(), **contract.to_dict()}), lines=True)
    else:
        say(text.show(handle.package, contract), lines=True)


def _check(_: argparse.Namespace, handle: "Telemetry", contract: "Contract") -> None:
    endpoint = None if handle._endpoint is None else str(handle._endpoint)
    problems = check.check(contract, privacy_url=handle.privacy_url, endpoint=endpoint)
    for problem in problems:
        say(problem)
    if check.is_wrong(problems):
        sys.exit(1)
    if all(problem.level == check.NOTE for problem in problems):
        say(f"{handle.package}: nothing to complain about")


def _hash(_: argparse.Namespace, __: "Telemetry", contract: "Contract") -> None:
    say(contract.hash())


def _export(arguments: argparse.Namespace, handle: "Telemetry", contract: "Contract") -> None:
    _put(arguments.output, _dump({"package": handle.package, **contract.to_dict()}) + "\n")


def _diff(arguments: argparse.Namespace, handle: "Telemetry", contract: "Contract") -> None:
    package, old = files.read_contract(arguments.file)
    if package != handle.package:
        raise ContractError(f"{arguments.file} holds the contract of {package!r}, not of {handle.package!r}")
    changes = diff.compare(old, contract)
    wider = diff.is_wider(changes)
    if arguments.json:
        found = {"old": old.hash(), "new": contract.hash(), "wider": wider}
        say(_dump({"package": package, **found, "changes": [change._asdict() for change in changes]}), lines=True)
    else:
        for change in changes:
            say(change)
        say(f"{package}: {_verdict(changes, wider=wider)}")
    if wider:
        sys.exit(1)


def _verdict(changes: "tuple[diff.Change, ...]", *, wider: bool) -> str:
    if not changes:
        return "no change"
    return "wider: more may leave or stay than before" if wider else "not wider"


def _docs(arguments: argparse.Namespace, handle: "Telemetry", contract: "Contract") -> None:
    if arguments.card and arguments.format == "html":
        arguments.usage_error("the card is Markdown; leave --format out")
    said = _declaration(handle, contract)
    blocks = page.card(said) if arguments.card else page.page(said)
    _put(arguments.output, to_html(blocks) if arguments.format == "html" else to_markdown(blocks))
    problems = check.check(contract, privacy_url=said.privacy_url, endpoint=said.endpoint)
    if check.is_wrong(problems):
        say(f"plaintally: something is missing; see plaintally contract check {said.package}", error=True)


def _declaration(handle: "Telemetry", contract: "Contract") -> Declaration:
    """Return what the author declares, whatever the user's preferences say."""
    endpoint = handle._endpoint
    module = sys.modules.get(handle.module)
    exported = getattr(module, "telemetry", None) is handle
    return Declaration(
        handle.package,
        contract,
        policy=handle.policy,
        handle=f"{handle.module}.telemetry" if exported else "telemetry",
        endpoint=None if endpoint is None else str(endpoint),
        host=None if endpoint is None else endpoint.host,
        privacy_url=handle.privacy_url,
        issues_url=handle.issues_url,
        firestore=endpoint is not None and is_firestore(endpoint),
    )


def _ask(package: str, find: "Callable[[str], Telemetry | None]") -> "tuple[Telemetry, Contract]":
    handle = find(package)
    if handle is None:
        raise PlaintallyError(
            f"no package that calls its telemetry {package!r} is installed here; ask in the environment that has it"
        )
    contract = check_given(handle.contract)
    if contract is None:
        raise PlaintallyError(
            f"{package} declares no contract: its imports send {' and '.join(handle.fields)}, and nothing else is "
            "recorded; its author can say more with Telemetry(..., contract=Contract(...))"
        )
    return handle, contract


def _put(path: "str | None", text: str) -> None:
    if path is None:
        write(text)
    else:
        files.write(path, text)


def _dump(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
