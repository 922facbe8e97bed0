"""What is below a session belongs to whoever has its key, is bounded, and is looked up within
bounds."""

import json
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from collectors import ROOT, TOKEN, Answer, Collector, run_collector, run_server
from plaintally import Telemetry
from plaintally.contract import Contract
from plaintally.session import Session
from plaintally_server.firestore.documents import Stored
from plaintally_server.ingest.shared_fields import MAX_RUNS, MAX_STATS
from plaintally_server.model import MAX_TREE_BYTES, MAX_TREE_RUNS
from shared import (
    CONTRACT,
    Document,
    Shared,
    array,
    changed,
    commit,
    double,
    hash_key,
    integer,
    mapping,
    moment,
    patch,
    share,
    string,
    update,
    write_contract,
)

pytestmark = pytest.mark.usefixtures("as_a_person")
FORBIDDEN = (403, "PERMISSION_DENIED")
FULL = (400, "FAILED_PRECONDITION")
STRANGER = string(hash_key("a stranger's key"))


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("keys")
    contracts = [
        f"--contract={write_contract(folder, package)}" for package in ("rxinfer", "another")
    ]
    with run_collector(folder / "a.sqlite3", *contracts, "--rate-limit=0", packages=()) as running:
        yield running


def every_write(collector: Collector, name: str, document: Document) -> Iterator[Answer]:
    """The answers to a document that is written in each way; a batchWrite's is that of its only
    write."""
    collection, identifier = name.split("/")
    yield patch(collector, name, document)
    yield commit(collector, update(name, document))
    created = collector.request("POST", f"{ROOT}/{collection}?documentId={identifier}", document)
    if created.status != 409:
        yield created
    batch = collector.request("POST", f"{ROOT}:batchWrite", {"writes": [update(name, document)]})
    [status] = json.loads(batch.body)["status"]
    code = {3: 400, 7: 403, 9: 400}[status["code"]]
    names = {3: "INVALID_ARGUMENT", 7: "PERMISSION_DENIED", 9: "FAILED_PRECONDITION"}
    error = {"code": code, "message": status["message"], "status": names[status["code"]]}
    yield Answer(code, json.dumps({"error": error}).encode(), batch.headers)


def new_stats(shared: Shared, **fields: dict[str, object] | None) -> tuple[str, Document]:
    identifier = str(uuid.uuid4())
    return f"session_stats/{identifier}", changed(
        shared.stats_document(), id=string(identifier), **fields
    )


def new_invoke(shared: Shared, **fields: dict[str, object] | None) -> tuple[str, Document]:
    identifier = str(uuid.uuid4())
    return f"invokes/{identifier}", changed(
        shared.invoke_document(), id=string(identifier), **fields
    )


def ids_of(stored: Sequence[Stored]) -> list[str]:
    return [one.fields["id"] for one in stored]


def test_a_stranger_with_the_id_changes_and_adds_nothing_below_a_session(
    collector: Collector,
) -> None:
    shared = Shared()
    share(collector, shared)
    before = collector.store.session_tree(shared.session)
    plot = {"label": string("plot"), "context_keys": array()}
    attempts = [
        (
            f"session_stats/{shared.stats}",
            changed(shared.stats_document(), deletion_key_hash=STRANGER),
        ),
        (shared.names[2], changed(shared.invoke_document(), deletion_key_hash=STRANGER)),
        new_stats(shared, deletion_key_hash=STRANGER),
        new_stats(shared, deletion_key_hash=STRANGER, **plot),
        new_stats(shared, package=string("another"), **plot),
        new_invoke(shared, deletion_key_hash=STRANGER),
        new_invoke(shared, package=string("another")),
        new_invoke(shared, label=string("plot"), context=mapping()),
    ]
    for name, document in attempts:
        for answer in every_write(collector, name, document):
            assert answer.error == FORBIDDEN, (name, answer.body)
    for name, document in (
        new_stats(shared, deletion_key_hash=None, **plot),
        new_invoke(shared, deletion_key_hash=None),
    ):
        for answer in every_write(collector, name, document):
            assert answer.error == (400, "INVALID_ARGUMENT")
    assert collector.store.session_tree(shared.session) == before


