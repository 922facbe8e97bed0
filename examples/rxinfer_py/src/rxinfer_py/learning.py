"""The variances of a model, learned by expectation maximisation.

Each iteration smooths with the variances so far, and takes the mean of the squared noises that it
expects as the next. With exact messages the free energy is minus the log evidence, and no iteration
can make it grow but by rounding. See R. H. Shumway and D. S. Stoffer, An approach to time series
smoothing and forecasting using the EM algorithm, Journal of Time Series Analysis 3(4), 1982.
"""

from typing import NamedTuple

import numpy as np

from rxinfer_py.chain import Array, Chain, chain_of, checked_arithmetic
from rxinfer_py.models import Model
from rxinfer_py.smoothing import Smoothed, smooth

_LEAST_NOISE = 1e-10
"""The noise, relative to the range of the observations, that counts as none."""


class Learned(NamedTuple):
    """The fitted model, what it infers, and the free energy by iteration, in nats."""

    model: Model
    smoothed: Smoothed
    free_energy: list[float]


def learn(model: Model, observations: Array, *, iterations: int) -> Learned:
    """Improve a model's variances step by step.

    Args:
        model: where to start; a variance of zero stays zero.
        observations: shape (n,), NaN where missing.
        iterations: at least 1.

    Raises:
        ValueError: there are too few observations, or they follow the model without noise.
    """
    seen = observations[~np.isnan(observations)]
    if len(seen) <= len(model.variables):
        raise ValueError(
            f"To learn the variances of {model.name} takes more than {len(model.variables)} "
            "observations that are not "
            "missing; give more, or learn=False."
        )
    smoothed = smooth(chain_of(model), observations)
    energies = []
    for _ in range(iterations):
        model = _improve(model, smoothed, observations)
        if model.obs_var <= (_LEAST_NOISE * np.ptp(seen)) ** 2 or np.ptp(seen) == 0:
            raise ValueError(
                "The observations follow the model without noise, so no variances fit best; give "
                "them, and learn=False."
            )
        smoothed = smooth(chain_of(model), observations)
        energies.append(-smoothed.log_evidence)
    return Learned(model, smoothed, energies)


def _improve(model: Model, smoothed: Smoothed, observations: Array) -> Model:
    with checked_arithmetic():
        state = _squared_steps(chain_of(model), smoothed).mean(axis=0)
        noise = np.nanmean(
            (observations - smoothed.means[:, 0]) ** 2 + smoothed.covariances[:, 0, 0]
        )
    return model.with_parameters(
        dict(zip(model.parameters, [*state.tolist(), float(noise)], strict=True))
    )


def _squared_steps(chain: Chain, smoothed: Smoothed) -> Array:
    """The expected squares of x[t + 1] - transition @ x[t], shape (n - 1, d)."""
    gains, _, spreads = (np.array(part) for part in zip(*smoothed.kernels, strict=True))
    means = smoothed.means
    across = chain.transition
    rest = np.eye(chain.size) - across @ gains
    covariances = (
        rest @ smoothed.covariances[1:] @ rest.swapaxes(1, 2) + across @ spreads @ across.T
    )
    squares = (means[1:] - means[:-1] @ across.T) ** 2 + np.diagonal(covariances, axis1=1, axis2=2)
    # A step that is certain to be zero stays so, whatever rounding says.
    return np.where(np.diag(chain.noise) == 0, 0.0, squares)
