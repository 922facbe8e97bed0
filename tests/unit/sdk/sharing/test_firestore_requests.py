"""Every request that the SDK can send to a Firestore project is one that Firestore takes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firestore_limits import ROOT, check_request
from logged import log, make
from plaintally import _count
from plaintally._transport import batches

URL = f"https://firestore.googleapis.com{ROOT}/"


@given(st.binary(min_size=16, max_size=16), st.integers(0, 253_402_300_799_999_999_999))
def test_a_count_is_sent_as_firestore_takes_it(randomness: bytes, now_ns: int) -> None:
    target, body = _count.document(make(URL), randomness, now_ns)
    [(name, fields)] = check_request(batches.Request("POST", f"{ROOT}/{target}", body, ()))
    assert name == f"using_pkg/{fields['id']['stringValue']}"
    assert set(fields) == {"id", "timestamp", "package_version", "python_version"}


def test_a_full_session_is_sent_in_requests_of_a_size_that_firestore_takes() -> None:
    telemetry = make(URL)
    log(telemetry, [("fit", {"model": "☃" * 9000}, None)] * 1000)
    requests = telemetry.preview(include={"source"}).requests
    assert len(requests) > 5
    assert sum(len(check_request(request)) for request in requests) == 1002


def test_the_checker_refuses_what_googles_types_let_pass() -> None:
    wrong = [
        {"stringValue": "a", "nullValue": None},
        {},
        {"bytesValue": "!!!!"},
        {"arrayValue": {"values": [{"arrayValue": {"values": []}}]}},
        {"mapValue": {"fields": {"__a__": {"nullValue": None}}}},
        {"doubleValue": True},
        {"nullValue": False},
    ]
    for value in wrong:
        body = json.dumps({"fields": {"a": value}}).encode()
        with pytest.raises((AssertionError, ValueError)):
            check_request(batches.Request("PATCH", f"{ROOT}/sessions/a", body, ()))
