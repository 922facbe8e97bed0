"""The commands about sessions: sharing a saved one, and having a shared one deleted."""

import os
import sys

from plaintally import _cli, _preferences, _sender, _telemetry, sharing
from plaintally._sender import Endpoint
from plaintally.exceptions import SharingError
from plaintally.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def add_commands(add: "Callable[..., argparse.ArgumentParser]") -> None:
    """Add them to the command's parser."""
    share = add("share", _share, "share a session that was saved with session.save(FILE), also on another machine")
    share.add_argument("file", help="the saved session")
    share.add_argument(
        "--include",
        action="append",
        default=[],
        choices=sharing.PRIVATE,
        help="what else goes along, and otherwise stays; may be given again",
    )
    share.add_argument("--preview", action="store_true", help="show what would be sent, and send nothing")
    forget = add("forget", _forget, "have a shared session deleted")
    forget.add_argument("session", help="the ID of the session")
    forget.add_argument("--package", required=True, type=_cli.package_name, help="the package it was shared with")
    forget.add_argument("--key", help="its deletion key; without it the request waits for a maintainer")
    for command in (share, forget):
        command.add_argument("--endpoint", help="the collector's address; by default that of the package")


def _share(arguments: "argparse.Namespace") -> None:
    session = _load(arguments.file)
    endpoint = _endpoint(session.package, arguments.endpoint)
    preview = sharing.Preview(session, endpoint, include=arguments.include)
    if arguments.preview:
        print(preview)
        return
    handle = _telemetry._handles.get(session.package)
    result = sharing.share(preview, show_progress=True, issues_url=handle.issues_url if handle else None)
    if not result.complete:
        sys.exit(1)


def _forget(arguments: "argparse.Namespace") -> None:
    print(sharing.forget(arguments.session, arguments.key, _endpoint(arguments.package, arguments.endpoint)))


def _load(path: "str | os.PathLike[str]") -> Session:
    try:
        return Session.load(path)
    except OSError as error:
        reason = error.strerror or error
        raise SharingError(f"cannot read {path} ({reason}); give a file that session.save wrote") from error


def _endpoint(package: str, given: "str | None") -> Endpoint:
    """Where the package's sessions go: what was given, else its user's or author's address."""
    handle = _cli.find(package)
    if given is not None:
        return _sender.parse_endpoint(given, allow_http=handle is not None and handle.allow_http)
    asked = handle or _telemetry.Telemetry(package)
    endpoint, where = asked._resolve_endpoint(_preferences.layers(os.environ))
    if endpoint is None:
        raise SharingError(f"{package} has no endpoint (set by {where}); name one with --endpoint")
    return endpoint
