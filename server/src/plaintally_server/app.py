"""Puts a collector together: settings and a store in, an ASGI application out."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from plaintally_server import dashboard, forgetting, resource, support
from plaintally_server.exceptions import Refusal, describe, failed
from plaintally_server.routes import Documents, answer_refusal
from plaintally_server.settings import Settings
from plaintally_server.store import Store

_logger = logging.getLogger(__name__)


def create_app(
    settings: Settings, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Starlette:
    """The application of a collector; it closes the store when it shuts down."""
    documents = Documents(store, contracts=settings.contracts, settings=settings, now=now, make_id=_make_id)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    app = Starlette(
        routes=[
            *forgetting.routes(store, now=now, make_salt=partial(secrets.token_bytes, 16)),
            *support.routes(store, settings=settings),
            *documents.routes(),
            *dashboard.routes(store, contracts=settings.contracts, now=now),
        ],
        exception_handlers={Refusal: answer_refusal, HTTPException: _answer_http_error, Exception: _answer_failure},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # what has no such path is refused like everything else
    return app


def _make_id() -> str:
    """An id as Firestore makes them: 20 letters and digits."""
    return "".join(secrets.choice(resource.AUTO_ID_ALPHABET) for _ in range(resource.AUTO_ID_LENGTH))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """What the router refuses, in the form that everything else is refused in."""
    code = error.status_code if isinstance(error, HTTPException) else 500
    status = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}.get(code, "INVALID_ARGUMENT")
    return await answer_refusal(request, Refusal(code, status, f"{request.method} finds nothing here."))


async def _answer_failure(request: Request, error: Exception) -> Response:
    """What should not have happened: whoever runs the collector reads where, the client reads nothing."""
    _logger.error("plaintally-server: a request failed (%s)", describe(error))
    return await answer_refusal(request, failed())
