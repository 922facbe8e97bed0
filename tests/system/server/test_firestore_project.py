"""A Firestore project as the only backend: its rules, and the way of counts and sessions through it
to a maintainer."""

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings

from collectors import Collector, count, numbers, run_collector, run_server
from emulators import RULES, Emulator, needs_google
from hosts import MARKER, PACKAGE, MakeHost, wait_until_gone
from logged import CONTRACT, INVOKES, Logged, log, make
from plaintally import Telemetry, _count, sharing
from plaintally._transport import batches
from plaintally.cli import send_test
from plaintally.contract import COARSE, Contract
from plaintally.exceptions import SharingError
from plaintally_server.admin.sessions import look_up
from plaintally_server.ingest import admission
from plaintally_server.ingest.shared_fields import ENVIRONMENT, SHARED
from plaintally_server.model import Scope
from plaintally_server.store.maintenance import Maintenance
from programs import program
from shared import (
    Document,
    Shared,
    array,
    changed,
    double,
    integer,
    mapping,
    moment,
    string,
    update,
    write_contract,
)

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("as_a_person")]

TYPES = {
    "stringValue": "string",
    "integerValue": "int",
    "doubleValue": "float",
    "timestampValue": "timestamp",
    "mapValue": "map",
    "arrayValue": "list",
}
CHECKS = {  # what the functions of the rules say of their argument
    "isId": "string",
    "isName": "string",
    "isVersion": "string",
    "isPythonVersion": "string",
    "isWord": "string",
    "isCount": "int",
    "isSmall": "int",
    "isDuration": "float",
    "isEnvironment": "map",
}
LASTING = {
    "sessions": ("package", "deletion_key_hash"),
    "session_stats": ("package", "deletion_key_hash", "session", "label"),
    "invokes": ("package", "deletion_key_hash", "session_stats", "label"),
}


def lists(text: str) -> list[tuple[str, ...]]:
    """The lists of names in a part of the rules."""
    return [
        tuple(re.findall(r"'(\w+)'", found)) for found in re.findall(r"\[((?:\s*'\w+',?)+)\]", text)
    ]


def types(text: str, subject: str) -> dict[str, str]:
    """By field, the type that a part of the rules asks for."""
    found = dict(re.findall(rf"{subject}\.(\w+) is (\w+)", text))
    found |= {
        name: CHECKS[check] for check, name in re.findall(rf"\b(is\w+)\({subject}\.(\w+)\)", text)
    }
    return found


def test_the_rules_have_the_fields_and_types_of_what_is_sent() -> None:
    """The rules are held against documents that the SDK makes, and against what `ingest` admits."""
    rules = RULES.read_text()
    shared = Shared(invokes=1)
    sent = {}
    for name, document in shared.documents.items():
        sent[name.partition("/")[0]] = {
            key: TYPES[next(iter(value))] for key, value in document["fields"].items()
        }
    for collection, fields in SHARED.items():
        [part] = re.findall(rf"match /{collection}/.*?\n    }}\n", rules, re.DOTALL)
        assert tuple(fields) in lists(part)
        assert set(sent[collection]) == set(fields)
        own = dict.fromkeys(("id", "package", "deletion_key_hash", "status"), "string")
        assert types(part, r"given\(\)") | own == {"status": "string", **sent[collection]}
        assert "isOwn(document)" in part
        assert LASTING[collection] == admission._LASTING[collection]
        [update_rule] = re.findall(r"allow update: if (.*);", part)
        if collection == "sessions":  # whose ID is public, and a mask cannot be seen in a rule
            assert update_rule == "isSession() && given() == resource.data"
        else:
            assert f"stays({list(LASTING[collection])!r})" in update_rule
    assert tuple(ENVIRONMENT) in lists(rules)
    assert types(rules, "value") == {
        name: "int" if isinstance(limit, range) else "string" for name, limit in ENVIRONMENT.items()
    }
    assert ("id", "timestamp", *COARSE) in lists(rules)
    assert not re.search(r"allow (?!create|update)", rules)


