"""Versions of other clients: what is stored names no checkout, and the sender is answered with what
it sent."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from collectors import ROOT, TOKEN, count, run_collector
from plaintally.contract import Contract
from shared import CONTRACT, Shared, string, write_contract

HASH = "8f2c1ab"
CHECKOUT = f"1.38.1.dev3+g{HASH}.d20261130"
JULIA = f"1.12.0-DEV.1234+{HASH}"
VERSION = "package_version"
CONTRACTS = {
    "pkg": Contract(counter=[VERSION]),
    "rxinfer": Contract(dialect="rxinfer", labels=CONTRACT.labels),
}
IDENTIFIER = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"


def environment(**versions: str) -> dict[str, Any]:
    """The fields of a session in the form of RxInfer.jl."""
    return {
        "id": IDENTIFIER,
        "created_at": datetime(2026, 11, 30, tzinfo=UTC),
        "environment": {**versions, "cores": 8},
    }


parts = st.sampled_from(["+", ".dev", "DEV", "-", ".", "post", "rc", "!", "0", "12", HASH, "g"])
versions = st.builds(
    "{}{}".format, st.sampled_from(["1.0", "2", "1!3", "v1", ""]), st.lists(parts).map("".join)
)


def test_an_old_client_is_answered_with_what_it_sent_and_nothing_of_it_is_stored(
    tmp_path: Path,
) -> None:
    paths = [write_contract(tmp_path, package, contract) for package, contract in CONTRACTS.items()]
    database = tmp_path / "collected.sqlite3"
    shared = Shared(invokes=0)
    session = shared.session_document()
    session["fields"]["environment"]["mapValue"]["fields"]["package_version"] = string(CHECKOUT)  # type: ignore[index]
    julia = {
        "id": string(IDENTIFIER),
        "created_at": {"timestampValue": "2026-11-23T21:15:30.120Z"},
        "environment": {
            "mapValue": {"fields": {"julia_version": string(JULIA), "os": string("Linux")}}
        },
    }
    maintainer = {"Authorization": f"Bearer {TOKEN}"}
    with run_collector(
        database, *(f"--contract={path}" for path in paths), packages=()
    ) as collector:
        for method, path, document in (
            ("POST", "using_pkg", count(package_version=string(CHECKOUT))),
            (
                "PATCH",
                f"using_pkg/{IDENTIFIER}",
                count(IDENTIFIER, package_version=string(CHECKOUT)),
            ),
            (
                "POST",
                "using_rxinfer",
                count(rxinferVersion=string(CHECKOUT), juliaVersion=string(JULIA)),
            ),
            ("PATCH", shared.names[0], session),
            ("PATCH", shared.names[0], session),  # again, which changes nothing
            ("POST", "sessions", {"fields": julia}),
            ("PATCH", f"sessions/{IDENTIFIER}", {"fields": julia}),
        ):
            answer = collector.request(method, f"{ROOT}/{path}", document)
            assert (answer.status, answer.json.get("fields")) == (200, document["fields"]), (
                answer.body
            )
        read = collector.request("GET", f"{ROOT}/{shared.names[0]}", headers=maintainer).json[
            "fields"
        ]
        assert read["environment"]["mapValue"]["fields"][VERSION] == string("1.38.1.dev")  # type: ignore[index]
        read = collector.request("GET", f"{ROOT}/sessions/{IDENTIFIER}", headers=maintainer).json[
            "fields"
        ]
        assert read["environment"]["mapValue"]["fields"]["julia_version"] == string("1.12.0.dev")  # type: ignore[index]
    kept = b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*"))
    assert b"1.38.1.dev" in kept
    for part in (HASH, "dev3", "d20261130", "DEV.1", "dev.1"):
        assert part.encode() not in kept
