"""A document of another package is answered exactly as one that is not there, whatever is asked of
it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

import made
from collectors import ROOT, TIME, TOKEN, Answer, Collector, run_collector, run_server
from maintainers import Browser, ask, make_token
from shared import (
    PREFIX,
    Document,
    Shared,
    array,
    changed,
    forget,
    mapping,
    moment,
    patch,
    share,
    string,
    write_contract,
)

PACKAGES = ("rxinfer", "another")
OLD = "2020-01-01T00:00:00Z"


class Asked(NamedTuple):
    """A request about one document."""

    method: str
    path: str
    body: object = None


def all_asked(name: str, document: Document) -> Iterator[Asked]:
    """Every request about a document that a token is needed for."""
    collection, _, identifier = name.partition("/")
    path = f"{ROOT}/{name}"
    full = f"{PREFIX}/{name}"
    preconditions: list[tuple[str, dict[str, object]]] = [
        ("", {}),
        ("currentDocument.exists=true", {"currentDocument": {"exists": True}}),
        ("currentDocument.exists=false", {"currentDocument": {"exists": False}}),
        (f"currentDocument.updateTime={OLD}", {"currentDocument": {"updateTime": OLD}}),
    ]
    yield Asked("GET", path)
    yield Asked("HEAD", path)
    yield Asked("GET", f"{path}?mask.fieldPaths=id")
    for query, current in preconditions:
        yield Asked("DELETE", f"{path}?{query}")
        for field in ("id", "package", "label", "environment", "context", "unknown.part"):
            yield Asked("PATCH", f"{path}?updateMask.fieldPaths={field}&{query}", document)
        yield Asked("PATCH", f"{path}?{query}", {"fields": {"id": string(identifier)}})
        deletion = {"delete": full, **current}
        masked = {
            "update": {"name": full, **document},
            "updateMask": {"fieldPaths": ["id"]},
            **current,
        }
        partial = {"update": {"name": full, "fields": {}}, **current}
        writes = [deletion, masked, partial]
        if current:
            writes.append({"verify": full, **current})
        for kind in ("commit", "batchWrite"):
            for write in writes:
                yield Asked("POST", f"{ROOT}:{kind}", {"writes": [write]})
        yield Asked(
            "POST",
            f"{ROOT}:commit",
            {"writes": [deletion, {"verify": full, "currentDocument": {"exists": False}}]},
        )
    for query in ("exists=true", f"updateTime={OLD}"):
        yield Asked("PATCH", f"{path}?currentDocument.{query}", document)
    yield Asked("POST", f"{ROOT}:batchGet", {"documents": [full]})
    reference = {"referenceValue": full}
    conditions = [
        ("id", "EQUAL", string(identifier)),
        ("__name__", "EQUAL", reference),
        ("package", "GREATER_THAN_OR_EQUAL", string("")),
    ]
    for field, op, value in conditions:
        where = {"fieldFilter": {"field": {"fieldPath": field}, "op": op, "value": value}}
        query_body = {"from": [{"collectionId": collection}], "where": where}
        yield Asked("POST", f"{ROOT}:runQuery", {"structuredQuery": query_body})
        yield Asked(
            "POST", f"{ROOT}:runQuery", {"structuredQuery": {**query_body, "offset": 1, "limit": 1}}
        )
    for query in ("", "?pageSize=1", "?orderBy=id%20desc", "?orderBy=__name__"):
        yield Asked("GET", f"{ROOT}/{collection}{query}")


def plain(answer: Answer, *identifiers: str) -> tuple[int, bytes, dict[str, str]]:
    """An answer without the id that was asked about, and without times."""
    body = answer.body
    for identifier in identifiers:
        body = body.replace(identifier.encode(), b"ID")
    body = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z", b"TIME", body)
    body = re.sub(rb'(name="form_key" value=")[0-9a-f]{64}', rb"\1KEY", body)
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("date", "content-length")
    }
    return answer.status, body, headers


@pytest.fixture
def tokens(tmp_path: Path) -> Mapping[str, str]:
    """A token for each of two packages."""
    made.commit(tmp_path / "a.sqlite3", [])
    return {name: make_token(tmp_path, name, f"--package={name}") for name in PACKAGES}


@pytest.fixture
def collector(tmp_path: Path, tokens: Mapping[str, str]) -> Iterator[Collector]:  # noqa: ARG001  # made before it
    """A collector of both."""
    contracts = [f"--contract={write_contract(tmp_path, name)}" for name in PACKAGES]
    with run_collector(
        tmp_path / "a.sqlite3", *contracts, "--rate-limit=0", packages=()
    ) as running:
        yield running


def open_browser(collector: Collector, token: str) -> Browser:
    browser = Browser(collector)
    assert browser.send("/login", {"token": token}).status == 303
    return browser


def test_a_hidden_document_is_answered_as_a_missing_one(
    collector: Collector, tokens: Mapping[str, str]
) -> None:
    hidden = Shared()
    missing = Shared()
    share(collector, hidden)
    forget(collector, hidden.session)
    collector.post(counted := str(uuid4()))
    token = tokens["another"]
    before = {name: ask(collector, TOKEN, "GET", f"{ROOT}/{name}").body for name in hidden.names}
    pairs = [*zip(hidden.documents.items(), missing.documents.items(), strict=True)]
    count: Document = {"fields": {"id": string(counted), "timestamp": moment(TIME)}}
    pairs.append(
        ((f"using_rxinfer/{counted}", count), (f"using_rxinfer/{(other := str(uuid4()))}", count))
    )
    ids = (*hidden.ids, *missing.ids, counted, other)
    number = 0
    for (name, document), (absent, elsewhere) in pairs:
        for asked, control in zip(
            all_asked(name, document), all_asked(absent, elsewhere), strict=True
        ):
            answers = [plain(ask(collector, token, *one), *ids) for one in (asked, control)]
            assert answers[0] == answers[1], asked
            number += 1
    assert number > 300
    assert {
        name: ask(collector, TOKEN, "GET", f"{ROOT}/{name}").body for name in hidden.names
    } == before


def test_only_a_whole_document_learns_that_its_name_is_taken(
    collector: Collector, tokens: Mapping[str, str]
) -> None:
    """As without a token: to make it, all of a document has to be sent under the very UUID."""
    hidden = Shared()
    share(collector, hidden)
    token = tokens["another"]
    mine = {
        name: changed(document, package=string("another"))
        for name, document in hidden.documents.items()
    }
    for name, document in mine.items():
        path = f"{ROOT}/{name}"
        assert ask(collector, token, "PATCH", path, document).status == 403
        assert (
            ask(collector, token, "PATCH", f"{path}?currentDocument.exists=false", document).status
            == 409
        )
        masks = "&".join(f"updateMask.fieldPaths={field}" for field in document["fields"])
        assert ask(collector, token, "PATCH", f"{path}?{masks}", document).status == 409
    kept = [ask(collector, TOKEN, "GET", f"{ROOT}/{name}").json["fields"] for name in hidden.names]
    assert all(fields["package"] == string("rxinfer") for fields in kept)  # type: ignore[index]


def test_pages_are_those_of_a_session_that_is_not_there(
    collector: Collector, tokens: Mapping[str, str]
) -> None:
    token = tokens["another"]
    hidden = Shared()
    orphan = Shared()
    missing = Shared()
    share(collector, hidden)
    for name, document in [*orphan.documents.items()][1:]:
        assert patch(collector, name, document).status == 200
    for one in (hidden, orphan, missing):
        assert forget(collector, one.session).status == 200
    browser = open_browser(collector, token)
    for do in ("look up", "approve", "refuse"):
        answers = [
            plain(
                browser.send(
                    "/maintain", {"do": do, "session": one.session, "form_key": browser.form_key()}
                ),
                one.session,
            )
            for one in (hidden, orphan, missing)
        ]
        assert answers[0] == answers[1] == answers[2], do
        assert answers[0][0] == 404
    assert not any(
        one.session in browser.get("/maintain").body.decode() for one in (hidden, orphan, missing)
    )


def test_an_orphan_shows_each_document_to_its_own_package_only(
    collector: Collector, tokens: Mapping[str, str]
) -> None:
    """Of a session whose own document never came, two packages have stats, and invokes below each
    other's."""
    mine = Shared(invokes=1)
    theirs = Shared(package="another", session=mine.session, invokes=1)
    stray = changed(
        Shared(package="another", stats=mine.stats, invokes=1).invoke_document(),
        execution_start=moment(TIME),
    )
    stray_id = str(stray["fields"]["id"]["stringValue"])
    # Before the stats that it names.
    assert patch(collector, f"invokes/{stray_id}", stray).status == 200
    for one, label in ((mine, "inference"), (theirs, "plot")):
        for name, document in [*one.documents.items()][1:]:
            sent = changed(document, label=string(label))
            if label == "plot" and "context" in sent["fields"]:
                sent = changed(sent, context=mapping())
            elif label == "plot":
                sent = changed(sent, context_keys=array())
            assert patch(collector, name, sent).status == 200, name
    assert forget(collector, mine.session).status == 200
    pages = {}
    for package, token in tokens.items():
        browser = open_browser(collector, token)
        values = {"do": "look up", "session": mine.session, "form_key": browser.form_key()}
        answer = browser.send("/maintain", values)
        assert answer.status == 200
        pages[package] = answer.body.decode()
        # Which would delete the others' documents.
        refused = browser.send("/maintain", {**values, "do": "approve"})
        assert refused.status == 404
        assert mine.session not in browser.get("/maintain").body.decode()
    assert ("inference" in pages["rxinfer"], "plot" in pages["rxinfer"]) == (True, False)
    assert ("inference" in pages["another"], "plot" in pages["another"]) == (False, True)
    assert "canary_model" in pages["rxinfer"]
    assert pages["rxinfer"].count("canary_model") == 1
    assert "canary_model" not in pages["another"]
    shown = run_server(
        collector.database.parent, "lookup", mine.session, "--database", str(collector.database)
    ).stdout
    assert "2 documents are left out" in shown
    assert open_browser(collector, TOKEN).get("/maintain").body.decode().count(mine.session) > 0


def test_documents_of_others_do_not_hide_a_session(
    collector: Collector, tokens: Mapping[str, str]
) -> None:
    """Its own document says whose it is: its maintainer sees the request, and deletes all of it."""
    mine = Shared(invokes=1)
    theirs = Shared(package="another", session=mine.session, invokes=0)
    # Before the session itself.
    assert patch(collector, theirs.names[1], theirs.stats_document()).status == 200
    share(collector, mine)
    assert forget(collector, mine.session).status == 200
    token = tokens["rxinfer"]
    browser = open_browser(collector, token)
    assert mine.session in browser.get("/maintain").body.decode()
    values = {"do": "approve", "session": mine.session, "form_key": browser.form_key()}
    assert browser.send("/maintain", values).status == 200
    assert collector.store.session_tree(mine.session) == (None, [])