def test_every_kind_of_document_is_made_as_the_rules_have_it() -> None:
    """The documents of this test are those of the SDK."""
    telemetry = make(
        "https://firestore.googleapis.com/v1/projects/P/databases/(default)/documents/"
    )
    log(telemetry, [("fit", {}, None)])
    for document in telemetry.preview().documents:
        assert set(document.fields) == set(SHARED[document.collection])


def put(google: Emulator, documents: Mapping[str, Document]) -> None:
    for name, document in documents.items():
        assert google.request("PATCH", f"/{name}", document).status == 200


def is_refused(google: Emulator, name: str, document: Document, *, method: str = "PATCH") -> bool:
    answer = google.request(method, f"/{name}", document)
    assert answer.status in (200, 403), answer.body
    return answer.status == 403


@needs_google
def test_the_rules_let_a_document_be_made_and_made_again_and_nothing_else(google: Emulator) -> None:
    shared = Shared()
    identifier = str(uuid.uuid4())
    target = f"/using_rxinfer?documentId={identifier}"
    assert google.request("POST", target, count(identifier)).status == 200
    assert google.request("POST", target, count(identifier)).status == 409
    put(google, shared.documents)
    put(google, shared.documents)
    writes = {"writes": [update(name, document) for name, document in shared.documents.items()]}
    body = json.loads(json.dumps(writes).replace("projects/p/", f"projects/{google.project}/"))
    assert google.request("POST", ":commit", body).status == 200
    names = [*shared.names, f"using_rxinfer/{identifier}"]
    for name in names:
        collection = name.partition("/")[0]
        assert google.request("GET", f"/{name}", owner=True).status == 200
        assert google.request("GET", f"/{name}").status == 403
        assert google.request("GET", f"/{collection}").status == 403
        assert google.request("DELETE", f"/{name}").status == 403
        query = {"structuredQuery": {"from": [{"collectionId": collection}], "limit": 1}}
        assert google.request("POST", ":runQuery", query).status == 403
        assert (
            google.request("POST", ":batchGet", {"documents": [f"{google.root[4:]}/{name}"]}).status
            == 403
        )
        assert is_refused(google, f"{name}/sessions/{shared.session}", shared.session_document())
    for collection in (
        "using_other",
        "using_",
        "using_rxinfer_",
        "xusing_rxinfer",
        "rxinfer",
        "else",
    ):
        assert is_refused(google, f"{collection}/{identifier}", count(identifier))  # type: ignore[arg-type]


WRONG: list[Callable[[str], dict[str, object]]] = [
    lambda _: {"nullValue": None},
    lambda _: {"booleanValue": True},
    lambda kind: string("x") if kind != "stringValue" else integer(1),
    lambda kind: double(1.5) if kind != "doubleValue" else integer(1),
    lambda _: double("NaN"),  # type: ignore[arg-type]
    lambda _: double("Infinity"),  # type: ignore[arg-type]
    lambda kind: array() if kind != "arrayValue" else array(integer(1)),
    lambda kind: mapping() if kind != "mapValue" else moment(),
]


def wrong_documents(document: Document) -> Iterator[Document]:
    """The document with each of its fields missing, and with each of another kind; and with one
    more."""
    yield changed(document, more=string("x"))
    for name, value in document["fields"].items():
        yield changed(document, **{name: None})
        for wrong in WRONG:
            yield changed(document, **{name: wrong(next(iter(value)))})


