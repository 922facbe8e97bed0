"""Admission as tables: a valid document of each kind, and each change that is not admitted."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import pytest

from plaintally.contract import Choice, Contract, ErrorType, Integer, Label
from plaintally_server.exceptions import Refusal, StartError
from plaintally_server.firestore.documents import Name
from plaintally_server.ingest import admission, coarse, rxinfer
from plaintally_server.ingest.admission import Policy, admit, check_collection
from plaintally_server.ingest.collections import PARENTS, is_import
from plaintally_server.ingest.imports import no_documents
from plaintally_server.ingest.rules import is_session_id
from plaintally_server.ingest.shared_fields import (
    MAX_RUNS,
    MAX_STATS,
    SHARED,
    is_part_of,
    parent_of,
)
from plaintally_server.model import Admitted

ID, PARENT, OTHER = (f"{number}eb898b5-76a4-49b0-b1b6-ba209ba39adf" for number in (9, 8, 7))
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = "a" * 64
OTHER_KEY = "b" * 64
CONTRACT = Contract(
    counter=["python_version", "package_version"],
    labels={
        "fit": Label({"model": Choice("a", "b"), "steps": Integer(0, 9), "error": ErrorType()}),
        "plot": Label(),
    },
)
POLICY = Policy({"pkg": CONTRACT, "plain": Contract(), "julia": Contract(dialect="rxinfer")})
STRICT = Policy({"pkg": CONTRACT, "plain": Contract()})
LACKING = object()
"""Stands for a field that is left out."""

ENVIRONMENT = {
    "python_version": "3.13",
    "package_version": "1.0.0",
    "os": "Linux",
    "machine": "x86_64",
    "cpu_threads": 8,
    "word_size": 64,
}
IMPORT = {"id": ID, "timestamp": NOW, "python_version": "3.13", "package_version": "1.0.0"}
SESSION = {
    "id": ID,
    "package": "pkg",
    "created_at": NOW,
    "environment": ENVIRONMENT,
    "deletion_key_hash": KEY,
}
STATS = {
    "id": ID,
    "package": "pkg",
    "session": PARENT,
    "deletion_key_hash": KEY,
    "label": "fit",
    "total_invokes": 3,
    "success_count": 2,
    "failed_count": 1,
    "success_rate": 0.5,
    "min_duration_ms": 1.0,
    "max_duration_ms": 2.0,
    "total_duration_ms": 3.0,
    "context_keys": ["model", "error_message"],
}
ERROR = {"type": "ValueError", "frames": []}
RUN: dict[str, Any] = {
    "id": ID,
    "package": "pkg",
    "session_stats": PARENT,
    "deletion_key_hash": KEY,
    "label": "fit",
    "status": "success",
    "execution_start": NOW,
    "execution_end": NOW + timedelta(seconds=1),
    "duration_ms": 1000.0,
    "context": {"model": "a", "steps": 9},
}
WITHOUT = ("package", "deletion_key_hash", "label", "duration_ms")
JULIA_IMPORT = {"id": ID, "timestamp": NOW, "rxinferVersion": "5.0.0", "juliaVersion": "1.11.6"}
JULIA_SESSION = {
    "id": ID,
    "created_at": NOW,
    "environment": {"Julia Version": "1.11.6", "threads": 8},
}
JULIA_STATS = {
    key: value for key, value in STATS.items() if key not in ("package", "deletion_key_hash")
}
JULIA_RUN = {key: value for key, value in RUN.items() if key not in WITHOUT}
DOCUMENTS = {"using_pkg": IMPORT, "sessions": SESSION, "session_stats": STATS, "invokes": RUN}
JULIA = {
    "using_julia": JULIA_IMPORT,
    "sessions": JULIA_SESSION,
    "session_stats": JULIA_STATS,
    "invokes": JULIA_RUN,
}


def change(fields: Mapping[str, Any], **changes: object) -> dict[str, Any]:
    return {name: value for name, value in {**fields, **changes}.items() if value is not LACKING}


def put(
    collection: str,
    fields: Mapping[str, Any],
    *,
    document: str | None = ID,
    current: Mapping[str, Any] | None = None,
    sees: bool = True,
    policy: Policy = POLICY,
) -> Admitted | int:
    """Return what is admitted, or the status of the rejection."""
    try:
        return admit(
            Name("p", "(default)", collection, document), fields, policy, current=current, sees=sees
        )
    except Refusal as refusal:
        return refusal.code


# --- Collections ---


@pytest.mark.parametrize(
    ("collection", "is_admitted"),
    [
        ("using_pkg", True),
        ("sessions", True),
        ("session_stats", True),
        ("invokes", True),
        ("using_other", False),
        ("using_", False),
        ("pkg", False),
        ("using_using_pkg", False),
        ("Sessions", False),
        ("users", False),
        ("", False),
    ],
)
def test_the_collections(collection: str, is_admitted: bool) -> None:  # noqa: FBT001
    if is_admitted:
        check_collection(collection, POLICY)
        assert isinstance(put(collection, DOCUMENTS[collection]), Admitted)
        return
    with pytest.raises(Refusal) as caught:
        check_collection(collection, POLICY)
    assert (caught.value.code, caught.value.package) == (403, None)
    assert put(collection, IMPORT) == 403


def test_what_is_an_import() -> None:
    assert [is_import(name) for name in ("using_pkg", "sessions", "xusing_pkg")] == [
        True,
        False,
        False,
    ]
    assert (no_documents().code, no_documents().status) == (
        501,
        "UNIMPLEMENTED",
    )


def test_a_document_that_is_too_large_is_rejected() -> None:
    large = {**SESSION, "more": "x" * 1_048_576}
    assert put("sessions", large) == 400
    with pytest.raises(Refusal, match="1048576 bytes"):
        admit(Name("p", "(default)", "sessions", ID), large, POLICY)


# --- Imports ---


@pytest.mark.parametrize(
    ("changes", "is_admitted"),
    [
        ({}, True),
        ({"python_version": LACKING}, True),
        ({"python_version": LACKING, "package_version": LACKING}, True),
        ({"id": ID.upper()}, True),
        ({"package_version": "1" + "0" * 63}, True),
        ({"package_version": "1!2.0+local-1_x"}, True),
        ({"python_version": "10.123"}, True),
        ({"id": LACKING}, False),
        ({"timestamp": LACKING}, False),
        ({"os": "Linux"}, False),
        ({"id": 3}, False),
        ({"id": None}, False),
        ({"id": ID[1:]}, False),
        ({"id": ID + "0"}, False),
        ({"id": ID.replace("-", "")}, False),
        ({"id": "g" + ID[1:]}, False),
        ({"timestamp": "2026-11-30T12:00:00Z"}, False),
        ({"timestamp": 3}, False),
        ({"package_version": 1}, False),
        ({"package_version": ""}, False),
        ({"package_version": "v1"}, False),
        ({"package_version": "1" + "0" * 64}, False),
        ({"package_version": "1 0"}, False),
        ({"package_version": "1.0\n"}, False),
        ({"python_version": "3"}, False),
        ({"python_version": "3.1234"}, False),
        ({"python_version": "100.1"}, False),
        ({"python_version": "3.13.1"}, False),
        ({"python_version": None}, False),
    ],
)
def test_an_import(changes: dict[str, object], is_admitted: bool) -> None:  # noqa: FBT001
    found = put("using_pkg", change(IMPORT, **changes))
    assert isinstance(found, Admitted) if is_admitted else found == 400


def test_an_import_has_the_fields_of_its_own_contract() -> None:
    assert put("using_plain", IMPORT) == 400
    assert isinstance(put("using_plain", {"id": ID, "timestamp": NOW}), Admitted)


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def test_what_is_kept_of_an_import() -> None:
    found = put("using_pkg", IMPORT)
    assert isinstance(found, Admitted)
    assert (found.fields, found.package, found.parent, found.content, found.stays) == (
        IMPORT,
        "pkg",
        None,
        None,
        False,
    )
    counted = found.counted
    assert counted == (
        digest(f"pkg/{ID}"),
        None,
        '{"package_version":"1.0.0","python_version":"3.13"}',
    )
    for document, identifier, name in (
        (None, ID, None),
        (ID, ID.upper(), None),
        ("other", ID, digest("pkg/other")),
        (ID.upper(), ID.upper(), digest(f"pkg/{ID.upper()}")),
    ):
        found = put("using_pkg", {**IMPORT, "id": identifier}, document=document)
        assert isinstance(found, Admitted)
        assert found.counted is not None
        assert found.counted[:2] == (digest(f"pkg/{ID}"), name)
    local = put("using_pkg", {**IMPORT, "package_version": "1.2.dev3+g8f2c1ab"})
    assert isinstance(local, Admitted)
    assert local.counted is not None
    assert local.counted.coarse == '{"package_version":"1.2.dev","python_version":"3.13"}'
    bare = put("using_plain", {"id": ID, "timestamp": NOW})
    assert isinstance(bare, Admitted)
    assert bare.counted is not None
    assert bare.counted.coarse == "{}"


# --- What users share ---

BAD = {
    "id": (3, None, ID.upper(), ID[1:], f"{ID}0", "g" + ID[1:], ID.replace("-", "")),
    "time": (3, None, "2026-11-30T12:00:00Z"),
    "text": (3, None, b"fit", ["fit"]),
    "key": (3, None, KEY[1:], f"{KEY}0", "A" * 64, "g" * 64),
    "count": (-1, True, 1.0, "1", None),
    "share": (-0.01, 1.01, 1, True, "1", float("nan")),
    "duration": (-0.5, 1.1e15, 1, True, None, float("nan"), float("inf")),
    "keys": ("model", None, ("model",), [3], ["unknown"], ["model"] * 129),
    "map": ([], "a", None),
}
TYPES = {
    "sessions": {
        "id": "id",
        "package": "text",
        "created_at": "time",
        "environment": "map",
        "deletion_key_hash": "key",
    },
    "session_stats": {
        "id": "id",
        "package": "text",
        "session": "id",
        "deletion_key_hash": "key",
        "label": "text",
        **dict.fromkeys(("total_invokes", "success_count", "failed_count"), "count"),
        "success_rate": "share",
        **dict.fromkeys(("min_duration_ms", "max_duration_ms", "total_duration_ms"), "duration"),
        "context_keys": "keys",
    },
    "invokes": {
        "id": "id",
        "package": "text",
        "session_stats": "id",
        "deletion_key_hash": "key",
        "label": "text",
        "execution_start": "time",
        "execution_end": "time",
        "duration_ms": "duration",
        "context": "map",
    },
}


@pytest.mark.parametrize("collection", TYPES)
def test_a_document_has_exactly_its_fields(collection: str) -> None:
    fields = DOCUMENTS[collection]
    assert isinstance(put(collection, fields), Admitted)
    assert put(collection, {**fields, "more": 1}, policy=STRICT) == 400
    for name in fields:
        assert put(collection, change(fields, **{name: LACKING}), policy=STRICT) == 400, name
    assert set(SHARED[collection]) == set(fields)


@pytest.mark.parametrize("collection", TYPES)
def test_a_value_of_a_field_is_of_its_type(collection: str) -> None:
    fields = DOCUMENTS[collection]
    for name, kind in TYPES[collection].items():
        for bad in BAD[kind]:
            # Whole sums keep the totals consistent, so that only the type is wrong.
            assert put(collection, {**fields, name: bad}) == 400, (name, bad)


def test_the_limits_of_numbers() -> None:
    zeros = {**STATS, "total_invokes": 0, "success_count": 0, "failed_count": 0}
    assert isinstance(put("session_stats", zeros), Admitted)
    for name, values in (
        ("success_rate", (0.0, 1.0)),
        ("min_duration_ms", (0.0, 1e15)),
        ("context_keys", ([], ["model"] * 128)),
    ):
        for value in values:
            assert isinstance(put("session_stats", {**STATS, name: value}), Admitted), (name, value)


@pytest.mark.parametrize(
    ("changes", "is_admitted"),
    [
        ({"python_version": "3.9"}, True),
        ({"package_version": ""}, True),
        ({"os": "a-B_9"}, True),
        ({"os": "x"}, True),
        ({"os": "x" * 32}, True),
        ({"cpu_threads": 0}, True),
        ({"word_size": 65_536}, True),
        ({"word_size": LACKING}, False),
        ({"more": 1}, False),
        ({"python_version": "3"}, False),
        ({"package_version": "v1"}, False),
        ({"os": ""}, False),
        ({"os": "x" * 33}, False),
        ({"machine": "x 1"}, False),
        ({"machine": 3}, False),
        ({"cpu_threads": -1}, False),
        ({"cpu_threads": 65_537}, False),
        ({"cpu_threads": True}, False),
        ({"cpu_threads": 8.0}, False),
    ],
)
def test_the_environment_of_a_session(changes: dict[str, object], is_admitted: bool) -> None:  # noqa: FBT001
    found = put("sessions", {**SESSION, "environment": change(ENVIRONMENT, **changes)})
    assert isinstance(found, Admitted) if is_admitted else found == 400


def test_the_status_of_a_run() -> None:
    assert isinstance(put("invokes", {**RUN, "status": "error"}), Admitted)
    for bad in ("unknown", "Success", "", None, 3):
        assert put("invokes", {**RUN, "status": bad}) == 400


@pytest.mark.parametrize("collection", TYPES)
def test_who_may_share(collection: str) -> None:
    fields = DOCUMENTS[collection]
    assert put(collection, {**fields, "package": "other"}) == 403
    assert put(collection, fields, document=OTHER) == 400
    assert put(collection, fields, document=None) == 400


def test_a_label_and_its_context_are_declared() -> None:
    for fields, collection in ((STATS, "session_stats"), (RUN, "invokes")):
        assert put(collection, {**fields, "label": "other"}) == 400
        assert put(collection, {**fields, "package": "plain"}) == 400
    assert put("session_stats", {**STATS, "label": "plot"}) == 400
    assert isinstance(
        put("session_stats", {**STATS, "label": "plot", "context_keys": []}), Admitted
    )
    assert put("session_stats", {**STATS, "context_keys": ["model", "secret"]}) == 400
    for total in (2, 4):
        assert put("session_stats", {**STATS, "total_invokes": total}) == 400
    assert put("invokes", {**RUN, "label": "plot"}) == 400
    for context, is_admitted in (
        ({}, True),
        ({"model": "b"}, True),
        ({"model": "c"}, False),
        ({"model": "a", "steps": 10}, False),
        ({"model": "a", "secret": 1}, False),
        ({"error_message": "what it said"}, True),
        ({"error_message": 3}, False),
        ({**RUN["context"], "error": ERROR, "error_message": ""}, True),
    ):
        found = put("invokes", {**RUN, "context": context})
        assert isinstance(found, Admitted) if is_admitted else found == 400, context


def test_what_is_stored_of_what_is_shared() -> None:
    for collection, parent in (("sessions", None), ("session_stats", PARENT), ("invokes", PARENT)):
        found = put(collection, DOCUMENTS[collection])
        assert found == Admitted(DOCUMENTS[collection], "pkg", parent=parent)
    local = {**SESSION, "environment": {**ENVIRONMENT, "package_version": "1.2.dev3+g8f2c1ab"}}
    found = put("sessions", local)
    assert isinstance(found, Admitted)
    assert found.fields["environment"]["package_version"] == "1.2.dev"


@pytest.mark.parametrize(
    ("collection", "lasting"),
    [
        ("sessions", {"deletion_key_hash": OTHER_KEY}),
        ("session_stats", {"deletion_key_hash": OTHER_KEY, "session": OTHER, "label": "plot"}),
        ("invokes", {"deletion_key_hash": OTHER_KEY, "session_stats": OTHER, "label": "plot"}),
    ],
)
def test_what_never_changes(collection: str, lasting: dict[str, str]) -> None:
    """A stored document is replaced only by one with the same key, package, parent and label."""
    fields = DOCUMENTS[collection]
    assert put(collection, fields, current=fields) == put(collection, fields)
    for name, value in {**lasting, "package": "plain"}.items():
        assert put(collection, fields, current={**fields, name: value}) == 403, name
        assert put(collection, fields, current=change(fields, **{name: LACKING})) == 403, name
    volatile = {"sessions": "created_at", "session_stats": "success_rate", "invokes": "status"}[
        collection
    ]
    assert isinstance(
        put(collection, fields, current=change(fields, **{volatile: LACKING})), Admitted
    )


@pytest.mark.parametrize(
    ("fields", "package"),
    [
        ({**SESSION, "created_at": 3}, "pkg"),
        ({**SESSION, "package": "other"}, None),
        ({**SESSION, "package": ["pkg"]}, None),
        ({**JULIA_SESSION, "created_at": 3}, "julia"),
    ],
)
def test_a_rejection_names_the_package_that_it_concerns(
    fields: dict[str, object], package: str | None
) -> None:
    noted: list[str] = []
    policy = POLICY._replace(note_refused=noted.append)
    with pytest.raises(Refusal) as caught:
        admit(Name("p", "(default)", "sessions", ID), fields, policy)
    assert caught.value.package == package
    policy.note(caught.value)
    assert noted == ([package] if package else [])
    POLICY.note(caught.value)


def test_a_rejection_names_missing_fields_and_counts_unknown_ones() -> None:
    for changes, told, hidden in (
        ({"id": LACKING, "timestamp": LACKING}, "id, timestamp missing", "unknown"),
        ({"canary": 1, "canaries": 2}, "2 unknown", "canary"),
    ):
        with pytest.raises(Refusal) as caught:
            admit(Name("p", "(default)", "using_pkg", ID), change(IMPORT, **changes), POLICY)
        assert told in caught.value.message
        assert hidden not in caught.value.message


def test_no_message_repeats_what_a_client_sent() -> None:
    for collection, fields in (
        ("sessions", {**SESSION, "canary": 1}),
        ("sessions", {**SESSION, "package": "canary"}),
        ("session_stats", {**STATS, "label": "canary"}),
        ("invokes", {**RUN, "context": {"canary": "canary"}}),
        ("invokes", {**RUN, "context": {"model": "canary"}}),
        ("using_canary", IMPORT),
        ("using_pkg", {**IMPORT, "id": "canary"}),
        ("using_pkg", {**IMPORT, "canary": 1}),
    ):
        with pytest.raises(Refusal) as caught:
            admit(Name("p", "(default)", collection, ID), fields, POLICY)
        assert "canary" not in caught.value.message


# --- RxInfer's documents ---


def test_whose_documents_have_no_package() -> None:
    assert rxinfer.find_package(POLICY.contracts) == "julia"
    assert rxinfer.find_package(STRICT.contracts) is None
    with pytest.raises(StartError):
        rxinfer.find_package({**POLICY.contracts, "second": Contract(dialect="rxinfer")})
    for collection, fields in JULIA.items():
        assert POLICY.dialect_of(collection, fields) == "julia"
        assert STRICT.dialect_of(collection, fields) is None
        found = put(collection, fields)
        assert isinstance(found, Admitted)
        assert found.package == "julia"
        assert put(collection, fields, policy=STRICT) == (
            403 if collection == "using_julia" else 400
        )
    for collection, fields in DOCUMENTS.items():
        assert POLICY.dialect_of(collection, fields) is None


@pytest.mark.parametrize(
    ("changes", "is_admitted"),
    [
        ({}, True),
        ({"juliaVersion": LACKING}, True),
        ({"rxinferVersion": LACKING, "juliaVersion": LACKING}, True),
        ({"rxinferVersion": "5.0.0-DEV"}, True),
        ({"id": LACKING}, False),
        ({"timestamp": LACKING}, False),
        ({"more": 1}, False),
        ({"juliaVersion": 3}, False),
        ({"rxinferVersion": "v5"}, False),
        ({"id": "x"}, False),
        ({"timestamp": 3}, False),
    ],
)
def test_an_import_of_rxinfer(changes: dict[str, object], is_admitted: bool) -> None:  # noqa: FBT001
    found = put("using_julia", change(JULIA_IMPORT, **changes))
    assert isinstance(found, Admitted) if is_admitted else found == 400
    assert put("using_pkg", change(JULIA_IMPORT, **changes)) == (
        400
        if "rxinferVersion" in change(JULIA_IMPORT, **changes)
        else put("using_pkg", change(JULIA_IMPORT, **changes))
    )


def test_what_is_kept_of_an_import_of_rxinfer() -> None:
    for fields, told in (
        (JULIA_IMPORT, '{"package_version":"5.0.0"}'),
        (change(JULIA_IMPORT, rxinferVersion=LACKING), "{}"),
        ({**JULIA_IMPORT, "rxinferVersion": "5.0.0+g1"}, '{"package_version":"5.0.0"}'),
    ):
        found = put("using_julia", fields)
        assert isinstance(found, Admitted)
        assert found.counted is not None
        assert found.counted.coarse == told


@pytest.mark.parametrize("collection", TYPES)
def test_a_document_of_rxinfer_has_exactly_its_fields(collection: str) -> None:
    fields = JULIA[collection]
    assert put(collection, {**fields, "more": 1}) == 400
    assert set(rxinfer.SHAPES[collection]) == set(fields)
    for name in fields:
        assert put(collection, change(fields, **{name: LACKING})) == 400, name
        for bad in BAD.get(TYPES[collection].get(name, ""), ()):
            if bad not in (["unknown"], ("model",)):
                assert put(collection, {**fields, name: bad}) == 400, (name, bad)
    assert put(collection, fields, document=OTHER) == 400


@pytest.mark.parametrize(
    ("environment", "is_admitted"),
    [
        ({}, True),
        ({"a": None, "b": True, "c": 1, "d": 1.5, "e": "x" * 256}, True),
        ({str(number): 1 for number in range(128)}, True),
        ({str(number): 1 for number in range(129)}, False),
        ({"a": "x" * 257}, False),
        ({"a": 1, "b": []}, False),
        ({"a": {}}, False),
        ([], False),
    ],
)
def test_an_environment_of_rxinfer(environment: object, is_admitted: bool) -> None:  # noqa: FBT001
    found = put("sessions", {**JULIA_SESSION, "environment": environment})
    assert isinstance(found, Admitted) if is_admitted else found == 400


def test_labels_and_statuses_of_rxinfer() -> None:
    for label, is_admitted in (
        ("x", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        (3, False),
    ):
        found = put("session_stats", {**JULIA_STATS, "label": label})
        assert isinstance(found, Admitted) if is_admitted else found == 400, label
    for status, is_admitted in (
        ("unknown", True),
        ("success", True),
        ("error", True),
        ("x", False),
        (3, False),
    ):
        found = put("invokes", {**JULIA_RUN, "status": status})
        assert isinstance(found, Admitted) if is_admitted else found == 400, status


def test_what_is_stored_of_rxinfer() -> None:
    for collection, parent in (("sessions", None), ("session_stats", PARENT), ("invokes", PARENT)):
        assert put(collection, JULIA[collection]) == Admitted(
            JULIA[collection], "julia", parent=parent
        )
    local = {**JULIA_SESSION, "environment": {"Julia Version": "1.11.6+g8f2c1ab"}}
    found = put("sessions", local)
    assert isinstance(found, Admitted)
    assert found.fields["environment"] == {"Julia Version": "1.11.6"}


MORE = {
    **JULIA_STATS,
    "total_invokes": 4,
    "success_count": 3,
    "failed_count": 1,
    "total_duration_ms": 4.0,
    "min_duration_ms": 0.5,
}


SHRINKING = {**JULIA_STATS, "success_count": 4}


@pytest.mark.parametrize(
    ("current", "may_replace"),
    [
        (JULIA_STATS, True),
        (MORE, False),
        ({**JULIA_STATS, "session": OTHER}, False),
        ({**JULIA_STATS, "label": "other"}, False),
        ({**JULIA_STATS, "total_invokes": 4}, False),
        ({**JULIA_STATS, "total_invokes": 5}, False),
        ({**JULIA_STATS, "success_count": 4}, False),
        ({**JULIA_STATS, "success_count": 3}, True),
        ({**JULIA_STATS, "failed_count": 2}, False),
        ({**JULIA_STATS, "total_duration_ms": 4.5}, False),
        ({**JULIA_STATS, "total_duration_ms": 4.0}, True),
        ({**JULIA_STATS, "package": "pkg"}, False),
    ],
)
def test_statistics_without_a_key_only_grow(current: dict[str, object], may_replace: bool) -> None:  # noqa: FBT001
    assert rxinfer.may_replace("session_stats", MORE, current) is may_replace
    assert not rxinfer.may_replace("sessions", MORE, current)
    found = put("session_stats", MORE, current=current)
    expected = Admitted(MORE, "julia", parent=PARENT)
    if may_replace or current == MORE:
        assert found == (expected if may_replace else expected._replace(stays=True))
    else:
        assert found == 403
    hidden = put("session_stats", MORE, current=current, sees=False)
    assert hidden == (expected if may_replace else expected._replace(stays=True))


def test_a_sender_sees_what_is_stored_unless_it_is_told_otherwise() -> None:
    with pytest.raises(Refusal):
        admit(Name("p", "(default)", "session_stats", ID), MORE, POLICY, current=SHRINKING)


def test_a_session_of_rxinfer_never_changes() -> None:
    other = {**JULIA_SESSION, "created_at": NOW + timedelta(seconds=1)}
    stays = Admitted(JULIA_SESSION, "julia", stays=True)
    assert put("sessions", JULIA_SESSION, current=JULIA_SESSION) == stays
    assert put("sessions", JULIA_SESSION, current=other) == 403
    assert put("sessions", JULIA_SESSION, current=other, sees=False) == stays


def test_documents_of_rxinfer_are_completed_for_readers() -> None:
    session = {**JULIA_SESSION, "rxinferVersion": "5.0.0"}
    assert rxinfer.complete(session, "julia") == {
        **session,
        "package": "julia",
        "package_version": "5.0.0",
    }
    run = rxinfer.complete(JULIA_RUN, "julia", label="fit")
    assert run == {**JULIA_RUN, "package": "julia", "label": "fit", "duration_ms": 1000.0}
    assert rxinfer.complete(JULIA_RUN, "julia")["label"] == ""
    instant = {**JULIA_RUN, "execution_end": NOW}
    assert rxinfer.complete(instant, "julia")["duration_ms"] == 0.0
    backwards = {**JULIA_RUN, "execution_end": NOW - timedelta(seconds=1)}
    assert rxinfer.complete(backwards, "julia")["duration_ms"] == 0.0
    kept = {**RUN, "duration_ms": 7.0}
    assert rxinfer.complete(kept, "julia", label="other") == kept


# --- Small parts ---


def test_the_name_of_a_document_that_came_without_one() -> None:
    for collection in ("sessions", "session_stats", "invokes"):
        assert admission.name_by_id(collection, JULIA[collection], POLICY) == ID
        assert admission.name_by_id(collection, JULIA[collection], STRICT) is None
        assert admission.name_by_id(collection, DOCUMENTS[collection], POLICY) is None
        assert (
            admission.name_by_id(collection, {**JULIA[collection], "id": ID.upper()}, POLICY)
            is None
        )
    assert admission.name_by_id("using_julia", JULIA_IMPORT, POLICY) is None


def test_a_document_and_the_one_above() -> None:
    assert parent_of("session_stats", {"session": PARENT}) == PARENT
    assert parent_of("invokes", {"session_stats": PARENT}) == PARENT
    for collection, fields in (
        ("sessions", {"session": PARENT, "": PARENT}),
        ("invokes", {"session": PARENT}),
        ("invokes", {"session_stats": 3}),
    ):
        assert parent_of(collection, fields if "" not in fields else {"session": PARENT}) is None
    assert PARENTS == {"session_stats": "sessions", "invokes": "session_stats"}
    session = SESSION
    stats = {**STATS, "session": ID}
    assert is_part_of(stats, session)
    assert is_part_of(RUN, stats)
    assert not is_part_of(RUN, {**stats, "label": "plot"})
    assert not is_part_of({**stats, "package": "plain"}, session)
    assert not is_part_of({**stats, "deletion_key_hash": OTHER_KEY}, session)
    assert is_part_of(JULIA_RUN, {"id": PARENT, "label": "fit"})
    assert (MAX_STATS, MAX_RUNS) == (100, 10_000)


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        (ID, True),
        (ID.upper(), False),
        (ID[1:], False),
        (f"{ID}\n", False),
        (3, False),
        (None, False),
    ],
)
def test_the_id_of_something_shared(text: object, is_id: bool) -> None:  # noqa: FBT001
    assert is_session_id(text) is is_id


def test_every_version_becomes_coarse() -> None:
    local = "1.2.dev3+g8f2c1ab"
    fields = {
        "package_version": local,
        "juliaVersion": local,
        "VERSION": local,
        "versions": local,
        "number_version": 3,
        "environment": {"python_version": local, "os": local},
        "other": {"python_version": local},
    }
    assert coarse.coarsen(fields) == {
        "package_version": "1.2.dev",
        "juliaVersion": "1.2.dev",
        "VERSION": "1.2.dev",
        "versions": local,
        "number_version": 3,
        "environment": {"python_version": "1.2.dev", "os": local},
        "other": {"python_version": local},
    }
    assert coarse.coarsen({"environment": local}) == {"environment": local}
