"""Histograms: every quantile is as near as promised, and buckets are where they are said to be."""

from collections import Counter
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from plaintally_server.reports.histogram import MAX_ERROR, ZERO, bucket_of, middle, quantile

DURATIONS = st.just(0.0) | st.floats(1e-300, 1.7e308)
LISTS = st.lists(DURATIONS, min_size=1, max_size=60)


@given(LISTS, st.floats(0, 1))
def test_a_quantile_is_a_value_of_the_list_within_the_error(
    values: list[float], share: float
) -> None:
    exact = sorted(values)[max(1, ceil(share * len(values))) - 1]
    found = quantile(Counter(map(bucket_of, values)), share)
    assert found is not None
    assert abs(found - exact) <= exact * MAX_ERROR * (1 + 1e-12)


@given(DURATIONS, DURATIONS)
def test_buckets_have_the_order_of_their_values_and_fit_into_16_bits(
    one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert -(2**15) <= bucket_of(low) <= bucket_of(high) < 2**15
    assert bucket_of(middle(bucket_of(one))) == bucket_of(one)


def test_the_error_is_what_the_documentation_says_and_octaves_begin_at_powers_of_two() -> None:
    assert round(MAX_ERROR, 4) == 0.0217
    assert [bucket_of(2.0**octave) for octave in (-1074, -1, 0, 1, 1023)] == [
        -17184,
        -16,
        0,
        16,
        16368,
    ]
    assert (bucket_of(0.0), middle(ZERO), quantile({}, 0.5)) == (ZERO, 0.0, None)
