"""Who may read: tokens for some packages, and the pages of maintainers behind a login."""

import asyncio
import base64
import hmac
import http.client
import random
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from collectors import ROOT, TOKEN, Collector, count, run_collector, run_server
from made import at, commit, counts, session
from maintainers import Browser, ask, make_token
from plaintally_server.auth.cookies import LIFETIME_S, begin, resume
from plaintally_server.auth.permissions import hash_token
from plaintally_server.auth.tokens import SETTING, Tokens
from plaintally_server.model import Token
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_store
from shared import write_contract
from waiting import PATIENCE_S, wait_until

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "canary9d27"
NAME = "projects/p/databases/(default)/documents"


@pytest.fixture(scope="module")
def found(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Collector, Mapping[str, str], list[str]]]:
    """A collector of two packages, a token for each, and the names of the documents of one of
    them."""
    folder = tmp_path_factory.mktemp("access")
    chance = random.Random(1)  # noqa: S311
    moment = at(NOW.date(), 5)
    mine = [*session(chance, moment, invokes=2, model=SECRET)]
    commit(folder / "a.sqlite3", mine)
    names = [f"{one.name.collection}/{one.name.document}" for one in mine]
    tokens = {
        name: make_token(folder, name, f"--package={name}") for name in ("rxinfer", "another")
    }
    contracts = [f"--contract={write_contract(folder, name)}" for name in ("rxinfer", "another")]
    with run_collector(folder / "a.sqlite3", *contracts, packages=()) as collector:
        yield collector, tokens, names


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def all_asked(names: list[str]) -> Iterator[tuple[str, str, object]]:
    """Every way to read or delete these documents."""
    for name in names:
        yield "GET", f"{ROOT}/{name}", None
        yield (
            "PATCH",
            f"{ROOT}/{name}?updateMask.fieldPaths=id",
            {"fields": {"id": {"stringValue": name.split("/")[1]}}},
        )
        yield "DELETE", f"{ROOT}/{name}", None
    for collection in dict.fromkeys(name.split("/")[0] for name in names):
        yield "GET", f"{ROOT}/{collection}", None
        yield "GET", f"{ROOT}/{collection}?pageSize=1&orderBy=id%20desc", None
        for more in ({}, {"offset": 1}, {"orderBy": [{"field": {"fieldPath": "id"}}]}):
            yield (
                "POST",
                f"{ROOT}:runQuery",
                {"structuredQuery": {"from": [{"collectionId": collection}], **more}},
            )
    full = [f"{NAME}/{name}" for name in names]
    yield "POST", f"{ROOT}:batchGet", {"documents": full}
    for kind in ("commit", "batchWrite"):
        for write in (
            {"delete": full[0]},
            {"verify": full[0], "currentDocument": {"exists": True}},
        ):
            yield "POST", f"{ROOT}:{kind}", {"writes": [write]}


def test_a_token_of_another_package_shows_and_deletes_nothing(
    found: tuple[Collector, Mapping[str, str], list[str]],
) -> None:
    collector, tokens, names = found
    for method, path, body in all_asked(names):
        answer = ask(collector, tokens["another"], method, path, body)
        assert SECRET.encode() not in answer.body, (method, path)
        assert b'"fields"' not in answer.body, (method, path)
    shown = {
        name
        for name in names
        if ask(collector, tokens["rxinfer"], "GET", f"{ROOT}/{name}").status == 200
    }
    assert shown == set(names)  # also after all of the above
    listed = ask(collector, tokens["rxinfer"], "GET", f"{ROOT}/invokes")
    assert listed.body.count(SECRET.encode()) == 2
    assert ask(collector, TOKEN, "GET", f"{ROOT}/invokes").body == listed.body
    assert ask(collector, tokens["another"], "GET", f"{ROOT}/invokes").json == {}
    assert ask(collector, tokens["another"], "GET", f"{ROOT}/using_rxinfer").status == 403


