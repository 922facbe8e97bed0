"""Deletion by the user who shared a session: `documents:forget`, and the page `/forget`."""

from collections.abc import Callable
from datetime import datetime

from starlette.requests import Request as PageRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plaintally_server.exceptions import Refusal, forbidden
from plaintally_server.http.middleware import Gate
from plaintally_server.http.models import Answer, Request, answer_json, make_request, read_body
from plaintally_server.http.rate_limit import Limiter
from plaintally_server.ingest.deletion_requests import parse_request, parse_session_id
from plaintally_server.model import Receipt
from plaintally_server.store.protocols import Store
from plaintally_server.web.pages import is_foreign, read_form, render

_BODY_LIMIT = 10_000
AT_ONCE = 20
PER_S = 1 / 600
"""The burst and rate of a client's requests without a key: too few to fill the queue."""


class Forgetting:
    """The endpoints of deletion: immediately with a key, otherwise after approval."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], datetime],
        make_salt: Callable[[], bytes],
        gate: Gate,
    ) -> None:
        self.store = store
        self.now = now
        self.make_salt = make_salt
        self.check = gate.check
        asking = Limiter(rate=PER_S, burst=AT_ONCE, make_salt=make_salt)
        self._check_asking = gate.check_try(asking) if gate.limiter is not None else lambda _: None

    def routes(self) -> list[BaseRoute]:
        """The routes of the page."""
        return [
            Route("/forget", self.show_form, methods=["GET"]),
            Route("/forget", self.take_form, methods=["POST"]),
        ]

    async def answer(self, request: Request) -> Answer:
        """POST to `documents:forget`: the receipt, or that the request waits."""
        session_id, key = parse_request(await read_body(request, _BODY_LIMIT))
        if key is None and is_foreign(request):
            raise forbidden(
                "The page of another site may delete a session only with its deletion key; send "
                "the key."
            )
        receipt = await self._forget(session_id, key, request)
        if receipt is not None:
            return answer_json({"receipt": receipt.to_dict()})
        return answer_json({"request": {"session": session_id, "state": "waiting"}})

    async def show_form(self, _: PageRequest) -> Response:
        """Show the form."""
        return render("forget.html", is_form=True)

    async def take_form(self, request: PageRequest) -> Response:
        """Take the form; if it is rejected, show it again with the reason."""
        session_id = ""
        try:
            session_id, key = await read_form(request, "session", "key", check=self.check)
            asked = make_request(request.scope, request.receive)
            receipt = await self._forget(parse_session_id(session_id), key or None, asked)
        except Refusal as refusal:
            return render(
                "forget.html",
                refusal.code,
                is_form=True,
                problem=refusal.message,
                session=session_id,
            )
        return render("forgotten.html", is_form=True, receipt=receipt)

    async def _forget(self, session_id: str, key: str | None, request: Request) -> Receipt | None:
        if key is None:
            self._check_asking(request)
            await self.store.request_forgetting(session_id, at=self.now())
            return None
        return await self.store.forget(session_id, key=key, at=self.now(), salt=self.make_salt())
