"""Deletion: with the key at once, without it by a maintainer; and that nothing is left, not a
byte."""

import base64
import hashlib
import json
import re
import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from collectors import ROOT, TOKEN, Answer, Collector, run_collector, run_server
from plaintally_server.store import deletion_queue
from shared import KEY, Shared, commit, forget, found_in, patch, share, update, write_contract
from waiting import PATIENCE_S

DENIED = (403, "PERMISSION_DENIED")


def receipt(answer: Answer) -> dict[str, object]:
    assert answer.status == 200, answer.body
    assert list(answer.json) == ["receipt"]
    found = answer.json["receipt"]
    assert isinstance(found, dict)
    assert list(found) == ["session", "deleted_at", "documents", "hash"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}(\d{3})?)?Z", found["deleted_at"])
    assert re.fullmatch(r"[0-9a-f]{64}", found["hash"])
    return found


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database, timeout=PATIENCE_S)) as connection:
        return connection.execute(query).fetchall()


def wait_until_gone(database: Path, ids: list[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while found := found_in(database, ids):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.fixture
def sharing(own_sharing: Collector) -> Collector:
    return own_sharing  # which is ended, or whose files are looked at


def test_with_the_key_all_of_it_is_deleted_at_once(sharing: Collector) -> None:
    shared = Shared(invokes=5)
    other = Shared()
    for one in (shared, other):
        share(sharing, one)
    before = sharing.store.session_tree(other.session)
    found = receipt(forget(sharing, shared.session.upper(), KEY))
    assert (found["session"], found["documents"]) == (shared.session, 7)
    assert sharing.store.session_tree(shared.session) == (None, [])
    assert sharing.store.session_tree(other.session) == before
    assert receipt(forget(sharing, shared.session, KEY)) == found  # asked again
    assert forget(sharing, shared.session, "another key").error == DENIED
    kept = rows(sharing.database, "SELECT session_hash, documents, hash FROM receipts")
    assert kept == [(hashlib.sha256(shared.session.encode()).digest(), 7, found["hash"])]


def test_a_wrong_key_and_an_unknown_session_are_told_alike(sharing: Collector) -> None:
    shared = Shared()
    orphan = Shared()
    share(sharing, shared)
    patch(sharing, orphan.names[1], orphan.stats_document())
    answers = [
        forget(sharing, shared.session, "wrong"),
        forget(sharing, str(uuid.uuid4()), KEY),
        forget(sharing, orphan.session, KEY),
        forget(sharing, shared.session, " "),
        forget(sharing, shared.session, hashlib.sha256(KEY.encode()).hexdigest()),
    ]
    assert {answer.error for answer in answers} == {DENIED}
    assert len({answer.body for answer in answers}) == 1
    assert rows(sharing.database, "SELECT count(*) FROM receipts, tombstones, forget_requests") == [
        (0,)
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"session": "x"}',
        b'{"session": 1}',
        b'{"session": "%s", "who": "canary"}',
        b'{"session": "%s"',
        b"[]",
    ],
)
def test_what_is_no_request(sharing: Collector, body: bytes) -> None:
    content = body.replace(b"%s", str(uuid.uuid4()).encode())
    answer = sharing.request("POST", f"{ROOT}:forget", content)
    assert answer.error == (400, "INVALID_ARGUMENT")
    assert b"canary" not in answer.body
    assert sharing.request("POST", f"{ROOT}:forget", b"x" * 10_001).error[0] == 413


def test_what_arrives_late_is_refused(sharing: Collector) -> None:
    shared = Shared()
    late = Shared(invokes=3)
    share(sharing, shared)
    late.session = shared.session  # stats that nobody knew of, whose invokes came before them
    assert patch(sharing, late.names[2], late.invoke_document(0)).status == 200
    receipt(forget(sharing, shared.session, KEY))
    for name, document in shared.documents.items():
        assert patch(sharing, name, document).error == DENIED
        assert commit(sharing, update(name, document)).error == DENIED
    new = Shared(stats=shared.stats, invokes=1)
    assert patch(sharing, new.names[2], new.invoke_document()).error == DENIED
    assert patch(sharing, late.names[3], late.invoke_document(1)).status == 200
    assert commit(sharing, update(late.names[1], late.stats_document())).error == DENIED
    assert patch(sharing, late.names[4], late.invoke_document(2)).error == DENIED
    assert rows(sharing.database, "SELECT collection FROM documents") == []
    assert share(sharing, Shared()).status == 200


