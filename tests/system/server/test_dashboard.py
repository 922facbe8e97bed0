"""The public pages over HTTP: what they answer, and what their headers promise."""

import asyncio
import random
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collectors import TOKEN, Collector, run_collector
from made import commit, run_until, session
from maintainers import Browser
from plaintally.contract import Contract
from plaintally_server.jobs.retention import dues
from plaintally_server.store.opening import open_store
from waiting import PATIENCE_S, wait_until


def test_the_pages_load_nothing_from_elsewhere_and_run_nothing(collector: Collector) -> None:
    for path in (
        "/packages/rxinfer",
        "/packages/rxinfer?days=365",
        "/packages/unknown",
        "/packages/rxinfer?days=1",
    ):
        answer = collector.request("GET", path)
        assert answer.headers["content-security-policy"].startswith(
            "default-src 'none'; style-src 'self';"
        )
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        assert "server" not in answer.headers
        page = answer.body.decode()
        for forbidden in ("<script", "style=", "onload", "http:", "https:", "//"):
            assert forbidden not in page.replace("http://www.w3.org/2000/svg", "")


def test_one_package_is_home_and_several_are_listed(collector: Collector, tmp_path: Path) -> None:
    home = collector.request("GET", "/")
    assert (home.status, home.headers["location"]) == (307, "/packages/rxinfer")
    with run_collector(tmp_path / "two.sqlite3", "--package", "another") as other:
        for _ in range(3):
            other.post()
        page = other.request("GET", "/").body.decode()
        assert page.index('href="/packages/another"') < page.index('href="/packages/rxinfer"')
        assert '<td class="figure">3</td>' in page


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/packages/unknown", 404, "No package of this name is counted here."),
        ("/packages/%3Cb%3E", 404, "No such package"),
        ("/packages/rxinfer?days=31", 400, "A period has 7, 30, 90 or 365 days."),
        ("/packages/rxinfer?days=%3Cscript%3E", 400, "No such period"),
        ("/packages/rxinfer?days=", 400, "No such period"),
    ],
)
def test_what_is_not_there_is_told_in_the_same_look(
    collector: Collector, path: str, status: int, text: str
) -> None:
    answer = collector.request("GET", path)
    assert answer.status == status
    assert text in answer.body.decode()
    assert b"/static/style.css" in answer.body
    assert b"<script>" not in answer.body


def test_the_style_and_the_icon_are_in_the_wheel(collector: Collector) -> None:
    for path, kind in (
        ("/static/style.css", "text/css; charset=utf-8"),
        ("/static/icon.svg", "image/svg+xml"),
    ):
        answer = collector.request("GET", path)
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert collector.request("GET", "/static/../cli.py").status == 404


def test_an_import_is_on_the_page_soon(collector: Collector) -> None:
    for number in range(1, 4):
        collector.post()
        total = f'<strong id="total">{number}</strong>'
        wait_until(lambda total=total: total in read(collector), pause_s=0.5)  # type: ignore[misc]


@pytest.mark.parametrize("path", ["/", "/packages/rxinfer"])
def test_a_browser_that_has_a_page_is_told_so(tmp_path: Path, path: str) -> None:
    with run_collector(tmp_path / "two.sqlite3", "--package", "another") as collector:

        def is_told() -> bool:
            page = collector.request("GET", path)
            etag = {"If-None-Match": page.headers["etag"]}
            head = collector.request("HEAD", path)
            again = collector.request("GET", path, headers=etag)
            for answer in (page, head, again):
                assert answer.headers["cache-control"] == "no-cache"
                assert (
                    answer.headers["content-security-policy"]
                    == page.headers["content-security-policy"]
                )
            assert (head.status, head.body) == (200, b"")
            assert collector.request("GET", "/packages/another", headers=etag).status == 200
            return (again.status, again.body, head.headers["etag"]) == (
                304,
                b"",
                page.headers["etag"],
            )

        wait_until(is_told, pause_s=0.5)  # another page may be made between two requests


def test_pages_of_maintainers_and_forms_are_in_no_cache(collector: Collector) -> None:
    browser = Browser(collector)
    assert browser.send("/login", {"token": TOKEN}).status == 303
    for answer in (browser.get("/maintain"), browser.get("/login"), browser.get("/forget")):
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
    unknown = collector.request("GET", "/packages/unknown")
    assert (unknown.status, "etag" in unknown.headers) == (404, False)


