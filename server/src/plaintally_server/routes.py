"""The REST endpoints: from a request to what the other modules take, and from what they return to an answer."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plaintally.contract import Contract
from plaintally.exceptions import DocumentError
from plaintally.firestore import format_timestamp, from_document
from plaintally_server import ingest, resource
from plaintally_server.commits import Change, parse_commit
from plaintally_server.exceptions import Refusal, forbidden, invalid, not_found
from plaintally_server.resource import Fields, Name, Precondition
from plaintally_server.settings import Settings
from plaintally_server.store import Store, Write


class _Segments(PathConvertor):
    """Any path: an id may have a line feed, which Starlette's own convertor does not match."""

    regex = "(?s:.*)"


register_url_convertor("segments", _Segments())


class Documents:
    """The endpoints of documents.

    Args:
        store: where they are kept.
        contracts: by package, what may be kept.
        settings: the limits and the maintainer's token.
        now: the clock, aware.
        make_id: makes the id of a document that came without one.
    """

    def __init__(
        self,
        store: Store,
        *,
        contracts: Mapping[str, Contract],
        settings: Settings,
        now: Callable[[], datetime],
        make_id: Callable[[], str],
    ) -> None:
        self.store, self.contracts, self.settings = store, contracts, settings
        self.now, self.make_id = now, make_id

    def routes(self) -> list[Route]:
        """The routes, to be put into an application."""
        return [
            Route("/v1/projects/{project}/databases/(default)/documents:commit", self.commit, methods=["POST"]),
            Route("/v1/{rest:segments}", self.answer, methods=["GET", "POST", "PATCH"]),
        ]

    async def answer(self, request: Request) -> Response:
        """Answer one request; refusals are answered by the application."""
        name = resource.parse_path(request.scope["raw_path"].partition(b"?")[0])
        match request.method, name.document is None:
            case "POST", True:
                return await self.create(request, name)
            case "PATCH", False:
                return await self.patch(request, name)
            case "GET" | "HEAD", False:
                return await self.get(request, name)
        raise Refusal(
            405,
            "UNIMPLEMENTED",
            f"{request.method} is not for {'collections' if name.document is None else 'documents'}.",
        )

    async def create(self, request: Request, name: Name) -> Response:
        """POST a document to a collection, with or without a `documentId`."""
        fields = await self._read_fields(request)
        query = resource.parse_query(request.scope["query_string"])
        document = self.make_id()
        if "documentId" in query:
            document = resource.check_id(query["documentId"][-1], "document")
        name = name._replace(document=document)
        admitted = ingest.admit(name, fields, self.contracts)
        return await self._write(Write(name, Precondition(exists=False), lambda _: admitted, self.now()))

    async def patch(self, request: Request, name: Name) -> Response:
        """PATCH a document: create it, replace it, or change the fields that `updateMask.fieldPaths` names."""
        query = resource.parse_query(request.scope["query_string"])
        precondition = resource.parse_precondition(query)
        paths = query.get("updateMask.fieldPaths", [])
        mask = [resource.parse_field_path(path) for path in paths] or None
        fields = await self._read_fields(request)
        return await self._write(self._prepare(Change(name, fields, mask, precondition), self.now()))

    async def commit(self, request: Request) -> Response:
        """POST to `documents:commit`: write several documents, all or none."""
        project = resource.check_id(request.path_params["project"], "project")
        body = await read_body(request, self.settings.body_limit)
        changes = await run_in_threadpool(parse_commit, body, project=project)
        now = self.now()
        stored = await self.store.commit([self._prepare(change, now) for change in changes])
        results = [{"updateTime": format_timestamp(one.update_time)} for one in stored]
        return answer_json({"writeResults": results, "commitTime": format_timestamp(now)})

    async def get(self, request: Request, name: Name) -> Response:
        """GET a document, with the maintainer's token."""
        self._check_token(request)
        stored = await run_in_threadpool(self.store.get, name)
        if stored is None:
            raise not_found(f'Document "{name}" not found.')
        return answer_json(resource.write_document(name, stored))

    def _prepare(self, change: Change, now: datetime) -> Write:
        """The write that makes a change to whatever is stored when its turn comes."""
        name, given, mask, precondition = change
        ingest.check_collection(name.collection, self.contracts)

        def settle(current: Fields | None) -> ingest.Admitted:
            return ingest.admit(name, resource.merge(current, given, mask), self.contracts, current=current)

        return Write(name, precondition, settle, now)

    async def _write(self, write: Write) -> Response:
        [stored] = await self.store.commit([write])
        return answer_json(resource.write_document(write.name, stored))

    async def _read_fields(self, request: Request) -> Fields:
        body = await read_body(request, self.settings.body_limit)
        try:
            document = msgspec.json.decode(body) if body else {}
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise invalid("The body is no JSON.") from None
        if isinstance(document, dict) and "name" in document:
            raise invalid("The name of a document belongs into the path, not into the body.")
        try:
            return from_document(document)
        except DocumentError as error:
            raise invalid(f"The body is no document: {error}.") from None

    def _check_token(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.settings.is_token(given):
            raise forbidden("Missing or insufficient permissions: reading needs the maintainer's token.")


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request, read no further than the limit in bytes.

    Raises:
        Refusal: it is larger.
    """
    too_large = Refusal(413, "INVALID_ARGUMENT", f"The body is larger than {limit} bytes.")
    if int(request.headers.get("content-length", 0)) > limit:  # the HTTP parser has seen that it is a number
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def answer_json(content: Mapping[str, Any], status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json; charset=utf-8")


async def answer_refusal(_: Request, refusal: Exception) -> Response:
    """The answer to a request that was refused."""
    assert isinstance(refusal, Refusal)  # noqa: S101  # for the type checker: it is registered for no other
    headers = {"Retry-After": "1"} if refusal.code == 503 else None  # noqa: PLR2004
    response = answer_json(refusal.body, refusal.code)
    response.headers.update(headers or {})
    return response
