"""The inference of the example: held against statsmodels, and against conditioning one big Gaussian
directly."""

import importlib
import itertools
import math
import os
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxinfer_py.chain import chain_of
from rxinfer_py.datasets import nile
from rxinfer_py.inference import InferenceResult, infer, infer_stream
from rxinfer_py.models import Model, local_level, local_linear_trend
from rxinfer_py.smoothing import smooth

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # statsmodels is older than some of what it imports
    sm: Any = importlib.import_module("statsmodels.api")

Array = npt.NDArray[np.floating]
FLOWS = np.array(nile())
GAPPY = FLOWS.copy()
GAPPY[[0, 1, 3, *range(20, 40), *range(60, 80), 99]] = math.nan

LEVEL = local_level(level_var=1469.1, obs_var=15099.0)
LEVEL_KNOWN = local_level(level_var=1469.1, obs_var=15099.0, level_prior=(1000.0, 40000.0))
TREND = local_linear_trend(level_var=1400.0, slope_var=3.0, obs_var=15000.0)
TREND_KNOWN = local_linear_trend(
    level_var=1400.0,
    slope_var=3.0,
    obs_var=15000.0,
    level_prior=(1000.0, 40000.0),
    slope_prior=(-2.0, 25.0),
)
STIFF = local_linear_trend(level_var=0.0, slope_var=0.0, obs_var=15000.0)
MODELS: list[Model] = [LEVEL, LEVEL_KNOWN, TREND, TREND_KNOWN, STIFF]


def reference(model: Model, observations: Array) -> Any:  # noqa: ANN401  # statsmodels has no types
    """What statsmodels infers with the same variances and the same prior, or an exact diffuse
    one."""
    *state, obs_var = model.parameters.values()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        components = sm.tsa.UnobservedComponents(
            observations, "lltrend" if len(state) == 2 else "llevel", use_exact_diffuse=True
        )
        if model.priors is not None:
            means, variances = np.array(model.priors).T
            components.ssm.initialize_known(means, np.diag(variances))
        return components.smooth([obs_var, *state])