def test_totals_and_counts_are_not_touched(sharing: Collector) -> None:
    sharing.post()
    shared = Shared()
    share(sharing, shared)
    receipt(forget(sharing, shared.session, KEY))
    assert sharing.store.total("rxinfer") == 1
    assert rows(sharing.database, "SELECT count(*) FROM import_days") == [(1,)]
    assert rows(sharing.database, "SELECT count(*) FROM documents") == [(0,)]


def test_without_a_key_it_waits_and_nobody_learns_which_sessions_there_are(
    sharing: Collector,
) -> None:
    shared = Shared()
    share(sharing, shared)
    deleted = Shared()
    share(sharing, deleted)
    forget(sharing, deleted.session, KEY)
    for session in (shared.session, shared.session.upper(), str(uuid.uuid4()), deleted.session):
        answer = forget(sharing, session)
        assert answer.status == 200
        assert answer.json == {"request": {"session": session.lower(), "state": "waiting"}}
    assert rows(sharing.database, "SELECT count(*) FROM forget_requests") == [(2,)]
    assert sharing.store.session_tree(shared.session).session is not None
    receipt(forget(sharing, shared.session, KEY))  # the key was found again
    assert rows(sharing.database, "SELECT count(*) FROM forget_requests") == [(1,)]


def test_requests_about_nothing_displace_the_oldest_of_their_kind_alone(sharing: Collector) -> None:
    """Newcomers are never rejected, requests about documents stay, and no answer tells them
    apart."""
    shared = Shared()
    early = Shared()
    late = Shared()
    share(sharing, shared)
    answers = [forget(sharing, one.session) for one in (shared, early)]
    share(sharing, early)  # whose request came before its documents
    many = [
        (str(uuid.uuid4()), time.time_ns() // 1000 + 1000 * number)
        for number in range(deletion_queue.MAX_EMPTY)
    ]
    with closing(sqlite3.connect(sharing.database)) as other, other:
        other.executemany("INSERT INTO forget_requests VALUES (?, ?, 'waiting', 0)", many)
    new = [str(uuid.uuid4()) for _ in range(5)]
    answers += [forget(sharing, one) for one in new]
    share(sharing, late)
    answers.append(forget(sharing, late.session))
    asked = (shared.session, early.session, *new, late.session)
    for answer, session in zip(answers, asked, strict=True):
        assert (answer.status, answer.body.replace(session.encode(), b"ID")) == (
            200,
            b'{"request":{"session":"ID","state":"waiting"}}',
        )
    left = {session for (session,) in rows(sharing.database, "SELECT session FROM forget_requests")}
    assert {shared.session, early.session, late.session} <= left
    assert left - {shared.session, early.session, late.session} == {one for one, _ in many[5:]} | {
        *new
    }
    assert rows(sharing.database, "SELECT count(*) FROM forget_requests WHERE is_found") == [(3,)]


def test_a_request_that_waits_keeps_its_place(sharing: Collector) -> None:
    shared = Shared()
    share(sharing, shared)
    for session in (shared.session, str(uuid.uuid4())):
        forget(sharing, session)
        before = rows(sharing.database, "SELECT * FROM forget_requests")
        forget(sharing, session)
        assert rows(sharing.database, "SELECT * FROM forget_requests") == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://another.example"},
    ],
)
def test_the_page_of_another_site_asks_for_nothing(
    sharing: Collector, headers: dict[str, str]
) -> None:
    shared = Shared()
    share(sharing, shared)
    for key in ("", KEY):
        form = urlencode({"session": shared.session, "key": key}).encode()
        answer = sharing.request("POST", "/forget", form, headers)
        assert (answer.status, b"This form was sent by another page." in answer.body) == (403, True)
    assert rows(sharing.database, "SELECT count(*) FROM forget_requests, receipts") == [(0,)]
    assert sharing.store.session_tree(shared.session).session is not None
    form = urlencode({"session": shared.session}).encode()
    assert sharing.request("POST", "/forget", form, {"Origin": sharing.url}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://another.example"},
    ],
)
def test_a_program_in_the_page_of_another_site_needs_the_key(
    sharing: Collector, headers: dict[str, str]
) -> None:
    shared = Shared()
    share(sharing, shared)
    for key in ({}, {"key": None}, {"key": ""}):
        body = json.dumps({"session": shared.session, **key}).encode()
        sent = {"Content-Type": "text/plain;charset=UTF-8", **headers}
        assert sharing.request("POST", f"{ROOT}:forget", body, sent).error == (
            403,
            "PERMISSION_DENIED",
        )
    assert rows(sharing.database, "SELECT count(*) FROM forget_requests") == [(0,)]
    own = {"Origin": sharing.url, "Sec-Fetch-Site": "same-origin"}
    assert sharing.request("POST", f"{ROOT}:forget", {"session": shared.session}, own).status == 200
    with_key = {"session": shared.session, "key": KEY}
    assert "receipt" in sharing.request("POST", f"{ROOT}:forget", with_key, headers).json


