"""Designs for random intercepts, caseworker effects, imputation and censoring weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bipstudy import models
from bipstudy.certification.design import Design, Interval, interval_of

if TYPE_CHECKING:
    from bipstudy.models.linear import LinearFit
    from bipstudy.models.unit_effects import CaseworkerEffects

__all__ = ["censoring_coverage", "far_effect_coverage", "group_designs"]

SLOPE = 0.5
BETWEEN = 0.7
WORKERS, CASES, TRUE_SPREAD = 120, 20, 0.5
FAR = 2.0  # how far out the chosen caseworker stands, in standard deviations of true effects
STAY = {0: 0.9, 1: 0.7}


def draw_intercepts(rng: np.random.Generator) -> pd.DataFrame:
    """Sixty groups of six, normal intercepts."""
    group = np.repeat(np.arange(60), 6)
    x = 0.7 * rng.normal(size=60)[group] + rng.normal(size=360)
    # The regressor's own part of the group is unrelated to the intercept, as the model assumes.
    y = SLOPE * x + BETWEEN * rng.normal(size=60)[group] + rng.normal(size=360)
    return pd.DataFrame({"y": y, "x": x, "group": group})


def fit_intercept_slope(frame: pd.DataFrame) -> Interval:
    """Coefficient of x."""
    return interval_of(models.random_intercept(frame, "y ~ x", group="group").tidy(), "x")


def fit_intercept_spread(frame: pd.DataFrame) -> Interval:
    """Return the standard deviation between groups, profile interval."""
    return interval_of(models.random_intercept(frame, "y ~ x", group="group").variance_components())


def draw_binary_intercepts(rng: np.random.Generator) -> pd.DataFrame:
    """Sixty groups of eight, logit with normal intercepts."""
    group = np.repeat(np.arange(60), 8)
    x = rng.normal(size=480)
    eta = -0.5 + SLOPE * x + BETWEEN * rng.normal(size=60)[group]
    y = rng.random(480) < 1.0 / (1.0 + np.exp(-eta))
    return pd.DataFrame({"y": y.astype(np.int64), "x": x, "group": group})


def fit_binary_slope(frame: pd.DataFrame) -> Interval:
    """Coefficient of x given the group."""
    return interval_of(models.random_intercept(frame, "y ~ x", group="group", family="binomial").tidy(), "x")


def draw_workers(rng: np.random.Generator, first: float | None = None) -> pd.DataFrame:
    """Caseworkers with normal true effects; the effect of the first may be given, in their standard deviations."""
    effect = TRUE_SPREAD * rng.normal(size=WORKERS)
    if first is not None:
        effect[0] = TRUE_SPREAD * first
    worker = np.repeat(np.arange(WORKERS), CASES)
    y = effect[worker] + rng.normal(size=len(worker))
    return pd.DataFrame(
        {"y": y, "worker": worker, "case": np.tile(np.arange(CASES), WORKERS), "effect": effect[worker]}
    )


def _effects(frame: pd.DataFrame) -> CaseworkerEffects:
    """Caseworker effects; the chance spread is not looked at and drawn few times."""
    effects: CaseworkerEffects = models.caseworker_effects(
        frame, outcome="y", caseworker="worker", time="case", draws=19
    )
    return effects


def fit_true_spread(frame: pd.DataFrame) -> Interval:
    """Return the standard deviation of true effects."""
    return interval_of(_effects(frame).tidy(), "sd_true")


def fit_split_spread(frame: pd.DataFrame) -> Interval:
    """Return the standard deviation of true effects from halves."""
    return interval_of(_effects(frame).tidy(), "sd_true_split")


def fit_reliability(frame: pd.DataFrame) -> Interval:
    """Split-sample reliability of a caseworker's mean; the estimator gives no interval."""
    table = _effects(frame).reliability().set_index("measure")
    return float(table["estimate"]["split_full"]), np.nan, np.nan, np.nan


def fit_one_effect(frame: pd.DataFrame) -> Interval:
    """Shrunken effect of the first caseworker, as a deviation from the true one."""
    truth = float(frame["effect"].iloc[0])
    estimate, error, low, high = interval_of(_effects(frame).effects())
    return estimate - truth, error, low - truth, high - truth


def reliability_of_mean() -> float:
    """Share of the variance of a caseworker's mean that is true.

    Returns
    -------
    float

    Examples
    --------
    >>> round(reliability_of_mean(), 4)
    0.8333
    """
    return float(TRUE_SPREAD**2 / (TRUE_SPREAD**2 + 1.0 / CASES))


def far_effect_coverage() -> float:
    r"""Coverage of the shrunken interval for a caseworker who stands two standard deviations out.

    With reliability :math:`\lambda` the estimate is :math:`\lambda (2\tau + \bar e)` and the half-width
    :math:`1.96 \tau \sqrt{1 - \lambda}`, so the error over its claimed standard deviation is
    :math:`-2\sqrt{1 - \lambda} + \sqrt{\lambda} Z` (Efron and Morris 1973).

    Returns
    -------
    float

    Examples
    --------
    >>> round(far_effect_coverage(), 3)
    0.894
    """
    from scipy.special import ndtr, ndtri

    share = reliability_of_mean()
    shift, limit = FAR * np.sqrt(1.0 - share), ndtri(0.975)
    return float(ndtr((limit + shift) / np.sqrt(share)) - ndtr((shift - limit) / np.sqrt(share)))


