"""Shared sessions: what is taken, what is refused, and that one commit is one."""

import os
import random
import sqlite3
import sys
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from signal import SIGKILL
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import ROOT, TOKEN, Collector, count, in_threads, run_collector
from plaintally.session import Session, make_environment
from plaintally.sharing import documents
from plaintally.versions import coarse_version
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.values import from_document
from plaintally_server.ingest.admission import Policy, admit
from plaintally_server.model import Admitted
from shared import (
    CONTRACT,
    PREFIX,
    Document,
    Shared,
    array,
    changed,
    commit,
    double,
    forget,
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

READ = {"Authorization": f"Bearer {TOKEN}"}
NAN = double("NaN")  # type: ignore[arg-type]
INFINITE = double("Infinity")  # type: ignore[arg-type]


def test_a_session_comes_back_as_it_was_shared(sharing: Collector) -> None:
    shared = Shared(invokes=3)
    answer = share(sharing, shared)
    assert answer.status == 200
    results = answer.json["writeResults"]
    assert isinstance(results, list)
    assert [list(result) for result in results] == [["updateTime"]] * 5
    assert results[0]["updateTime"] == answer.json["commitTime"]
    for name, document in shared.documents.items():
        found = sharing.request("GET", f"{ROOT}/{name}", headers=READ).json
        assert found["fields"] == document["fields"]
    tree = sharing.store.session_tree(shared.session)
    assert tree.session is not None
    assert tree.session.fields == from_document(shared.session_document())
    [branch] = tree.stats
    assert branch.stats.fields["id"] == shared.stats
    assert [invoke.fields["id"] for invoke in branch.invokes] == shared.invoke_ids[::-1]  # by start


def test_what_comes_before_its_parents_is_found_with_them(sharing: Collector) -> None:
    shared = Shared()
    for name, document in reversed(shared.documents.items()):
        assert patch(sharing, name, document).status == 200
        tree = sharing.store.session_tree(shared.session)
        assert (tree.session is None) == (name != shared.names[0])
    assert [len(branch.invokes) for branch in tree.stats] == [2]


def test_sharing_again_updates(sharing: Collector) -> None:
    shared = Shared()
    share(sharing, shared)
    assert share(sharing, shared).status == 200
    more = changed(shared.stats_document(), total_invokes=integer(9), success_count=integer(9))
    assert patch(sharing, shared.names[1], more).status == 200
    [branch] = sharing.store.session_tree(shared.session).stats
    assert branch.stats.fields["total_invokes"] == 9


def test_whoever_knows_only_the_ids_takes_nothing_over(sharing: Collector) -> None:
    shared = Shared()
    other = Shared()
    share(sharing, shared)
    share(sharing, other)
    session, stats, invoke = list(shared.documents.values())[:3]
    attempts = [
        (0, changed(session, deletion_key_hash=string(hash_key("mine")))),
        (0, changed(session, package=string("another"))),  # which is taken here, too
        (1, changed(stats, session=string(other.session))),
        (1, changed(stats, label=string("plot"), context_keys=array())),
        (1, changed(stats, package=string("another"), context_keys=array())),
        (2, changed(invoke, session_stats=string(other.stats))),
        (2, changed(invoke, label=string("plot"), context=mapping())),
    ]
    before = sharing.store.session_tree(shared.session)
    for index, document in attempts:
        name = shared.names[index]
        assert patch(sharing, name, document).error == (403, "PERMISSION_DENIED")
        assert commit(sharing, update(name, document)).error == (403, "PERMISSION_DENIED")
        mask = "&".join(f"updateMask.fieldPaths={field}" for field in document["fields"])
        assert sharing.request("PATCH", f"{ROOT}/{name}?{mask}", document).error[0] == 403
        assert sharing.request(
            "POST", f"{ROOT}/{name.replace('/', '?documentId=')}", document
        ).error[0] in (403, 409)
    assert sharing.store.session_tree(shared.session) == before


def test_what_no_contract_declares_is_refused_and_nothing_of_it_is_told(sharing: Collector) -> None:
    shared = Shared()
    session, stats, invoke = list(shared.documents.values())[:3]
    environment = session["fields"]["environment"]["mapValue"]["fields"]  # type: ignore[index]
    refused: list[tuple[int, Document]] = [
        (0, changed(session, extra=string("canary"))),
        (0, changed(session, environment=None)),
        (0, changed(session, package=integer(1))),
        (0, changed(session, created_at=string("canary"))),
        (0, changed(session, deletion_key_hash=string("A" * 64))),
        (0, changed(session, deletion_key_hash=string("a" * 63))),
        (0, changed(session, id=string(str(uuid.uuid4())))),
        (0, changed(session, environment=mapping())),
        (0, changed(session, environment=mapping(**environment, user=string("canary")))),
        (0, changed(session, environment=mapping(**{**environment, "os": string("canary" * 11)}))),
        (0, changed(session, environment=mapping(**{**environment, "os": string("canary\n")}))),
        (0, changed(session, environment=mapping(**{**environment, "os": string("canaryü")}))),
        *(
            (
                0,
                changed(
                    session,
                    environment=mapping(**{**environment, name: string("canary at example.com")}),
                ),
            )
            for name in ("python_version", "package_version", "os", "machine")
        ),
        (
            0,
            changed(
                session, environment=mapping(**{**environment, "cpu_threads": integer(65_537)})
            ),
        ),
        (
            0,
            changed(
                session,
                environment=mapping(**{**environment, "cpu_threads": {"booleanValue": True}}),
            ),
        ),
        (0, changed(session, environment=mapping(**{**environment, "word_size": double(64)}))),
        (1, changed(stats, session=string("canary"))),
        (1, changed(stats, label=string("canary"))),
        (1, changed(stats, total_invokes=integer(5))),
        (1, changed(stats, failed_count=integer(-1), success_count=integer(3))),
        (1, changed(stats, success_rate=double(1.5))),
        (1, changed(stats, success_rate=NAN)),
        (1, changed(stats, success_rate=integer(1))),
        (1, changed(stats, min_duration_ms=INFINITE)),
        (1, changed(stats, max_duration_ms=double(-1))),
        (1, changed(stats, context_keys=array(string("canary")))),
        (1, changed(stats, context_keys=array(integer(1)))),
        (1, changed(stats, context_keys=array(*[string("iterations")] * 129))),
        (2, changed(invoke, status=string("unknown"))),
        (2, changed(invoke, status=mapping())),
        (2, changed(invoke, label=string("canary"))),
        (2, changed(invoke, duration_ms=NAN)),
        (2, changed(invoke, execution_end={"nullValue": None})),
        (2, changed(invoke, context=array())),
        (2, changed(invoke, context=mapping(canary=string("canary")))),
        (2, changed(invoke, context=mapping(model_name=string("canary")))),
        (2, changed(invoke, context=mapping(iterations=integer(1001)))),
        (2, changed(invoke, context=mapping(iterations={"booleanValue": True}))),
        (2, changed(invoke, context=mapping(solver=string("canary solver")))),
        (2, changed(invoke, context=mapping(tolerance=INFINITE))),
        (2, changed(invoke, context=mapping(source=string("canary" * 20_000)))),
        (2, changed(invoke, label=string("plot"))),
    ]
    for index, document in refused:
        for answer in (
            patch(sharing, shared.names[index], document),
            commit(sharing, update(shared.names[index], document)),
        ):
            assert answer.error == (400, "INVALID_ARGUMENT"), document
            assert b"canary" not in answer.body
    for index, document in enumerate((session, stats, invoke)):
        foreign = changed(document, package=string("canary"))
        answer = patch(sharing, shared.names[index], foreign)
        assert answer.error == (403, "PERMISSION_DENIED")
        assert b"canary" not in answer.body
        upper = (
            shared.names[index]
            .upper()
            .replace(shared.names[index].split("/")[0].upper(), "sessions")
        )
        assert patch(sharing, upper, document).error[0] == 400
    assert sharing.store.session_tree(shared.session).session is None
    assert sharing.store.session_tree(shared.session).stats == []


def test_a_request_has_a_limit(sharing: Collector) -> None:
    shared = Shared(invokes=1)
    large = string("\u0001" * 80_000)  # 480 kB in JSON
    one = changed(shared.invoke_document(), context=mapping(source=large))
    two = changed(shared.invoke_document(), context=mapping(source=large, log=large))
    for document in (one, two):  # which are 80 and 160 kB as Firestore counts them
        assert patch(sharing, shared.names[2], document).status == 200
    many = [update(name, one) for name in shared.names[2:]]
    three = changed(shared.invoke_document(), context=mapping(source=large, log=large, more=large))
    assert patch(sharing, shared.names[2], three).error[0] == 413
    assert commit(sharing, update(shared.names[2], three)).error[0] == 413
    assert commit(sharing, *many * 8).status == 200
    assert commit(sharing, *many * 9).error[0] == 413


def test_a_commit_is_all_or_nothing_and_in_order(sharing: Collector) -> None:
    shared = Shared()
    writes = [update(name, document) for name, document in shared.documents.items()]
    wrong = update(shared.names[-1], changed(shared.invoke_document(1), label=string("plot")))
    assert commit(sharing, *writes[:-1], wrong).error == (400, "INVALID_ARGUMENT")
    assert sharing.store.session_tree(shared.session).session is None
    identifier = str(uuid.uuid4())
    counted = update(f"using_rxinfer/{identifier}", count(identifier))  # type: ignore[arg-type]
    assert commit(sharing, counted, wrong).error[0] == 400
    assert sharing.store.total("rxinfer") == 0
    exists = {"currentDocument": {"exists": True}}
    given = {"writes": [{**writes[0], **exists}, writes[0]]}
    assert sharing.request("POST", f"{ROOT}:commit", given, READ).error == (404, "NOT_FOUND")
    given = {"writes": [counted, writes[0], {**writes[0], **exists}]}
    assert sharing.request("POST", f"{ROOT}:commit", given, READ).status == 200
    assert sharing.store.total("rxinfer") == 1
    assert commit(sharing, {**writes[0], "currentDocument": {"exists": False}}).error == (
        409,
        "ALREADY_EXISTS",
    )
    only = {"update": {"name": writes[0]["update"]["name"], "fields": {"created_at": moment()}}}  # type: ignore[index]
    given = {"writes": [{**only, "updateMask": {"fieldPaths": ["created_at"]}}]}
    assert sharing.request("POST", f"{ROOT}:commit", given, READ).status == 200
    assert commit(sharing).json["writeResults"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"writes": {}}', 400),
        (b'{"writes": [{}]}', 400),
        (b'{"writes": [{"update": {"fields": {}}}]}', 400),
        (b'{"writes": [{"update": {"name": 1}}]}', 400),
        (b'{"writes": [{"update": {"name": "x"}}]}', 400),
        (b'{"writes": [{"update": {"name": "%s/sessions"}}]}', 400),
        (b'{"writes": [{"update": {"name": "%s/sessions/a/b/c"}}]}', 400),
        (b'{"writes": [{"update": {"name": "%s/users/x"}}]}', 403),
        (
            (
                b'{"writes": [{"update": {"name": '
                b'"projects/q/databases/(default)/documents/sessions/x"}}]}'
            ),
            400,
        ),
        (
            (
                b'{"writes": [{"update": {"name": '
                b'"projects/p/databases/%%28default%%29/documents/sessions/x"}}]}'
            ),
            400,
        ),
        (b'{"writes": [{"update": {"name": "%s/sessions/x", "canary": 1}}]}', 400),
        (b'{"writes": [{"update": {"name": "%s/sessions/x", "fields": {"canary": 1}}}]}', 400),
        (b'{"writes": [{"update": {"name": "%s/sessions/x"}, "canary": 1}]}', 400),
        (
            (
                b'{"writes": [{"update": {"name": "%s/sessions/x"}, "updateMask": {"fieldPaths": '
                b'["a.b"]}}]}'
            ),
            403,
        ),
        (
            (
                b'{"writes": [{"update": {"name": "%s/sessions/x"}, "currentDocument": {"exists": '
                b'"no"}}]}'
            ),
            400,
        ),
        (
            (
                b'{"writes": [{"update": {"name": "%s/sessions/x"}, '
                b'"currentDocument": {"updateTime": '
                b'"now"}}]}'
            ),
            400,
        ),
        (b'{"writes": [{"update": {"name": "%s/sessions/x"}, "updateTransforms": [{}]}]}', 501),
        (b'{"writes": [{"delete": "%s/sessions/x"}]}', 403),
        (b'{"transaction": "AAAA"}', 501),
        (b'{"writes": [' + b",".join([b"{}"] * 501) + b"]}", 400),
        (b'{"writes": ' + b"[" * 100_000, 400),
    ],
)
def test_a_commit_that_is_none(sharing: Collector, body: bytes, code: int) -> None:
    content = body.replace(b"%s", PREFIX.encode()).replace(b"%%", b"%")
    answer = sharing.request("POST", f"{ROOT}:commit", content)
    assert answer.error[0] == code


