"""The retry policy of imports, sharing and the relay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally._transport.retry import IMPORT, MAX_ASKED_S, ONCE, SHARING, Policy, asked_s


@pytest.mark.parametrize(
    ("status", "retry_after", "expected"),
    [
        (200, b"7", None),
        (404, b"7", None),
        (428, b"", None),
        (429, b"", 0.0),
        (429, b"7", 7.0),
        (499, b"", None),
        (500, b"", 0.0),
        (503, b"0", 0.0),
        (503, b"99999999", MAX_ASKED_S),
        (503, b"Wed, 21 Oct 2026 07:28:00 GMT", MAX_ASKED_S),
        (503, b"-1", MAX_ASKED_S),
    ],
)
def test_what_a_server_asks_for(status: int, retry_after: bytes, expected: float | None) -> None:
    assert asked_s(status, retry_after) == expected


POLICY = Policy((1.0, 2.0), try_s=5.0, total_s=10.0)


@pytest.mark.parametrize(
    ("tries", "asked", "spent", "expected"),
    [
        (1, 0.0, 0.0, 1.0),
        (2, 0.0, 0.0, 2.0),
        (3, 0.0, 0.0, None),  # no further try
        (1, None, 0.0, None),  # a final failure
        (1, 7.0, 0.0, 7.0),  # the server asks for more than the pause
        (1, 0.5, 0.0, 1.0),
        (1, 0.0, 8.9, 1.0),
        (1, 0.0, 9.0, None),  # no time would be left
        (1, 10.0, 0.0, None),
    ],
)
def test_how_long_to_wait(
    tries: int, asked: float | None, spent: float, expected: float | None
) -> None:
    assert POLICY.wait_s(tries, asked, spent) == expected


@given(
    st.sampled_from([IMPORT, SHARING, ONCE]),
    st.lists(st.none() | st.floats(0, MAX_ASKED_S), min_size=5),
)
def test_every_policy_ends_in_time(policy: Policy, asked: list[float | None]) -> None:
    spent = 0.0
    tries = 0
    while True:
        tries += 1
        spent += min(policy.try_s, policy.total_s - spent)
        wait = policy.wait_s(tries, asked[tries - 1], spent)
        if wait is None:
            break
        assert wait >= (asked[tries - 1] or 0.0)
        spent += wait
    assert tries <= 3
    assert spent <= policy.total_s
