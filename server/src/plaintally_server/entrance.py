"""The page `/login`, the way out, and who a request is from: what stands before the pages of maintainers."""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from plaintally_server.access import hash_token
from plaintally_server.exceptions import Refusal, forbidden
from plaintally_server.gate import Gate
from plaintally_server.limiter import Limiter
from plaintally_server.logins import LIFETIME_S, Login, cookie_name, make_cookie, read_cookie
from plaintally_server.messages import make_request
from plaintally_server.pages import FORM_HEADERS, read_form, render

TRIES, TRIES_PER_S = 10, 0.1
"""How often a client may try a token at once, and after that."""


class Entrance:
    """The entrance to the pages of maintainers.

    Args:
        gate: knows clients and tokens, and which proxies are trusted.
        now: the clock, aware.
        make_salt: makes 16 random bytes.
    """

    def __init__(self, gate: Gate, *, now: Callable[[], datetime], make_salt: Callable[[], bytes]) -> None:
        self.gate, self.tokens, self.now = gate, gate.tokens, now
        self._tries = Limiter(rate=TRIES_PER_S, burst=TRIES, make_salt=make_salt)

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/login", self.show_login, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
        ]

    async def show_login(self, request: Request) -> Response:
        """The form; whoever is logged in has no need of it."""
        if self.find(request) is not None:
            return go("/maintain")
        return render("login.html", is_form=True)

    async def log_in(self, request: Request) -> Response:
        """The way to the pages, with a cookie; or the form again with the reason why not."""
        try:
            _check_origin(request)
            [token] = await read_form(request, "token", check=self.gate.check_try(self._tries))
            token_hash = hash_token(token)
            scope = self.tokens.find_hash(token_hash)
            if scope is None:
                raise forbidden("This token opens nothing here.")
        except Refusal as refusal:
            return render("login.html", refusal.code, is_form=True, problem=refusal.message)
        answer = go("/maintain")
        secure = self._is_secure(request)
        cookie = make_cookie(token_hash, scope.name, now_s=self.now().timestamp())
        answer.set_cookie(
            cookie_name(secure=secure), cookie, LIFETIME_S, path="/", secure=secure, httponly=True, samesite="strict"
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        """The way out."""
        answer = go("/login")
        try:
            await self.read(request)
        except Refusal as refusal:
            return render("login.html", refusal.code, is_form=True, problem=refusal.message)
        secure = self._is_secure(request)
        answer.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="strict")
        return answer

    async def read(self, request: Request, *names: str) -> tuple[Login, Mapping[str, str]]:
        """Who sent a form of ours, and what stands in these fields.

        Raises:
            Refusal: nobody who is logged in did, or another page.
        """
        _check_origin(request)
        form_key, *values = await read_form(request, "form_key", *names, check=self.gate.check)
        login = self.find(request)
        if login is None or not hmac.compare_digest(form_key.encode(), login.form_key.encode()):
            raise forbidden("This form is too old; load the page again.")
        return login, dict(zip(names, values, strict=True))

    def find(self, request: Request) -> Login | None:
        """Who is logged in."""
        cookie = request.cookies.get(cookie_name(secure=self._is_secure(request)), "")
        return read_cookie(cookie, self.tokens, now_s=self.now().timestamp()) if cookie else None

    def _is_secure(self, request: Request) -> bool:
        return self.gate.is_secure(make_request(request.scope, request.receive), request.url.scheme)


def _check_origin(request: Request) -> None:
    """Raise if a page of somebody else's sent a form, as far as the browser says.

    Raises:
        Refusal: it did.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_foreign = origin is not None and _find_host(origin) != request.headers.get("host", "")
    if site not in (None, "same-origin", "none") or (site is None and is_foreign):
        raise forbidden("This form was sent by another page.")


def _find_host(origin: str) -> str | None:
    """The host and port of an origin; None where it is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def go(path: str) -> RedirectResponse:
    """The way to another page of ours."""
    return RedirectResponse(path, status_code=303, headers=FORM_HEADERS)
