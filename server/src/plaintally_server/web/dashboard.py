"""The public pages: the imports and versions of each package, without shared sessions."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from plaintally.contract import COARSE, Contract
from plaintally_server.reports.charts import PLOT_HEIGHT, bar_chart
from plaintally_server.reports.disclosure import LEAST
from plaintally_server.reports.facts import VersionTables, read_figures
from plaintally_server.store.protocols import Reader
from plaintally_server.web.page_cache import PageCache
from plaintally_server.web.pages import HEADERS, render

PERIODS = (7, 30, 90, 365)


def routes(
    store: Reader,
    *,
    contracts: Mapping[str, Contract],
    now: Callable[[], datetime],
    cache: PageCache,
) -> list[BaseRoute]:
    """Return the routes of the public pages, for packages with a contract."""
    pages = Pages(store, contracts=contracts, now=now, cache=cache)
    return [
        Route("/", pages.home),
        Route("/packages/{package}", pages.package),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]


class Pages:
    """The endpoints of the public pages."""

    def __init__(
        self,
        store: Reader,
        *,
        contracts: Mapping[str, Contract],
        now: Callable[[], datetime],
        cache: PageCache,
    ) -> None:
        self.store = store
        self.contracts = contracts
        self.packages = sorted(contracts)
        self.now = now
        self.cache = cache
        self._versions = VersionTables()

    async def home(self, request: Request) -> Response:
        """List all packages, or redirect to the page of the only one."""
        if len(self.packages) == 1:
            url = f"/packages/{self.packages[0]}"
            return RedirectResponse(url, status_code=307, headers=HEADERS)
        return await self.cache.answer(request, "", self._make_home)

    async def package(self, request: Request) -> Response:
        """Show the imports of a package in a period, and its versions in the last settled week."""
        package = request.path_params["package"]
        if package not in self.contracts:
            return render(
                "problem.html",
                404,
                title="No such package",
                text="No package of this name is counted here.",
            )
        length = request.query_params.get("days", "30")
        if length not in map(str, PERIODS):
            text = f"A period has {', '.join(map(str, PERIODS[:-1]))} or {PERIODS[-1]} days."
            return render("problem.html", 400, title="No such period", text=text, package=package)
        make = partial(self._make, package, int(length))
        return await self.cache.answer(request, f"{package}/{length}", make)

    def _make_home(self) -> Response:
        found = self.store.totals()
        totals = [(package, found.get(package, 0)) for package in self.packages]
        return render("home.html", totals=totals)

    def _make(self, package: str, length: int) -> Response:
        now = self.now()
        with self.store.snapshot() as reader:
            figures = read_figures(reader, package, length=length, now=now)
            versions = self._versions.find(reader, package, now.date())
        return render(
            "package.html",
            periods=PERIODS,
            height=PLOT_HEIGHT,
            least=LEAST,
            figures=figures,
            versions=versions,
            contract=self.contracts[package],
            chart=bar_chart(figures.imports.points),
            more=[COARSE[field] for field in self.contracts[package].counter],
        )