def test_a_commit_holds_its_documents_against_each_other(collector: Collector) -> None:
    shared = Shared()
    session, stats, invoke = (update(name, one) for name, one in list(shared.documents.items())[:3])
    other_stats = update(
        f"session_stats/{shared.stats}",
        changed(shared.stats_document(), deletion_key_hash=STRANGER),
    )
    other_invoke = update(
        shared.names[2], changed(shared.invoke_document(), deletion_key_hash=STRANGER)
    )
    assert commit(collector, session, other_stats).error == FORBIDDEN
    assert commit(collector, session, stats, other_invoke).error == FORBIDDEN
    assert collector.store.session_tree(shared.session) == (None, [])
    assert commit(collector, invoke, stats, session).status == 200


def test_what_came_before_its_session_is_shown_if_it_has_its_key(collector: Collector) -> None:
    shared = Shared()
    strange = [
        new_stats(shared, deletion_key_hash=STRANGER),
        new_invoke(shared, deletion_key_hash=STRANGER),
    ]
    for name, document in (*strange, *list(shared.documents.items())[::-1]):
        assert commit(collector, update(name, document)).status == 200
    tree = collector.store.session_tree(shared.session)
    assert tree.session is not None
    [branch] = tree.stats
    assert branch.stats.fields["id"] == shared.stats
    assert sorted(ids_of(branch.invokes)) == sorted(shared.invoke_ids)


def test_a_session_has_one_document_of_statistics_for_a_label(collector: Collector) -> None:
    shared = Shared()
    share(collector, shared)
    for answer in every_write(collector, *new_stats(shared)):
        assert answer.error == FULL
    later = changed(shared.stats_document(), total_invokes=integer(3), success_count=integer(3))
    assert patch(collector, f"session_stats/{shared.stats}", later).status == 200
    name, document = new_stats(shared, label=string("plot"), context_keys=array())
    second, same = new_stats(shared, label=string("plot"), context_keys=array())
    assert commit(collector, update(name, document), update(second, same)).error == FULL
    assert commit(collector, update(name, document)).status == 200
    assert len(collector.store.session_tree(shared.session).stats) == 2


def fill(
    collector: Collector, shared: Shared, number: int, content: Callable[[str], Document]
) -> None:
    """Put runs into the database, as if so many had been shared; the later, the newer."""
    rows = []
    for index in range(number):
        identifier = str(uuid.uuid4())
        text = json.dumps(content(identifier), separators=(",", ":")).encode()
        rows.append(("invokes", identifier, text, index, index, "rxinfer", shared.stats))
    columns = "collection, id, fields, create_time, update_time, package, parent"
    with closing(sqlite3.connect(collector.database, timeout=30)) as database, database:
        database.executemany(
            f"INSERT INTO documents ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            rows,
        )


def test_a_label_has_a_bounded_number_of_runs(collector: Collector) -> None:
    shared = Shared(invokes=1)
    share(collector, shared)
    fill(
        collector,
        shared,
        MAX_RUNS - 2,
        lambda one: changed(shared.invoke_document(), id=string(one)),
    )
    first = new_invoke(shared)
    second = new_invoke(shared)
    assert commit(collector, update(*first), update(*second)).error == FULL
    assert commit(collector, update(*first)).status == 200
    for answer in every_write(collector, *second):
        assert answer.error == FULL
    # Which was there.
    assert patch(collector, shared.names[2], shared.invoke_document()).status == 200
    other = Shared()
    assert share(collector, other).status == 200
    tree = collector.store.session_tree(shared.session)
    assert (len(tree.stats[0].invokes), tree.stats[0].runs) == (MAX_TREE_RUNS, MAX_RUNS)
    assert {first[0].split("/")[1], shared.invoke_ids[0]} <= set(ids_of(tree.stats[0].invokes))


def test_a_look_up_says_how_many_runs_there_are(collector: Collector) -> None:
    shared = Shared(invokes=1)
    share(collector, shared)
    fill(collector, shared, 1500, lambda one: changed(shared.invoke_document(), id=string(one)))
    done = run_server(
        collector.database.parent, "lookup", shared.session, f"--database={collector.database}"
    )
    assert re.search("1,501 runs of inference, .* 1,000 ", done.stdout)


