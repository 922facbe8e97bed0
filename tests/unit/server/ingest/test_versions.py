"""Versions of other clients: what is stored names no checkout, and the sender is answered with what
it sent."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coarse_versions import PATTERN
from collectors import count
from hosts import ROOT as REPOSITORY
from plaintally import Telemetry, _count
from plaintally.contract import Contract
from plaintally.versions import MAX_LENGTH, coarse_version
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.values import from_document
from plaintally_server.ingest.admission import Policy, admit
from plaintally_server.ingest.fast_path import Counts
from shared import CONTRACT, Shared, string

HASH = "8f2c1ab"
CHECKOUT = f"1.38.1.dev3+g{HASH}.d20261130"
VERSION = "package_version"
CONTRACTS = {
    "pkg": Contract(counter=[VERSION]),
    "rxinfer": Contract(dialect="rxinfer", labels=CONTRACT.labels),
}
IDENTIFIER = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"


def stored(collection: str, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is stored of the fields of a document; None if it is rejected."""
    try:
        admitted = admit(
            Name("p", "(default)", collection, str(fields["id"])), fields, Policy(CONTRACTS)
        )
    except Refusal:
        return None
    coarse: Mapping[str, Any] | None = (
        json.loads(admitted.counted.coarse) if admitted.counted else None
    )
    return admitted.fields if coarse is None else coarse


def environment(**versions: str) -> dict[str, Any]:
    """The fields of a session in the form of RxInfer.jl."""
    return {
        "id": IDENTIFIER,
        "created_at": datetime(2026, 11, 30, tzinfo=UTC),
        "environment": {**versions, "cores": 8},
    }


def texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in texts(item)]
    return [value] if isinstance(value, str) else []


parts = st.sampled_from(["+", ".dev", "DEV", "-", ".", "post", "rc", "!", "0", "12", HASH, "g"])
versions = st.builds(
    "{}{}".format, st.sampled_from(["1.0", "2", "1!3", "v1", ""]), st.lists(parts).map("".join)
)


@pytest.mark.parametrize("version", [None, "unknown", "0.0.0+dirty", "1.2.3"])
def test_an_import_with_any_version_is_admitted(version: str | None) -> None:
    """A version that is none is left out, and the import stands in reports as one whose version is
    not declared."""
    telemetry = Telemetry("pkg", version=version, contract=CONTRACTS["pkg"])
    _, body = _count.document(telemetry, bytes(16), 0)
    found = stored("using_pkg", from_document(json.loads(body)))
    assert found == ({VERSION: coarse_version(version)} if coarse_version(version) else {})


@given(version=versions | st.from_regex(r"[0-9A-Za-z.+!_-]{1,64}", fullmatch=True))
def test_no_version_that_is_stored_names_a_checkout(version: str) -> None:
    moment = datetime(2026, 11, 30, tzinfo=UTC)
    shared = dict(from_document({**Shared().session_document(), "name": "x"}))
    shared["environment"] = {**shared["environment"], VERSION: version}
    for collection, fields in (
        ("using_pkg", {"id": IDENTIFIER, "timestamp": moment, VERSION: version}),
        (
            "using_rxinfer",
            {
                "id": IDENTIFIER,
                "timestamp": moment,
                "rxinferVersion": version,
                "juliaVersion": version,
            },
        ),
        ("sessions", environment(julia_version=version, rxinfer_version=version)),
        ("sessions", shared),
    ):
        found = stored(collection, fields)
        if found is None:
            assert (
                not coarse_version(version)
                or version.lower().startswith("v")
                or len(version) > MAX_LENGTH
            )
            continue
        assert {*texts(found)} <= {*texts(fields), coarse_version(version)}
        kept = [
            value
            for value in texts({**found, "id": None})
            if value not in texts(Shared().session_document())
        ]
        assert not [
            value for value in kept if "+" in value or re.search("dev.", value, re.IGNORECASE)
        ]


@pytest.mark.parametrize("version", ["1.38.1", "1.38.1.dev", "1.0rc1", CHECKOUT, "1.0.dev3"])
def test_a_glance_counts_the_coarse_version(version: str) -> None:
    text = json.dumps(count(IDENTIFIER, package_version=string(version))).encode()
    admitted = Counts(CONTRACTS).read("using_pkg", text, IDENTIFIER)
    assert admitted is not None
    assert admitted.counted is not None
    assert json.loads(admitted.counted.coarse) == {VERSION: coarse_version(version)}


@pytest.mark.parametrize("version", ["main", HASH[1:], "v1.0", "", "1.0 /home/me", "1" * 65])
def test_what_is_no_version_is_rejected(version: str) -> None:
    fields = {"id": IDENTIFIER, "timestamp": datetime(2026, 11, 30, tzinfo=UTC), VERSION: version}
    assert stored("using_pkg", fields) is None


def test_the_rules_take_what_the_sdk_sends_and_no_other_version() -> None:
    """`tests/server/test_firestore_project.py` asks Google's emulator."""
    [check] = re.findall(
        r"function isVersion\(value\) \{\s*(.*?)\s*\}\n",
        (REPOSITORY / "deploy/firestore.rules").read_text(),
    )
    assert (
        check
        == f"return value is string && value.size() <= {MAX_LENGTH} && value.matches('{PATTERN}');"
    )
