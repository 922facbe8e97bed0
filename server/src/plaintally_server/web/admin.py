"""The page of maintainers, `/maintain`: what there is to be decided, and to be seen."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plaintally.contract import Contract
from plaintally_server.admin.sessions import show_session
from plaintally_server.auth.cookies import Login
from plaintally_server.cli.exclusions import LOOK_BACK_DAYS, check_window, count_anew, parse_time
from plaintally_server.exceptions import CommandError, Refusal, forbidden, invalid, not_found
from plaintally_server.ingest.deletion_requests import parse_session_id
from plaintally_server.model import Deed, ForgetRequest, Purge, Scope, Window
from plaintally_server.reports.facts import SharedSessions, read_floods, read_sessions
from plaintally_server.reports.spikes import Flood
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.protocols import Store
from plaintally_server.store.timestamps import last_sealed
from plaintally_server.web.login import Entrance, go
from plaintally_server.web.pages import render

MAX_REQUESTS = 50
"""Requests for deletion on the page."""
_FIELDS = ("do", "session", "package", "first_at", "until", "reason", "number")


class Package(NamedTuple):
    """What there is to be seen of a package."""

    name: str
    sessions: SharedSessions
    floods: Sequence[Flood]
    struck: Sequence[Window]
    purges: Mapping[str, Purge]


class Maintaining:
    """The pages.

    Args:
        store: what maintainers do to the database.
        collector: the store that the collector writes.
        contracts: by package.
        entrance: knows who is logged in.
        now: the clock, aware.
        make_salt: makes 16 random bytes.
        forget_pages: called after an exclusion, which public pages show at once.
    """

    def __init__(
        self,
        store: Maintenance,
        *,
        collector: Store,
        contracts: Mapping[str, Contract],
        entrance: Entrance,
        now: Callable[[], datetime],
        make_salt: Callable[[], bytes],
        forget_pages: Callable[[], None],
    ) -> None:
        self.store, self.collector, self.contracts, self.entrance = (
            store,
            collector,
            contracts,
            entrance,
        )
        self.now, self.make_salt, self.forget_pages = now, make_salt, forget_pages
        self._deeds = {
            "refuse": self._refuse,
            "refuse empty": self._refuse_empty,
            "strike": self._strike,
            "undo": self._undo,
        }

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/maintain", self.show, methods=["GET"]),
            Route("/maintain", self.take, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """What there is to be decided, and to be seen."""
        login = await self.entrance.find(request)
        return go("/login") if login is None else await self._render(login)

    async def take(self, request: Request) -> Response:
        """Do what a form asks for, and show what came of it."""
        login = await self.entrance.find(request)
        if login is None:
            return go("/login")
        try:
            login, values = await self.entrance.read(request, *_FIELDS)
            if values["do"] == "look up":
                return await self._look_up(login, values["session"])
            if values["do"] == "approve":
                return await self._render(login, says=await self._approve(login.scope, values))
            deed = self._deeds.get(values["do"])
            if deed is None:
                raise invalid("This page has no such form.")
            says = await run_in_threadpool(deed, login.scope, values)
            self.forget_pages()
        except Refusal as refusal:
            return await self._render(login, refusal.code, problem=refusal.message)
        except CommandError as error:
            return await self._render(
                login, 409, problem=f"{str(error)[:1].upper()}{str(error)[1:]}."
            )
        return await self._render(login, says=says)

    async def _render(self, login: Login, status: int = 200, **more: object) -> Response:
        packages, requests, unseen, deeds = await run_in_threadpool(self._read, login.scope)
        return render(
            "maintain.html",
            status,
            is_form=True,
            login=login,
            packages=packages,
            requests=requests,
            unseen=unseen,
            deeds=deeds,
            **more,
        )

    def _read(
        self, scope: Scope
    ) -> tuple[Sequence[Package], Sequence[ForgetRequest], int, Sequence[Deed]]:
        names = [name for name in sorted(self.contracts) if scope.holds(name)]
        requests = [
            one
            for one in self.store.forget_requests()
            if scope.packages is None or (one.package is not None and scope.holds(one.package))
        ]
        return (
            self._read_packages(names),
            requests[:MAX_REQUESTS],
            max(0, len(requests) - MAX_REQUESTS),
            self.store.audit(last=20) if scope.packages is None else (),
        )

    def _read_packages(self, names: Sequence[str]) -> Sequence[Package]:
        now = self.now()
        with self.store.snapshot() as reader:
            windows = reader.struck()
            sessions = read_sessions(reader, names, last=last_sealed(now))
            floods = read_floods(reader, names, windows, days=LOOK_BACK_DAYS, now=now)
            purges = reader.all_last_purges(now)
        struck: dict[str, list[Window]] = {}
        for window in windows:
            struck.setdefault(window.package, []).append(window)
        return [
            Package(name, sessions[name], floods[name], struck.get(name, ()), purges.get(name, {}))
            for name in names
        ]

    def _may(self, scope: Scope, session_id: str) -> bool:
        """Return whether a session is of these packages."""
        package = self.store.package_of(session_id)
        return scope.packages is None or (package is not None and scope.holds(package))

    async def _look_up(self, login: Login, session_id: str) -> Response:
        session_id, page = await run_in_threadpool(
            show_session, self.store, session_id, contracts=self.contracts, scope=login.scope
        )
        return await self._render(login, session=session_id, summary=page)

    async def _approve(self, scope: Scope, values: Mapping[str, str]) -> str:
        """Delete through the running collector, which erases the bytes later."""
        session_id = await run_in_threadpool(self._own_session, scope, values)
        receipt = await self.collector.approve(
            session_id, at=self.now(), salt=self.make_salt(), actor=scope.name
        )
        if receipt is None:
            raise not_found(f"Nobody asked to delete {session_id}, and nothing of it is here.")
        return f"Deleted {receipt.documents} documents; the receipt is {receipt.hash}."

    def _refuse(self, scope: Scope, values: Mapping[str, str]) -> str:
        session_id = self._own_session(scope, values)
        self.store.refuse(session_id, actor=scope.name, at=self.now())
        return f"Refused; {session_id} stays."

    def _refuse_empty(self, scope: Scope, _: Mapping[str, str]) -> str:
        if scope.packages is not None:
            raise forbidden("This needs a token for all packages.")
        count = self.store.refuse_empty(actor=scope.name, at=self.now())
        return f"Refused {count:,} requests about no document."

    def _own_session(self, scope: Scope, values: Mapping[str, str]) -> str:
        session_id = parse_session_id(values["session"])
        if not self._may(scope, session_id):
            raise not_found(f"Nothing of the session {session_id} is here.")
        return session_id

    def _strike(self, scope: Scope, values: Mapping[str, str]) -> str:
        package, now = values["package"], self.now()
        if package not in self.contracts or not scope.holds(package):
            raise not_found("No package of this name is counted here.")
        first_at, until = parse_time(values["first_at"]), parse_time(values["until"])
        reason = check_window(
            first_at, until, values["reason"], now=now, struck=self.store.struck(package)
        )
        window = self.store.strike(
            package, first_at, until, reason=reason, actor=scope.name, at=now
        )
        count_anew(self.store, window, now, has_scheduler=True)
        return f"Excluded what {package} received in that time."

    def _undo(self, scope: Scope, values: Mapping[str, str]) -> str:
        windows = {
            str(window.number): window
            for window in self.store.struck()
            if scope.holds(window.package)
        }
        if values["number"] not in windows:
            raise not_found("There is no such window.")
        window = self.store.take_back(int(values["number"]), actor=scope.name, at=self.now())
        count_anew(self.store, window, self.now(), has_scheduler=True)
        return f"What {window.package} received in that time counts again."
