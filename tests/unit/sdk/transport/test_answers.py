"""What a collector answers, however wrong: a reason in the result of `share`, a `SharingError` from
`forget`."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plaintally._transport import response, retry
from plaintally._transport.answers import parse_answer

pytestmark = pytest.mark.usefixtures("as_a_person")
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "receipt",
                    "error",
                    "message",
                    "documents",
                    "hash",
                    "deleted_at",
                    "session",
                    "request",
                ]
            ),
            inner,
        ),
    ),
)


@given(
    st.integers(200, 599),
    st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())),
)
def test_a_parsed_answer_has_an_object_or_a_reason(status: int, body: bytes) -> None:
    parsed = parse_answer(status, body, None)
    assert isinstance(parsed.content, dict)
    assert parsed.reason == "" if parsed.status == 200 else parsed.reason.isprintable()
    assert parsed.status in (0, status)


@given(st.binary(max_size=100))
@example(b"HTTP/1.1 200")
def test_a_head_is_read_or_is_no_http(head: bytes) -> None:
    try:
        status, retry_after, _ = response.parse_head(head)
    except OSError:
        return
    assert 200 <= status < 600
    wait_s = retry.asked_s(status, retry_after)
    assert (wait_s is not None) == (status == 429 or status >= 500)
    assert 0 <= (wait_s or 0) <= 3600
