"""The pages of maintainers: `/login`, and `/maintain` with what there is to be decided and to be seen."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from plaintally.contract import Contract
from plaintally_server.access import Scope, hash_token
from plaintally_server.asgi import make_request
from plaintally_server.deletion import ForgetRequest, parse_session_id
from plaintally_server.exceptions import CommandError, Refusal, forbidden, invalid, not_found
from plaintally_server.gate import Gate
from plaintally_server.limiter import Limiter
from plaintally_server.logins import LIFETIME_S, Login, cookie_name, make_cookie, read_cookie
from plaintally_server.pages import FORM_HEADERS, read_form, render
from plaintally_server.reports.floods import Flood, find_floods
from plaintally_server.store import Purge, Window
from plaintally_server.store.credentials import Deed
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.strikes import check_window, count_anew
from plaintally_server.support import MAX_ROWS, read_session, summarize
from plaintally_server.tokens import Tokens

LOOK_BACK = timedelta(days=28)
TRIES, TRIES_PER_S = 10, 0.1
"""How often a client may try a token at once, and after that."""


class Package(NamedTuple):
    """What there is to be seen of a package."""

    name: str
    floods: Sequence[Flood]
    struck: Sequence[Window]
    purges: Mapping[str, Purge]


class Maintaining:
    """The pages.

    Args:
        store: what maintainers do to the database.
        contracts: by package.
        tokens: those that open something.
        gate: knows clients, and which proxies are trusted.
        now: the clock, aware.
        make_salt: makes 16 random bytes.
    """

    def __init__(
        self,
        store: Maintenance,
        *,
        contracts: Mapping[str, Contract],
        tokens: Tokens,
        gate: Gate,
        now: Callable[[], datetime],
        make_salt: Callable[[], bytes],
    ) -> None:
        self.store, self.contracts, self.tokens, self.gate = store, contracts, tokens, gate
        self.now, self.make_salt = now, make_salt
        self._tries = Limiter(rate=TRIES_PER_S, burst=TRIES, make_salt=make_salt)
        self._deeds = {
            "approve": self._approve,
            "refuse": self._refuse,
            "strike": self._strike,
            "undo": self._undo,
        }

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/login", self.show_login, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/maintain", self.show, methods=["GET"]),
            Route("/maintain", self.take, methods=["POST"]),
        ]

    async def show_login(self, request: Request) -> Response:
        """The form; whoever is logged in has no need of it."""
        if self._login(request) is not None:
            return _go("/maintain")
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
        answer = _go("/maintain")
        secure = self._is_secure(request)
        cookie = make_cookie(token_hash, scope.name, now_s=self.now().timestamp())
        answer.set_cookie(
            cookie_name(secure=secure), cookie, LIFETIME_S, path="/", secure=secure, httponly=True, samesite="strict"
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        """The way out."""
        answer = _go("/login")
        try:
            await self._check(request)
        except Refusal as refusal:
            return render("login.html", refusal.code, is_form=True, problem=refusal.message)
        secure = self._is_secure(request)
        answer.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="strict")
        return answer

    async def show(self, request: Request) -> Response:
        """What there is to be decided, and to be seen."""
        login = self._login(request)
        return _go("/login") if login is None else await self._render(login)

    async def take(self, request: Request) -> Response:
        """Do what a form asks for, and show what came of it."""
        login = self._login(request)
        if login is None:
            return _go("/login")
        try:
            login, values = await self._check(request)
            if values["do"] == "look up":
                return await self._look_up(login, values["session"])
            deed = self._deeds.get(values["do"])
            if deed is None:
                raise invalid("This page has no such form.")
            says = await run_in_threadpool(deed, login.scope, values)
        except Refusal as refusal:
            return await self._render(login, refusal.code, problem=refusal.message)
        except CommandError as error:
            return await self._render(login, 409, problem=f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return await self._render(login, says=says)

    async def _check(self, request: Request) -> tuple[Login, Mapping[str, str]]:
        """Who sent a form of ours, and what stands in it.

        Raises:
            Refusal: nobody who is logged in did, or another page.
        """
        _check_origin(request)
        names = ("form_key", "do", "session", "package", "first_at", "until", "reason", "number")
        values = dict(zip(names, await read_form(request, *names, check=self.gate.check), strict=True))
        login = self._login(request)
        if login is None or not hmac.compare_digest(values["form_key"].encode(), login.form_key.encode()):
            raise forbidden("This form is too old; load the page again.")
        return login, values

    def _login(self, request: Request) -> Login | None:
        cookie = request.cookies.get(cookie_name(secure=self._is_secure(request)), "")
        return read_cookie(cookie, self.tokens, now_s=self.now().timestamp()) if cookie else None

    def _is_secure(self, request: Request) -> bool:
        return self.gate.is_secure(make_request(request.scope, request.receive), request.url.scheme)

    async def _render(self, login: Login, status: int = 200, **more: object) -> Response:
        packages, requests, deeds = await run_in_threadpool(self._read, login.scope)
        return render(
            "maintain.html",
            status,
            is_form=True,
            login=login,
            packages=packages,
            requests=requests,
            deeds=deeds,
            **more,
        )

    def _read(self, scope: Scope) -> tuple[Sequence[Package], Sequence[ForgetRequest], Sequence[Deed]]:
        names = [name for name in sorted(self.contracts) if scope.holds(name)]
        requests = [
            one for one in self.store.forget_requests() if one.state == "waiting" and self._may(scope, one.session)
        ]
        return (
            [self._read_package(name) for name in names],
            requests,
            self.store.audit(last=20) if scope.packages is None else (),
        )

    def _read_package(self, name: str) -> Package:
        until = self.now().replace(minute=0, second=0, microsecond=0)
        struck = self.store.struck(name)
        counts = {
            hour: count
            for hour, count in self.store.hourly_counts(name, until - LOOK_BACK)
            if not any(window.holds(hour) for window in struck)
        }
        floods = find_floods(counts, first_at=until - LOOK_BACK, until=until)
        return Package(name, floods, struck, self.store.last_purges(name))

    def _may(self, scope: Scope, session_id: str) -> bool:
        """Whether a session is of one's packages; one of which nothing is here concerns whoever has all."""
        if scope.packages is None:
            return True
        try:
            return scope.holds(read_session(self.store, session_id, contracts=self.contracts).package)
        except Refusal:
            return False

    async def _look_up(self, login: Login, session_id: str) -> Response:
        shared = await run_in_threadpool(read_session, self.store, session_id, contracts=self.contracts)
        if not login.scope.holds(shared.package):
            raise not_found(f"Nothing of the session {shared.session_id} is here.")
        page = Markup(summarize(shared, n_last=MAX_ROWS).to_html(styled=False))  # noqa: S704  # which has escaped what it shows
        return await self._render(login, session=shared.session_id, summary=page)

    def _approve(self, scope: Scope, values: Mapping[str, str]) -> str:
        session_id = self._own_session(scope, values)
        receipt = self.store.approve(session_id, at=self.now(), salt=self.make_salt(), actor=scope.name)
        return f"Deleted {receipt.documents} documents; the receipt is {receipt.hash}."

    def _refuse(self, scope: Scope, values: Mapping[str, str]) -> str:
        session_id = self._own_session(scope, values)
        self.store.refuse(session_id, actor=scope.name, at=self.now())
        return f"Refused; {session_id} stays."

    def _own_session(self, scope: Scope, values: Mapping[str, str]) -> str:
        session_id = parse_session_id(values["session"])
        if not self._may(scope, session_id):
            raise not_found(f"Nothing of the session {session_id} is here.")
        return session_id

    def _strike(self, scope: Scope, values: Mapping[str, str]) -> str:
        package, now = values["package"], self.now()
        if package not in self.contracts or not scope.holds(package):
            raise not_found("No package of this name is counted here.")
        first_at, until = _parse_time(values["first_at"]), _parse_time(values["until"])
        reason = check_window(first_at, until, values["reason"], now=now)
        window = self.store.strike(package, first_at, until, reason=reason, actor=scope.name, at=now)
        count_anew(self.store, window, now)
        return f"Left out what {package} received in that time."

    def _undo(self, scope: Scope, values: Mapping[str, str]) -> str:
        windows = {str(window.number): window for window in self.store.struck() if scope.holds(window.package)}
        if values["number"] not in windows:
            raise not_found("There is no such window.")
        window = self.store.take_back(int(values["number"]), actor=scope.name, at=self.now())
        count_anew(self.store, window, self.now())
        return f"What {window.package} received in that time counts again."


def _parse_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise invalid("A time must be one such as 2026-11-23T20:00, in UTC.") from None


def _check_origin(request: Request) -> None:
    """Raise if a page of somebody else's sent a form, as far as the browser says.

    Raises:
        Refusal: it did.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
    if site not in (None, "same-origin", "none") or (site is None and is_foreign):
        raise forbidden("This form was sent by another page.")


def _go(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303, headers=FORM_HEADERS)
