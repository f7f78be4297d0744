"""Designs for times to an event: Cox, Kaplan-Meier, cumulative incidence, Fine-Gray."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy import models
from bipstudy.certification.design import Design, Floats, Interval, interval_of, stable_frailty

__all__ = ["survival_designs"]

COX, TREATED = 0.5, -0.3
FRAILTY = 0.8
KAPLAN_MEIER_TIME, INCIDENCE_TIME, FIRST_CAUSE, RATE = 0.8, 0.6, 2.0 / 3.0, 1.5
SUBDISTRIBUTION, PLATEAU = 0.5, 0.5


def _censored(time: Floats, cause: npt.NDArray[Any] | float, low: float, rng: np.random.Generator) -> pd.DataFrame:
    """Censor uniformly between `low` and 3."""
    end = rng.uniform(low, 3.0, len(time))
    return pd.DataFrame({"time": np.minimum(time, end), "cause": np.where(time <= end, cause, 0).astype(np.int64)})


def draw_cox(rng: np.random.Generator) -> pd.DataFrame:
    """Two covariates that stand still, exponential times."""
    n = 250
    x, z = rng.normal(size=n), rng.integers(0, 2, n)
    return _censored(rng.exponential(size=n) / np.exp(COX * x + TREATED * z), 1, 0.5, rng).assign(x=x, z=z)


def fit_cox(frame: pd.DataFrame) -> Interval:
    """Coefficient of x."""
    return interval_of(models.cox(frame, "x + z", stop="time", event="cause").tidy(), "x")


def draw_cox_clustered(rng: np.random.Generator) -> pd.DataFrame:
    """Draw times that share a positive stable frailty within clusters."""
    cluster = np.repeat(np.arange(80), 6)
    shared = stable_frailty(80, FRAILTY, rng)[cluster]
    x = 0.7 * rng.normal(size=80)[cluster] + rng.normal(size=480)
    time = rng.exponential(size=480) / shared / np.exp(0.6 * x)
    return _censored(time, 1, 0.5, rng).assign(x=x, cluster=cluster)


def fit_cox_clustered(frame: pd.DataFrame) -> Interval:
    """Coefficient of x, errors by cluster."""
    return interval_of(models.cox(frame, "x", stop="time", event="cause", cluster="cluster").tidy(), "x")


def draw_cox_start_stop(rng: np.random.Generator) -> pd.DataFrame:
    """Draw a covariate that changes once, and the time by inverting the cumulative hazard."""
    n = 300
    change = rng.uniform(0.1, 1.0, n)
    before, after, z = rng.normal(size=n), rng.normal(size=n), rng.integers(0, 2, n)
    early, late = np.exp(COX * before + TREATED * z), np.exp(COX * after + TREATED * z)
    total = rng.exponential(size=n)
    time = np.where(total < early * change, total / early, change + (total - early * change) / late)
    end = _censored(time, 1, 0.5, rng)
    stop, event = end["time"].to_numpy(), end["cause"].to_numpy()
    shared = {"person": np.arange(n), "z": z}
    first = pd.DataFrame(
        {"start": 0.0, "time": np.minimum(stop, change), "cause": event * (stop <= change), "x": before, **shared}
    )
    second = pd.DataFrame({"start": change, "time": stop, "cause": event, "x": after, **shared})
    return pd.concat([first, second[stop > change]], ignore_index=True)


def fit_cox_start_stop(frame: pd.DataFrame) -> Interval:
    """Coefficient of x."""
    return interval_of(models.cox(frame, "x + z", start="start", stop="time", event="cause").tidy(), "x")


def draw_lifetimes(rng: np.random.Generator) -> pd.DataFrame:
    """Exponential times."""
    return _censored(rng.exponential(size=150), 1, 0.2, rng)


def fit_kaplan_meier(frame: pd.DataFrame) -> Interval:
    """Survival at a time."""
    return interval_of(models.kaplan_meier(frame, duration="time", event="cause").at(KAPLAN_MEIER_TIME))


def draw_two_causes(rng: np.random.Generator) -> pd.DataFrame:
    """Two causes with constant hazards."""
    n = 200
    return _censored(rng.exponential(size=n) / RATE, 1 + (rng.random(n) > FIRST_CAUSE), 0.5, rng)


def fit_incidence(frame: pd.DataFrame) -> Interval:
    """Cumulative incidence of the first cause at a time."""
    return interval_of(models.cumulative_incidence(frame, duration="time", cause="cause").at(INCIDENCE_TIME))


def draw_subdistribution(rng: np.random.Generator, n: int = 300) -> pd.DataFrame:
    """Draw from Fine and Gray (1999, section 4): incidence 1 - (1 - p (1 - exp(-t))) ** exp(x beta) of cause 1."""
    x = rng.normal(size=n)
    ever = 1.0 - (1.0 - PLATEAU) ** np.exp(SUBDISTRIBUTION * x)
    first = rng.random(n) < ever
    level = rng.random(n) * ever
    known = -np.log1p(-(1.0 - (1.0 - level) ** np.exp(-SUBDISTRIBUTION * x)) / PLATEAU)
    time = np.where(first, known, rng.exponential(size=n) / np.exp(-SUBDISTRIBUTION * x))
    return _censored(time, np.where(first, 1, 2), 0.5, rng).assign(x=x)


def fit_fine_gray(frame: pd.DataFrame) -> Interval:
    """Coefficient of the subdistribution hazard."""
    return interval_of(models.fine_gray(frame, "x", duration="time", cause="cause").tidy(), "x")


def survival_designs() -> tuple[Design, ...]:
    """Return the designs for times to an event.

    Returns
    -------
    tuple of Design

    Examples
    --------
    >>> [design.name for design in survival_designs()][:2]
    ['cox', 'cox_clustered']
    """
    cox, incidence = partial(Design, estimator="models.cox"), "models.cumulative_incidence"
    return (
        cox(name="cox", draw=draw_cox, estimate=fit_cox, truth=COX),
        cox(name="cox_clustered", draw=draw_cox_clustered, estimate=fit_cox_clustered, truth=0.6 * FRAILTY),
        cox(name="cox_start_stop", draw=draw_cox_start_stop, estimate=fit_cox_start_stop, truth=COX),
        Design(
            name="kaplan_meier",
            estimator="models.kaplan_meier",
            draw=draw_lifetimes,
            estimate=fit_kaplan_meier,
            truth=float(np.exp(-KAPLAN_MEIER_TIME)),
        ),
        Design(
            name="cumulative_incidence",
            estimator=incidence,
            draw=draw_two_causes,
            estimate=fit_incidence,
            truth=float(FIRST_CAUSE * -np.expm1(-RATE * INCIDENCE_TIME)),
        ),
        Design(
            name="fine_gray",
            estimator="models.fine_gray",
            draw=draw_subdistribution,
            estimate=fit_fine_gray,
            truth=SUBDISTRIBUTION,
        ),
    )
