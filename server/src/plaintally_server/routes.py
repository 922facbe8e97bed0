"""The REST endpoints: from a request to what the other modules take, and from what they return to an answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from plaintally.contract import Contract
from plaintally_server import ingest, lookups, resource
from plaintally_server.access import Access, bearer
from plaintally_server.asgi import JSON, Answer, Request, Work, answer_json, read_body
from plaintally_server.bodies import parse_document
from plaintally_server.commits import Action, Change
from plaintally_server.counts import Counts
from plaintally_server.exceptions import Refusal, not_found
from plaintally_server.fieldpaths import MISSING, FieldPath, Fields, project
from plaintally_server.fieldpaths import find as find_value
from plaintally_server.ingest import Policy
from plaintally_server.methods import Methods, find
from plaintally_server.resource import Method, Name, Precondition
from plaintally_server.settings import Settings
from plaintally_server.store import Store, Write
from plaintally_server.writes import prepare

Query = Mapping[str, Sequence[str]]
_Work = Callable[[Request, Name, Query], Awaitable[Answer]]
_IS_NEW = Precondition(exists=False)
_VERBS = b"GET, HEAD, POST, PATCH, DELETE, OPTIONS"
FROM_BROWSERS = ((b"access-control-allow-origin", b"*"),)
"""The headers that let pages of any origin read an answer."""
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
        settings: the limits, the maintainer's token, and what is open to all.
        now: the clock, aware.
        make_id: makes the id of a document that came without one.
        forget: answers `documents:forget`.
    """

    def __init__(
        self,
        store: Store,
        *,
        contracts: Mapping[str, Contract],
        settings: Settings,
        now: Callable[[], datetime],
        make_id: Callable[[], str],
        forget: Work,
    ) -> None:
        self.store, self.settings = store, settings
        self.policy, self.counts = Policy(contracts, settings.open_collections), Counts(contracts)
        self.now, self.make_id, self.forget = now, make_id, forget
        self.methods = Methods(store, policy=self.policy, now=now)
        self._work: tuple[Mapping[str, _Work], Mapping[str, _Work]] = (
            {"POST": self.create, "GET": self.list, "HEAD": self.list},
            {"PATCH": self.patch, "GET": self.get, "HEAD": self.get, "DELETE": self.delete},
        )  # by whether a document is named

    async def answer(self, request: Request) -> Answer:
        """Answer one request.

        Raises:
            Refusal: it is refused.
        """
        if request.method == "OPTIONS":
            return _TO_BROWSERS
        target = resource.parse_path(request.path)
        query = resource.parse_query(request.query)
        if isinstance(target, Method):
            return await self.call(request, target)
        work = self._work[target.document is not None].get(request.method)
        if work is None:
            kind = "collections" if target.document is None else "documents"
            raise Refusal(405, "UNIMPLEMENTED", f"{request.method} is not for {kind}.")
        return await work(request, target, query)

    async def call(self, request: Request, method: Method) -> Answer:
        """POST to a method of the whole database."""
        if request.method == "POST" and method.verb == "forget":
            return await self.forget(request)
        work = self.methods.find(method.verb) if request.method == "POST" else None
        if work is None:
            raise not_found("This collector has no such method.")
        body = await read_body(request, self.settings.body_limit)
        return await work(body, method, self._access(request))

    async def create(self, request: Request, name: Name, query: Query) -> Answer:
        """POST a document to a collection, with or without a `documentId`."""
        mask = resource.parse_mask(query, "mask.fieldPaths")
        body = await read_body(request, self.settings.body_limit)
        admitted = self.counts.read(name.collection, body)
        fields = parse_document(body) if admitted is None else admitted.fields
        document = query["documentId"][-1] if "documentId" in query else None
        if document is None:
            document = ingest.name_by_id(name.collection, fields, self.policy) or self.make_id()
        name = Name(name.project, name.database, name.collection, resource.check_id(document, "document"))
        admitted = admitted or ingest.admit(name, fields, self.policy)
        write = Write(name, _IS_NEW, lambda _: admitted, self.now())
        if admitted.content is None or mask is not None:
            return await self._write(write, mask)
        [stored] = await self.store.commit([write])
        assert stored is not None  # noqa: S101  # for the type checker: it was no deletion
        return Answer(200, resource.join_document(name, admitted.content, stored), JSON)

    async def patch(self, request: Request, name: Name, query: Query) -> Answer:
        """PATCH a document: create it, replace it, or change the fields that `updateMask.fieldPaths` names."""
        precondition = resource.parse_precondition(query)
        update_mask = resource.parse_mask(query, "updateMask.fieldPaths")
        mask = resource.parse_mask(query, "mask.fieldPaths")
        fields = await self._read_fields(request, name)
        write = prepare(Change(name, fields, update_mask, precondition), self.policy, self.now())
        if update_mask is None or self._access(request).allows(name.collection):
            return await self._write(write, mask)
        # Whoever may not read learns nothing of the fields that somebody else wrote.
        return await self._write(
            write, mask, seen=[path for path in update_mask if find_value(fields, path) is not MISSING]
        )

    async def get(self, request: Request, name: Name, query: Query) -> Answer:
        """GET a document, with the maintainer's token."""
        resource.check_present(query)
        mask = resource.parse_mask(query, "mask.fieldPaths")
        self._access(request).check([name.collection])
        stored = await run_in_threadpool(self.store.get, name)
        if stored is None:
            raise not_found("There is no such document.")
        return answer_json(resource.write_document(name, stored, mask))

    async def list(self, request: Request, name: Name, query: Query) -> Answer:
        """GET a page of a collection, with the maintainer's token."""
        resource.check_present(query)
        mask = resource.parse_mask(query, "mask.fieldPaths")
        page = lookups.parse_page(name.collection, query)
        self._access(request).check([name.collection])
        found = await find(self.store, page.query, name, after=page.after)
        documents = [resource.write_document(*one, mask) for one in found[: page.size]]
        more = len(found) > page.size and {"nextPageToken": lookups.make_token(found[page.size - 1], page.query.orders)}
        return answer_json({"documents": documents, **(more or {})} if documents else {})

    async def delete(self, request: Request, name: Name, query: Query) -> Answer:
        """DELETE a document, with the maintainer's token; one that is not there is deleted already."""
        precondition = resource.parse_precondition(query)
        self._access(request).check([name.collection])
        await self.store.commit([prepare(Change(name, {}, None, precondition, Action.DELETE), self.policy, self.now())])
        return answer_json({})

    async def _write(
        self, write: Write, mask: Sequence[FieldPath] | None, *, seen: Sequence[FieldPath] | None = None
    ) -> Answer:
        """The answer to a write: what the mask names of the fields that may be seen."""
        [stored] = await self.store.commit([write])
        assert stored is not None  # noqa: S101  # for the type checker: it was no deletion
        stored = stored._replace(fields=project(stored.fields, seen))
        return answer_json(resource.write_document(write.name, stored, mask))

    async def _read_fields(self, request: Request, name: Name) -> Fields:
        """The fields in a body, which may repeat the name."""
        return parse_document(await read_body(request, self.settings.body_limit), name=str(name))

    def _access(self, request: Request) -> Access:
        given = bearer(request.header(b"authorization"))
        return Access(self.settings.is_token(given), self.settings.open_collections)
