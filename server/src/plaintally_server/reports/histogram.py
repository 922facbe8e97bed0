"""Histograms of durations that can be added up, and their quantiles. Pure.

A histogram says by bucket how many values there are. Each octave, from a power of two to the next,
has 16 buckets of equal ratio, so a quantile that is read off is wrong by 2.17 % at most, however
many days or machines were added up. Buckets have numbers, and a number is all that a rollup or a
column of a file needs to hold: which bucket a value is in is decided here alone, by comparisons
rather than logarithms, whose last digits differ between engines.
"""

from bisect import bisect_right
from collections.abc import Mapping
from math import ceil, frexp, ldexp

PER_OCTAVE = 16
ZERO = -32768
"""The bucket of nothing but 0; that of 1 is 0, that of 2 is 16, and all fit into 16 bits."""
MAX_ERROR = (2 ** (1 / PER_OCTAVE) - 1) / (2 ** (1 / PER_OCTAVE) + 1)
"""How far `middle` is from a value of its bucket at most, as a share of the value: 2.17 %."""

Histogram = Mapping[int, int]
"""By bucket, the number of values."""

_STARTS = tuple(2 ** (step / PER_OCTAVE) / 2 for step in range(PER_OCTAVE))
"""Where the buckets from 1/2 to 1 start."""


def bucket_of(value: float) -> int:
    """Return the bucket of a finite value of at least 0.

    A bucket spans from 2 ** (bucket / 16) to 2 ** ((bucket + 1) / 16).
    """
    mantissa, exponent = frexp(value)
    return (exponent - 1) * PER_OCTAVE + bisect_right(_STARTS, mantissa) - 1 if value else ZERO


def middle(bucket: int) -> float:
    """Return a bucket's value whose relative error is the same at both ends of the bucket."""
    if bucket == ZERO:
        return 0.0
    octave, step = divmod(bucket, PER_OCTAVE)
    return ldexp(_STARTS[step] * (1 + MAX_ERROR), octave + 1)


def quantile(histogram: Histogram, share: float) -> float | None:
    """Return the smallest value that this share of all values do not exceed, within 2.17 %.

    Return None if there are no values.

    Args:
        histogram: the values.
        share: from 0, the smallest value, to 1, the largest; 0.5 is the median.
    """
    rank = max(1, ceil(share * sum(histogram.values())))
    for bucket in sorted(histogram):
        rank -= histogram[bucket]
        if rank <= 0:
            return middle(bucket)
    return None
