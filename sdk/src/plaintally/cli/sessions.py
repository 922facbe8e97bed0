"""The commands about sessions: sharing a saved one, and having a shared one deleted."""

import sys

from plaintally import Telemetry, _count, _spawn, sharing
from plaintally._spawn import Endpoint
from plaintally.cli.output import say
from plaintally.cli.packages import find
from plaintally.exceptions import SharingError
from plaintally.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from argparse import Namespace

_LONGEST_KEY = 1000


def share(arguments: "Namespace") -> None:
    """Share a saved session."""
    session = _load(arguments.file)
    handle = find(session.package, declared_only=True)  # the name comes out of a file
    endpoint = _endpoint(session.package, handle, arguments.endpoint)
    preview = sharing.Preview(session, endpoint, include=arguments.include)
    if arguments.preview or arguments.include:
        say(preview, lines=True)
    if arguments.preview:
        return
    if arguments.include:
        _ask(arguments.include)
    result = sharing.share(
        preview,
        show_progress=True,
        issues_url=handle.issues_url if handle else None,
        given_endpoint=arguments.endpoint,
    )
    if not result.complete:
        sys.exit(1)


def _ask(include: "list[str]") -> None:
    """Go on only if somebody who has seen the preview says so."""
    try:
        question = f"\nShare all this, with {' and '.join(include)}? Type yes: "
        word = input(question) if sys.stdin.isatty() else ""
    except (AttributeError, EOFError):  # there is nobody
        word = ""
    if word.strip().lower() not in ("y", "yes"):
        raise SharingError(
            f"nothing was shared: {' and '.join(include)} leave only when somebody at a terminal "
            "has seen them"
        )


def forget(arguments: "Namespace") -> None:
    """Have a shared session deleted."""
    handle = find(arguments.package)
    endpoint = _endpoint(arguments.package, handle, arguments.endpoint)
    issues_url = handle.issues_url if handle else None
    key = _read_key(arguments.key_file)
    say(sharing.forget(arguments.session, key, endpoint, issues_url=issues_url), lines=True)


def _read_key(path: "str | None") -> "str | None":
    """Return the deletion key from a file or a terminal, since command lines are public.

    Raises:
        SharingError: the file cannot be read, or is empty.
    """
    if path is None:
        return _ask_for_key()
    try:
        if path == "-":
            text = sys.stdin.readline(_LONGEST_KEY)
        else:
            with open(path, encoding="utf-8") as file:
                text = file.readline(_LONGEST_KEY)
    except (OSError, UnicodeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SharingError(
            f"cannot read the deletion key from {path} ({reason}); name a file that holds it"
        ) from error
    if not text.strip():
        raise SharingError(
            f"there is no deletion key in {path}; to ask the maintainers instead, leave out "
            "--key-file"
        )
    return text.strip()


def _ask_for_key() -> "str | None":
    """Return the key typed without echo; None without a terminal or an answer."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    from getpass import getpass

    try:
        return getpass("Deletion key (leave it empty to ask the maintainers): ").strip() or None
    except EOFError:
        return None


def _load(path: "str | os.PathLike[str]") -> Session:
    try:
        return Session.load(path)
    except OSError as error:
        reason = error.strerror or error
        raise SharingError(
            f"cannot read {path} ({reason}); give a file that session.save wrote"
        ) from error


def _endpoint(package: str, handle: "Telemetry | None", given: "str | None") -> Endpoint:
    """Where the package's sessions go: what was given, else its user's or author's address."""
    if given is not None:
        return _spawn.parse_endpoint(given, allow_http=handle is not None and handle.allow_http)
    facts = _count.gather(handle or Telemetry(package))
    if facts.endpoint is None:
        unknown = f"no package is installed here that calls its telemetry {package!r}, and "
        raise SharingError(
            f"{'' if handle else unknown}{package} has no endpoint (set by "
            f"{facts.endpoint_where}); name one with --endpoint"
        )
    return facts.endpoint
