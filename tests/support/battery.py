"""Requests that no client of good will sends, run against a real collector, and what must hold
after each of them.

501 UNIMPLEMENTED is an honest answer to what Firestore has and a collector has not (transactions,
transforms, reads of the past, plans); to a method that it does not know it is 404. No other answer
may be 500 or above.
"""

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from collectors import ROOT, TOKEN, Answer, Collector
from waiting import PATIENCE_S

SECRET = "hunter2-canary"
"""Planted in what must be refused: no answer repeats it, and no file of the collector's holds
it."""
IMPORTS = "using_rxinfer/"
READ = {"Authorization": f"Bearer {TOKEN}"}
COLLECTIONS = ("cities", "sessions", "session_stats", "invokes", "users")
REFUSED = (400, 403, 404, 405)
ANY = (200, *REFUSED, 409, 501)
"""Of a request that may be right or wrong: what counts is what holds afterwards."""


class Case(NamedTuple):
    """A request, and the statuses that may answer it; a body is sent as it is, or as JSON."""

    reason: str
    method: str
    path: str
    body: object = None
    codes: tuple[int, ...] = (400,)
    headers: Mapping[str, str] = {}


@dataclass
class Battery:
    """A collector under fire, and what it has acknowledged: names of documents, and ids of imports
    behind IMPORTS."""

    collector: Collector
    acknowledged: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", self.collector.port, timeout=PATIENCE_S
        )

    def run(self, cases: Iterable[Case]) -> int:
        """Send all cases, hold each answer against what must hold, then the collector; return their
        number."""
        wrong = []
        number = 0
        for number, case in enumerate(cases, 1):  # noqa: B007  # the number is returned
            answer = self.send(case)
            problem = find_problem(case, answer)
            if problem:
                wrong.append(
                    f"{case.reason}: {case.method} {case.path[:100]}: {problem}: "
                    f"{answer.body[:200]!r}"
                )
            self.acknowledged.update(written(case, answer))
        assert not wrong, f"{len(wrong)} of {number}:\n" + "\n".join(wrong[:40])
        self.check()
        return number

    def send(self, case: Case) -> Answer:
        """The answer to a case, on a connection that is kept where the collector keeps it."""
        body = (
            case.body
            if case.body is None or isinstance(case.body, bytes)
            else json.dumps(case.body).encode()
        )
        try:
            return self._exchange(case, body)
        except (
            ConnectionError,
            http.client.HTTPException,
        ):
            # It was closed after the answer before.
            self.connection.close()
            return self._exchange(case, body)

    def _exchange(self, case: Case, body: bytes | None) -> Answer:
        self.connection.request(case.method, case.path, body, dict(case.headers))
        with self.connection.getresponse() as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read(), headers)

    def check(self) -> None:
        """The collector lives, has exactly what it acknowledged, and no secret on its disk."""
        assert self.collector.process.poll() is None
        imports = {name for name in self.acknowledged if name.startswith(IMPORTS)}
        assert set(self.stored()) == self.acknowledged - imports
        assert self.collector.store.total("rxinfer") == len(imports)
        for path in self.collector.database.parent.iterdir():
            assert SECRET.encode() not in path.read_bytes(), path.name

    def stored(self) -> Iterator[str]:
        """The names of all documents that the collector has."""
        for collection in COLLECTIONS:
            token = ""
            while True:
                page = f"{ROOT}/{collection}?pageSize=1000&mask.fieldPaths=x&pageToken={token}"
                found: dict[str, Any] = self.send(Case("", "GET", page, headers=READ)).json
                yield from (document["name"] for document in found.get("documents", ()))
                token = found.get("nextPageToken", "")
                if not token:
                    break


def find_problem(case: Case, answer: Answer) -> str | None:
    """What an answer should not be."""
    if answer.status not in case.codes:
        return f"{answer.status}, not {' or '.join(map(str, case.codes))}"
    if SECRET.encode() in answer.body:
        return "repeats what was sent"
    if answer.status < 400 or case.method == "HEAD":
        return None
    if answer.headers.get("content-type") != "application/json; charset=utf-8":
        return f"is {answer.headers.get('content-type')}"
    try:
        code, status = answer.error
    except (AssertionError, ValueError):
        return "is no error of Google's"
    return None if status == status.upper() and code == answer.status else "has no status"


def written(case: Case, answer: Answer) -> Iterator[str]:
    """What an answer acknowledges; see `Battery.acknowledged`."""
    path = urlsplit(case.path).path
    if (
        answer.status != 200
        or case.method not in ("POST", "PATCH")
        or not case.path.startswith("/v1/")
    ):
        return
    if not path.endswith((":commit", ":batchWrite")):
        if ":" not in path.rpartition("/")[2] or case.method == "PATCH":
            yield name_written(answer.json)
        return
    body: Any = json.loads(case.body) if isinstance(case.body, bytes) else case.body
    writes = (body or {}).get("writes") or []
    statuses: Any = answer.json.get("status", [{}] * len(writes))
    for write, status in zip(writes, statuses, strict=True):
        if not status and write.get("update") is not None:
            yield name_written(write["update"])


def name_written(document: Any) -> str:  # noqa: ANN401
    """The name of a document, or the id of an import."""
    if f"/documents/{IMPORTS}" not in document["name"]:
        return str(document["name"])
    identifier = document["fields"]["id"]
    return IMPORTS + str(identifier.get("stringValue", identifier.get("string_value"))).lower()