def test_a_look_up_reads_a_bounded_number_of_bytes(collector: Collector) -> None:
    shared = Shared(invokes=1)
    size = 900_000
    share(collector, shared)
    text = "x" * size
    fill(
        collector,
        shared,
        40,
        lambda one: changed(shared.invoke_document(), id=string(one), context=string(text)),
    )
    [branch] = collector.store.session_tree(shared.session).stats
    assert branch.runs == 41
    assert len(branch.invokes) == 1 + MAX_TREE_BYTES // (size + 500)


def test_the_sdk_reports_what_was_rejected_with_the_reason(collector: Collector) -> None:
    telemetry = Telemetry(
        "rxinfer", version="1.0", endpoint=collector.url + ROOT, contract=CONTRACT
    )
    telemetry.set_session(telemetry.create_session())
    with telemetry.invoke("plot"):
        pass
    first = telemetry.share(show_progress=False)
    assert (first.shared, first.failed) == ({"sessions": 1, "session_stats": 1, "invokes": 1}, {})
    assert telemetry.session is not None
    copied = telemetry.session.to_dict()
    copied["labels"]["plot"] |= {"id": str(uuid.uuid4()), "invokes": []}
    telemetry.set_session(Session.from_dict(copied))
    again = telemetry.share(show_progress=False)
    assert (again.shared, again.failed) == ({"sessions": 1}, {"session_stats": 1})
    assert "statistics" in str(again.reason)


