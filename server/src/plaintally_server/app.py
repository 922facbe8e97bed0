"""Puts a collector together: settings and a store in, an application out."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from functools import cache, partial
from importlib.metadata import version

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plaintally_server.api import health, openapi
from plaintally_server.api.documents import HEADERS, Documents
from plaintally_server.auth import cookies
from plaintally_server.auth.permissions import Access
from plaintally_server.auth.tokens import Tokens
from plaintally_server.exceptions import Refusal, describe, failed, release
from plaintally_server.firestore import documents
from plaintally_server.http.middleware import Gate
from plaintally_server.http.models import Answer, Application, Work, refuse
from plaintally_server.http.models import Request as APIRequest
from plaintally_server.http.rate_limit import Limiter
from plaintally_server.ingest.admission import Policy
from plaintally_server.settings import Settings
from plaintally_server.store.database import FAILURES
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.protocols import Store
from plaintally_server.web import dashboard
from plaintally_server.web.admin import Maintaining
from plaintally_server.web.deletion import Forgetting
from plaintally_server.web.login import Entrance
from plaintally_server.web.page_cache import PageCache
from plaintally_server.web.pages import VISITS, VISITS_PER_S, isolate, limit_visits, render

Lifespan = AbstractAsyncContextManager[None]
_logger = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    store: Store,
    *,
    maintenance: Maintenance,
    beside: Callable[[], Awaitable[None]],
    note_refused: Callable[[str], None],
    access: type[Access],
    now: Callable[[], datetime],
    measured: Callable[[Work], Work] = lambda work: work,
) -> Application:
    """Return the application of a collector; it closes the store when it shuts down.

    `maintenance` is the store as the pages of maintainers change it; `beside` is done as long as
    the application runs; `note_refused` is told the package of a document that is not admitted;
    `access` decides what the sender of a request may do; `measured` wraps what programs ask.
    """
    make_salt = partial(secrets.token_bytes, 16)
    tokens = Tokens(settings.token)
    gate = Gate(
        tokens,
        rate_limit=settings.rate_limit,
        rate_burst=settings.rate_burst,
        trusted_proxies=settings.trusted_proxies,
        clock_s=time.monotonic,
        make_salt=make_salt,
    )
    forgetting = Forgetting(store, now=now, make_salt=make_salt, gate=gate)
    endpoints = Documents(
        store,
        contracts=settings.contracts,
        tokens=tokens,
        now=now,
        clock_s=time.monotonic,
        make_id=_make_id,
        forget=forgetting.answer,
        note_refused=note_refused,
        access=access,
    )
    shown = PageCache()
    entrance = Entrance(
        gate,
        store=maintenance,
        now=now,
        make_secret=partial(secrets.token_urlsafe, cookies.SECRET_BYTES),
    )
    page = Maintaining(
        maintenance,
        collector=store,
        contracts=settings.contracts,
        entrance=entrance,
        now=now,
        make_salt=make_salt,
        forget_pages=shown.clear,
    )
    pages = _make_pages(
        _running(store, tokens, now, beside),
        _describe(endpoints.policy),
        *health.routes(store, clock_s=time.monotonic),
        *forgetting.routes(),
        *entrance.routes(),
        *page.routes(),
        *dashboard.routes(store, contracts=settings.contracts, now=now, cache=shown),
    )
    visits = Limiter(rate=VISITS_PER_S, burst=VISITS, make_salt=make_salt)
    limited = limit_visits(pages, gate.check_try(visits)) if settings.rate_limit else pages
    return Application(measured(_guard(gate.around(endpoints.answer))), isolate(limited), HEADERS)


def _guard(work: Work) -> Work:
    """Return the same work, which is rejected while the database cannot be read."""

    async def guarded(request: APIRequest) -> Answer:
        try:
            return await work(request)
        except FAILURES as error:
            raise _report(error) from None

    return guarded


def _report(error: Exception) -> Refusal:
    """Log that the database cannot be read; the client gets no details."""
    _logger.error("cannot read the database (%s)", describe(error))
    release(error)
    return Refusal(
        503,
        "UNAVAILABLE",
        "The collector cannot read its database; try again soon.",
        retry_after_s=5,
    )


def _running(
    store: Store,
    tokens: Tokens,
    now: Callable[[], datetime],
    beside: Callable[[], Awaitable[None]],
) -> Callable[[Starlette], Lifespan]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await tokens.read(store, today=now().date())  # so that the first request finds them
        tasks = [asyncio.ensure_future(work) for work in (tokens.follow(store, now=now), beside())]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        store.close()

    return lifespan


def _make_pages(lifespan: Callable[[Starlette], Lifespan], *routes: BaseRoute) -> Starlette:
    pages = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _answer_http_error,
            **dict.fromkeys((Refusal, *FAILURES), _answer_refusal),
            Exception: _answer_failure,
        },
        lifespan=lifespan,
    )
    pages.router.redirect_slashes = False  # what has no such path is refused like everything else
    return pages


def _describe(policy: Policy) -> Route:
    """Return the route of the description, which is written on the first request."""
    headers = {name.decode(): value.decode() for name, value in HEADERS}

    writing = asyncio.Lock()

    @cache
    def write() -> bytes:
        return msgspec.json.encode(openapi.describe(policy, version=version("plaintally-server")))

    async def answer(_: Request) -> Response:
        async with writing:
            content = await run_in_threadpool(write)
        return Response(content, media_type="application/json; charset=utf-8", headers=headers)

    return Route("/openapi.json", answer)


def _make_id() -> str:
    """Return an ID as Firestore makes them: 20 letters and digits."""
    return "".join(
        secrets.choice(documents.AUTO_ID_ALPHABET) for _ in range(documents.AUTO_ID_LENGTH)
    )


async def _answer_http_error(_: Request, error: Exception) -> Response:
    """What the router refuses, in the form that everything else is refused in."""
    code = error.status_code if isinstance(error, HTTPException) else 500
    status = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}.get(code, "INVALID_ARGUMENT")
    return _respond(Refusal(code, status, "There is no such page that answers this method."))


async def _answer_refusal(_: Request, error: Exception) -> Response:
    """A page that cannot be made, as while the database is away."""
    refusal = error if isinstance(error, Refusal) else _report(error)
    page = render(
        "problem.html", refusal.code, title="This page cannot be shown", text=refusal.message
    )
    if refusal.retry_after_s is not None:
        page.headers["retry-after"] = str(refusal.retry_after_s)
    return page


async def _answer_failure(_: Request, __: Exception) -> Response:
    """What should not have happened; it is raised again, for the log."""
    return _respond(failed())


def _respond(refusal: Refusal) -> Response:
    answer = refuse(refusal)
    return Response(
        answer.body,
        answer.status,
        {name.decode(): value.decode() for name, value in answer.headers},
    )
