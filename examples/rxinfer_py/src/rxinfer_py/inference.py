"""The functions that users call, `infer` and `infer_stream`, and what they return.

What is asked is checked here and what was found is put into words; the work is done elsewhere.
numpy is loaded when a function is called, not before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rxinfer_py import telemetry
from rxinfer_py.models import LocalLevel, LocalLinearTrend, Model, Normal
from rxinfer_py.usage import LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from types import EllipsisType

    from plaintally.session import Session
    from rxinfer_py.chain import Array, Belief, Gaussian
    from rxinfer_py.smoothing import Smoothed

_ITERATIONS = 10


class Marginals(NamedTuple):
    """Normal distributions of one variable, one per time.

    Attributes:
        means: shape (n,).
        variances: shape (n,).
    """

    means: Array
    variances: Array


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class InferenceResult:
    """What was inferred from n observations about a model whose state has d variables.

    Attributes:
        model: the model, with the variances that were learned, if any were.
        posteriors: by variable, from all data (smoothed).
        filtered: by variable, from the data until each time; NaN and an infinite variance as long
            as a flat prior leaves the state undetermined.
        covariances: of all variables of the state from all data, in the order of `model.variables`,
            shape (n, d, d).
        predictions: what another observation of the same time would be, from all data: under "y".
            Where an observation is missing, and be it because it is in the future, that is its
            posterior.
        free_energy: in nats, after each iteration; one value without learning; None unless asked
            for.
    """

    model: Model
    posteriors: Mapping[str, Marginals]
    filtered: Mapping[str, Marginals]
    covariances: Array
    predictions: Mapping[str, Marginals]
    free_energy: Sequence[float] | None

    @property
    def parameters(self) -> dict[str, float]:
        """The variances of the model by name."""
        return self.model.parameters

    def __repr__(self) -> str:
        energy = f", free energy {self.free_energy[-1]:.6g}" if self.free_energy else ""
        return (
            f"<InferenceResult of {self.model.name}: {len(self.covariances)} times, "
            f"posteriors of {' and '.join(self.posteriors)}{energy}>"
        )


class Estimate(NamedTuple):
    """One state of a stream.

    Attributes:
        time: which, counted from 0.
        posteriors: by variable; NaN and an infinite variance when a flat prior leaves it
            undetermined.
    """

    time: int
    posteriors: Mapping[str, Normal]


def infer(
    *,
    model: Model,
    data: object,
    learn: bool = False,
    iterations: int | None = None,
    free_energy: bool = False,
    returnvars: Collection[str] | None = None,
    session: Session | EllipsisType | None = ...,
) -> InferenceResult:
    """Infer the states of a model from data, exactly, and its variances too if asked to.

    The free energy is minus the log evidence, since exact messages leave no gap between the two.
    With a flat prior the evidence has no scale of its own; it is taken as the limit of p(y) * k **
    (d / 2) as the prior's covariance k * I grows, which is the diffuse likelihood of Durbin and
    Koopman (2012), section 7.2.2. Compare free energies only among models whose priors are flat for
    the same variables.

    Args:
        model: what `local_level` or `local_linear_trend` made.
        data: {"y": observations} or the observations: a sequence or array of n numbers, None or NaN
            where missing.
        learn: whether to learn the variances by expectation maximisation, from those of the model
            on.
        iterations: how many steps of learning; 10 if not given. Without learning there is nothing
            to iterate.
        free_energy: whether to return the free energy.
        returnvars: the variables whose posteriors are returned; all if not given.
        session: the session to log this into, or None; if not given, the default session.

    Raises:
        ValueError: something is wrong with an argument, or the data cannot determine the state or
            the variances.
    """
    with telemetry.invoke(LABEL, session=session) as invoke:
        invoke.add(
            lambda: {
                **_context(model, returnvars),
                "data": data if type(data) is dict else {"y": data},
                "learn": learn,
                "free_energy": free_energy,
            }
        )
        if learn:
            invoke.add(iterations=iterations or _ITERATIONS)
        names = _variables(model, returnvars)
        if iterations is not None:
            _check_count("iterations", iterations, least=1)
            if not learn:
                raise ValueError(
                    "Without learning, one pass is exact; leave out iterations, or give learn=True."
                )
        from rxinfer_py.chain import chain_of
        from rxinfer_py.learning import learn as learn_variances
        from rxinfer_py.observations import read
        from rxinfer_py.smoothing import smooth

        observations = read(data)
        if learn:
            model, smoothed, energies = learn_variances(
                model, observations, iterations=iterations or _ITERATIONS
            )
        else:
            smoothed = smooth(chain_of(model), observations)
            energies = [-smoothed.log_evidence]
        return _result(model, smoothed, names, energies if free_energy else None)


def infer_stream(
    *,
    model: Model,
    datastream: Iterable[object],
    lag: int = 0,
    returnvars: Collection[str] | None = None,
    session: Session | EllipsisType | None = ...,
) -> Iterator[Estimate]:
    """Infer the states of a model while the data arrives, each `lag` observations later, exactly.

    The estimate of time t - lag is given once the observation of time t is there, and equals what
    `infer` gives for that time on the data until t. With n observations there are n - lag
    estimates. A stream may be endless: memory, and the time per observation, grow with `lag` only.

    Args:
        model: what `local_level` or `local_linear_trend` made.
        datastream: numbers, None or NaN where missing.
        lag: how many observations to wait for; with 0 the estimates are those of the filter.
        returnvars: the variables whose posteriors are returned; all if not given.
        session: the session to log this into, or None; if not given, the default session.

    Raises:
        ValueError: something is wrong with an argument, at once; or with an observation, when it is
            read.
    """
    names = _variables(model, returnvars)
    _check_count("lag", lag, least=0)
    if isinstance(datastream, str | bytes) or not isinstance(datastream, Iterable):
        raise ValueError(  # noqa: TRY004  # bad input is one kind of error
            f"datastream is a {type(datastream).__name__}; give what yields one number per time."
        )
    return _log_stream(
        _estimates(model, datastream, lag, names),
        _context(model, returnvars) | {"lag": lag},
        session,
    )


def _log_stream(
    estimates: Iterator[Estimate],
    context: Mapping[str, object],
    session: Session | EllipsisType | None,
) -> Iterator[Estimate]:
    """One run, from the first estimate to the last that anybody asks for."""
    with telemetry.invoke(LABEL, session=session) as invoke:
        invoke.add(**context)
        yield from estimates


def _context(model: Model, returnvars: Collection[str] | None) -> dict[str, object]:
    """What is logged of a model and of what is asked about it: no data, and no variance."""
    asked = model.variables if returnvars is None else returnvars
    if isinstance(asked, str):
        asked = (asked,)
    return {
        "model_name": model.name,
        "model": model.source,
        "initialization": model.priors is not None,
        "returnvars": "+".join(asked),
    }


def _estimates(
    model: Model, datastream: Iterable[object], lag: int, names: Collection[str]
) -> Iterator[Estimate]:
    from rxinfer_py.chain import chain_of
    from rxinfer_py.observations import read_each
    from rxinfer_py.smoothing import smooth_stream

    for time, state in enumerate(smooth_stream(chain_of(model), read_each(datastream), lag=lag)):
        normals = (_normal(state, index) for index in range(len(model.variables)))
        posteriors = dict(zip(model.variables, normals, strict=True))
        yield Estimate(time, {name: posteriors[name] for name in names})


def _result(
    model: Model, smoothed: Smoothed, names: Collection[str], free_energy: Sequence[float] | None
) -> InferenceResult:
    import numpy as np

    variances = np.diagonal(smoothed.covariances, axis1=1, axis2=2)
    posteriors = {}
    filtered = {}
    for index, name in enumerate(model.variables):
        if name in names:
            posteriors[name] = Marginals(smoothed.means[:, index], variances[:, index])
            filtered[name] = Marginals(
                *np.array([_moments(belief, index) for belief in smoothed.filtered]).T
            )
    prediction = Marginals(smoothed.means[:, 0], variances[:, 0] + model.obs_var)
    return InferenceResult(
        model, posteriors, filtered, smoothed.covariances, {"y": prediction}, free_energy
    )


def _variables(model: Model, returnvars: Collection[str] | None) -> tuple[str, ...]:
    if not isinstance(model, LocalLevel | LocalLinearTrend):
        raise ValueError(  # noqa: TRY004  # bad input is one kind of error
            f"The model is a {type(model).__name__}; give what local_level(...) or another model "
            "returns."
        )
    if returnvars is None:
        return model.variables
    chosen = (returnvars,) if isinstance(returnvars, str) else tuple(returnvars)
    for name in chosen:
        if name not in model.variables:
            known = " and ".join(model.variables)
            raise ValueError(f"{model.name} has no variable {name!r} to return; it has {known}.")
    if not chosen:
        raise ValueError("returnvars names no variable; leave it out to have them all.")
    return chosen


def _check_count(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; give a whole number, {least} or more.")


def _normal(state: Gaussian | None, index: int) -> Normal:
    return Normal(math.nan, math.inf) if state is None else Normal(*_moments(state, index))


def _moments(belief: Belief, index: int) -> tuple[float, float]:
    from rxinfer_py.chain import Gaussian

    if isinstance(belief, Gaussian):
        return float(belief.mean[index]), float(belief.covariance[index, index])
    return math.nan, math.inf
