"""The command `plaintally send-test`: what keeps imports from being delivered from here.

The test runs where a sender would: in a process of its own with the sender's variables and without
`site`, so that a trust store or a proxy that only the host has is not taken for one that the sender
has. It asks for a document that does not exist. The request holds nothing but the package's name,
and stores nothing.
"""

import os
import subprocess
import sys

from plaintally import _spawn
from plaintally._spawn import parse_endpoint
from plaintally._transport.answers import Answer
from plaintally._transport.batches import Request, exchange
from plaintally._transport.http import Client
from plaintally._transport.retry import ONCE

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from plaintally.cli import send_test; send_test.main()"
)


def find_obstacle(package: str, endpoint: str) -> str:
    """Return what keeps imports from being delivered, or nothing."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    command = _spawn.command(_BOOT, folder, package, endpoint)
    if not command:
        return (
            "no Python interpreter can be started here; "
            "only a program that was not frozen counts imports"
        )
    done = subprocess.run(
        command,
        env=_spawn.sender_environment(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    failed = (
        "the process that was to try it failed; "
        "try it again, then report it as a mistake of plaintally"
    )
    return done.stdout.strip() or (failed if done.returncode else "")


def main() -> None:
    """Run as the process that tries it; print what is in the way."""
    _, _, package, url = sys.argv
    endpoint = parse_endpoint(url, allow_http=True)
    request = Request("GET", f"{endpoint.path}/using_{package}/send-test", b"", ())
    answer = exchange(request, endpoint, Client(ONCE, in_thread=True))
    if not _is_of_collector(answer):
        sys.stdout.buffer.write(answer.reason.encode())


def _is_of_collector(answer: Answer) -> bool:
    """Return whether a collector or Firestore found the collection, and gave out nothing.

    Both answer alike if the path of the endpoint is wrong, but with another message.
    """
    if answer.status == 403:
        return answer.reason.startswith(
            ("Missing or insufficient permissions", "No matching allow statements")
        )
    return answer.status == 404 and answer.reason.startswith(
        ("There is no such document", 'Document "')
    )