@needs_google
def test_the_rules_refuse_every_other_shape(google: Emulator) -> None:
    shared = Shared(invokes=1)
    identifier = str(uuid.uuid4())
    name = f"using_rxinfer/{identifier}"
    plain: Document = count(identifier)  # type: ignore[assignment]
    everything = {name: plain, **shared.documents}
    for target, document in everything.items():
        for wrong in wrong_documents(document):
            assert is_refused(google, target, wrong), wrong
        assert is_refused(google, target[:-1], document)
    environment = shared.session_document()["fields"]["environment"]["mapValue"]["fields"]  # type: ignore[index]
    for key, value in (
        ("os", string("x" * 33)),
        ("os", string("ü")),
        ("machine", string("visit example.com")),
        ("python_version", string("3.13.1")),
        ("package_version", string("visit example.com")),
        ("package_version", string("1.38.1.dev3")),
        ("package_version", string("1.38.1+g8f2c1ab")),
        ("cpu_threads", integer(65_537)),
        ("b", integer(1)),
    ):
        wrong = changed(
            shared.session_document(), environment=mapping(**{**environment, key: value})
        )
        assert is_refused(google, shared.names[0], wrong)
    for index, fields in (
        (0, {"package": string("another")}),
        (0, {"deletion_key_hash": string("0" * 63)}),
        (1, {"label": string("x" * 65)}),
        (1, {"label": string("_x")}),
        (1, {"total_invokes": integer(7)}),
        (1, {"failed_count": integer(-1)}),
        (1, {"success_rate": double(1.01)}),
        (1, {"min_duration_ms": double(-0.1)}),
        (1, {"context_keys": array(*[string("a")] * 129)}),
        (1, {"context_keys": array(string("x" * 100))}),
        (1, {"session": string(shared.session.upper())}),
        (2, {"status": string("unknown")}),
        (2, {"context": mapping(**{f"k{number}": integer(1) for number in range(129)})}),
    ):
        assert is_refused(
            google, shared.names[index], changed(list(shared.documents.values())[index], **fields)
        )
    for key in ("package_version", "python_version"):
        assert is_refused(google, name, count(identifier, **{key: string("x" * 65)}))  # type: ignore[arg-type]
        assert not is_refused(google, name, count(identifier, **{key: string("3.11")}))  # type: ignore[arg-type]
        assert google.request("DELETE", f"/{name}", owner=True).status == 200


@needs_google
@pytest.mark.parametrize(
    "version",
    [
        "1.2.3",
        "1.38.1.dev3+g8f2c1ab.d20261130",
        "1.0RC1",
        "1.0.post3",
        "1.0.post3.dev0+g8f2c1ab",
        "1!2.0-beta.2",
    ],
)
def test_the_rules_let_a_version_through_as_the_sdk_sends_it_and_in_no_other_form(
    google: Emulator, version: str
) -> None:
    telemetry = Telemetry(
        "rxinfer", version=version, contract=Contract(counter=["package_version"])
    )
    target, body = _count.document(telemetry, os.urandom(16), time.time_ns())
    name = target.replace("?documentId=", "/")
    sent: Document = json.loads(body)
    if sent["fields"]["package_version"] != string(version):
        assert is_refused(google, name, changed(sent, package_version=string(version)))
    assert not is_refused(google, name, sent)


@needs_google
def test_the_rules_keep_what_never_changes(google: Emulator) -> None:
    shared = Shared(invokes=1)
    other = str(uuid.uuid4())
    identifier = str(uuid.uuid4())
    plain: Document = count(identifier)  # type: ignore[assignment]
    put(google, {**shared.documents, f"using_rxinfer/{identifier}": plain})
    assert is_refused(
        google,
        f"using_rxinfer/{identifier}",
        changed(plain, timestamp=moment("2026-11-24T00:00:00Z")),
    )
    values = {
        "package": string("hostpkg"),
        "label": string("plot"),
        "deletion_key_hash": string("0" * 64),
    }
    for name, document in shared.documents.items():
        for field in LASTING[name.partition("/")[0]]:
            assert is_refused(
                google, name, changed(document, **{field: values.get(field, string(other))})
            )
    stats = changed(shared.stats_document(), total_invokes=integer(2), success_count=integer(2))
    assert not is_refused(google, shared.names[1], stats)
    later = changed(shared.session_document(), created_at=moment("2026-11-24T00:00:00Z"))
    for mask in (
        "",
        "?updateMask.fieldPaths=created_at",
    ):
        # As who knows the ID only would write it.
        assert is_refused(google, shared.names[0] + mask, later)


