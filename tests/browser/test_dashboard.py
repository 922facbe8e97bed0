"""The dashboard in a real Chromium: what a person sees, light and dark, wide and narrow, without
JavaScript."""

import math
import os
import random
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from chromium import CONTRAST, run_chromium
from collectors import Collector, run_collector
from made import at, commit, count
from plaintally_server.store.sqlite import SQLiteStore

pytestmark = pytest.mark.browser


def fill(database: Path, days: int) -> dict[date, int]:
    """Count imports of the last days in a store, as a collector would have."""
    chance = random.Random(5)  # noqa: S311
    today = datetime.now(UTC).date()
    counts = {today - timedelta(days=back): chance.randrange(1, 60) for back in range(days)}
    counts.pop(today - timedelta(days=3), None)  # a day without any
    commit(
        database,
        [
            count({"id": str(uuid.uuid4()), "package_version": "1.2.0"}, at(day, 1))
            for day, number in counts.items()
            for _ in range(number)
        ],
    )
    return counts


def days_of(counts: dict[date, int]) -> int:
    return (datetime.now(UTC).date() - min(counts)).days + 1


@pytest.fixture(scope="module")
def counts(filled: tuple[Collector, dict[date, int]]) -> dict[date, int]:
    return filled[1]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, dict[date, int]]]:
    database = tmp_path_factory.mktemp("dashboard") / "filled.sqlite3"
    counts = fill(database, 20)
    with run_collector(database) as collector:
        yield collector, counts


@pytest.fixture(scope="module")
def browser(filled: tuple[Collector, dict[date, int]]) -> Iterator[Browser]:  # noqa: ARG001  # it runs a loop: last
    with run_chromium() as running:
        yield running


class Visit:
    """A page in a window of its own, and all that it asked for or complained of."""

    def __init__(
        self, browser: Browser, url: str, *, scheme: str = "light", width: int = 1200
    ) -> None:
        self.context = browser.new_context(
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": 900},
            java_script_enabled=False,  # of the page; what a test evaluates runs all the same
        )
        self.page: Page = self.context.new_page()
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.goto(url)


def save(page: Page, name: str, folder: Path) -> None:
    """Keep a picture for whoever wants to look at it."""
    page.screenshot(
        path=Path(os.environ.get("PLAINTALLY_SCREENSHOTS", folder)) / f"{name}.png", full_page=True
    )


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1200), ("dark", 1200)]
)
@pytest.mark.long(keep=4)
@pytest.mark.parametrize("days", [7, 30, 90, 365])
def test_the_page_is_whole_and_readable(
    browser: Browser,
    filled: tuple[Collector, dict[date, int]],
    tmp_path: Path,
    *,
    scheme: str,
    width: int,
    days: int,
) -> None:
    collector, counts = filled
    visit = Visit(
        browser, f"{collector.url}/packages/rxinfer?days={days}", scheme=scheme, width=width
    )
    page = visit.page
    save(page, f"dashboard-{days}-{scheme}-{width}", tmp_path)
    assert visit.complaints == []
    assert {url for url in visit.requested if not url.startswith(collector.url)} == set()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = sum(
        count
        for day, count in counts.items()
        if day > datetime.now(UTC).date() - timedelta(days=days)
    )
    assert page.locator("#total").inner_text() == f"{shown:,}"
    for element in page.locator(
        "h1, h2, p, a, td, th, caption, summary, figcaption, strong, text, time"
    ).all():
        assert element.evaluate(CONTRAST) >= 4.5, element.text_content()
    for element in (
        page.locator("rect.bar").first,
        page.locator("rect.unfinished"),
        page.locator("line.base"),
    ):
        assert element.evaluate(CONTRAST) >= 3
    check_labels(page, width)
    visit.context.close()


def check_labels(page: Page, width: int) -> None:
    """No label of an axis leaves the window or lies on another one."""
    labels = [box for element in page.locator("text.tick").all() if (box := element.bounding_box())]
    assert len(labels) >= 8
    for index, one in enumerate(labels):
        assert one["x"] >= 0
        assert one["x"] + one["width"] <= width
        for other in labels[index + 1 :]:
            apart_x = (
                one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            )
            assert (
                apart_x
                or one["y"] + one["height"] <= other["y"]
                or other["y"] + other["height"] <= one["y"]
            )


