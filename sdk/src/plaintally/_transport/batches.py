"""Documents of a session on their way: the requests that carry them, and how these are sent.

A batch is one `:commit` of up to 500 documents. Firestore rejects it as a whole if one document is
at fault, and some endpoints have no `:commit`. Then each document goes in a request of its own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .answers import Answer, no_answer, parse_answer, stranger

if TYPE_CHECKING:
    from plaintally._spawn import Endpoint

    from .http import Client

MAX_DOCUMENTS = 500
MAX_BYTES = 4_000_000
MAX_ANSWER = 2 * 1024 * 1024  # a document comes back in the answer
LACKING = (404, 405, 501)  # how an endpoint answers that has no :commit
_PARTIAL = (400, 403, 409, 413)  # one document of a batch may be at fault


class Document(NamedTuple):
    """A document on its way: collection, id, and its fields in Firestore's JSON."""

    collection: str
    id: str
    content: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The fields, read from what will be sent."""
        found: dict[str, Any] = json.loads(self.content)
        return found


def make_document(collection: str, identifier: str, document: Mapping[str, Any]) -> Document:
    """Return a document that is already in Firestore's JSON, on its way."""
    return Document(collection, identifier, dump(document["fields"]))


class Request(NamedTuple):
    """One request: the bytes that go over the wire, and the documents in it."""

    method: str
    target: str
    body: bytes
    documents: tuple[Document, ...]

    def is_confirmed_by(self, content: Mapping[str, Any]) -> bool:
        """Return whether an answer with status 200 says that all is stored or deleted."""
        if not self.documents:
            return self.target.endswith(":forget") and (
                "receipt" in content or "request" in content
            )
        if self.target.endswith(":commit"):
            results = content.get("writeResults")
            return isinstance(results, list) and len(results) == len(self.documents)
        [document] = self.documents
        return str(content.get("name")).endswith(f"/{document.collection}/{document.id}")


def make_requests(found: Iterable[Document], endpoint: "Endpoint | None") -> Iterator[Request]:
    """The requests that send documents, parents first and apart from invokes."""
    root = _document_root(endpoint)
    for batch in _batches(found, root):
        yield _request(batch, root, endpoint)


def send(
    request: Request, endpoint: "Endpoint", client: "Client"
) -> Iterator[tuple[Request, Answer]]:
    """Send a request, and yield it with its answer; or one request for each document instead."""
    answer = exchange(request, endpoint, client)
    if request.target.endswith(":commit") and answer.http_status in (*LACKING, *_PARTIAL):
        for document in request.documents:
            single = _single(document, endpoint)
            yield single, exchange(single, endpoint, client)
    else:
        yield request, answer


def exchange(request: Request, endpoint: "Endpoint", client: "Client") -> Answer:
    """Send a request and return its answer. Each failure is a reason in it."""
    try:
        destination = endpoint.scheme, endpoint.host, endpoint.port, request.target
        status, asked_s, body = client.exchange(
            destination, request.body, method=request.method, limit=MAX_ANSWER
        )
        answer = parse_answer(status, body, asked_s)
        is_ours = answer.status != 200 or request.is_confirmed_by(answer.content)
        return answer if is_ours else stranger(status)
    except Exception as error:  # noqa: BLE001  # an answer may take more memory than there is
        return no_answer(error, client.policy.try_s)


def _batches(found: Iterable[Document], root: str | None) -> Iterator[list[Document]]:
    """The documents in groups that fit into one request: parents apart from invokes."""
    batch: list[Document] = []
    size = 0
    for document in found:
        length = len(document.content) + len(root or "") + 200
        begins = batch and batch[-1].collection != "invokes" and document.collection == "invokes"
        if batch and (
            root is None or begins or len(batch) == MAX_DOCUMENTS or size + length > MAX_BYTES
        ):
            yield batch
            batch = []
            size = 0
        batch.append(document)
        size += length
    if batch:
        yield batch


def _request(batch: list[Document], root: str | None, endpoint: "Endpoint | None") -> Request:
    if root is None or endpoint is None:
        return _single(batch[0], endpoint)
    writes = [
        b'{"update":{"name":%b,"fields":%b}}'
        % (dump(f"{root}/{doc.collection}/{doc.id}"), doc.content)
        for doc in batch
    ]
    return Request(
        "POST", f"{endpoint.path}:commit", b'{"writes":[%b]}' % b",".join(writes), tuple(batch)
    )


def _single(document: Document, endpoint: "Endpoint | None") -> Request:
    path = "" if endpoint is None else endpoint.path
    target = f"{path}/{document.collection}/{document.id}"
    return Request("PATCH", target, b'{"fields":%b}' % document.content, (document,))


def _document_root(endpoint: "Endpoint | None") -> str | None:
    """Return the name of the documents' root, or None if the endpoint's path has none."""
    if endpoint is None:
        return None
    _, found, rest = endpoint.path.partition("/projects/")
    return f"projects/{rest}" if found else None


def dump(content: object) -> bytes:
    """Compact JSON."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
