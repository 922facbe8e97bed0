"""The forms in a real Chromium: deleting a session and looking one up, light and dark, without
JavaScript."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from chromium import CONTRAST, run_chromium
from collectors import TOKEN, Collector, run_collector
from shared import KEY, Shared, share, write_contract

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("forms")
    with run_collector(
        folder / "test.sqlite3", "--contract", str(write_contract(folder))
    ) as running:
        yield running


@pytest.fixture(scope="module")
def browser(collector: Collector) -> Iterator[Browser]:  # noqa: ARG001  # it runs a loop: last
    with run_chromium() as running:
        yield running


def look(page: Page, name: str, folder: Path, width: int) -> None:
    """Keep a picture, and see that everything can be read."""
    page.screenshot(
        path=Path(os.environ.get("PLAINTALLY_SCREENSHOTS", folder)) / f"{name}.png", full_page=True
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if page.locator("input").count():
        assert page.get_by_label("Session ID").evaluate(
            "input => input.scrollWidth <= input.clientWidth"
        )
    for element in page.locator("h1, p, a, label, span, td, th, caption, pre, input").all():
        assert element.evaluate(CONTRAST) >= 4.5, element.inner_text()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_a_person_deletes_a_session_and_a_maintainer_looks_one_up(
    browser: Browser, collector: Collector, tmp_path: Path, *, scheme: str, width: int
) -> None:
    shared = Shared(invokes=5)
    other = Shared(invokes=5)
    for one in (shared, other):
        share(collector, one)
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 800},
        java_script_enabled=False,
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: complaints.append(message.text) if "403" not in message.text else None,
    )
    page.goto(f"{collector.url}/packages/rxinfer")
    page.get_by_role("link", name="Delete a shared session").click()
    look(page, f"forget-{scheme}", tmp_path, width)
    page.get_by_label("Session ID").fill(shared.session)
    page.get_by_label("Deletion key").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    look(page, f"forget-wrong-{scheme}", tmp_path, width)
    page.get_by_label("Deletion key").fill(KEY)
    page.get_by_role("button", name="Delete").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Deleted"
    assert page.get_by_role("row", name="documents 7").count() == 1
    look(page, f"forgotten-{scheme}", tmp_path, width)
    page.goto(f"{collector.url}/forget")
    page.get_by_label("Session ID").fill(other.session)
    page.get_by_role("button", name="Delete").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Your request waits"
    look(page, f"forget-waits-{scheme}", tmp_path, width)
    page.goto(f"{collector.url}/login")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Session ID").fill(other.session)
    page.get_by_role("button", name="Look up").click()
    assert "canary_model" in page.get_by_label("Summary of the session").inner_text()
    look(page, f"looked-up-{scheme}", tmp_path, width)
    assert complaints == []
    context.close()
