"""The public pages over HTTP: what they answer, and what their headers promise."""

import random
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors import Collector, run_collector
from made import commit, session
from plaintally_server.store import Write
from shared import write_contract


def test_the_pages_load_nothing_from_elsewhere_and_run_nothing(collector: Collector) -> None:
    for path in ("/packages/rxinfer", "/packages/rxinfer?days=365", "/packages/unknown", "/packages/rxinfer?days=1"):
        answer = collector.request("GET", path)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
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
def test_what_is_not_there_is_told_in_the_same_look(collector: Collector, path: str, status: int, text: str) -> None:
    answer = collector.request("GET", path)
    assert answer.status == status
    assert text in answer.body.decode()
    assert b"/static/style.css" in answer.body
    assert b"<script>" not in answer.body


def test_the_style_and_the_icon_are_in_the_wheel(collector: Collector) -> None:
    for path, kind in (("/static/style.css", "text/css; charset=utf-8"), ("/static/icon.svg", "image/svg+xml")):
        answer = collector.request("GET", path)
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert collector.request("GET", "/static/../cli.py").status == 404


def test_a_count_is_on_the_page_as_soon_as_it_was_answered(collector: Collector) -> None:
    for number in range(1, 4):
        collector.post()
        assert f'<strong id="total">{number}</strong>' in collector.request("GET", "/packages/rxinfer").body.decode()


def test_what_was_shared_is_shown_once_it_is_of_enough(tmp_path: Path) -> None:
    """Of four sessions nothing; of five their number, what they ran and their versions, and nobody's rare label."""
    chance, database = random.Random(1), tmp_path / "a.sqlite3"  # noqa: S311
    contract = write_contract(tmp_path, "rxinfer")
    moment = datetime.now(UTC)
    shared = [list(session(chance, moment, invokes=4)) for _ in range(12)]
    frequent = [writes for writes in shared if label_of(writes) == "inference"][:5]
    [rare] = [writes for writes in shared if label_of(writes) == "plot"][:1]
    pages = []
    for more in (frequent[:4], [frequent[4], rare]):
        commit(database, [one for writes in more for one in writes])
        with run_collector(database, f"--contract={contract}") as collector:
            pages.append(collector.request("GET", "/packages/rxinfer").body.decode())
    for word in ("Shared sessions", "inference", "1.2.0", "3.12", "plot"):
        assert (word in pages[0], word in pages[1]) == (False, word != "plot")
    assert re.search(r"<strong>6</strong> sessions", pages[1])
    row = re.search(r'<th scope="row">inference</th>((?:<td class="figure">[^<]*</td>)+)', pages[1])
    assert row
    assert re.findall(">([^<]+)<", row[1])[:2] == ["5", "20"]


def label_of(writes: Sequence[Write]) -> object:
    admitted = writes[-1].settle(None)
    return admitted and admitted.fields["label"]


def test_the_page_says_when_the_last_purge_was(own_collector: Collector) -> None:
    deadline = time.monotonic() + 20  # the first is soon after the start
    while "<time" not in (
        page := own_collector.request("GET", "/packages/rxinfer").body.decode().partition('id="kept"')[2]
    ):
        assert "has not had to look for what is over its time yet" in page
        assert time.monotonic() < deadline
        time.sleep(0.1)
    today = datetime.now(UTC)
    assert f'<time datetime="{today:%Y-%m-%d}T' in page
    assert "and removed what it had received before" in page
    assert "396 days" in page
