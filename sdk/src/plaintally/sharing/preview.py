"""What `share` would send: the very bytes, and a text that shows what is in them."""

from collections.abc import Collection

from plaintally._spawn import Endpoint
from plaintally._transport import http
from plaintally._transport.batches import Document, dump, make_document, make_requests
from plaintally.exceptions import SharingError
from plaintally.printable import printable
from plaintally.session import Session
from plaintally.sharing import documents

MAX_SHOWN = 25  # documents in the text of a preview
PRIVATE = ("error_message", "source")


class Preview:
    """What `share` would send.

    Attributes:
        session: the session.
        endpoint: where it would go, or None.
        include: which private kinds go along.
        requests: the requests in their order, with the exact bytes of each body.
        withheld: labels that the contract does not declare, and which therefore stay here.
    """

    def __init__(
        self, session: Session, endpoint: Endpoint | None, *, include: Collection[str] = ()
    ) -> None:
        self.session = session
        self.endpoint = endpoint
        self.include = _valid_include(include)
        declared = declared_labels(session)
        self.withheld = tuple(label for label in session.labels if label not in declared)
        self.requests = tuple(make_requests(_documents(session, declared, self.include), endpoint))

    @property
    def documents(self) -> list[Document]:
        """All documents, parents first."""
        return [document for request in self.requests for document in request.documents]

    @property
    def content(self) -> bytes:
        """Every byte that would leave, one request after the other."""
        if self.endpoint is None:
            return b"".join(request.body for request in self.requests)
        there = self.endpoint.scheme, self.endpoint.host, self.endpoint.port
        return b"".join(
            http.request((*there, request.target), request.body, method=request.method)
            for request in self.requests
        )

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        where = f"to {self.endpoint}" if self.endpoint else "nowhere, since there is no endpoint"
        found = self.documents
        size = sum(len(request.body) for request in self.requests)
        what = f"{len(found)} documents ({size:,} bytes in {len(self.requests)} requests)"
        lines = [f"{what} would go {where}:"]
        for document in found[:MAX_SHOWN]:
            lines += ["", f"{document.collection}/{document.id}"]
            lines += [
                f"    {key}: {dump(value).decode()}" for key, value in document.fields.items()
            ]
        if len(found) > MAX_SHOWN:
            more = (
                f"and {len(found) - MAX_SHOWN} more; all are in its `documents`, every byte in its"
            )
            lines += ["", f"{more} `content`."]
        if self.withheld:  # their number alone, since a preview is likely to be passed on, too
            what = "Labels that the contract does not declare, and which stay here"
            lines += ["", f"{what}: {len(self.withheld)}."]
        if not self.include:
            what = "What errors said and sources stay here"
            lines += ["", f"{what}, unless include={set(PRIVATE)} asks for them."]
        return "\n".join(map(printable, lines))


def declared_labels(session: Session) -> Collection[str]:
    """Return the labels that the session's contract declares: no other one leaves."""
    return session.contract.labels if session.contract is not None else ()


def _documents(
    session: Session, declared: Collection[str], include: Collection[str]
) -> list[Document]:
    kept = [session.stats(label) for label in session.labels if label in declared]
    made = [make_document("sessions", session.id, documents.session(session))]
    for stats in kept:
        document = documents.session_stats(stats, session.id)
        made.append(make_document("session_stats", stats.id, document))
    for stats in kept:
        for invoke in stats.invokes:
            document = documents.invoke(invoke, stats.id, include=include)
            made.append(make_document("invokes", invoke.id, document))
    return made


def _valid_include(include: Collection[str]) -> frozenset[str]:
    try:
        words = frozenset((include,) if isinstance(include, str) else include)
    except TypeError:
        words = frozenset((str(include),))
    if words <= set(PRIVATE):
        return words
    raise SharingError(f"include={sorted(map(str, words))} can only name {' and '.join(PRIVATE)}")