@needs_google
def test_whatever_was_logged_comes_through_the_rules_and_is_pulled(
    google: Emulator, tmp_path: Path
) -> None:
    sessions: dict[str, int] = {}

    @settings(max_examples=100)
    @given(INVOKES)
    def share(invokes: list[Logged]) -> None:
        telemetry = make(google.endpoint)
        session = log(telemetry, invokes)
        result = telemetry.share(show_progress=False)
        assert result.complete, result
        sessions[session.id] = sum(result.shared.values())

    share()
    contract = str(write_contract(tmp_path, "pkg", CONTRACT))
    done = run_server(tmp_path, "pull", "--contract", contract, "--delete", env=google.env)
    number = sum(sessions.values())
    assert numbers(done.stdout) == [number, number, number]  # seen, new and deleted
    store = Maintenance(tmp_path / "plaintally.sqlite3")
    for session_id, documents in sessions.items():
        tree = store.session_tree(session_id)
        assert 1 + sum(1 + len(branch.invokes) for branch in tree.stats) == documents
        found = look_up(
            store, session_id, contracts={"pkg": CONTRACT}, scope=Scope("", None), n_last=5
        )
        assert session_id in str(found.summary)


@needs_google
def test_a_large_session_comes_through_in_batches_and_one_by_one(
    google: Emulator, tmp_path: Path
) -> None:
    telemetry = make(google.endpoint)
    log(
        telemetry,
        [("fit", {"whole": index, "data": {"a": [1.0] * index}}, None) for index in range(1000)],
    )
    result = telemetry.share(show_progress=False)
    assert result.complete, result
    endpoint = telemetry.endpoint
    assert endpoint is not None
    for document in telemetry.preview().documents[:20]:
        single = batches._single(document, endpoint)
        assert batches.exchange(single, endpoint, sharing._client()).status == 200
    with pytest.raises(SharingError, match="ask the maintainers to delete session"):
        telemetry.forget(result.session_id or "", result.deletion_key)
    contract = str(write_contract(tmp_path, "pkg", CONTRACT))
    done = run_server(tmp_path, "pull", "--contract", contract, env=google.env)
    assert numbers(done.stdout) == [1002, 1002]


HOST = program("firestore_host")


@pytest.fixture(params=[pytest.param("google", marks=needs_google), "collector"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Emulator | Collector]:
    """A Firestore project, or a collector in its place."""
    if request.param == "google":
        yield request.getfixturevalue("google")
        return
    contract = f"--contract={write_contract(tmp_path, PACKAGE)}"
    with run_collector(tmp_path / "plaintally.sqlite3", contract) as running:
        yield running


@pytest.mark.linux
def test_a_host_counts_and_shares_by_itself(
    backend: Emulator | Collector, host: MakeHost, tmp_path: Path
) -> None:
    """From a host's process to the maintainer's look-up: by a project and `pull`, or by a
    collector."""
    root = "/v1/projects/p/databases/(default)/documents"
    endpoint = backend.endpoint if isinstance(backend, Emulator) else f"{backend.url}{root}"
    made = host()
    done = made.run(HOST.replace("ENDPOINT", repr(endpoint)), env={MARKER: str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, b"")
    wait_until_gone(str(tmp_path))
    contract = str(write_contract(tmp_path, PACKAGE))
    if isinstance(backend, Emulator):
        pulled = run_server(tmp_path, "pull", "--contract", contract, env=backend.env)
        assert numbers(pulled.stdout) == [23, 23], pulled.stderr
    shown = run_server(tmp_path, "lookup", done.stdout.decode().strip(), "--contract", contract)
    assert "20" in shown.stdout, shown.stderr
    assert Maintenance(tmp_path / "plaintally.sqlite3").total(PACKAGE) == 1


@needs_google
def test_a_project_is_recognised_by_whoever_tests_the_way_to_it(google: Emulator) -> None:
    assert send_test.find_obstacle("rxinfer", google.endpoint.removesuffix("/")) == ""