def test_other_methods_and_databases_are_nowhere(sharing: Collector) -> None:
    for path in (
        f"{ROOT}:beginTransaction",
        f"{ROOT}:commit:",
        ROOT.replace("(default)", "other") + ":commit",
    ):
        assert sharing.request("POST", path, {}).error == (404, "NOT_FOUND")
    assert (
        sharing.request(
            "POST", ROOT.replace("(default)", "%28default%29") + ":commit?%24alt=json", {}
        ).status
        == 200
    )
    assert sharing.request("GET", f"{ROOT}:commit").error[0] == 404


def test_a_commit_of_five_hundred(sharing: Collector) -> None:
    shared = Shared(invokes=498)
    assert share(sharing, shared).status == 200
    [branch] = sharing.store.session_tree(shared.session).stats
    assert len(branch.invokes) == 498


def test_a_commit_is_whole_even_when_the_collector_is_killed(tmp_path: Path) -> None:
    """Killed ten times under load from three clients; every session is there with all its invokes,
    or not at all."""
    chance = random.Random(10)  # noqa: S311
    database = tmp_path / "crash.sqlite3"
    answered: list[str] = []
    contract = str(write_contract(tmp_path))
    for _ in range(10):
        last = len(answered) + chance.randint(1, 20)
        with run_collector(database, "--contract", contract) as collector:

            def share_and_kill(_: int, running: Collector = collector, last: int = last) -> None:
                while running.process.poll() is None:
                    shared = Shared(invokes=30)
                    with suppress(OSError, HTTPException):
                        if share(running, shared).status == 200:
                            answered.append(shared.session)
                    if len(answered) >= last:
                        running.process.kill()

            in_threads(3, share_and_kill)
            assert collector.process.wait() == -SIGKILL
    with closing(sqlite3.connect(database)) as connection:
        query = """
        SELECT id, (SELECT count(*) FROM documents AS stats
                    JOIN documents AS invokes ON invokes.parent = stats.id
                    WHERE stats.parent = sessions.id)
        FROM documents AS sessions WHERE collection = 'sessions'
        """
        found = dict(connection.execute(query))
        (rows,) = connection.execute("SELECT count(*) FROM documents").fetchone()
    assert set(answered) <= set(found)
    assert set(found.values()) == {30}
    assert rows == 32 * len(found)


