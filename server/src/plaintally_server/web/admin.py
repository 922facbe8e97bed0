"""The pages of maintainers, `/maintain`: what there is to decide, and to see."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plaintally.contract import Contract
from plaintally_server.admin import deletions, exclusions
from plaintally_server.admin.exclusions import LOOK_BACK_DAYS
from plaintally_server.admin.sessions import look_up
from plaintally_server.auth.cookies import Login
from plaintally_server.exceptions import CommandError, Refusal, invalid, not_found
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
MAX_RUNS = 50
"""Runs of each label that the summary of a session lists."""
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
        self.store = store
        self.collector = collector
        self.contracts = contracts
        self.entrance = entrance
        self.now = now
        self.make_salt = make_salt
        self.forget_pages = forget_pages
        self._deeds = {
            "refuse": self._refuse,
            "refuse empty": self._refuse_empty,
            "strike": self._exclude,
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
        requests = deletions.list_requests(self.store, scope)
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

    async def _look_up(self, login: Login, session_id: str) -> Response:
        """Show a session; to build its summary may take seconds."""
        session_id, page = await run_in_threadpool(self._summarize, login.scope, session_id)
        return await self._render(login, session=session_id, summary=page)

    def _summarize(self, scope: Scope, session_id: str) -> tuple[str, Markup]:
        found = look_up(
            self.store, session_id, contracts=self.contracts, scope=scope, n_last=MAX_RUNS
        )
        page = Markup(found.summary.to_html(styled=False))  # noqa: S704  # which has escaped what it shows
        notes = Markup("").join(Markup("<p>{}</p>").format(note) for note in found.notes)
        return found.session_id, page + notes

    async def _approve(self, scope: Scope, values: Mapping[str, str]) -> str:
        """Delete a session by the collector, which erases when it has time.

        An erasure beside it would keep its writes waiting.
        """
        session_id = await run_in_threadpool(
            deletions.find_session, self.store, values["session"], scope
        )
        receipt = await self.collector.approve(
            session_id, at=self.now(), salt=self.make_salt(), actor=scope.name
        )
        if receipt is None:
            raise not_found(f"Nobody asked to delete {session_id}, and nothing of it is here.")
        return f"Deleted {receipt.documents} documents; the receipt is {receipt.hash}."

    def _refuse(self, scope: Scope, values: Mapping[str, str]) -> str:
        return deletions.refuse(self.store, values["session"], scope, self.now())

    def _refuse_empty(self, scope: Scope, _: Mapping[str, str]) -> str:
        return deletions.refuse_empty(self.store, scope, self.now())

    def _exclude(self, scope: Scope, values: Mapping[str, str]) -> str:
        package = values["package"]
        if package not in self.contracts or not scope.holds(package):
            raise not_found("No package of this name is counted here.")
        exclusions.exclude(
            self.store,
            package,
            exclusions.parse_time(values["first_at"]),
            exclusions.parse_time(values["until"]),
            values["reason"],
            scope=scope,
            now=self.now(),
            has_scheduler=True,
        )
        return f"Excluded what {package} received in that time."

    def _undo(self, scope: Scope, values: Mapping[str, str]) -> str:
        number = exclusions.find_window(self.store, values["number"], scope)
        window = exclusions.undo(
            self.store, number, scope=scope, now=self.now(), has_scheduler=True
        )
        return f"What {window.package} received in that time counts again."
