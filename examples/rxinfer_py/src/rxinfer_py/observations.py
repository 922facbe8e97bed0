"""Observations as numbers: a sequence, or a mapping that holds one under `y`.

A missing observation is None or NaN, or is masked. Whatever else is no finite number is refused in
a sentence.
"""

import math
import numbers
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from rxinfer_py.chain import Array

_NAME = "y"


def read(data: object) -> Array:
    """The observations as an array of shape (n,), NaN where one is missing.

    Raises:
        ValueError: they are no sequence of numbers, are empty, are infinite, or are all missing.
    """
    array = _array(_select(data))
    if array.ndim != 1:
        raise ValueError(
            f"The observations have the shape {array.shape}; give one number per time, in one "
            "dimension."
        )
    if not array.size:
        raise ValueError("There are no observations; give at least one.")
    values = np.array(list(read_each(array.tolist())))
    if np.isnan(values).all():
        raise ValueError("All observations are missing; give at least one number.")
    return values


def read_each(stream: Iterable[object]) -> Iterator[float]:
    """The observations of a stream, each read when it is asked for.

    Raises:
        ValueError: one is neither a finite number nor missing; the message counts from 0.
    """
    for time, value in enumerate(stream):
        yield _number(value, time)


def _select(data: object) -> object:
    if not isinstance(data, Mapping):
        return data
    if set(data) != {_NAME}:
        names = ", ".join(repr(name) for name in data) or "nothing"
        raise ValueError(
            f"The data holds {names}; give the observations of the model, as {{{_NAME!r}: ...}}."
        )
    return data[_NAME]


def _array(values: object) -> npt.NDArray[np.object_]:
    if isinstance(values, str | bytes | Mapping | set | frozenset | Iterator):
        raise ValueError(  # noqa: TRY004  # bad input is one kind of error
            f"The observations are a {type(values).__name__}; give a list or an array of numbers."
        )
    try:
        objects = np.array(values, dtype=object)
    except ValueError:
        raise ValueError(
            "The observations are not of one shape; give one number per time."
        ) from None
    if isinstance(values, np.ma.MaskedArray):
        objects[np.ma.getmaskarray(values)] = None
    return objects


def _number(value: object, time: int) -> float:
    if value is None or value is np.ma.masked:
        return math.nan
    if not isinstance(value, bool) and isinstance(value, numbers.Real):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isinf(number):
            return number
    raise ValueError(
        f"Observation {time} is {value!r}; give a finite number, or None where it is missing."
    )
