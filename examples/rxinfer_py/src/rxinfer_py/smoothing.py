"""Messages back along the chain: the Rauch-Tung-Striebel smoother, at a fixed lag or the end.

All that the way back needs to know of a time is one kernel, the distribution of its state given the
next state; it is known as soon as the filter has passed. See H. E. Rauch, F. Tung and C. T.
Striebel, Maximum likelihood estimates of linear dynamic systems, AIAA Journal 3(8), 1965.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from rxinfer_py.chain import Array, Belief, Chain, Gaussian, Improper, checked_arithmetic
from rxinfer_py.filtering import advance, forward, predict


class Kernel(NamedTuple):
    """The state x[t] given x[t + 1] and the data until t, as a normal distribution."""

    gain: Array
    offset: Array
    covariance: Array


class Smoothed(NamedTuple):
    """What both passes over n observations tell about a state of d variables.

    Attributes:
        filtered: the beliefs from the data until each time.
        kernels: the n - 1 ways back.
        means: given all data, shape (n, d).
        covariances: given all data, shape (n, d, d).
        log_evidence: of all data, in nats.
    """

    filtered: list[Belief]
    kernels: list[Kernel]
    means: Array
    covariances: Array
    log_evidence: float


def smooth(chain: Chain, observations: Array) -> Smoothed:
    """Pass messages forward and back over all observations, of which NaN is a missing one.

    Raises:
        ValueError: the prior is flat and there are fewer observations than variables, or the
            numbers leave their range.
    """
    with checked_arithmetic():
        filtered, densities = zip(*forward(chain, observations), strict=True)
        kernels = [look_back(belief, chain) for belief in filtered[:-1]]
        beliefs = [_determined(filtered[-1])]
        for kernel in reversed(kernels):
            beliefs.append(step_back(beliefs[-1], kernel))
        means, covariances = (np.array(part) for part in zip(*reversed(beliefs), strict=True))
        return Smoothed(list(filtered), kernels, means, covariances, float(sum(densities)))


def _determined(belief: Belief) -> Gaussian:
    if isinstance(belief, Gaussian):
        return belief
    have, need = belief.rows.shape
    raise ValueError(
        f"A flat prior needs {need} observations that are not missing and has {have}; give more, "
        "or a prior."
    )


def smooth_stream(
    chain: Chain, observations: Iterable[float], *, lag: int
) -> Iterator[Gaussian | None]:
    """Yield the state of time t - lag when the observation of time t has arrived.

    The result is what `smooth` would give on the same data. Memory and the time per observation
    grow with `lag` only. None stands for a state that a flat prior leaves undetermined until t.
    """
    kernels: deque[Kernel] = deque(maxlen=lag)
    belief: Belief | None = None
    for time, observation in enumerate(observations):
        with checked_arithmetic():
            if belief is None:
                prior = chain.prior
            else:
                kernels.append(look_back(belief, chain))
                prior = predict(belief, chain)
            belief = advance(prior, observation, chain).belief
            state = (
                _step_back_all(belief, kernels)
                if time >= lag and isinstance(belief, Gaussian)
                else None
            )
        if time >= lag:
            yield state


def _step_back_all(belief: Gaussian, kernels: deque[Kernel]) -> Gaussian:
    for kernel in reversed(kernels):
        belief = step_back(belief, kernel)
    return belief


def step_back(later: Gaussian, kernel: Kernel) -> Gaussian:
    """The belief about a state from the belief about the next."""
    gain, offset, covariance = kernel
    return Gaussian(gain @ later.mean + offset, gain @ later.covariance @ gain.T + covariance)


@singledispatch
def look_back(belief: Belief, chain: Chain) -> Kernel:
    """The way back to a state from the next one, given the belief of the filter about it."""
    raise NotImplementedError


@look_back.register
def _(belief: Gaussian, chain: Chain) -> Kernel:
    mean, covariance = belief
    across = chain.transition @ covariance
    gain = np.linalg.solve(across @ chain.transition.T + chain.noise, across).T
    # A sum of what is positive, as Joseph's form in the filter.
    rest = np.eye(chain.size) - gain @ chain.transition
    spread = rest @ covariance @ rest.T + gain @ chain.noise @ gain.T
    return Kernel(gain, rest @ mean, spread)


@look_back.register
def _(belief: Improper, chain: Chain) -> Kernel:
    # x[t] is inv(transition) @ (x[t + 1] - step), and the step has a proper distribution, which the
    # belief narrows.
    back = np.linalg.inv(chain.transition)
    rows = belief.rows @ back
    gain = np.linalg.solve(rows @ chain.noise @ rows.T + belief.noise, rows @ chain.noise).T
    rest = np.eye(chain.size) - gain @ rows
    spread = rest @ chain.noise @ rest.T + gain @ belief.noise @ gain.T
    return Kernel(back @ rest, back @ gain @ belief.values, back @ spread @ back.T)
