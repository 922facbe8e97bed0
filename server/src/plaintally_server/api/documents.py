"""The REST endpoints of documents: from requests to values, and from results to answers."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime

from plaintally.contract import Contract
from plaintally_server.api import parameters
from plaintally_server.api.methods import Call, Methods
from plaintally_server.api.parameters import Parameters
from plaintally_server.api.prepare import as_reported, check_part, make_import, prepare
from plaintally_server.api.reads import Reads, encode_document
from plaintally_server.auth.permissions import Access, bearer
from plaintally_server.auth.tokens import Tokens
from plaintally_server.exceptions import Refusal, not_found
from plaintally_server.firestore import documents, reads
from plaintally_server.firestore.bodies import (
    ANONYMOUS_BYTES,
    ANONYMOUS_COMMIT_BYTES,
    DOCUMENT_BYTES,
    LONGEST_BYTES,
    parse_document,
)
from plaintally_server.firestore.documents import Method, Name, Precondition
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.writes import Action, Change
from plaintally_server.http.models import JSON, Answer, Request, Work, answer_json, read_body
from plaintally_server.http.parse_pool import Parsing
from plaintally_server.ingest import admission
from plaintally_server.ingest.admission import Policy
from plaintally_server.ingest.collections import COUNTER_PREFIX
from plaintally_server.ingest.fast_path import Counts
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.store.protocols import Store

_Work = Callable[[Request, Name, Parameters], Awaitable[Answer]]
_UNFIT = (400, 403, 413)
"""Refusals of what was sent, and not of how often, or of when."""
_COMMITS = ("commit", "batchWrite")
_IS_NEW = Precondition(exists=False)
_VERBS = b"GET, HEAD, POST, PATCH, DELETE, OPTIONS"
HEADERS = ((b"access-control-allow-origin", b"*"), (b"cache-control", b"no-store"))
"""The headers of all answers: pages of any origin may read them, and no cache keeps them."""
_TO_BROWSERS = Answer(
    200,
    headers=(
        (b"allow", _VERBS),
        (b"access-control-allow-methods", _VERBS),
        (b"access-control-allow-headers", b"*, Authorization"),  # which the star does not stand for
        (b"access-control-max-age", b"3600"),
    ),
)


class Documents:
    """The endpoints of documents.

    Args:
        store: where they are kept.
        contracts: by package, what may be kept.
        tokens: those of maintainers.
        now: the clock, aware.
        clock_s: a clock that never goes back, in seconds.
        make_id: makes the id of a document that came without one.
        forget: answers `documents:forget`.
        note_refused: called with the package of each document that is rejected.
        access: what the sender of a request may do.
    """

    def __init__(
        self,
        store: Store,
        *,
        contracts: Mapping[str, Contract],
        tokens: Tokens,
        now: Callable[[], datetime],
        clock_s: Callable[[], float],
        make_id: Callable[[], str],
        forget: Work,
        note_refused: Callable[[str], None] = lambda _: None,
        access: type[Access] = Access,
    ) -> None:
        self.store = store
        self.tokens = tokens
        self.policy = Policy(contracts, note_refused)
        self._access_type = access
        self.counts = Counts(contracts)
        self.now = now
        self.make_id = make_id
        self.forget = forget
        self.parsing = Parsing()
        self.reads = Reads(store, clock_s=clock_s)
        self.methods = Methods(
            store, policy=self.policy, parsing=self.parsing, reads=self.reads, now=now
        )
        listing = (self.list, parameters.LIST)
        getting = (self.get, parameters.GET)
        # By whether a document is named; each with the parameters that it takes.
        self._work: tuple[Mapping[str, tuple[_Work, Collection[str]]], ...] = (
            {"POST": (self.create, parameters.CREATE), "GET": listing, "HEAD": listing},
            {
                "PATCH": (self.patch, parameters.PATCH),
                "GET": getting,
                "HEAD": getting,
                "DELETE": (self.delete, parameters.DELETE),
            },
        )

    async def answer(self, request: Request) -> Answer:
        """Answer one request.

        Raises:
            Refusal: it is refused.
        """
        if request.method == "OPTIONS":
            return _TO_BROWSERS
        target = documents.parse_path(request.path)
        if isinstance(target, Method):
            parameters.parse_query(request.query)
            try:
                return await self.call(request, target)
            except Refusal as refusal:
                self.policy.note(refusal)
                raise
        found = self._work[target.document is not None].get(request.method)
        if found is None:
            kind = "collections" if target.document is None else "documents"
            raise Refusal(405, "UNIMPLEMENTED", f"{request.method} is not for {kind}.")
        work, taken = found
        query = parameters.parse_query(request.query, taken)
        try:
            return await work(request, target, query)
        except Refusal as refusal:
            package = target.collection.removeprefix(COUNTER_PREFIX)
            if (
                refusal.code in _UNFIT
                and package in self.policy.contracts
                and request.method in ("POST", "PATCH")
            ):
                refusal.package = package
            self.policy.note(refusal)
            raise

    async def call(self, request: Request, method: Method) -> Answer:
        """POST to a method of the whole database."""
        if request.method == "POST" and method.verb == "forget":
            return await self.forget(request)
        work = self.methods.find(method.verb) if request.method == "POST" else None
        if work is None:
            raise not_found("This collector has no such method.")
        body = await self._read_body(request, method.verb)
        return await work(Call(method, body, self._access(request), request.charge))

    async def create(self, request: Request, name: Name, query: Parameters) -> Answer:
        """POST a document to a collection, with or without a `documentId`."""
        mask = parameters.parse_paths(query, parameters.MASK)
        access = self._access(request)
        if mask is not None:
            check_part(name.collection, access)
        body = await self._read_body(request)
        document = query.get("documentId", [None])[0]
        admit = self._admit_new if mask is None else self._admit_parsed
        name, fields, admitted = await self.parsing.run(
            admit, body, collection=name, document=document, access=access
        )
        now = self.now()
        write: Write | Import = Write(name, _IS_NEW, admitted, now, parent=admitted.parent)
        if admitted.counted is not None:
            write = make_import(admitted, now, must_be_new=document is not None)
        [stored] = await self.store.commit([write])
        assert stored is not None  # noqa: S101  # for the type checker: it was no deletion
        if admitted.content is None:
            sent = stored._replace(fields=fields)  # what is stored may have a coarser version
            return Answer(
                200, await self.parsing.run(lambda _: encode_document(name, sent, mask), body), JSON
            )
        return Answer(200, documents.join_document(name, admitted.content, stored), JSON)

    def _admit_new(
        self, body: bytes, collection: Name, document: str | None, access: Access
    ) -> tuple[Name, Fields, Admitted]:
        """Return a document's name, its fields as they were sent, and what is stored."""
        admitted = self.counts.read(collection.collection, body, document)
        if admitted is None:
            return self._admit_parsed(body, collection, document, access)
        return (
            self._name(collection, self.make_id() if document is None else document),
            {},
            admitted,
        )

    def _admit_parsed(
        self, body: bytes, collection: Name, document: str | None, access: Access
    ) -> tuple[Name, Fields, Admitted]:
        """Do the same with any body."""
        fields = parse_document(body)
        chosen = (
            admission.name_by_id(collection.collection, fields, self.policy)
            if document is None
            else document
        )
        name = self._name(collection, self.make_id() if chosen is None else chosen)
        admitted = access.admit(name, fields)
        if admitted.counted is not None and chosen is None:
            admitted = admitted._replace(counted=admitted.counted._replace(name=None))
        return name, fields, admitted

    @staticmethod
    def _name(collection: Name, document: str) -> Name:
        return collection._replace(document=documents.check_id(document, "document"))

    async def patch(self, request: Request, name: Name, query: Parameters) -> Answer:
        """PATCH a document: create it, replace it, or change the fields of `updateMask`."""
        precondition = parameters.parse_precondition(query)
        update_mask = parameters.parse_paths(query, parameters.UPDATE_MASK)
        mask = parameters.parse_paths(query, parameters.MASK)
        access = self._access(request)
        if mask is not None:
            check_part(name.collection, access)
        body = await self._read_body(request)
        fields = await self.parsing.run(parse_document, body, name=str(name))
        change = Change(name, fields, update_mask, precondition)
        now = self.now()
        [stored] = await self.store.commit([prepare(change, access, now)])
        assert stored is not None  # noqa: S101  # as above
        shown = as_reported(stored, change, access, now)
        return Answer(
            200, await self.parsing.run(lambda _: encode_document(name, shown, mask), body), JSON
        )

    async def get(self, request: Request, name: Name, query: Parameters) -> Answer:
        """GET a document, with a token for its package."""
        parameters.check_present(query)
        mask = parameters.parse_paths(query, parameters.MASK)
        access = self._access(request)
        access.check_reads([name.collection])
        content = await self.reads.get(name, access, mask)
        if content is None:
            raise not_found("There is no such document.")
        return Answer(200, content, JSON)

    async def list(self, request: Request, name: Name, query: Parameters) -> Answer:
        """GET a page of a collection, of what a token is for."""
        parameters.check_present(query)
        mask = parameters.parse_paths(query, parameters.MASK)
        page = reads.parse_page(name.collection, query)
        access = self._access(request)
        access.check_reads([name.collection])
        found, is_cut = await self.reads.find(page.query, name, access, mask, after=page.after)
        shown = found[: page.size]
        if not shown:
            return answer_json({})
        documents = b",".join([item.content for item in shown])
        if not is_cut and len(found) <= page.size:
            return Answer(200, b'{"documents":[%b]}' % documents, JSON)
        token = reads.make_token(shown[-1].place).encode()
        return Answer(200, b'{"documents":[%b],"nextPageToken":"%b"}' % (documents, token), JSON)

    async def delete(self, request: Request, name: Name, query: Parameters) -> Answer:
        """DELETE a document, with a token for its package; succeed if it does not exist."""
        precondition = parameters.parse_precondition(query)
        change = Change(name, {}, None, precondition, Action.DELETE)
        await self.store.commit([prepare(change, self._access(request), self.now())])
        return answer_json({})

    async def _read_body(self, request: Request, verb: str = "") -> bytes:
        """A body, which is shorter without a token."""
        if self._access(request).scope is None:
            limit = ANONYMOUS_COMMIT_BYTES if verb in _COMMITS else ANONYMOUS_BYTES
        else:
            limit = LONGEST_BYTES if verb else DOCUMENT_BYTES
        return await read_body(request, limit)

    def _access(self, request: Request) -> Access:
        given = bearer(request.header(b"authorization"))
        return self._access_type(self.tokens.find(given), self.policy)