def test_an_exclusion_is_on_the_page_at_once(tmp_path: Path) -> None:
    """Also on a page that would be shown for longer."""
    with run_collector(tmp_path / "a.sqlite3", "--rate-limit=0") as collector:
        collector.post()
        browser = Browser(collector)
        path = "/packages/rxinfer?days=365"
        assert browser.send("/login", {"token": TOKEN}).status == 303
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        window = {"first_at": f"{day}T00:00", "until": f"{day}T01:00"}
        form = {
            "do": "strike",
            "form_key": browser.form_key(),
            "package": "rxinfer",
            "reason": "a loop",
            **window,
        }
        assert "a loop" not in collector.request("GET", path).body.decode()
        answer = browser.send("/maintain", form)
        assert answer.status == 200, answer.body.decode()
        assert "a loop" in collector.request("GET", path).body.decode()


def test_the_page_says_when_the_last_purge_was(tmp_path: Path) -> None:
    commit(tmp_path / "a.sqlite3", [])
    run_until(tmp_path / "a.sqlite3", datetime.now(UTC))
    with run_collector(tmp_path / "a.sqlite3") as collector:
        deadline = time.monotonic() + PATIENCE_S  # the first is soon after the start
        while "<time" not in (page := kept(collector)):
            assert "has not deleted expired data yet" in page
            assert time.monotonic() < deadline
            time.sleep(0.5)
    today = datetime.now(UTC)
    assert f'<time datetime="{today:%Y-%m-%d}">' in page
    assert "396 days" in page


def test_pages_say_that_a_purge_has_not_ended(tmp_path: Path) -> None:
    """The collector was killed during a purge; the next start does not purge yet, then the one
    after it does."""
    database = tmp_path / "a.sqlite3"
    now = datetime.now(UTC)
    with closing(open_store(database)) as store:
        *_, due = dues({"rxinfer": Contract()}, now)
        asyncio.run(store.begin_purge({"rxinfer": due.before}, at=now))
    with run_collector(database) as collector:
        assert f'Data received before <time datetime="{due.before:%Y-%m-%d}">' in kept(collector)
        assert "has not deleted expired data yet" in kept(collector)
        browser = Browser(collector)
        assert browser.send("/login", {"token": TOKEN}).status == 303
        page = browser.get("/maintain").body.decode()
        assert "has not ended: data received before" in page
        assert "last completed purge" not in page
    run_until(database, now)
    with run_collector(database) as collector:
        wait_until(
            lambda: "<time" in kept(collector) and "is being deleted" not in kept(collector),
            pause_s=0.5,  # less would be more pages than one address gets
        )
        assert "Expired data was last deleted on" in kept(collector)
        browser = Browser(collector)
        assert browser.send("/login", {"token": TOKEN}).status == 303
        page = browser.get("/maintain").body.decode()
        assert "has not ended" not in page
        assert "The last completed purge ended on" in page


def test_pages_stay_true_over_a_collector_that_is_killed_during_a_purge(tmp_path: Path) -> None:
    """As long as expired documents are there, no page says that they were deleted."""
    database = tmp_path / "a.sqlite3"
    now = datetime.now(UTC)
    chance = random.Random(5)  # noqa: S311
    with closing(open_store(database)) as store:
        for _ in range(20):
            asyncio.run(store.commit(list(session(chance, now - timedelta(days=500), invokes=400))))
    run_until(database, now)
    with run_collector(database) as collector:
        wait_until(
            lambda: "begun" in collector.store.last_purges("rxinfer", datetime.now(UTC)),
        )
        collector.process.kill()
        collector.process.wait()
    assert collector.store.day_states("rxinfer")
    with run_collector(database, "--rate-limit=0") as collector:
        seen = set()
        until_s = time.monotonic() + 120
        while (
            "Expired data was last deleted on" not in (page := kept(collector))
            or "is being deleted" in page
        ):
            seen.add("is being deleted" in page)
            assert time.monotonic() < until_s
            time.sleep(0.1)
        assert not collector.store.day_states("rxinfer")
    assert seen == {True}


def kept(collector: Collector) -> str:
    """What the page says about what is stored."""
    return read(collector).partition('id="kept"')[2]


def read(collector: Collector) -> str:
    return collector.request("GET", "/packages/rxinfer").body.decode()
