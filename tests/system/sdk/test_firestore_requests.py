"""Every request that the SDK can send to a Firestore project is one that Firestore takes."""

import marshal
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firestore_limits import ROOT, check_request
from logged import CONTRACT, INVOKES, Logged, log, make
from plaintally import Telemetry, sharing
from plaintally._transport import batches
from plaintally.exceptions import SharingError
from plaintally.session import Session
from plaintally.sharing import automatic, documents, relay

URL = f"https://firestore.googleapis.com{ROOT}/"


def relayed(session: Session) -> list[batches.Request]:
    """What automatic sharing sends, when all invokes have come through the pipe."""
    batch = None
    endpoint = make(URL).endpoint
    assert endpoint is not None
    for stats in map(session.stats, CONTRACT.labels):
        for invoke in stats.invokes:
            batch = batch or relay.Batch(0, *marshal.loads(automatic.header(session, endpoint)))  # noqa: S302
            batch.add(*marshal.loads(automatic.encode(invoke, stats)))  # noqa: S302
    if batch is None:
        return []
    return list(batches.make_requests([*batch.parents.values(), *batch.waiting.values()], endpoint))


@settings(max_examples=300)
@given(INVOKES, st.sampled_from([(), ("source",), sharing.PRIVATE]))
def test_whatever_was_logged_is_sent_as_firestore_takes_it(
    invokes: list[Logged], include: tuple[str, ...]
) -> None:
    """At once, one by one where a project refuses that, and by itself; and the three send the same
    documents."""
    telemetry = make(URL)
    session = log(telemetry, invokes)
    preview = telemetry.preview(include=include)
    endpoint = preview.endpoint
    assert endpoint is not None
    assert all(request.target.endswith(":commit") for request in preview.requests)
    sent = [document for request in preview.requests for document in check_request(request)]
    singles = [batches._single(document, endpoint) for document in preview.documents]
    assert [document for single in singles for document in check_request(single)] == sent
    assert Counter(name.partition("/")[0] for name, _ in sent) == Counter(
        sessions=1, session_stats=len(set(session.labels) & set(CONTRACT.labels)),
        invokes=sum(label != "undeclared" for label, _, _ in invokes),
    )  # fmt: skip
    automatic = [document for request in relayed(session) for document in check_request(request)]
    if not include:
        in_use = {
            name for name, fields in sent if fields.get("total_invokes") != {"integerValue": "0"}
        }
        expected = {name: fields for name, fields in sent if name in in_use}
        assert dict(automatic) == (expected if automatic else {})


@pytest.mark.parametrize(
    "host", ["firestore.googleapis.com", "firestore.me-central2.rep.googleapis.com"]
)
def test_google_is_given_no_deletion_key(host: str) -> None:
    """There is no network in this test: it would fail, and with another message."""
    url = f"https://{host}{ROOT}/"
    telemetry = Telemetry("pkg", endpoint=url, issues_url="https://example.org/issues")
    identifier = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
    told = rf"deletes nothing by itself; ask the maintainers to delete session {identifier} .*org"
    with pytest.raises(SharingError, match=told):
        telemetry.forget(identifier, "the key")
    telemetry.set_session(session := telemetry.create_session())
    result = sharing.ShareResult(session, endpoint=telemetry.endpoint)
    result.shared = {"sessions": 1}
    assert "ask the maintainers" in str(result)
    assert "plaintally forget" not in str(result)
    assert documents.hash_key(str(result).splitlines()[-1].strip()) == documents.hash_key(
        session.deletion_key
    )
