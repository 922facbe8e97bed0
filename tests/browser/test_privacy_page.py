"""The privacy page in a real Chromium: it needs nothing else, can be read by everybody, and fits
any screen."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from chromium import run_chromium
from plaintally import Contract
from plaintally.contract import ErrorType, Integer, Label, Source
from plaintally_author.declaration import Declaration
from plaintally_author.page import make_html

pytestmark = pytest.mark.browser

CONTRACT = Contract(
    purpose="to know how much it is used",
    controller="The project",
    contact="privacy@example.org",
    labels={
        "fit": Label(
            {"long_" * 12: Integer(0, 9), "source": Source(), "error": ErrorType()},
            purpose="to help",
        )
    },
)
ENDPOINT = "https://telemetry.example.org/v1/projects/p/databases/(default)/documents"
CONTRAST = """() => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const [x, y, z] = [r, g, b].map(v => linear(v / 255));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = element => {
        const color = getComputedStyle(element).backgroundColor;
        return parse(color)[3] === 0 ? behind(element.parentElement) : color;
    };
    return Math.min(...[...document.querySelectorAll('body *')].map(element => {
        const ink = light(parse(getComputedStyle(element).color));
        const paper = light(parse(behind(element)));
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    }));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_chromium() as running:
        yield running


@pytest.fixture
def address(tmp_path: Path) -> str:
    said = Declaration("hostpkg", CONTRACT, endpoint=ENDPOINT, host="telemetry.example.org")
    (tmp_path / "privacy.html").write_text(make_html(said))
    return (tmp_path / "privacy.html").as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_can_be_read_and_asks_nobody(
    browser: Browser, address: str, scheme: Literal["light", "dark"], width: int
) -> None:
    shown = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    complaints: list[Any] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.on("console", lambda message: complaints.append(message.text))
    shown.goto(address)
    assert asked == [address]
    assert complaints == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.evaluate(CONTRAST) >= 4.5
    # The style is allowed.
    assert shown.evaluate("getComputedStyle(document.body).fontFamily").startswith("system-ui")
    shown.close()


def test_it_is_in_order_for_those_who_cannot_see_it(browser: Browser, address: str) -> None:
    shown = browser.new_page(viewport={"width": 390, "height": 800})
    shown.goto(address)
    levels = shown.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map(found => Number(found.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    tables = shown.get_by_role("table")
    assert tables.count() == shown.evaluate("document.querySelectorAll('caption').length") > 3
    assert tables.first.get_by_role("rowheader").count() == 2
    for target in shown.evaluate(
        "[...document.querySelectorAll('nav a')].map(link => link.getAttribute('href'))"
    ):
        assert shown.locator(target).count() == 1
    shown.close()


def test_it_prints_black_on_white(browser: Browser, address: str) -> None:
    shown = browser.new_page(color_scheme="dark")
    shown.emulate_media(media="print", color_scheme="dark")
    shown.goto(address)
    assert shown.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not shown.get_by_role("navigation").is_visible()
    shown.close()