CONTRACTS = {"rxinfer": CONTRACT}
ENVIRONMENT = {
    "python_version": "3.13",
    "package_version": "5.0.0",
    "os": "Linux",
    "machine": "x86_64",
    "cpu_threads": 8,
    "word_size": 64,
}
SHARED = Shared(invokes=1)
WHOLE = {name: from_document(document) for name, document in SHARED.documents.items()}
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 70_000)
    | st.floats()
    | st.text(max_size=5).map("canary{}".format)
    | st.sampled_from(["rxinfer", "inference", "success", "local_level", "a" * 64, *SHARED.ids])
    | st.uuids().map(str)
    | st.datetimes(timezones=st.just(UTC))
    | st.binary(max_size=3)
)
NESTED = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["iterations", "model_name", "canary", "os"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def attempt(work: Callable[[], Admitted]) -> Admitted | Refusal:
    try:
        return work()
    except Refusal as refusal:
        return refusal


@given(st.sampled_from(SHARED.names), st.data())
def test_whatever_is_admitted_is_what_the_contract_declares(name: str, data: st.DataObject) -> None:
    collection, document = name.split("/")
    fields = dict(WHOLE[name])
    for field in data.draw(st.lists(st.sampled_from([*fields, "canary"]), min_size=1, max_size=2)):
        fields[field] = data.draw(NESTED)
    admitted = attempt(
        lambda: admit(Name("p", "(default)", collection, document), fields, Policy(CONTRACTS))
    )
    if isinstance(admitted, Refusal):
        assert admitted.code in (400, 403)
        assert "canary" not in admitted.message
        return
    assert set(admitted.fields) == set(WHOLE[name])
    assert admitted.package == "rxinfer"
    assert admitted.counted is None
    assert admitted.fields["id"] == document
    assert admitted.parent == {"sessions": None, "session_stats": fields.get("session")}.get(
        collection, fields.get("session_stats")
    )
    kinds: dict[str, Callable[[object], bool]] = {
        "label": lambda value: value in CONTRACT.labels,
        "context": lambda value: all(
            CONTRACT.labels[str(fields["label"])].fields[key].accepts(item)
            for key, item in value.items()  # type: ignore[attr-defined]
        ),
        "created_at": lambda value: isinstance(value, datetime),
        "status": lambda value: value in ("success", "error"),
        "duration_ms": lambda value: isinstance(value, float) and 0 <= value < float("inf"),
    }
    assert all(kinds[field](value) for field, value in fields.items() if field in kinds)


@pytest.mark.parametrize(
    "version", [None, "", "1.2.3", "1.0+g8f", "x" * 65, "1.0 of Ada's laptop", "=1", "ü", "1.0\n"]
)
@pytest.mark.parametrize("is_windows", [False, True])
@pytest.mark.parametrize(
    ("system", "machine"),
    [
        ("Linux", "x86_64"),
        ("CYGWIN_NT-10.0-19045", "x86_64"),
        ("OS/390", "8561"),
        ("iOS", "iPhone14,2"),
        ("Lïnux", "ada's own"),
        ("x" * 40, ""),
        ("win32", None),
    ],
)
def test_the_environment_of_any_machine_is_admitted(
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    machine: str | None,
    version: str | None,
    *,
    is_windows: bool,
) -> None:
    """Also of odd systems, and with a version that its author made up: what is free text does not
    leave."""
    if is_windows:
        monkeypatch.delattr(os, "uname", raising=False)
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.delenv("PROCESSOR_ARCHITECTURE", raising=False)
        if machine is not None:
            monkeypatch.setenv("PROCESSOR_ARCHITECTURE", machine)
    else:
        monkeypatch.setattr(
            os, "uname", lambda: SimpleNamespace(sysname=system, machine=machine or "")
        )
    made = make_environment(version)
    session = Session("rxinfer", contract=CONTRACT, environment=made)
    fields = from_document({**documents.session(session), "name": "x"})
    name = Name("p", "(default)", "sessions", session.id)
    assert admit(name, fields, Policy(CONTRACTS)).fields["environment"] == made
    assert made["python_version"] == "{}.{}".format(*sys.version_info)
    assert made["os"] == (system if system in ("Linux", "iOS", "win32") else "unknown")
    assert made["machine"] == (machine if machine in ("x86_64", "8561") else "unknown")
    assert made["package_version"] == coarse_version(version)


def test_what_the_sdk_writes_is_admitted(sharing: Collector) -> None:
    session = Session("rxinfer", contract=CONTRACT, environment=ENVIRONMENT)
    with session.invoke("inference") as invoke:
        invoke.add(model_name="local_level", iterations=5, free_energy=True, tolerance=0.5)
    with suppress(ZeroDivisionError), session.invoke("inference"):
        raise ZeroDivisionError
    with session.invoke("plot"):
        pass
    stats = [session.stats(label) for label in session.labels]
    writes = [update(f"sessions/{session.id}", documents.session(session))]
    writes += [
        update(f"session_stats/{one.id}", documents.session_stats(one, session.id)) for one in stats
    ]
    for one in stats:
        for call in one.invokes:
            include = {"error_message"} if call.status == "error" else set()
            writes.append(
                update(f"invokes/{call.id}", documents.invoke(call, one.id, include=include))
            )
    assert len(writes) == 6
    answer = commit(sharing, *writes)
    assert answer.status == 200, answer.body
    tree = sharing.store.session_tree(session.id)
    assert [branch.stats.fields["label"] for branch in tree.stats] == ["inference", "plot"]
    assert forget(sharing, session.id, session.deletion_key).status == 200


@given(st.sampled_from(SHARED.names))
def test_every_document_of_a_session_is_admitted(name: str) -> None:
    collection, document = name.split("/")
    current = WHOLE[name]
    admitted = admit(
        Name("p", "(default)", collection, document), current, Policy(CONTRACTS), current=current
    )
    assert admitted.fields == current