def fit(result: Any) -> Any:  # noqa: ANN401  # statsmodels has no types
    """The maximum of the likelihood that statsmodels finds, as exactly as it can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rough = result.model.fit(disp=False, maxiter=500)
        return result.model.fit(
            start_params=rough.params, disp=False, method="nm", maxiter=2000, xtol=1e-9, ftol=1e-12
        )


def energy(result: InferenceResult) -> float:
    assert result.free_energy is not None
    return result.free_energy[-1]


@pytest.mark.parametrize(
    "model", MODELS, ids=lambda model: f"{model.name}-{model.priors and 'known'}"
)
@pytest.mark.parametrize("observations", [FLOWS, GAPPY], ids=["complete", "gappy"])
def test_fixed_variances_give_what_statsmodels_gives(model: Model, observations: Array) -> None:
    found = infer(model=model, data={"y": observations}, free_energy=True)
    expected = reference(model, observations)
    assert energy(found) == pytest.approx(-expected.llf, rel=1e-9)
    for index, name in enumerate(model.variables):
        posterior = found.posteriors[name]
        filtered = found.filtered[name]
        np.testing.assert_allclose(
            posterior.means, expected.smoothed_state[index], rtol=1e-6, atol=1e-6
        )
        np.testing.assert_allclose(
            posterior.variances, expected.smoothed_state_cov[index, index], rtol=1e-6
        )
        known = np.isfinite(filtered.variances)
        # A flat prior leaves the filter without an answer before the data determines all of the
        # state.
        needed = 0 if model.priors else len(model.variables)
        assert list(known) == list(np.cumsum(~np.isnan(observations)) >= needed)
        assert np.isnan(filtered.means[~known]).all()
        np.testing.assert_allclose(
            filtered.means[known], expected.filtered_state[index, known], rtol=1e-6, atol=1e-6
        )
        np.testing.assert_allclose(
            filtered.variances[known], expected.filtered_state_cov[index, index, known], rtol=1e-6
        )
    np.testing.assert_allclose(
        found.covariances,
        expected.smoothed_state_cov.transpose(2, 0, 1),
        rtol=1e-6,
        atol=1e-6 * 15000,
    )
    predicted = found.predictions["y"]
    np.testing.assert_allclose(predicted.means, expected.smoothed_state[0], rtol=1e-6)
    np.testing.assert_allclose(
        predicted.variances, expected.smoothed_state_cov[0, 0] + model.obs_var, rtol=1e-6
    )


def test_the_data_is_what_statsmodels_ships() -> None:
    table = sm.datasets.nile.load_pandas().data
    assert list(table["volume"]) == list(nile())
    assert list(table["year"]) == list(range(1871, 1971))
    assert infer(model=LEVEL, data=table["volume"]).posteriors["level"].means[0] == pytest.approx(
        1111.668, abs=1e-3
    )


def test_learning_finds_the_variances_that_are_known_for_the_nile() -> None:
    start = local_level(level_var=1000.0, obs_var=10000.0)
    found = infer(model=start, data={"y": nile()}, learn=True, iterations=500, free_energy=True)
    # Durbin and Koopman (2012), section 2.10.
    assert found.parameters == pytest.approx({"level_var": 1469.1, "obs_var": 15099.0}, rel=1e-4)
    best = fit(reference(start, FLOWS))
    assert found.parameters == pytest.approx(
        {"level_var": best.params[1], "obs_var": best.params[0]}, rel=1e-4
    )
    assert energy(found) == pytest.approx(-best.llf, abs=1e-8)
    assert energy(found) == energy(infer(model=found.model, data=nile(), free_energy=True))


@pytest.mark.parametrize("known", [False, True])
def test_learning_finds_the_variances_of_a_trend_with_gaps(known: bool) -> None:  # noqa: FBT001  # a parameter
    chance = np.random.default_rng(5)
    slopes = 1 + np.cumsum(chance.normal(0, 0.5, 120))
    observations = np.cumsum(slopes + chance.normal(0, 2, 120)) + chance.normal(0, 3, 120)
    observations[50:60] = math.nan
    priors = {"level_prior": (0.0, 100.0), "slope_prior": (0.0, 10.0)} if known else {}
    model: Model = local_linear_trend(level_var=3.0, slope_var=0.5, obs_var=8.0, **priors)
    best = fit(reference(model, observations))
    optimum = dict(zip(("obs_var", "level_var", "slope_var"), map(float, best.params), strict=True))
    found = infer(model=model, data=observations, learn=True, iterations=300, free_energy=True)
    assert -best.llf - 1e-8 < energy(found) < -best.llf + 0.05
    stays = infer(
        model=model.with_parameters(optimum), data=observations, learn=True, free_energy=True
    )
    assert stays.parameters == pytest.approx(optimum, rel=1e-4)
    assert energy(stays) == pytest.approx(-best.llf, abs=1e-8)


@pytest.mark.parametrize(
    "model", MODELS, ids=lambda model: f"{model.name}-{model.priors and 'known'}"
)
@pytest.mark.parametrize("observations", [FLOWS, GAPPY], ids=["complete", "gappy"])
def test_no_iteration_lets_the_free_energy_grow(model: Model, observations: Array) -> None:
    before = energy(infer(model=model, data=observations, free_energy=True))
    found = infer(model=model, data=observations, learn=True, iterations=30, free_energy=True)
    assert found.free_energy is not None
    assert len(found.free_energy) == 30
    assert np.diff([before, *found.free_energy]).max() <= 1e-9
    assert found.free_energy[-1] < before
    for name, variance in model.parameters.items():
        assert (found.parameters[name] == 0) == (variance == 0)


def test_learning_takes_ten_steps_unless_told() -> None:
    found = infer(model=LEVEL_KNOWN, data=nile(), learn=True, free_energy=True)
    assert len(found.free_energy or ()) == 10
    assert found.model.priors == LEVEL_KNOWN.priors


@pytest.mark.parametrize(
    "model", MODELS, ids=lambda model: f"{model.name}-{model.priors and 'known'}"
)
@pytest.mark.parametrize("lag", [0, 1, 7])
def test_a_stream_with_a_lag_gives_what_all_data_until_then_gives(model: Model, lag: int) -> None:
    observations = GAPPY[:50]
    estimates = list(infer_stream(model=model, datastream=observations, lag=lag))
    assert [estimate.time for estimate in estimates] == list(range(50 - lag))
    for time, posteriors in estimates:
        seen = observations[: time + lag + 1]
        if model.priors is None and np.count_nonzero(~np.isnan(seen)) < len(model.variables):
            assert all(math.isnan(mean) and var == math.inf for mean, var in posteriors.values())
            continue
        batch = smooth(chain_of(model), seen)
        for index, name in enumerate(model.variables):
            expected = batch.means[time, index], batch.covariances[time, index, index]
            assert tuple(posteriors[name]) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_stream_takes_each_observation_when_it_is_asked_for() -> None:
    taken = []

    def feed() -> Iterator[float | None]:
        for time in itertools.count():
            taken.append(time)
            yield None if time == 1 else float(time)

    estimates = infer_stream(model=TREND, datastream=feed(), lag=3, returnvars=["slope"])
    assert taken == []
    first = next(estimates)
    assert (first.time, list(first.posteriors), taken) == (0, ["slope"], [0, 1, 2, 3])
    assert next(estimates).time == 1
    assert first.posteriors["slope"].mean == pytest.approx(1)


def test_a_stream_needs_no_more_memory_for_more_data() -> None:
    estimates = infer_stream(model=TREND, datastream=map(math.sin, itertools.count()), lag=5)
    for _ in range(200):
        next(estimates)
    tracemalloc.start()
    try:
        for _ in range(500):
            next(estimates)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 20_000


def test_a_stream_leaves_its_caller_and_its_feed_alone() -> None:
    before = np.geterr()

    def feed() -> Iterator[float]:
        assert np.geterr() == before
        yield 1.0
        assert np.geterr() == before
        yield 1 / 0

    estimates = infer_stream(model=LEVEL, datastream=feed())
    next(estimates)
    assert np.geterr() == before
    with pytest.raises(ZeroDivisionError):
        next(estimates)


VARIANCES = st.floats(1e-3, 1e3)
MAYBE = st.one_of(st.none(), st.floats(-100, 100))


@st.composite
def cases(draw: st.DrawFn, *, flat: bool) -> tuple[Model, list[float | None]]:
    observations = draw(st.lists(MAYBE, min_size=1, max_size=7))
    prior = st.none() if flat else st.tuples(st.floats(-10, 10), VARIANCES)
    model: Model
    if draw(st.booleans()):
        model = local_level(
            level_var=draw(VARIANCES), obs_var=draw(VARIANCES), level_prior=draw(prior)
        )
    else:
        model = local_linear_trend(
            level_var=draw(VARIANCES),
            slope_var=draw(VARIANCES),
            obs_var=draw(VARIANCES),
            level_prior=draw(prior),
            slope_prior=draw(prior),
        )
    missing = len(model.variables) if flat else 1
    observations += draw(st.lists(st.floats(-100, 100), min_size=missing, max_size=missing))
    return model, observations


@given(case=cases(flat=False))
def test_messages_give_what_conditioning_the_joint_gaussian_gives(
    case: tuple[Model, list[float | None]],
) -> None:
    model, observations = case
    chain = chain_of(model)
    n = len(observations)
    d = len(model.variables)
    # All states are linear in the first one and the steps: states = mixing @ (first, steps...).
    mixing = np.zeros((n * d, n * d))
    for row, column in itertools.combinations_with_replacement(range(n), 2):
        power = np.linalg.matrix_power(chain.transition, column - row)
        mixing[column * d : column * d + d, row * d : row * d + d] = power
    means, variances = np.array(model.priors).T
    mean = mixing[:, :d] @ means
    covariance = mixing @ np.diag([*variances, *np.tile(np.diag(chain.noise), n - 1)]) @ mixing.T
    seen = [time for time, value in enumerate(observations) if value is not None]
    rows = np.array(seen) * d
    values = np.array([observations[time] for time in seen], dtype=float)
    marginal = covariance[np.ix_(rows, rows)] + model.obs_var * np.eye(len(seen))
    gain = np.linalg.solve(marginal, covariance[rows]).T
    expected_mean = mean + gain @ (values - mean[rows])
    expected = covariance - gain @ covariance[rows]
    rest = values - mean[rows]
    log_density = -0.5 * (
        len(seen) * math.log(2 * math.pi)
        + np.linalg.slogdet(marginal)[1]
        + rest @ np.linalg.solve(marginal, rest)
    )

    found = infer(model=model, data=observations, free_energy=True)
    assert energy(found) == pytest.approx(-log_density, rel=1e-6, abs=1e-6)
    scale = np.abs(covariance).max()
    for index, name in enumerate(model.variables):
        np.testing.assert_allclose(
            found.posteriors[name].means, expected_mean[index::d], rtol=1e-6, atol=1e-6
        )
    for time, block in enumerate(found.covariances):
        part = slice(time * d, time * d + d)
        np.testing.assert_allclose(block, expected[part, part], rtol=1e-6, atol=1e-9 * scale)


@given(case=cases(flat=True))
def test_messages_from_a_flat_prior_give_the_weighted_least_squares(
    case: tuple[Model, list[float | None]],
) -> None:
    model, observations = case
    chain = chain_of(model)
    n = len(observations)
    d = len(model.variables)
    precision = np.zeros((n * d, n * d))
    shift = np.zeros(n * d)
    constant = 0.0
    for time in range(n - 1):
        step = np.zeros((d, n * d))
        step[:, time * d : time * d + d] = -chain.transition
        step[:, time * d + d : time * d + 2 * d] = np.eye(d)
        precision += step.T @ np.linalg.inv(chain.noise) @ step
        constant -= 0.5 * (d * math.log(2 * math.pi) + np.linalg.slogdet(chain.noise)[1])
    for time, value in enumerate(observations):
        if value is not None:
            precision[time * d, time * d] += 1 / model.obs_var
            shift[time * d] += value / model.obs_var
            constant -= 0.5 * (math.log(2 * math.pi * model.obs_var) + value**2 / model.obs_var)
    expected_mean = np.linalg.solve(precision, shift)
    expected = np.linalg.inv(precision)
    # The integral over all states, with a density of (2 pi) ** (-d / 2) for the first.
    integral = constant + 0.5 * (
        (n - 1) * d * math.log(2 * math.pi) - np.linalg.slogdet(precision)[1]
    )
    integral += 0.5 * shift @ expected_mean

    found = infer(model=model, data=observations, free_energy=True)
    # The direct way cancels large numbers, of the size of the squares over the variances.
    doubt = (
        1e-12 * np.abs(shift).max() * np.abs(expected_mean).max() * np.linalg.cond(precision) ** 0.5
    )
    assert energy(found) == pytest.approx(-integral, rel=1e-6, abs=1e-6 + doubt)
    for index, name in enumerate(model.variables):
        np.testing.assert_allclose(
            found.posteriors[name].means,
            expected_mean[index::d],
            rtol=1e-5,
            atol=1e-5 * (1 + doubt),
        )
        np.testing.assert_allclose(
            found.posteriors[name].variances, np.diag(expected)[index::d], rtol=1e-5
        )


def test_numbers_of_very_different_size_stay_accurate() -> None:
    chance = np.random.default_rng(1)
    observations = 1e6 + np.cumsum(chance.normal(size=50))
    nearly_exact = local_linear_trend(level_var=1.0, slope_var=1.0, obs_var=1e-12)
    found = infer(model=nearly_exact, data=observations)
    np.testing.assert_allclose(found.posteriors["level"].means, observations, rtol=0, atol=1e-8)
    assert (found.posteriors["slope"].variances > 0.05).all()
    nearly_flat = local_level(level_var=1.0, obs_var=1.0, level_prior=(0.0, 1e12))
    wide, flat = (
        infer(model=model, data=observations, free_energy=True)
        for model in (nearly_flat, local_level(level_var=1.0, obs_var=1.0))
    )
    np.testing.assert_allclose(
        wide.posteriors["level"].variances, flat.posteriors["level"].variances, rtol=1e-9
    )
    # The diffuse evidence is the limit that the documentation promises.
    limit = -energy(wide) + 0.5 * math.log(1e12) + 0.5 * (observations[0] ** 2) / 1e12
    assert limit == pytest.approx(-energy(flat), abs=1e-5)


@pytest.mark.parametrize(
    "missing",
    [None, math.nan, np.ma.masked, np.float32("nan")],
    ids=["None", "nan", "masked", "float32"],
)
def test_a_missing_observation_may_be_written_in_any_way(missing: object) -> None:
    expected = infer(model=LEVEL, data=[3.0, math.nan, 4.0]).covariances
    np.testing.assert_array_equal(
        infer(model=LEVEL, data={"y": [3, missing, 4]}).covariances, expected
    )
    masked = np.ma.array([3, 100, 4], mask=[False, True, False])
    np.testing.assert_array_equal(infer(model=LEVEL, data=masked).covariances, expected)


def test_missing_observations_at_the_end_are_a_forecast() -> None:
    found = infer(model=LEVEL, data=[*nile(), None, None])
    last = found.filtered["level"].variances[99]
    assert list(found.predictions["y"].variances[100:]) == pytest.approx(
        [last + 1469.1 + 15099, last + 2938.2 + 15099]
    )
    assert found.predictions["y"].means[101] == found.posteriors["level"].means[99]


def test_the_result_holds_what_was_asked_for_and_shows_no_data() -> None:
    found = infer(model=TREND, data=nile(), returnvars=("slope",))
    assert (list(found.posteriors), list(found.filtered), found.free_energy) == (
        ["slope"],
        ["slope"],
        None,
    )
    assert repr(found) == "<InferenceResult of local_linear_trend: 100 times, posteriors of slope>"
    assert list(infer(model=TREND, data=nile(), returnvars="level").posteriors) == ["level"]
    assert "level and slope, free energy 63" in repr(
        infer(model=TREND, data=nile(), free_energy=True)
    )


def test_a_models_source_is_its_definition_without_its_numbers() -> None:
    assert LEVEL.source == (
        "local_level(y, level_var, obs_var)\n"
        "    level[1] ~ Flat()\n"
        "    level[t] ~ Normal(mean = level[t - 1], var = level_var)\n"
        "    y[t] ~ Normal(mean = level[t], var = obs_var)"
    )
    assert "slope[1] ~ Normal(mean = slope_prior.mean, var = slope_prior.var)" in TREND_KNOWN.source
    assert (
        "level[t] ~ Normal(mean = level[t - 1] + slope[t - 1], var = level_var)"
        in TREND_KNOWN.source
    )
    assert not any(number in TREND_KNOWN.source for number in ("1400", "1500", "25", "40000"))
    assert (LEVEL.name, TREND.name) == ("local_level", "local_linear_trend")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "local_level"}, "The model is a str;"),
        ({"data": []}, "There are no observations;"),
        ({"data": {"x": [1.0]}}, "The data holds 'x';"),
        ({"data": {}}, "The data holds nothing; give"),
        (
            {"data": [[1.0], [2.0]]},
            "The observations have the shape (2, 1); give one number per time",
        ),
        ({"data": [[1.0], [2.0, 3.0]]}, "Observation 0 is [1.0]; give a finite number"),
        ({"data": 3.0}, "The observations have the shape (); give one number per time"),
        ({"data": "123"}, "The observations are a str;"),
        ({"data": iter([1.0])}, "The observations are a list_iterator;"),
        ({"data": [1.0, math.inf]}, "Observation 1 is inf;"),
        ({"data": [10**400]}, "Observation 0 is 1000"),
        ({"data": [1.0, "2"]}, "Observation 1 is '2';"),
        ({"data": [True, False]}, "Observation 0 is True;"),
        ({"data": [1.0, 2j]}, "give a finite number"),
        ({"data": [None, math.nan]}, "All observations are missing;"),
        ({"data": [1.0, 1e300]}, "range of double precision"),
        ({"returnvars": ["x"]}, "local_level has no variable 'x'"),
        ({"returnvars": []}, "returnvars names no variable"),
        ({"iterations": 5}, "Without learning, one pass is exact;"),
        ({"iterations": 0, "learn": True}, "iterations is 0;"),
        ({"iterations": 2.5, "learn": True}, "iterations is 2.5; give a whole number"),
        ({"iterations": True, "learn": True}, "iterations is True; give a whole number"),
        ({"model": TREND, "data": [1.0, None]}, "A flat prior needs 2 observations"),
        ({"data": [1.0], "learn": True}, "takes more than 1 observations"),
        ({"data": [7.0] * 9, "learn": True}, "follow the model without noise"),
        (
            {"model": TREND, "data": range(9), "learn": True, "iterations": 400},
            "follow the model without noise",
        ),
    ],
    ids=itertools.count(),
)
def test_a_bad_argument_is_refused_in_a_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Za-z].*\.$") as refused:
        infer(**{"model": LEVEL, "data": [1.0, 2.0], **arguments})
    assert message in str(refused.value)


def test_a_bad_argument_of_a_stream_is_refused_at_once_and_a_bad_observation_when_it_comes() -> (
    None
):
    for lag in (-1, 1.5, None, True):
        with pytest.raises(ValueError, match=r"^lag is "):
            infer_stream(model=LEVEL, datastream=[1.0], lag=lag)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ValueError, match=r"^datastream is a float"):
        infer_stream(model=LEVEL, datastream=1.0)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ValueError, match="has no variable 'slope'"):
        infer_stream(model=LEVEL, datastream=[1.0], returnvars=["slope"])
    estimates = infer_stream(model=LEVEL, datastream=[1.0, math.inf])
    assert next(estimates).posteriors["level"] == pytest.approx((1.0, 15099.0))
    with pytest.raises(ValueError, match="Observation 1 is inf"):
        next(estimates)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level_var": -1.0}, "level_var is -1.0;"),
        ({"level_var": math.inf}, "level_var is inf"),
        ({"level_var": "1"}, "level_var is '1'"),
        ({"obs_var": 0.0}, "obs_var is 0.0;"),
        ({"obs_var": math.nan}, "obs_var is nan"),
        ({"level_prior": (0.0, 0.0)}, "The variance of level_prior is 0.0;"),
        ({"level_prior": (math.nan, 1.0)}, "The mean of level_prior is nan;"),
        ({"level_prior": 3.0}, "level_prior is 3.0;"),
    ],
    ids=itertools.count(),
)
def test_a_bad_model_is_refused_in_a_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Za-z].*\.$") as refused:
        local_level(**{"level_var": 1.0, "obs_var": 1.0, **arguments})
    assert message in str(refused.value)


def test_a_trend_needs_both_priors_or_none() -> None:
    with pytest.raises(ValueError, match="level_prior and slope_prior"):
        local_linear_trend(level_var=1.0, slope_var=1.0, obs_var=1.0, slope_prior=(0.0, 1.0))


def test_numpy_is_loaded_when_something_is_inferred_and_not_before() -> None:
    program = (
        "import sys; from rxinfer_py import datasets, inference, models;"
        "model = models.local_level(level_var=1.0, obs_var=1.0); model.source; print('numpy' in "
        "sys.modules);"
        "inference.infer(model=model, data=datasets.nile()); print('numpy' in sys.modules)"
    )
    environment = {**os.environ, "RXINFER_TELEMETRY": "false", "LOG_USING_RXINFER": "false"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["False", "True"]