@pytest.mark.long(keep=2)
@pytest.mark.parametrize("days", [7, 365])
@pytest.mark.parametrize("daily", [9_999, 249_999, 38_765_432])
def test_a_long_name_and_large_numbers_fit_a_telephone(
    browser: Browser, tmp_path: Path, *, daily: int, days: int
) -> None:
    package = "a_package_with_quite_a_long_name_indeed"
    database = tmp_path / "large.sqlite3"
    SQLiteStore(database).close()
    today = datetime.now(UTC).date()
    days_back = [today - timedelta(days=back) for back in range(400)]
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, dates in (
            ("rollups", days_back),
            ("monthly_rollups", [day.replace(day=1) for day in days_back]),
        ):
            rows = [
                (package, day.isoformat(), daily * number) for day, number in Counter(dates).items()
            ]
            connection.executemany(f"INSERT INTO {table} VALUES ('imports', ?, ?, '', ?)", rows)  # noqa: S608
    with run_collector(database, "--package", package) as collector:
        visit = Visit(browser, f"{collector.url}/packages/{package}?days={days}", width=360)
        save(visit.page, f"dashboard-large-{daily}-{days}", tmp_path)
        assert visit.page.locator("#total").inner_text() == f"{daily * days:,}"
        # Is on one line.
        assert (
            visit.page.locator("#total").evaluate("number => number.getClientRects().length") == 1
        )
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
        check_labels(visit.page, 360)
        visit.page.goto(collector.url)
        assert visit.page.get_by_role("link", name=package).count() == 1
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
        visit.context.close()


def test_the_bars_and_the_table_say_the_same(
    browser: Browser, filled: tuple[Collector, dict[date, int]], counts: dict[date, int]
) -> None:
    """Heights are taken from the page as it is drawn."""
    visit = Visit(browser, f"{filled[0].url}/packages/rxinfer")
    page = visit.page
    rows = page.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [row.querySelector('time')?.dateTime, "
        "row.querySelector('td').innerText])"
    )
    table = {date.fromisoformat(day): int(count.replace(",", "")) for day, count in rows if day}
    assert table == {**dict.fromkeys(table, 0), **counts}
    assert len(table) == days_of(counts)
    assert rows[-1] == [None, "unknown"]
    bars = page.locator("rect.bar").evaluate_all(
        "bars => bars.map(bar => [bar.querySelector('title').textContent, "
        "bar.getBoundingClientRect().height])"
    )
    heights = {
        datetime.strptime(title.split(":")[0], "%d %B %Y").date(): height  # noqa: DTZ007
        for title, height in bars
    }
    tallest = max(table, key=lambda day: table[day])
    for day, number in table.items():
        assert math.isclose(heights[day], heights[tallest] * number / table[tallest], abs_tol=0.5)
    visit.context.close()


def test_the_page_without_its_picture(
    browser: Browser, filled: tuple[Collector, dict[date, int]]
) -> None:
    """Names and roles as a screen reader is told them; the periods can be reached by keyboard."""
    visit = Visit(browser, f"{filled[0].url}/packages/rxinfer")
    page = visit.page
    assert page.get_by_role("img", name="Imports of rxinfer per day").count() == 1
    assert page.get_by_role("heading", level=1).inner_text() == "rxinfer"
    assert page.get_by_role("table", name="Imports of rxinfer per day, newest first").count() == 1
    assert page.get_by_role("navigation", name="Period").get_by_role("link").count() == 4
    assert page.evaluate("document.documentElement.lang") == "en"
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "30 days"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/packages/rxinfer?days=7")
    assert page.locator("[aria-current=page]").inner_text() == "7 days"
    visit.context.close()


def test_the_table_opens_and_the_periods_change(
    browser: Browser, filled: tuple[Collector, dict[date, int]]
) -> None:
    visit = Visit(browser, filled[0].url)
    page = visit.page
    assert page.url.endswith("/packages/rxinfer")  # the only package is shown straight away
    assert page.locator("rect.bar").count() == days_of(filled[1])
    page.get_by_text("365 days").first.click()
    assert page.locator("details").get_attribute("open") is None
    page.locator("summary").click()
    assert page.locator("tbody tr").first.is_visible()
    visit.context.close()


def test_nothing_counted_yet(browser: Browser, tmp_path: Path) -> None:
    with run_collector(tmp_path / "empty.sqlite3") as collector:
        visit = Visit(browser, f"{collector.url}/packages/rxinfer")
        save(visit.page, "dashboard-empty", tmp_path)
        assert visit.page.get_by_text("No import of rxinfer").is_visible()
        # Neither an axis nor a zero is made up.
        assert visit.page.locator("svg, table, #total").count() == 0
        visit.context.close()
