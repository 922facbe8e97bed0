"""The two models that can be inferred: a level that wanders, and a level with a slope.

A model is a value: which variances it has, and what is believed before the data. It knows nothing
of how inference is done, and this module loads no numpy.

Time counts from 1 here, as in the literature; a prior is about the state at the time of the first
observation, whether that observation is missing or not. See J. Durbin and S. J. Koopman, Time
Series Analysis by State Space Methods, 2nd edition, Oxford 2012, sections 2.1 and 3.2.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self


class Normal(NamedTuple):
    """A normal distribution of one number, given by mean and variance."""

    mean: float
    var: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLevel:
    """The value of `local_level`, which says what the fields mean."""

    name: ClassVar[str] = "local_level"
    variables: ClassVar[tuple[str, ...]] = ("level",)

    level_var: float
    obs_var: float
    level_prior: Normal | None = None

    def __post_init__(self) -> None:
        _check_variances(level_var=self.level_var, obs_var=self.obs_var)
        _check_prior("level_prior", self.level_prior)

    @property
    def priors(self) -> tuple[Normal, ...] | None:
        """One prior per variable, or None when all are flat."""
        return None if self.level_prior is None else (self.level_prior,)

    @property
    def parameters(self) -> dict[str, float]:
        """The variances by name, first those of the state and last the observations'."""
        return {"level_var": self.level_var, "obs_var": self.obs_var}

    def with_parameters(self, parameters: dict[str, float]) -> Self:
        """The same model with other variances."""
        return replace(self, **parameters)  # type: ignore[arg-type]  # all of them are variances

    @property
    def source(self) -> str:
        """The definition as text, with the names of its parameters and without their values."""
        return "\n".join(
            (
                "local_level(y, level_var, obs_var)",
                f"    level[1] ~ {_prior_text('level_prior', self.level_prior)}",
                "    level[t] ~ Normal(mean = level[t - 1], var = level_var)",
                "    y[t] ~ Normal(mean = level[t], var = obs_var)",
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLinearTrend:
    """The value of `local_linear_trend`, which says what the fields mean."""

    name: ClassVar[str] = "local_linear_trend"
    variables: ClassVar[tuple[str, ...]] = ("level", "slope")

    level_var: float
    slope_var: float
    obs_var: float
    level_prior: Normal | None = None
    slope_prior: Normal | None = None

    def __post_init__(self) -> None:
        _check_variances(level_var=self.level_var, slope_var=self.slope_var, obs_var=self.obs_var)
        _check_prior("level_prior", self.level_prior)
        _check_prior("slope_prior", self.slope_prior)
        if (self.level_prior is None) != (self.slope_prior is None):
            raise ValueError(
                "Only one of level_prior and slope_prior is given; give both, or neither for flat "
                "priors."
            )

    @property
    def priors(self) -> tuple[Normal, ...] | None:
        """One prior per variable, or None when all are flat."""
        return (
            None
            if self.level_prior is None or self.slope_prior is None
            else (self.level_prior, self.slope_prior)
        )

    @property
    def parameters(self) -> dict[str, float]:
        """The variances by name, first those of the state and last the observations'."""
        return {"level_var": self.level_var, "slope_var": self.slope_var, "obs_var": self.obs_var}

    def with_parameters(self, parameters: dict[str, float]) -> Self:
        """The same model with other variances."""
        return replace(self, **parameters)  # type: ignore[arg-type]  # all of them are variances

    @property
    def source(self) -> str:
        """The definition as text, with the names of its parameters and without their values."""
        return "\n".join(
            (
                "local_linear_trend(y, level_var, slope_var, obs_var)",
                f"    level[1] ~ {_prior_text('level_prior', self.level_prior)}",
                f"    slope[1] ~ {_prior_text('slope_prior', self.slope_prior)}",
                "    level[t] ~ Normal(mean = level[t - 1] + slope[t - 1], var = level_var)",
                "    slope[t] ~ Normal(mean = slope[t - 1], var = slope_var)",
                "    y[t] ~ Normal(mean = level[t], var = obs_var)",
            )
        )


Model = LocalLevel | LocalLinearTrend


def local_level(
    *, level_var: float, obs_var: float, level_prior: tuple[float, float] | None = None
) -> LocalLevel:
    """Make the model of a level that takes a random step each time and is observed with noise.

    Args:
        level_var: variance of the level's step, zero or more.
        obs_var: variance of the noise, more than zero.
        level_prior: mean and variance of the first level, or None for a flat prior.

    Raises:
        ValueError: a number is no variance or no mean.
    """
    return LocalLevel(
        level_var=level_var, obs_var=obs_var, level_prior=_prior("level_prior", level_prior)
    )


def local_linear_trend(
    *,
    level_var: float,
    slope_var: float,
    obs_var: float,
    level_prior: tuple[float, float] | None = None,
    slope_prior: tuple[float, float] | None = None,
) -> LocalLinearTrend:
    """Make the model of a level and a slope that take random steps, observed with noise.

    Args:
        level_var: variance of the level's step, zero or more.
        slope_var: variance of the slope's step, zero or more.
        obs_var: variance of the noise, more than zero.
        level_prior: mean and variance of the first level, or None for a flat prior.
        slope_prior: the same of the first slope; both priors are given or none is.

    Raises:
        ValueError: a number is no variance or no mean, or only one prior is given.
    """
    return LocalLinearTrend(
        level_var=level_var,
        slope_var=slope_var,
        obs_var=obs_var,
        level_prior=_prior("level_prior", level_prior),
        slope_prior=_prior("slope_prior", slope_prior),
    )


def _prior(name: str, given: tuple[float, float] | None) -> Normal | None:
    if given is None:
        return None
    try:
        mean, var = given
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} is {given!r}; give a mean and a variance, or None for a flat prior."
        ) from None
    return Normal(mean, var)


def _prior_text(name: str, prior: Normal | None) -> str:
    return "Flat()" if prior is None else f"Normal(mean = {name}.mean, var = {name}.var)"


def _check_prior(name: str, prior: Normal | None) -> None:
    if prior is None:
        return
    if not _is_finite(prior.mean):
        raise ValueError(f"The mean of {name} is {prior.mean!r}; give a finite number.")
    if not (_is_finite(prior.var) and prior.var > 0):
        raise ValueError(
            f"The variance of {name} is {prior.var!r}; give a finite number above zero."
        )


def _check_variances(*, obs_var: float, **state: float) -> None:
    for name, value in state.items():
        if not (_is_finite(value) and value >= 0):
            raise ValueError(
                f"{name} is {value!r}; give a variance, which is zero or a finite number above it."
            )
    if not (_is_finite(obs_var) and obs_var > 0):
        raise ValueError(
            f"obs_var is {obs_var!r}; give a variance, which is a finite number above zero."
        )


def _is_finite(value: object) -> bool:
    try:
        return math.isfinite(value)  # type: ignore[arg-type]  # what is no number says so itself
    except (TypeError, OverflowError):
        return False
