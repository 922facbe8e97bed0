"""Messages forward along the chain: the Kalman filter, exact from a flat prior, too.

While a flat prior leaves the state undetermined, the belief is the list of the observations so far;
as soon as these determine the state it continues as mean and covariance. No large number stands for
an infinite variance.

See Durbin and Koopman (2012), section 4.3 for the filter and 7.2.2 for the diffuse log-likelihood,
whose convention is kept: with a flat prior, the evidence is the limit of p(y) * k ** (d / 2) as the
prior's covariance k * I grows.
"""

import math
from collections.abc import Iterable, Iterator
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from rxinfer_py.chain import Belief, Chain, Gaussian, Improper

_LOG_TWO_PI = math.log(2 * math.pi)


class Step(NamedTuple):
    """One time of the forward pass.

    Attributes:
        belief: about the state, from the observations up to and with this time.
        log_density: of this observation given those before, in nats; 0 when it is missing.
    """

    belief: Belief
    log_density: float


def forward(chain: Chain, observations: Iterable[float]) -> Iterator[Step]:
    """Carry the prior along the chain; a missing observation is NaN."""
    belief: Belief | None = None
    for observation in observations:
        step = advance(
            chain.prior if belief is None else predict(belief, chain), observation, chain
        )
        belief = step.belief
        yield step


def advance(prior: Belief, observation: float, chain: Chain) -> Step:
    """One step of the forward pass, from what is believed before the observation of its time."""
    if math.isnan(observation):
        return Step(prior, 0.0)
    return Step(observe(prior, observation, chain), log_density(prior, observation, chain))


@singledispatch
def predict(belief: Belief, chain: Chain) -> Belief:
    """The belief about the next state."""
    raise NotImplementedError


@predict.register
def _(belief: Gaussian, chain: Chain) -> Belief:
    across = chain.transition
    return Gaussian(across @ belief.mean, across @ belief.covariance @ across.T + chain.noise)


@predict.register
def _(belief: Improper, chain: Chain) -> Belief:
    # What is known of x is known of inv(transition) @ (next - noise).
    rows = belief.rows @ np.linalg.inv(chain.transition)
    return Improper(rows, belief.values, belief.noise + rows @ chain.noise @ rows.T)


@singledispatch
def observe(belief: Belief, observation: float, chain: Chain) -> Belief:
    """The belief after an observation of the same time."""
    raise NotImplementedError


@observe.register
def _(belief: Gaussian, observation: float, chain: Chain) -> Belief:
    mean, covariance = belief
    gain = covariance[:, 0] / (covariance[0, 0] + chain.obs_var)
    # Joseph's form: a sum of what is positive, where the shorter one subtracts numbers that may be
    # nearly equal.
    rest = np.eye(chain.size)
    rest[:, 0] -= gain
    posterior = rest @ covariance @ rest.T + chain.obs_var * np.outer(gain, gain)
    return Gaussian(mean + gain * (observation - mean[0]), posterior)


@observe.register
def _(belief: Improper, observation: float, chain: Chain) -> Belief:
    rows, values, noise = _append(belief, observation, chain)
    if len(rows) < chain.size:
        return Improper(rows, values, noise)
    inverse = np.linalg.inv(rows)
    return Gaussian(inverse @ values, inverse @ noise @ inverse.T)


def _append(belief: Improper, observation: float, chain: Chain) -> Improper:
    rows = np.vstack([belief.rows, np.eye(1, chain.size)])
    noise = np.diag(np.full(len(rows), chain.obs_var))
    noise[:-1, :-1] = belief.noise
    return Improper(rows, np.append(belief.values, observation), noise)


@singledispatch
def log_density(belief: Belief, observation: float, chain: Chain) -> float:
    """The logarithm of the density of an observation that the belief predicts, in nats."""
    raise NotImplementedError


@log_density.register
def _(belief: Gaussian, observation: float, chain: Chain) -> float:
    variance = belief.covariance[0, 0] + chain.obs_var
    return -0.5 * float(
        _LOG_TWO_PI + np.log(variance) + (observation - belief.mean[0]) ** 2 / variance
    )


@log_density.register
def _(belief: Improper, observation: float, chain: Chain) -> float:
    # A flat belief favours no value. Only all d observations that determine the state have a
    # density, which is that of a change of variables: 1 / |det rows|, whatever their noise.
    rows = _append(belief, observation, chain).rows
    log_determinant = np.linalg.slogdet(rows)[1] if len(rows) == chain.size else 0.0
    return -0.5 * _LOG_TWO_PI - float(log_determinant)