def test_a_token_of_another_package_changes_no_part_of_a_document(
    found: tuple[Collector, Mapping[str, str], list[str]],
) -> None:
    collector, tokens, names = found
    for name in names:
        before = ask(collector, TOKEN, "GET", f"{ROOT}/{name}").json
        for query in (
            "updateMask.fieldPaths=x",
            f"currentDocument.updateTime={before['updateTime']}",
        ):
            body = {"fields": before["fields"]}
            answer = ask(collector, tokens["another"], "PATCH", f"{ROOT}/{name}?{query}", body)
            assert answer.error[0] in (400, 403, 404)  # as if there were none
        assert ask(collector, TOKEN, "GET", f"{ROOT}/{name}").json == before


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Database, Path]:
    """A database, and the folder where its bytes are."""
    if request.param == "sqlite":
        return tmp_path / "a.sqlite3", tmp_path
    postgres = request.getfixturevalue("postgres")
    return postgres.new_store(), postgres.folder / "data"


@pytest.mark.long(keep=1)
def test_a_token_opens_within_seconds_and_revoked_nothing(
    kept: tuple[Database, Path], tmp_path: Path
) -> None:
    database, place = kept
    run = partial(run_collector, tmp_path / "a.sqlite3", token=None, url=str(database))
    with run() as collector:
        path = f"{ROOT}/sessions"
        token = make_token(tmp_path, "ada", "--all-packages", database=database)

        def wait_for(status: int) -> None:
            deadline = time.monotonic() + PATIENCE_S
            while ask(collector, token, "GET", path).status != status:
                assert time.monotonic() < deadline
                # A token that is not known yet is a wrong one, and those are counted.
                time.sleep(0.4)

        wait_for(200)
        used = re.compile(r"ada  all packages  made [0-9-]{10}, last used [0-9-]{10}\n")

        def list_tokens() -> str:
            return run_server(tmp_path, "token", "list", "--database", str(database)).stdout

        # The collector writes the day of the last use when it reads the tokens next.
        wait_until(lambda: used.fullmatch(list_tokens()))
        assert (
            run_server(tmp_path, "token", "revoke", "ada", "--database", str(database)).returncode
            == 0
        )
        wait_for(403)
        token = make_token(tmp_path, "eve", "--all-packages", database=database)
    with run() as collector:
        # At once, where it was there before.
        assert ask(collector, token, "GET", path).status == 200
    content = b"".join(one.read_bytes() for one in place.rglob("*") if one.is_file())
    assert token.encode() not in content
    audit = run_server(tmp_path, "audit", "--database", str(database)).stdout.splitlines()
    assert [line.split("  ")[2:] for line in audit] == [
        ["create token", "ada for all packages"],
        ["revoke token", "ada"],
        ["create token", "eve for all packages"],
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("create", "ada"), 2, "Say what the token is for"),
        (("create", "ada", "--package", "a", "--all-packages"), 2, "Say what the token is for"),
        (("create", "ada", "--package", "A b"), 2, "must be a name such as"),
        (("create", "-", "--all-packages"), 2, "A name has up to 64"),
        (("create", "there", "--all-packages"), 1, "there is or was a token there already"),
        (("revoke", "nobody"), 1, "there is no token nobody"),
    ],
)
def test_a_token_that_cannot_be_made(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    commit(tmp_path / "a.sqlite3", [])
    make_token(tmp_path, "there", "--all-packages")
    done = run_server(tmp_path, "token", *arguments, "--database", "a.sqlite3")
    assert (done.returncode, done.stdout) == (code, "")
    assert says in " ".join(done.stderr.split())


def test_a_login_ends_with_its_time_and_with_its_token() -> None:
    tokens = Tokens("the setting")
    kept = Token("ada", hash_token("a"), frozenset({"rxinfer"}), NOW, None, None)
    tokens.take([kept])
    secret = "s" * 43
    ends_at = NOW + timedelta(seconds=LIFETIME_S)
    stored = begin(secret, hash_token("a"), "ada", now=NOW)
    login = resume(secret, stored, tokens, now=ends_at - timedelta(seconds=1))
    assert login is not None
    assert (login.scope.name, login.scope.holds("rxinfer"), login.scope.holds("another")) == (
        "ada",
        True,
        False,
    )
    assert resume(secret, stored, tokens, now=ends_at) is None
    assert resume(secret, stored, tokens, now=NOW - timedelta(minutes=1)) is not None
    # Begun by a clock that was ahead.
    assert resume(secret, stored, tokens, now=NOW - timedelta(days=1)) is None
    assert resume(secret, None, tokens, now=NOW) is None
    assert resume(secret, begin(secret, hash_token("b"), "ada", now=NOW), tokens, now=NOW) is None
    other = resume("t" * 43, begin("t" * 43, hash_token("a"), "ada", now=NOW), tokens, now=NOW)
    assert other is not None
    assert login.form_key != other.form_key
    tokens.take([kept._replace(revoked_at=NOW)])
    assert resume(secret, stored, tokens, now=NOW) is None
    setting = begin(secret, hash_token("the setting"), SETTING, now=NOW)
    assert resume(secret, setting, tokens, now=NOW) is not None
    assert resume(secret, setting, Tokens("another setting"), now=NOW) is None


def cells(database: Path) -> set[bytes]:
    """Every value that a file holds."""
    found: set[bytes] = set()
    with closing(sqlite3.connect(database)) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608
                found |= {
                    one if isinstance(one, bytes) else str(one).encode()
                    for one in row
                    if one is not None
                }
    return found


def forged(value: bytes, names: Sequence[str]) -> Iterator[str]:
    """The cookies that somebody could make of a value: itself, as a text, and what it signs."""
    yield value.hex()
    yield base64.urlsafe_b64encode(value).decode().rstrip("=")
    if value.isascii():
        yield value.decode()
    for name in names:
        head = f"{base64.urlsafe_b64encode(name.encode()).decode()}.{int(time.time()) + 3600}"
        yield f"{head}.{hmac.new(value, f'cookie {head}'.encode(), 'sha256').hexdigest()}"


def test_nothing_in_a_copy_of_the_database_is_a_login(tmp_path: Path) -> None:
    """Neither in a backup, which has no logins, nor in a copy of the files."""
    database = tmp_path / "a.sqlite3"
    names = ["ada", SETTING]
    commit(database, [])
    token = make_token(tmp_path, "ada", "--all-packages")
    with run_collector(database, "--rate-limit=0") as collector:
        browsers = [Browser(collector), Browser(collector)]
        for browser, given in zip(browsers, (token, TOKEN), strict=True):
            assert browser.send("/login", {"token": given}).status == 303
        assert (
            run_server(tmp_path, "backup", "backup.sqlite3", "--database", "a.sqlite3").returncode
            == 0
        )
        with (
            closing(sqlite3.connect(database)) as live,
            closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy,
        ):
            live.backup(copy)
        hashes = {
            bytes(row[0]) for row in rows(tmp_path / "copy.sqlite3", "SELECT hash FROM logins")
        }
        assert len(hashes) == 2
        assert rows(tmp_path / "backup.sqlite3", "SELECT * FROM logins") == []
        assert not any(one in (tmp_path / "backup.sqlite3").read_bytes() for one in hashes)
        values = cells(tmp_path / "backup.sqlite3") | cells(tmp_path / "copy.sqlite3")
        assert hash_token(token) in values
        connection = http.client.HTTPConnection("127.0.0.1", collector.port)
        for cookie in {cookie for value in values for cookie in forged(value, names)}:
            if cookie.isprintable():
                connection.request("GET", "/maintain", headers={"Cookie": f"plaintally={cookie}"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 303, cookie
        connection.close()
        assert [browser.get("/maintain").status for browser in browsers] == [200, 200]
    done = run_server(
        tmp_path, "restore", "copy.sqlite3", "--without-deletions", "--database", "restored.sqlite3"
    )
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "restored.sqlite3", "SELECT * FROM logins") == []


def test_a_restore_brings_back_no_token_that_was_revoked(tmp_path: Path) -> None:
    """Neither with the database that is replaced, nor with the log of it, in which the token may
    even be new."""
    base = ("--database", "a.sqlite3")
    commit(tmp_path / "a.sqlite3", [])
    make_token(tmp_path, "ada", "--all-packages")
    make_token(tmp_path, "eve", "--all-packages")
    assert run_server(tmp_path, "backup", "backup.sqlite3", *base).returncode == 0
    make_token(tmp_path, "bob", "--all-packages")
    for name in ("ada", "bob"):
        assert run_server(tmp_path, "token", "revoke", name, *base).returncode == 0
    (tmp_path / "log").write_text(run_server(tmp_path, "forget", "log", *base).stdout)
    for deletions, database in (((), "a.sqlite3"), (("--deletions", "log"), "new.sqlite3")):
        done = run_server(tmp_path, "restore", "backup.sqlite3", *deletions, "--database", database)
        assert done.returncode == 0, done.stderr
        held = rows(
            tmp_path / database, "SELECT name, revoked_at IS NULL FROM tokens ORDER BY name"
        )
        assert held == [("ada", 0), ("bob", 0), ("eve", 1)]


@pytest.mark.long(keep=1)
def test_every_collector_on_a_database_knows_a_login_until_it_ends(
    kept: tuple[Database, Path], tmp_path: Path
) -> None:
    """Logging out ends it everywhere, revoking its token does, and another token in the
    settings."""
    database, _ = kept
    run = partial(run_collector, tmp_path / "a.sqlite3", token=None, url=str(database))
    base = ("--database", str(database))
    with run():
        token = make_token(tmp_path, "ada", "--all-packages", database=database)
    with run(env={"PLAINTALLY_SERVER_TOKEN": TOKEN}) as first, ExitStack() as stack:
        is_shared = isinstance(database, str)
        second = stack.enter_context(run()) if is_shared else first
        browsers = [Browser(first), Browser(first), Browser(first)]
        for browser, given in zip(browsers, (token, token, TOKEN), strict=True):
            assert browser.send("/login", {"token": given}).status == 303
        elsewhere = [Browser(second), Browser(second), Browser(second)]
        for browser, other in zip(browsers, elsewhere, strict=True):
            other.cookie = browser.cookie
        assert [one.get("/maintain").status for one in elsewhere] == [
            200,
            200,
            303 if is_shared else 200,
        ]
        cookie = browsers[0].cookie
        assert browsers[0].send("/logout", {"form_key": browsers[0].form_key()}).status == 303
        browsers[0].cookie = cookie  # of which somebody has a copy
        assert [one.get("/maintain").status for one in (browsers[0], elsewhere[0])] == [303, 303]
        assert elsewhere[1].get("/maintain").status == 200
        assert run_server(tmp_path, "token", "revoke", "ada", *base).returncode == 0
        assert elsewhere[1].get("/maintain").status == 303
    with run(env={"PLAINTALLY_SERVER_TOKEN": TOKEN}) as restarted:
        browsers[2].collector = restarted
        assert browsers[2].get("/maintain").status == 200
    with run(env={"PLAINTALLY_SERVER_TOKEN": TOKEN[::-1]}) as restarted:
        browsers[2].collector = restarted
        assert browsers[2].get("/maintain").status == 303


def test_a_token_was_used_last_on_the_day_it_was(tmp_path: Path) -> None:
    Maintenance(tmp_path / "a.sqlite3").add_token("ada", hash_token("a"), None, actor="me", at=NOW)
    store = open_store(tmp_path / "a.sqlite3")
    tokens = Tokens()

    async def work() -> None:
        await tokens.read(store, today=NOW.date())
        assert tokens.find("a")
        for days in range(3):
            await tokens.read(store, today=NOW.date() + timedelta(days=days))

    asyncio.run(work())
    [token] = store.tokens()
    assert token.last_used_day == NOW.date()
    store.close()


def test_a_login_is_remembered_by_a_cookie_that_scripts_and_other_pages_cannot_use(
    found: tuple[Collector, Mapping[str, str], list[str]],
) -> None:
    collector, tokens, _ = found
    browser = Browser(collector)
    assert (browser.get("/maintain").status, browser.get("/maintain").headers["location"]) == (
        303,
        "/login",
    )
    refused = browser.send("/login", {"token": "wrong"})
    assert (refused.status, browser.cookie) == (403, "")
    assert b"This token opens nothing here." in refused.body
    assert (
        browser.send("/login", {"token": TOKEN}, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    )
    for origin in ("null", "http://another", "http://["):
        body = urlencode({"token": TOKEN}).encode()
        assert collector.request("POST", "/login", body, {"Origin": origin}).status == 403
    answer = browser.send("/login", {"token": tokens["rxinfer"]})
    assert (answer.status, answer.headers["location"]) == (303, "/maintain")
    flags = answer.headers["set-cookie"].split("; ")[1:]
    assert sorted(flags) == ["HttpOnly", f"Max-Age={LIFETIME_S}", "Path=/", "SameSite=strict"]
    assert tokens["rxinfer"] not in browser.cookie
    page = browser.get("/maintain")
    assert (page.status, page.headers["cache-control"]) == (200, "no-store")
    assert b"rxinfer" in page.body
    assert b"/packages/another" not in page.body
    assert browser.get("/login").headers["location"] == "/maintain"
    key = browser.form_key()
    for values, headers in (
        ({"do": "look up"}, {}),
        ({"do": "look up", "form_key": "0" * 64}, {}),
        ({"do": "look up", "form_key": key}, {"Sec-Fetch-Site": "cross-site"}),
        ({"do": "look up", "form_key": key}, {"Sec-Fetch-Site": "same-site"}),
    ):
        assert browser.send("/maintain", values, **headers).status == 403
    assert browser.send("/maintain", {"do": "nothing", "form_key": key}).status == 400
    assert browser.send("/logout", {"form_key": key}).headers["location"] == "/login"
    assert browser.get("/maintain").status == 303
    stranger = Browser(collector, **{"X-Forwarded-Proto": "https"})  # whom nobody trusts
    assert stranger.send("/login", {"token": TOKEN}).headers["set-cookie"].startswith("plaintally=")


def test_a_cookie_is_for_tls_where_there_is_tls(tmp_path: Path) -> None:
    with run_collector(tmp_path / "a.sqlite3", "--trusted-proxy", "127.0.0.1") as collector:
        browser = Browser(
            collector, **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
        )
        flags = browser.send("/login", {"token": TOKEN}).headers["set-cookie"]
        assert flags.startswith("__Host-plaintally=")
        assert "; Secure" in flags
        assert browser.get("/maintain").status == 200
        assert (
            Browser(collector)
            .send("/login", {"token": TOKEN})
            .headers["set-cookie"]
            .startswith("plaintally=")
        )


def try_token(collector: Collector, place: str, token: str, source: str) -> int:
    """The status of a request with a token at one of the places that take one."""
    bearer = {"Authorization": f"Bearer {token}"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    match place:
        case "login":
            return collector.request(
                "POST", "/login", f"token={token}".encode(), form, source=source
            ).status
        case "write":
            return collector.request(
                "POST", f"{ROOT}/using_rxinfer", count(), bearer, source=source
            ).status
        case "forget":
            return collector.request(
                "POST", f"{ROOT}:forget", {"session": str(uuid4())}, bearer, source=source
            ).status
        case "query":
            query = {"structuredQuery": {"from": [{"collectionId": "sessions"}]}}
            return collector.request(
                "POST", f"{ROOT}:runQuery", query, bearer, source=source
            ).status
    return collector.request("GET", f"{ROOT}/sessions", None, bearer, source=source).status


PLACES = {
    "login": (303, 403),
    "list": (200, 403),
    "query": (200, 403),
    "write": (200, 200),
    "forget": (200, 200),
}
"""By place, the status with a right token and with a wrong one."""


@pytest.mark.parametrize("rate_limit", ["5", "0"])
def test_wrong_tokens_are_counted_wherever_they_are_sent(tmp_path: Path, rate_limit: str) -> None:
    with run_collector(tmp_path / "a.sqlite3", f"--rate-limit={rate_limit}") as collector:
        for number, (place, (right, wrong)) in enumerate(PLACES.items()):
            source = f"127.0.0.{number + 2}"
            seen = [try_token(collector, place, f"try{number:032}", source) for number in range(14)]
            assert seen[:10] == [wrong] * 10, place
            assert set(seen[11:]) == {429}, place
            for other in PLACES:
                # Where a right token is not looked at either, which would tell that it is right.
                assert try_token(collector, other, TOKEN, source) == 429, (place, other)
            assert (
                collector.request("POST", f"{ROOT}/using_rxinfer", count(), source=source).status
                == 200
            )
            assert try_token(collector, place, TOKEN, "127.0.1.1") == right  # somebody else's


def test_cookies_that_are_no_login_count_like_wrong_tokens(tmp_path: Path) -> None:
    with run_collector(tmp_path / "a.sqlite3") as collector:
        browser = Browser(collector)
        browser.send("/login", {"token": TOKEN})
        for number in range(10):
            cookie = {"Cookie": f"plaintally={number:043}"}
            answer = collector.request("GET", "/maintain", headers=cookie, source="127.0.0.2")
            assert (answer.status, answer.headers["location"]) == (303, "/login")
        assert try_token(collector, "login", TOKEN, "127.0.0.2") == 429
        right = {"Cookie": browser.cookie}
        assert (
            collector.request("GET", "/maintain", headers=right, source="127.0.0.2").status == 303
        )
        assert (
            collector.request("GET", "/maintain", headers=right, source="127.0.0.3").status == 200
        )


def test_right_tokens_are_not_counted(tmp_path: Path) -> None:
    with run_collector(tmp_path / "a.sqlite3") as collector:
        for place, (right, wrong) in PLACES.items():
            source = f"127.0.0.{len(place)}"
            assert [try_token(collector, place, TOKEN, source) for _ in range(12)] == [right] * 12
            assert try_token(collector, place, "wrong", source) == wrong


def test_session_statistics_are_for_maintainers_of_the_package(tmp_path: Path) -> None:
    """Also of a single session, since a token may see it whole."""
    moment = datetime.now(UTC) - timedelta(days=9)
    writes = list(session(random.Random(3), moment, invokes=7))  # noqa: S311
    commit(tmp_path / "a.sqlite3", writes)
    tokens = {
        name: make_token(tmp_path, name, f"--package={name}") for name in ("rxinfer", "another")
    }
    contracts = [f"--contract={write_contract(tmp_path, name)}" for name in ("rxinfer", "another")]
    with run_collector(tmp_path / "a.sqlite3", *contracts, packages=()) as collector:
        pages = {}
        for name, token in tokens.items():
            browser = Browser(collector)
            assert browser.send("/login", {"token": token}).status == 303
            deadline = time.monotonic() + PATIENCE_S
            while name == "rxinfer" and b">7</td>" not in browser.get("/maintain").body:
                # It is rolled up soon.
                assert time.monotonic() < deadline
                time.sleep(0.1)
            pages[name] = browser.get("/maintain").body.decode()
        public = collector.request("GET", "/packages/rxinfer").body.decode()
    for text in (
        ">7</td>",
        '<th scope="row">1.2.0</th>',
        '<th scope="row">3.12</th>',
        "<strong>1</strong> from",
    ):
        assert (text in pages["rxinfer"], text in pages["another"], text in public) == (
            True,
            False,
            False,
        )
    assert "None arrived from" in pages["another"]


def test_a_maintainer_decides_in_a_browser(tmp_path: Path) -> None:
    """Deletions, look-ups, windows; whoever has one package can do nothing to another's."""
    chance = random.Random(6)  # noqa: S311
    database = tmp_path / "a.sqlite3"
    moment = datetime.now(UTC)
    mine = list(session(chance, moment, invokes=3, model=SECRET))
    other = list(session(chance, moment, invokes=1))
    flood = moment.replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
    made_up = [
        one._replace(received_at=flood + timedelta(minutes=3))
        for one in counts(chance, [moment.date()], 200)
    ]
    commit(database, [*mine, *other, *made_up])
    ids = [str(writes[0].name.document) for writes in (mine, other)]
    contract = write_contract(tmp_path, "rxinfer")
    scoped = make_token(tmp_path, "bob", "--package=another")
    with run_collector(
        database, f"--contract={contract}", "--package=another", packages=()
    ) as collector:
        for one in ids:
            collector.request("POST", f"{ROOT}:forget", {"session": one})
        bob = Browser(collector)
        browser = Browser(collector)
        bob.send("/login", {"token": scoped})
        browser.send("/login", {"token": TOKEN})
        key = browser.form_key()
        page = browser.get("/maintain").body.decode()
        assert all(one in page for one in ids)
        assert not any(one in bob.get("/maintain").body.decode() for one in ids)
        for values in (
            {"do": "look up", "session": ids[0]},
            {"do": "approve", "session": ids[0]},
            {"do": "refuse", "session": ids[0]},
            {
                "do": "strike",
                "package": "rxinfer",
                "reason": "x",
                "first_at": "2026-01-01",
                "until": "2026-01-02",
            },
            {"do": "undo", "number": "1"},
        ):
            refused = bob.send("/maintain", {**values, "form_key": bob.form_key()})
            assert refused.status == 404, values
            assert b"Summary of the session" not in refused.body
        looked = browser.send(
            "/maintain", {"do": "look up", "session": ids[0], "form_key": key}
        ).body.decode()
        assert "Summary of the session" in looked
        done = browser.send(
            "/maintain", {"do": "approve", "session": ids[0], "form_key": key}
        ).body.decode()
        assert f"Deleted {len(mine)} documents" in done
        assert (
            f"Refused; {ids[1]} stays."
            in browser.send(
                "/maintain", {"do": "refuse", "session": ids[1], "form_key": key}
            ).body.decode()
        )
        assert collector.store.session_tree(ids[0]).session is None
        assert collector.store.session_tree(ids[1]).session is not None
        strike = dict(re.findall(r'name="(package|first_at|until)" value="([^"]+)"', page))
        elsewhere = (
            datetime.fromisoformat(f"{strike['first_at']}Z")
            .astimezone(timezone(timedelta(hours=2)))
            .isoformat()
        )
        values = {
            **strike,
            "first_at": elsewhere,
            "do": "strike",
            "reason": "a <b>script</b>",
            "form_key": key,
        }
        answer = browser.send("/maintain", values)
        assert "Excluded what rxinfer received" in answer.body.decode()
        assert "a &lt;b&gt;script&lt;/b&gt;" in answer.body.decode()
        assert collector.store.total("rxinfer") == 0
        assert (
            browser.send("/maintain", {"do": "undo", "number": "1", "form_key": key}).status == 200
        )
        assert collector.store.total("rxinfer") == 200
        bad = browser.send(
            "/maintain", {**strike, "until": "soon", "do": "strike", "reason": "x", "form_key": key}
        )
        assert (bad.status, b"A time must be one such as" in bad.body) == (400, True)
    audit = run_server(tmp_path, "audit", "--database", "a.sqlite3").stdout
    actions = re.findall(
        r"the token of the settings  (delete|refuse to delete|strike|take back)  ", audit
    )
    assert actions == ["delete", "refuse to delete", "strike", "take back"]


def test_a_maintainer_deletes_while_somebody_reads(tmp_path: Path) -> None:
    """The collector erases in its own time; whoever approved waits for no reader, and has nothing
    to repeat."""
    database = tmp_path / "a.sqlite3"
    moment = datetime.now(UTC)
    mine = list(session(random.Random(6), moment, invokes=3))  # noqa: S311
    commit(database, mine)
    one = str(mine[0].name.document)
    unknown = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
    with run_collector(
        database, f"--contract={write_contract(tmp_path, 'rxinfer')}", packages=()
    ) as collector:
        browser = Browser(collector)
        browser.send("/login", {"token": TOKEN})
        values = {"do": "approve", "form_key": browser.form_key()}
        with closing(sqlite3.connect(database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM documents")
            done = browser.send("/maintain", {**values, "session": one})
            assert (done.status, f"Deleted {len(mine)} documents" in done.body.decode()) == (
                200,
                True,
            )
            assert collector.post().status == 200
        assert browser.send("/maintain", {**values, "session": one}).body.count(b"Deleted") == 1
        refused = browser.send("/maintain", {**values, "session": unknown})
        assert (refused.status, f"Nobody asked to delete {unknown}" in refused.body.decode()) == (
            404,
            True,
        )


def test_every_answer_says_that_it_is_what_it_says(
    found: tuple[Collector, Mapping[str, str], list[str]],
) -> None:
    collector, *_ = found
    for path in (
        f"{ROOT}/nothing",
        f"{ROOT}/invokes",
        "/",
        "/login",
        "/openapi.json",
        "/healthz",
        "/nowhere",
    ):
        headers = collector.request("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        if path.startswith("/v1"):
            assert headers["cache-control"] == "no-store"
