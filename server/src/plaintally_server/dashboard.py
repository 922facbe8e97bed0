"""The public pages: the imports and versions of each package, without JavaScript and without shared sessions."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from plaintally.contract import COARSE, Contract
from plaintally_server.figures import VersionTables, read_figures
from plaintally_server.pages import HEADERS, render
from plaintally_server.reports.charts import PLOT_HEIGHT, bar_chart
from plaintally_server.reports.disclosure import LEAST
from plaintally_server.store import Reader

PERIODS = (7, 30, 90, 365)


def routes(store: Reader, *, contracts: Mapping[str, Contract], now: Callable[[], datetime]) -> list[BaseRoute]:
    """The routes of the public pages, for the packages that have a contract here."""
    pages = Pages(store, contracts=contracts, now=now)
    return [
        Route("/", pages.home),
        Route("/packages/{package}", pages.package),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]


class Pages:
    """The pages and what they are made of."""

    def __init__(self, store: Reader, *, contracts: Mapping[str, Contract], now: Callable[[], datetime]) -> None:
        self.store, self.contracts, self.packages, self.now = store, contracts, sorted(contracts), now
        self._versions = VersionTables(store)
        self._room = asyncio.Lock()
        self._rest_until_s = 0.0

    async def home(self, _: Request) -> Response:
        """All packages; where there is but one, its page."""
        if len(self.packages) == 1:
            return RedirectResponse(f"/packages/{self.packages[0]}", status_code=307, headers=HEADERS)
        async with self._turn():
            totals = [(package, await run_in_threadpool(self.store.total, package)) for package in self.packages]
            return render("home.html", totals=totals)

    async def package(self, request: Request) -> Response:
        """Show the imports of one package in a period, and its versions in the last settled week."""
        package = request.path_params["package"]
        if package not in self.packages:
            return render("problem.html", 404, title="No such package", text="No package of this name is counted here.")
        length = request.query_params.get("days", "30")
        if length not in map(str, PERIODS):
            text = f"A period has {', '.join(map(str, PERIODS[:-1]))} or {PERIODS[-1]} days."
            return render("problem.html", 400, title="No such period", text=text, package=package)
        async with self._turn():
            return await self._make(package, int(length))

    async def _make(self, package: str, length: int) -> Response:
        now = self.now()
        figures = await run_in_threadpool(read_figures, self.store, package, length=length, now=now)
        versions = await run_in_threadpool(self._versions.find, package, now.date())
        return render(
            "package.html",
            periods=PERIODS,
            height=PLOT_HEIGHT,
            least=LEAST,
            figures=figures,
            series=figures.imports,
            versions=versions,
            contract=self.contracts[package],
            chart=bar_chart(figures.imports.buckets),
            more=[COARSE[field] for field in self.contracts[package].counter],
        )

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Make one page at a time, and none for as long as the last one took: imports go first.

        Visitors from many addresses would otherwise take all of the time that there is.
        """
        async with self._room:
            await asyncio.sleep(max(0.0, self._rest_until_s - time.monotonic()))
            begun_s = time.monotonic()
            try:
                yield
            finally:
                ended_s = time.monotonic()
                self._rest_until_s = ended_s + (ended_s - begun_s)