def draw_gaps(rng: np.random.Generator) -> pd.DataFrame:
    """Draw a regressor whose gaps depend on the outcome, which is always known."""
    n = 300
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = SLOPE * x + 0.5 * z + rng.normal(size=n)
    gone = rng.random(n) < 1.0 / (1.0 + np.exp(1.2 - 0.8 * y))
    return pd.DataFrame({"y": y, "x": np.where(gone, np.nan, x), "z": z}).assign(whole=x)


def fit_imputed(frame: pd.DataFrame) -> Interval:
    """Coefficient of x pooled over ten imputations."""
    filled = models.impute(frame, columns=["y", "x", "z"], imputations=10, iterations=1, seed=1)
    return interval_of(filled.fit(_complete).tidy(), "x")


def _complete(frame: pd.DataFrame) -> LinearFit:
    """Model of a completed frame."""
    fit: LinearFit = models.linear_probability(frame, "y ~ x + z")
    return fit


def draw_lost(rng: np.random.Generator) -> pd.DataFrame:
    """Two periods with loss that depends on x; the outcome, known to those who stay, depends on x too."""
    n = 400
    x = rng.integers(0, 2, n)
    y = x + rng.normal(size=n)
    stay = np.where(x == 1, STAY[1], STAY[0])
    lost = rng.random((n, 2)) > stay[:, None]
    first = pd.DataFrame({"person": np.arange(n), "period": 1, "x": x, "lost": lost[:, 0].astype(int), "y": y})
    second = first[~lost[:, 0]].assign(period=2, lost=lost[~lost[:, 0], 1].astype(int))
    return pd.concat([first, second], ignore_index=True)


def fit_weighted_mean(frame: pd.DataFrame) -> Interval:
    """Mean of those who stay, weighted; errors take the weights as known."""
    weights = models.censoring_weights(frame, "lost ~ x * C(period)", "person", at="start").weights
    kept = frame.assign(ipcw=weights)[(frame["period"] == 2) & (frame["lost"] == 0)]
    return interval_of(models.linear_probability(kept, "y ~ 1", weights="ipcw", cluster="person").tidy())


def censoring_coverage() -> float:
    r"""Coverage of the weighted mean's interval when estimated weights are taken as known.

    The model of loss is saturated, so the estimate is the mean over x of the means of those who stay, with variance
    :math:`E[\sigma^2 / \pi(x)] + var E(y | x)`; the error that takes the weights as known estimates
    :math:`E[(\sigma^2 + (E(y | x) - \mu)^2) / \pi(x)]`, which is larger (Robins, Rotnitzky and Zhao 1994).

    Returns
    -------
    float

    Examples
    --------
    >>> round(censoring_coverage(), 4)
    0.9588
    """
    from scipy.special import ndtr, ndtri

    share = np.array([STAY[0] ** 2, STAY[1] ** 2])
    true = np.mean(1.0 / share) + 0.25
    claimed = np.mean((1.0 + 0.25) / share)
    return float(2.0 * ndtr(ndtri(0.975) * np.sqrt(claimed / true)) - 1.0)


def group_designs() -> tuple[Design, ...]:
    """Return the designs for groups, gaps and loss.

    Returns
    -------
    tuple of Design

    Examples
    --------
    >>> group_designs()[0].name
    'intercept_slope'
    """
    intercept = partial(Design, estimator="models.random_intercept")
    workers = partial(Design, estimator="models.caseworker_effects")
    far = partial(draw_workers, first=FAR)
    return (
        intercept(name="intercept_slope", draw=draw_intercepts, estimate=fit_intercept_slope, truth=SLOPE),
        intercept(name="intercept_spread", draw=draw_intercepts, estimate=fit_intercept_spread, truth=BETWEEN),
        intercept(name="intercept_logit", draw=draw_binary_intercepts, estimate=fit_binary_slope, truth=SLOPE),
        workers(name="worker_spread", draw=draw_workers, estimate=fit_true_spread, truth=TRUE_SPREAD),
        workers(name="worker_split", draw=draw_workers, estimate=fit_split_spread, truth=TRUE_SPREAD),
        workers(name="worker_reliability", draw=draw_workers, estimate=fit_reliability, truth=reliability_of_mean()),
        workers(name="worker_effect", draw=draw_workers, estimate=fit_one_effect, truth=0.0),
        workers(
            name="worker_far_out",
            draw=far,
            estimate=fit_one_effect,
            truth=0.0,
            coverage=far_effect_coverage(),
            bias=-(1.0 - reliability_of_mean()) * FAR * TRUE_SPREAD,
            reason="shrunken",
        ),
        Design(name="imputation", estimator="models.pool_estimates", draw=draw_gaps, estimate=fit_imputed, truth=SLOPE),
        Design(
            name="censoring_weights",
            estimator="models.censoring_weights",
            draw=draw_lost,
            estimate=fit_weighted_mean,
            truth=0.5,
            coverage=censoring_coverage(),
            reason="weights_known",
        ),
    )