class Julia:
    """A session of RxInfer.jl, which has no key, and a collector that takes it."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.session, self.stats, self.invoke = (str(uuid.uuid4()) for _ in range(3))

    def session_document(self) -> Document:
        environment = mapping(julia_version=string("1.11.6"))
        return {
            "fields": {
                "id": string(self.session),
                "created_at": moment(),
                "environment": environment,
            }
        }

    def stats_document(self, total: int = 2, label: str = "inference") -> Document:
        counts = {
            "total_invokes": integer(total),
            "success_count": integer(total),
            "failed_count": integer(0),
        }
        durations = {
            f"{kind}_duration_ms": double(float(total)) for kind in ("min", "max", "total")
        }
        own = {"id": string(self.stats), "session": string(self.session), "label": string(label)}
        return {
            "fields": {
                **own,
                **counts,
                **durations,
                "success_rate": double(1.0),
                "context_keys": array(),
            }
        }

    def invoke_document(self) -> Document:
        times = dict.fromkeys(("execution_start", "execution_end"), moment())
        own = {
            "id": string(self.invoke),
            "session_stats": string(self.stats),
            "status": string("success"),
        }
        return {
            "fields": {
                **own,
                **times,
                "context": mapping(model=string("a"), ratio={"doubleValue": "NaN"}),
            }
        }


@pytest.fixture
def julia(tmp_path: Path) -> Iterator[Julia]:
    contract = write_contract(
        tmp_path, contract=Contract(dialect="rxinfer", labels=CONTRACT.labels)
    )
    with run_collector(tmp_path / "a.sqlite3", f"--contract={contract}", packages=()) as running:
        yield Julia(running)


def all_rows(collector: Collector) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(collector.database)) as database:
        return database.execute("SELECT * FROM documents ORDER BY collection, id").fetchall()


def without_times(answer: Answer) -> tuple[int, str]:
    return answer.status, re.sub(r"\d{4}-[0-9T:.-]+Z", "TIME", answer.body.decode())


def grown(julia: Julia, total: int, **more: dict[str, object]) -> Document:
    return changed(julia.stats_document(total), **more)


def forbidden_changes(julia: Julia) -> list[tuple[str, Document]]:
    """Writes of documents without a key that may not change what is there: two runs, and 2 as every
    total."""
    session = julia.session_document()
    stats = julia.stats_document()
    invoke = julia.invoke_document()
    times = dict.fromkeys(("total_duration_ms", "min_duration_ms", "max_duration_ms"), double(9e9))
    return [
        (f"sessions/{julia.session}", changed(session, created_at=moment("2026-11-23T20:15:31Z"))),
        (f"sessions/{julia.session}", changed(session, environment=mapping())),
        *(
            (f"session_stats/{julia.stats}", document)
            for document in (
                julia.stats_document(1),
                julia.stats_document(3, label="another"),
                grown(julia, 3, session=string(str(uuid.uuid4()))),
                grown(julia, 3, success_count=integer(0)),
                grown(julia, 3, total_duration_ms=double(0.0)),
                changed(stats, success_rate=double(0.125)),
                changed(stats, context_keys=array(string("canary"))),
                changed(stats, success_count=integer(2**62)),
                changed(stats, **times),
            )
        ),
        (f"invokes/{julia.invoke}", changed(invoke, status=string("error"))),
        (f"invokes/{julia.invoke}", changed(invoke, context=mapping())),
        (f"invokes/{julia.invoke}", changed(invoke, session_stats=string(julia.session))),
    ]


def test_what_has_no_key_grows_and_never_changes_otherwise(julia: Julia) -> None:
    """A write that changes nothing is answered as one of a document that is not there."""
    collector = julia.collector
    stats_name = f"session_stats/{julia.stats}"
    changes = forbidden_changes(julia)
    fresh = []
    for path, document in changes:
        fresh.append(patch(collector, path, document))
        delete_all(collector)
    documents = {
        f"sessions/{julia.session}": julia.session_document(),
        stats_name: julia.stats_document(),
        f"invokes/{julia.invoke}": julia.invoke_document(),
    }
    for path, document in documents.items():
        for _ in range(2):
            assert patch(collector, path, document).status == 200
    before = all_rows(collector)
    failing = {**update(stats_name, julia.stats_document()), "currentDocument": {"exists": False}}
    for (path, document), expected in zip(changes, fresh, strict=True):
        assert expected.status == 200
        answer = patch(collector, path, document)
        assert without_times(answer) == without_times(expected), document
        assert answer.json["createTime"] == answer.json["updateTime"]
        write = update(path, document)
        assert len(commit(collector, write).json["writeResults"]) == 1  # type: ignore[arg-type]
        assert collector.request("POST", f"{ROOT}:batchWrite", {"writes": [write]}).json[
            "status"
        ] == [{}]
        assert commit(collector, write, failing).error == (409, "ALREADY_EXISTS")
        collection, identifier = path.split("/")
        created = collector.request(
            "POST", f"{ROOT}/{collection}?documentId={identifier}", document
        )
        assert created.error == (409, "ALREADY_EXISTS")
        maintainers = collector.request(
            "PATCH", f"{ROOT}/{path}", document, {"Authorization": f"Bearer {TOKEN}"}
        )
        assert maintainers.error == FORBIDDEN
        assert all_rows(collector) == before
    assert patch(collector, stats_name, julia.stats_document(3)).status == 200
    assert all_rows(collector) != before
    own = Shared(session=julia.session)
    assert patch(collector, f"sessions/{julia.session}", own.session_document()).error == FORBIDDEN
    assert patch(collector, f"session_stats/{own.stats}", own.stats_document()).error == FORBIDDEN


def test_a_document_without_a_key_does_not_replace_one_with_a_key(julia: Julia) -> None:
    shared = Shared(session=julia.session, stats=julia.stats, invokes=1)
    share(julia.collector, shared)
    before = all_rows(julia.collector)
    assert (
        patch(julia.collector, f"sessions/{julia.session}", julia.session_document()).status == 200
    )
    assert all_rows(julia.collector) == before


def delete_all(collector: Collector) -> None:
    with closing(sqlite3.connect(collector.database)) as database, database:
        database.execute("DELETE FROM documents")


def test_labels_that_nobody_declares_are_bounded(julia: Julia) -> None:
    for number in range(MAX_STATS + 1):
        julia.stats = str(uuid.uuid4())
        answer = patch(
            julia.collector,
            f"session_stats/{julia.stats}",
            julia.stats_document(label=f"label {number}"),
        )
        assert answer.status == (200 if number < MAX_STATS else 400)
    julia.stats = str(uuid.uuid4())
    assert (
        patch(
            julia.collector, f"session_stats/{julia.stats}", julia.stats_document(label="label 1")
        ).error
        == FULL
    )
