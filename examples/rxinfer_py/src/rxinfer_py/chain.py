"""A model's chain of states, and the two kinds of messages that pass along it.

Nothing is computed here but the matrices; `filtering` carries beliefs forward and `smoothing` back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rxinfer_py.models import Model

Array = npt.NDArray[np.floating]


class Gaussian(NamedTuple):
    """A belief about the state: its mean, shape (d,), and its covariance, shape (d, d)."""

    mean: Array
    covariance: Array


class Improper(NamedTuple):
    """A belief after a flat prior: m observations that do not determine the state yet.

    Nothing else is known than values = rows @ x + N(0, noise), where m is less than d.

    Attributes:
        rows: shape (m, d), of rank m.
        values: shape (m,).
        noise: shape (m, m).
    """

    rows: Array
    values: Array
    noise: Array


Belief = Gaussian | Improper


class Chain(NamedTuple):
    """A model as matrices: x[t] = transition @ x[t-1] + N(0, noise), y[t] = x[t][0] + N(0, var).

    Attributes:
        transition: shape (d, d), with determinant 1.
        noise: diagonal, shape (d, d); a variance may be zero.
        obs_var: above zero.
        prior: the belief about x[1] before any observation.
    """

    transition: Array
    noise: Array
    obs_var: float
    prior: Belief

    @property
    def size(self) -> int:
        """The number of variables in the state, d."""
        return len(self.transition)


def chain_of(model: Model) -> Chain:
    """The chain that a model describes."""
    *state, obs_var = (float(variance) for variance in model.parameters.values())
    size = len(state)
    # A level grows by the slope beside it, if there is one: ones on the diagonal and above it.
    return Chain(np.triu(np.ones((size, size))), np.diag(state), obs_var, _prior_of(model))


def _prior_of(model: Model) -> Belief:
    if model.priors is None:
        size = len(model.variables)
        return Improper(np.zeros((0, size)), np.zeros(0), np.zeros((0, 0)))
    means, variances = np.array(model.priors, dtype=float).T
    return Gaussian(means, np.diag(variances))


@contextmanager
def checked_arithmetic() -> Iterator[None]:
    """Turn an overflow into a sentence; not across a `yield`, as it sets the thread.

    Raises:
        ValueError: the numbers inside left the range of double precision.
    """
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            yield
    except (ArithmeticError, np.linalg.LinAlgError):
        raise ValueError(
            "The numbers leave the range of double precision; bring data and variances closer to 1 "
            "by other units."
        ) from None
