"""Twenty secrets in a user's process, and which of them each system lets out by default.

A script of the user's calls a function that the system watches, where its documentation offers
that, and that fails; once the error is handled, and handed to the system where its documentation
offers that, and once it is not. Then every byte that the server got is searched, unpacked in all
ways. A secret counts as let out, too, as a well-known hash of it.
"""

import hashlib
import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from host.bench import HERE, Bench, Case
from host.payloads import texts

KINDS = (
    "local variable", "argument", "dictionary key", "dictionary value", "data", "object's repr",
    "exception's text", "cause's text", "exception's note", "exception's class", "function's name",
    "source line", "log line", "script's folder", "working folder", "home folder", "command line",
    "environment variable", "user's name", "host's name",
)  # fmt: skip
_random = random.Random(20)
SECRETS = {kind: "q" + "".join(_random.choices("bcdfghjklmnpqrstvwxz", k=15)) for kind in KINDS}
ENDS = ("handled", "unhandled")


def measure(bench: Bench, cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """For each case and ending: what leaked, plain or hashed, and the requests searched."""
    found: dict[str, dict[str, Any]] = {}
    for case in cases:
        found[case.name] = {}
        for end in ENDS:
            before = len(bench.received(case, "healthy"))
            _run(bench, case, end)
            requests = bench.received(case, "healthy", since=before)
            found[case.name][end] = {"requests": len(requests), **search(requests)}
    print("bench: canaries", flush=True)
    return found


def search(requests: Iterable[bytes]) -> dict[str, list[str]]:
    """The kinds of secrets that are in the requests, as they are or only as a hash."""
    haystack = b"\n".join(text for request in requests for text in texts(request)).lower()
    plain = [kind for kind, secret in SECRETS.items() if secret.encode() in haystack]
    hashed = [
        kind
        for kind in SECRETS
        if kind not in plain and any(digest.encode() in haystack for digest in _digests(kind))
    ]
    return {"plain": plain, "hashed": hashed}


def _digests(kind: str) -> Iterator[str]:
    user = SECRETS["user's name"]
    host = SECRETS["host's name"]
    for text in (
        SECRETS[kind],
        *([f"{user}@{host}"] if kind in ("user's name", "host's name") else []),
    ):
        for algorithm in ("md5", "sha1", "sha256"):
            yield hashlib.new(algorithm, text.encode()).hexdigest()
        for name in (uuid.uuid3(uuid.NAMESPACE_DNS, text), uuid.uuid5(uuid.NAMESPACE_DNS, text)):
            yield str(name)
            yield name.hex


def _run(bench: Bench, case: Case, end: str) -> None:
    place = bench.folder / "canaries" / case.name / end
    home = place / SECRETS["home folder"]
    script = home / SECRETS["script's folder"] / "analysis.py"
    working = home / SECRETS["working folder"]
    for folder in (home, script.parent / "secrets", working):
        folder.mkdir(parents=True)
    names = {
        "exception_class": SECRETS["exception's class"],
        "function_name": SECRETS["function's name"],
        "source_line": SECRETS["source line"],
    }
    script.write_text((HERE / "probes" / "canary.txt").read_text().format(**names))
    for kind, secret in SECRETS.items():
        (script.parent / "secrets" / kind).write_text(secret)
    variables = {
        "AWS_SECRET_ACCESS_KEY": SECRETS["environment variable"],
        **dict.fromkeys(("USER", "LOGNAME"), SECRETS["user's name"]),
        "HOSTNAME": SECRETS["host's name"],
    }
    secretive = case._replace(variables=(*case.variables, *variables.items()))
    arguments = (SECRETS["command line"], end)
    bench.run(
        secretive, probe=str(script), home=home, working=working, arguments=arguments, settle_s=8.0
    )
