"""The pages `/login` and `/logout`, and the login that a request comes with."""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from plaintally_server.auth.cookies import (
    LIFETIME_S,
    Login,
    begin,
    cookie_name,
    hash_secret,
    is_secret,
    resume,
)
from plaintally_server.auth.permissions import hash_token
from plaintally_server.exceptions import CommandError, Refusal, forbidden, unavailable
from plaintally_server.http.middleware import Gate
from plaintally_server.http.models import make_request
from plaintally_server.store.protocols import LoginStore
from plaintally_server.web.pages import FORM_HEADERS, read_form, render

T = TypeVar("T")


class Entrance:
    """The entrance to the pages of maintainers.

    Args:
        gate: knows clients and tokens, and which proxies are trusted.
        store: where logins are kept.
        now: the clock, aware.
        make_secret: makes the secret of a login.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        store: LoginStore,
        now: Callable[[], datetime],
        make_secret: Callable[[], str],
    ) -> None:
        self.gate = gate
        self.tokens = gate.tokens
        self.store = store
        self.now = now
        self.make_secret = make_secret

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/login", self.show_login, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
        ]

    async def show_login(self, request: Request) -> Response:
        """Show the form, unless the maintainer is logged in already."""
        if await self.find(request) is not None:
            return go("/maintain")
        return render("login.html", is_form=True)

    async def log_in(self, request: Request) -> Response:
        """Set the cookie of a new login, or show the form again with the reason why not."""
        secret = self.make_secret()
        try:
            [token] = await read_form(request, "token", check=self.gate.check_tries)
            scope = self.gate.find_scope(make_request(request.scope, request.receive), token)
            if scope is None:
                raise forbidden("This token opens nothing here.")
            await self._write(
                self.store.add_login, begin(secret, hash_token(token), scope.name, now=self.now())
            )
        except Refusal as refusal:
            return render("login.html", refusal.code, is_form=True, problem=refusal.message)
        answer = go("/maintain")
        secure = self._is_secure(request)
        answer.set_cookie(
            cookie_name(secure=secure),
            secret,
            LIFETIME_S,
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        """End the login, here and in every collector on the database."""
        answer = go("/login")
        try:
            login, _ = await self.read(request)
            await self._write(self.store.end_login, login.hash)
        except Refusal as refusal:
            return render("login.html", refusal.code, is_form=True, problem=refusal.message)
        secure = self._is_secure(request)
        answer.delete_cookie(
            cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="strict"
        )
        return answer

    async def read(self, request: Request, *names: str) -> tuple[Login, Mapping[str, str]]:
        """Return the login that a form comes with, and the values of these fields.

        Raises:
            Refusal: the form comes without a login, or from the page of another site.
        """
        form_key, *values = await read_form(request, "form_key", *names, check=self.gate.check)
        login = await self.find(request)
        if login is None or not hmac.compare_digest(form_key.encode(), login.form_key.encode()):
            raise forbidden("This form is too old; load the page again.")
        return login, dict(zip(names, values, strict=True))

    async def find(self, request: Request) -> Login | None:
        """Return the login that a request comes with, or None.

        A cookie that is no login counts like a wrong token. If a client has sent too many of these,
        none is looked at.
        """
        secret = request.cookies.get(cookie_name(secure=self._is_secure(request)), "")
        if not is_secret(secret):
            return None
        asked = make_request(request.scope, request.receive)
        try:
            self.gate.check_tries(asked)
        except Refusal:
            return None
        stored = await run_in_threadpool(self.store.find_login, hash_secret(secret))
        login = resume(secret, stored, self.tokens, now=self.now())
        if login is None:
            self.gate.count_try(asked)
        return login

    async def _write(self, work: Callable[[T], None], content: T) -> None:
        try:
            await run_in_threadpool(work, content)
        except CommandError as error:
            raise unavailable(
                "The collector cannot write just now; try again in a moment."
            ) from error

    def _is_secure(self, request: Request) -> bool:
        return self.gate.is_secure(make_request(request.scope, request.receive))


def go(path: str) -> RedirectResponse:
    """Redirect to another page of the collector."""
    return RedirectResponse(path, status_code=303, headers=FORM_HEADERS)