def test_one_client_does_not_fill_the_queue(tmp_path: Path) -> None:
    with run_collector(tmp_path / "a.sqlite3") as collector:
        page = {"Content-Type": "application/x-www-form-urlencoded"}

        def ask(**more: str) -> int:
            return collector.request(
                "POST", f"{ROOT}:forget", {"session": str(uuid.uuid4()), **more}
            ).status

        assert [ask() for _ in range(20)] == [200] * 20
        assert ask() == 429
        assert (
            collector.request("POST", "/forget", f"session={uuid.uuid4()}".encode(), page).status
            == 429
        )
        assert ask(key="wrong") == 403  # whoever has a key asks nobody
        other = collector.request(
            "POST", f"{ROOT}:forget", {"session": str(uuid.uuid4())}, source="127.0.0.2"
        )
        assert other.status == 200
        assert rows(collector.database, "SELECT count(*) FROM forget_requests") == [(21,)]


def test_a_long_queue_is_told_in_part_and_what_is_about_nothing_is_refused_at_once(
    sharing: Collector, tmp_path: Path
) -> None:
    shared = Shared()
    base = ["--database", str(sharing.database)]
    share(sharing, shared)
    with closing(sqlite3.connect(sharing.database)) as other, other:
        many = [(str(uuid.uuid4()), time.time_ns() // 1000) for _ in range(1200)]
        other.executemany("INSERT INTO forget_requests VALUES (?, ?, 'waiting', 0)", many)
    forget(sharing, shared.session)
    listed = run_server(tmp_path, "forget", "list", "--limit", "3", *base).stdout.splitlines()
    assert len(listed) == 4
    assert listed[0].startswith(shared.session)
    assert listed[-1] == "1,198 more are waiting; see --limit."
    login = sharing.request("POST", "/login", f"token={TOKEN}".encode())
    cookie = {"Cookie": login.headers["set-cookie"].partition(";")[0]}
    page = sharing.request("GET", "/maintain", headers=cookie).body.decode()
    assert page.count(">Delete</button>") == 50
    assert "1,151 more wait." in page
    form_key = re.findall('name="form_key" value="([^"]+)"', page)[0]
    form = f"form_key={form_key}&do=refuse+empty".encode()
    answer = sharing.request("POST", "/maintain", form, cookie).body.decode()
    assert "Refused 1,200 requests about no document." in answer
    assert rows(sharing.database, "SELECT session FROM forget_requests") == [(shared.session,)]
    done = run_server(tmp_path, "forget", "refuse", "--empty", *base)
    assert (done.returncode, done.stdout) == (0, "Refused 0 requests about no document.\n")
    for wrong in ([], ["--empty", shared.session]):
        assert run_server(tmp_path, "forget", "refuse", *wrong, *base).returncode == 2


def test_a_maintainer_decides_while_the_collector_runs(sharing: Collector, tmp_path: Path) -> None:
    shared = Shared(invokes=3)
    stays = Shared()
    orphan = Shared()
    share(sharing, shared)
    share(sharing, stays)
    patch(sharing, orphan.names[1], orphan.stats_document())
    base = ["--database", str(sharing.database)]
    assert run_server(tmp_path, "forget", "list", *base).stdout == "No request waits.\n"
    for one in (shared, stays, orphan):
        forget(sharing, one.session)
    refused = run_server(tmp_path, "forget", "refuse", stays.session, *base)
    assert (refused.returncode, refused.stdout) == (0, f"Refused; {stays.session} stays.\n")
    listed = re.sub(
        r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", run_server(tmp_path, "forget", "list", *base).stdout
    )
    assert listed.splitlines() == [
        f"{shared.session}  TIME  waiting  5 documents",
        f"{orphan.session}  TIME  waiting  1 document",
        f"{stays.session}  TIME  refused  4 documents",
    ]
    approved = run_server(tmp_path, "forget", "approve", shared.session, *base)
    assert approved.returncode == 0, approved.stderr
    printed = dict(re.split(" {2,}", line) for line in approved.stdout.splitlines())
    assert found_in(sharing.database, [*shared.ids]) == []
    assert list(printed) == ["session", "deleted at", "documents", "hash"]
    assert printed["documents"] == "5"
    assert receipt(forget(sharing, shared.session, KEY))["hash"] == printed["hash"]
    assert (
        run_server(tmp_path, "forget", "approve", shared.session, *base).stdout == approved.stdout
    )
    told = run_server(tmp_path, "forget", "receipt", printed["hash"], *base).stdout
    assert re.fullmatch(r"Deleted 5 documents on \d{4}-\d\d-\d\d at \d\d:\d\d UTC\.\n", told)
    assert run_server(tmp_path, "forget", "approve", orphan.session, *base).returncode == 0
    assert patch(sharing, orphan.names[1], orphan.stats_document()).error == DENIED
    assert patch(sharing, orphan.names[0], orphan.session_document()).error == DENIED
    assert sharing.store.session_tree(stays.session).session is not None
    forget(sharing, stays.session)  # somebody asks again
    assert "waiting  4 documents" in run_server(tmp_path, "forget", "list", *base).stdout
    audit = run_server(tmp_path, "audit", *base).stdout
    assert len(re.findall("refuse to delete  a session", audit)) == 1
    assert not re.search(rf"{stays.session}|{shared.session}", audit)


def test_what_a_maintainer_mistypes_is_told_in_one_sentence(
    sharing: Collector, tmp_path: Path
) -> None:
    base = ["--database", str(sharing.database)]
    unknown = str(uuid.uuid4())
    for arguments, code, message in (
        (["approve", unknown, *base], 1, f"{unknown} has no deletion request"),
        (["refuse", unknown, *base], 1, f"no request to delete {unknown} waits"),
        (["receipt", "ab", *base], 1, "gave no receipt with that hash"),
        (["approve", "x", *base], 2, "A session ID is a UUID"),
        (["list", "--database", "nowhere.sqlite3"], 1, "there is no database nowhere.sqlite3"),
    ):
        done = run_server(tmp_path, "forget", *arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert message in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "nowhere.sqlite3").exists()
    assert rows(sharing.database, "SELECT count(*) FROM tombstones") == [(0,)]


def test_not_a_byte_is_left(sharing: Collector, tmp_path: Path) -> None:
    """SQLite leaves stray copies of rows that it moved: with so many around them, some of these
    would stay."""
    doomed = [Shared(invokes=498, longest_source=5000) for _ in range(2)]
    for turn in range(100):
        share(sharing, Shared(invokes=50, longest_source=5000))
        if turn in (10, 20):
            share(sharing, doomed[turn // 10 - 1])
    keeps = Shared()
    share(sharing, keeps)
    ids = doomed[0].ids
    assert found_in(sharing.database, ids) == ids
    found = receipt(forget(sharing, doomed[0].session, KEY))
    wait_until_gone(sharing.database, ids)
    assert found_in(sharing.database, keeps.ids) == keeps.ids
    forget(sharing, doomed[1].session)
    receipt(forget(sharing, doomed[1].session, KEY))  # too soon for another pass
    assert len(found_in(sharing.database, doomed[1].ids)) < 25
    sharing.process.terminate()
    assert sharing.process.wait() == 0
    with run_collector(sharing.database, "--contract", str(write_contract(tmp_path))):
        wait_until_gone(sharing.database, doomed[1].ids)
    content = sharing.database.read_bytes()
    assert str(found["hash"]).encode() in content
    for text in (doomed[0].session, doomed[0].stats, KEY):
        for form in (text.encode(), text.encode("utf-16-le"), base64.b64encode(text.encode())[:-4]):
            assert form not in content


def test_what_was_left_undone_is_done_at_the_next_start(sharing: Collector, tmp_path: Path) -> None:
    first = Shared()
    second = Shared(invokes=100)
    for one in (first, second):
        share(sharing, one)
        receipt(forget(sharing, one.session, KEY))
    sharing.process.kill()
    sharing.process.wait()
    with run_collector(sharing.database, "--contract", str(write_contract(tmp_path))):
        wait_until_gone(sharing.database, [*first.ids, *second.ids])
        deadline = time.monotonic() + PATIENCE_S
        while rows(sharing.database, "SELECT * FROM erasures"):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_deleting_and_sharing_go_on_together(sharing: Collector, tmp_path: Path) -> None:
    """Maintainers approve in other processes while sessions arrive; whatever was answered holds."""
    many = [Shared() for _ in range(6)]
    for one in many:
        share(sharing, one)
    others = []
    for one in many:
        approved = run_server(
            tmp_path, "forget", "approve", one.session, "--database", str(sharing.database)
        )
        assert approved.returncode == 0, approved.stderr
        others.append(Shared())
        assert share(sharing, others[-1]).status == 200
    assert all(sharing.store.session_tree(one.session).session is None for one in many)
    assert all(sharing.store.session_tree(one.session).session is not None for one in others)
