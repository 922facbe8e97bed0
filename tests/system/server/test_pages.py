"""The forms over plain HTTP, the command `lookup`, and the contracts that the database keeps."""

import json
import uuid
from pathlib import Path
from urllib.parse import urlencode

from collectors import ROOT, TOKEN, Answer, Collector, count, run_collector, run_server
from golden import Golden
from maintainers import Browser
from plaintally.contract import Contract
from shared import KEY, Shared, changed, forget, mapping, patch, share, string, write_contract

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ISOLATED = {
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
HEADERS = ISOLATED | {
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
}


def send(collector: Collector, path: str, *, source: str = "", **fields: str) -> tuple[Answer, str]:
    answer = collector.request("POST", path, urlencode(fields).encode(), FORM, source=source)
    page = answer.body.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "set-cookie" not in answer.headers
    assert not [
        forbidden
        for forbidden in ("<script", "style=", "http:", "https:", "//")
        if forbidden in page
    ]
    return answer, page


def test_pages_and_what_they_load_are_for_their_own_origin_and_documents_for_all(
    sharing: Collector,
) -> None:
    for path in (
        "/",
        "/packages/rxinfer",
        "/forget",
        "/login",
        "/maintain",
        "/static/style.css",
        "/healthz",
        "/nowhere",
    ):
        answer = sharing.request("GET", path)
        assert {name: answer.headers.get(name) for name in ISOLATED} == ISOLATED, path
    for path in (f"{ROOT}/using_rxinfer", "/openapi.json"):
        answer = sharing.request("GET", path)
        assert answer.headers["access-control-allow-origin"] == "*"
    assert sharing.request("PUT", "/").headers["x-frame-options"] == "DENY"


def test_the_form_deletes_with_the_key(sharing: Collector) -> None:
    shared = Shared()
    share(sharing, shared)
    assert '<a href="/forget">' in sharing.request("GET", "/packages/rxinfer").body.decode()
    assert sharing.request("GET", "/forget").status == 200
    answer, page = send(sharing, "/forget", session=f" {shared.session.upper()} ", key="wrong")
    assert answer.status == 403
    assert "No session here has this ID" in page
    assert f'value="{shared.session.upper()}"' in page
    assert "wrong" not in page
    answer, page = send(sharing, "/forget", session=f" {shared.session.upper()} ", key=f" {KEY}\n")
    assert answer.status == 200
    receipt = forget(sharing, shared.session, KEY).json["receipt"]
    assert isinstance(receipt, dict)
    for value in receipt.values():
        assert f"<code>{value}</code>" in page
    assert KEY not in page
    assert sharing.store.session_tree(shared.session).session is None


def test_the_form_without_a_key_says_the_same_of_every_session(sharing: Collector) -> None:
    shared = Shared()
    share(sharing, shared)
    pages = [
        send(sharing, "/forget", session=one, key="") for one in (shared.session, str(uuid.uuid4()))
    ]
    assert {(answer.status, page) for answer, page in pages} == {(200, pages[0][1])}
    assert "Your request waits" in pages[0][1]
    assert sharing.store.session_tree(shared.session).session is not None


def test_what_is_no_form_is_told_on_the_page(sharing: Collector) -> None:
    for session in ("", "<script>alert(1)</script>", "x" * 90, "%00"):
        answer, page = send(sharing, "/forget", session=session)
        assert answer.status == 400
        assert "A session ID is a UUID such as" in page
    for body, code in (
        (b"\xff", 400),
        (b"session=%ff", 400),
        (b"a&" * 20, 400),
        (b"x" * 10_001, 413),
    ):
        answer = sharing.request("POST", "/forget", body, FORM)
        assert (answer.status, b'role="alert"' in answer.body) == (code, True)
    assert sharing.request("PUT", "/forget").error[0] == 405


def look_up(collector: Collector, session: str) -> tuple[int, str]:
    browser = Browser(collector)
    assert browser.send("/login", {"token": TOKEN}).status == 303
    values = {"do": "look up", "session": session, "form_key": browser.form_key()}
    answer = browser.send("/maintain", values)
    return answer.status, answer.body.decode()


def test_a_maintainer_looks_a_session_up(sharing: Collector, tmp_path: Path) -> None:
    shared = Shared()
    share(sharing, shared)
    status, page = look_up(sharing, shared.session)
    assert status == 200
    assert TOKEN not in page
    base = ["--database", str(sharing.database)]
    shown = run_server(tmp_path, "lookup", shared.session, *base).stdout
    for text in (shared.session, "rxinfer", "Python 3.13", "inference", "canary_model"):
        assert text in page
        assert text in shown
    unknown = str(uuid.uuid4())
    status, page = look_up(sharing, unknown)
    assert (status, f"Nothing of the session {unknown} is here." in page) == (404, True)
    done = run_server(tmp_path, "lookup", unknown, *base)
    assert (done.returncode, unknown in done.stderr) == (1, True)


def test_a_session_that_did_not_arrive_whole_is_shown_as_far_as_it_did(
    sharing: Collector, tmp_path: Path
) -> None:
    shared = Shared()
    for name, document in list(shared.documents.items())[1:]:
        patch(sharing, name, document)
    shown = run_server(
        tmp_path, "lookup", shared.session, "--database", str(sharing.database)
    ).stdout
    assert "Its environment is not known." in shown
    assert "canary_model" in shown


def test_what_others_add_to_a_session_does_not_hide_it(sharing: Collector, tmp_path: Path) -> None:
    """Invokes with another key are taken before their stats arrive and are never shown; then they
    are rejected."""
    shared = Shared()
    added = Shared(key="another", invokes=3)
    added.stats = shared.stats
    stranger = mapping(model_name=string("local_level"))
    others = {
        name: changed(added.invoke_document(index), context=stranger)
        for index, name in enumerate(added.names[2:])
    }
    *early, late = others
    for name in early:
        assert patch(sharing, name, others[name]).status == 200
    assert share(sharing, shared).status == 200
    assert patch(sharing, late, others[late]).status == 403
    _, page = look_up(sharing, shared.session)
    shown = run_server(tmp_path, "lookup", shared.session, "--database", str(sharing.database))
    for text in (page, shown.stdout):
        assert "canary_model" in text
        assert "local_level" not in text
    assert shown.returncode == 0


def test_without_a_token_nobody_logs_in(tmp_path: Path) -> None:
    with run_collector(tmp_path / "test.sqlite3", token=None) as collector:
        for token in ("", "wrong", "tökén", TOKEN):
            answer, page = send(collector, "/login", token=token)
            assert answer.status == 403
            assert "This token opens nothing here." in page


def test_a_contract_that_was_added_is_taken_up_at_the_next_start(
    tmp_path: Path, golden: Golden
) -> None:
    database = tmp_path / "test.sqlite3"
    base = ["--database", str(database)]
    added = run_server(tmp_path, "contract", "add", str(write_contract(tmp_path)), *base)
    assert added.returncode == 0
    golden.check("contract-add.txt", added.stdout, {str(database): "DATABASE"})
    assert database.stat().st_mode & 0o777 == 0o600
    coarse = Contract(counter=["python_version"])
    with run_collector(database, "--package", "unrelated", packages=()) as collector:
        assert share(collector, Shared()).status == 200
        added = run_server(
            tmp_path, "contract", "add", str(write_contract(tmp_path, "mine", coarse)), *base
        )
        assert added.returncode == 0
        assert collector.post(collection="using_mine").error[0] == 403
        listed = run_server(tmp_path, "contract", "list", *base).stdout.splitlines()
        assert [line.split()[0] for line in listed] == ["mine", "rxinfer"]
        assert [
            line.endswith(end)
            for line, end in zip(listed, ("no labels", "inference, plot"), strict=True)
        ] == [True] * 2
    with run_collector(database, packages=()) as collector:
        assert (
            collector.request(
                "POST", f"{ROOT}/using_mine", count(python_version=string("3.12"))
            ).status
            == 200
        )
        assert share(collector, Shared()).status == 200
    with run_collector(database, "--package", "mine") as collector:
        # A bare name takes nothing back.
        assert (
            collector.request(
                "POST", f"{ROOT}/using_mine", count(python_version=string("3.12"))
            ).status
            == 200
        )
        assert share(collector, Shared()).status == 200


def test_a_contract_that_cannot_be_used_is_not_added(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    for content in (
        "{",
        '{"package": "A"}',
        '{"package": "a", "labels": {"x": 1}}',
        '{"package": "a", "user": 1}',
        "[]",
    ):
        wrong.write_text(content)
        done = run_server(tmp_path, "contract", "add", str(wrong), "--database", "new.sqlite3")
        assert (done.returncode, done.stdout) == (1, "")
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "new.sqlite3").exists()
    (tmp_path / "plaintally-server.toml").write_text(
        f"database = {json.dumps(str(tmp_path / 'new.sqlite3'))}\nport = 1\n"
    )
    done = run_server(tmp_path, "contract", "add", str(write_contract(tmp_path)))
    assert done.returncode == 0
    assert "rxinfer" in run_server(tmp_path, "contract", "list").stdout


def test_reading_what_was_shared_needs_the_token(sharing: Collector) -> None:
    shared = Shared()
    share(sharing, shared)
    for name in shared.names:
        assert sharing.request("GET", f"{ROOT}/{name}").error == (403, "PERMISSION_DENIED")
