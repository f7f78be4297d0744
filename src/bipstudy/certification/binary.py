"""Designs for discrete hazards: one and several causes, clustered errors, standardised risks, cluster bootstrap."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bipstudy import models
from bipstudy.certification.design import (
    Design,
    Floats,
    Interval,
    interval_of,
    person_periods,
    stable_frailty,
    uniform_with_margin,
)

__all__ = ["binary_designs"]

SLOPE = 0.5
LEVELS = np.array([-1.8, -1.5, -1.6])
FRAILTY = 0.75
CONFOUNDED, EXPOSED, CONFOUNDER = 0.4, 0.7, 0.9
CAUSES = {1: (-1.6, 0.5), 2: (-2.0, -0.4)}


def _logistic(eta: Floats) -> Floats:
    """Inverse of the logit."""
    return np.asarray(1.0 / (1.0 + np.exp(-eta)))


def _cloglog(eta: Floats) -> Floats:
    """Inverse of the complementary log-log."""
    return np.asarray(-np.expm1(-np.exp(eta)))


def draw_hazard_cloglog(rng: np.random.Generator) -> pd.DataFrame:
    """Three periods, complementary log-log."""
    x = rng.normal(size=400)
    rows = person_periods(_cloglog(LEVELS + SLOPE * x[:, None]), rng)
    return rows.assign(x=x[rows["person"]])


def draw_hazard_logit(rng: np.random.Generator) -> pd.DataFrame:
    """Three periods, logit."""
    x = rng.normal(size=400)
    rows = person_periods(_logistic(LEVELS + SLOPE * x[:, None]), rng)
    return rows.assign(x=x[rows["person"]])


def fit_hazard_cloglog(frame: pd.DataFrame) -> Interval:
    """Coefficient of x."""
    return interval_of(models.discrete_hazard(frame, "y ~ x + C(period)", link="cloglog").tidy(), "x")


def fit_hazard_logit(frame: pd.DataFrame) -> Interval:
    """Coefficient of x."""
    return interval_of(models.discrete_hazard(frame, "y ~ x + C(period)", link="logit").tidy(), "x")


def draw_hazard_clustered(rng: np.random.Generator) -> pd.DataFrame:
    """Clusters share a positive stable frailty; averaged over it the grouped hazards stay complementary log-log."""
    cluster = np.repeat(np.arange(80), 6)
    shared = stable_frailty(80, FRAILTY, rng)[cluster]
    x = 0.7 * rng.normal(size=80)[cluster] + rng.normal(size=480)
    rows = person_periods(-np.expm1(-shared[:, None] * np.exp(LEVELS + 0.6 * x[:, None])), rng)
    return rows.assign(x=x[rows["person"]], cluster=cluster[rows["person"]])


def fit_hazard_clustered(frame: pd.DataFrame) -> Interval:
    """Coefficient of x, errors by cluster."""
    fit = models.discrete_hazard(frame, "y ~ x + C(period)", link="cloglog", cluster="cluster")
    return interval_of(fit.tidy(), "x")


def draw_two_ways(rng: np.random.Generator) -> pd.DataFrame:
    """Fifty rows by fifty columns, both shared by regressor and outcome; the logit holds for every row alone."""
    first, second = (code.ravel() for code in np.divmod(np.arange(2500), 50))
    parts = [(0.15, rng.normal(size=50)[code]) for code in (first, second)]
    x = 0.5 * rng.normal(size=50)[first] + 0.5 * rng.normal(size=50)[second] + 0.7 * rng.normal(size=2500)
    y = uniform_with_margin(parts, rng) < _logistic(-1.0 + SLOPE * x)
    return pd.DataFrame({"y": y.astype(np.int64), "x": x, "first": first, "second": second})


def fit_two_ways(frame: pd.DataFrame) -> Interval:
    """Coefficient of x, errors by both."""
    fit = models.discrete_hazard(frame, "y ~ x", link="logit", cluster=["first", "second"])
    return interval_of(fit.tidy(), "x")


def draw_clusters(rng: np.random.Generator) -> pd.DataFrame:
    """Sixty clusters of six; the logit holds for every row alone."""
    cluster = np.repeat(np.arange(60), 6)
    x = 0.7 * rng.normal(size=60)[cluster] + 0.7 * rng.normal(size=360)
    y = uniform_with_margin([(0.3, rng.normal(size=60)[cluster])], rng) < _logistic(-0.5 + SLOPE * x)
    return pd.DataFrame({"y": y.astype(np.int64), "x": x, "cluster": cluster})


def fit_cluster_bootstrap(frame: pd.DataFrame) -> Interval:
    """Percentile interval of 199 full refits."""
    fit = models.discrete_hazard(frame, "y ~ x", link="logit")
    return interval_of(models.bootstrap(fit, frame, "cluster", replications=199, seed=1).tidy(), "x")


def draw_competing(rng: np.random.Generator) -> pd.DataFrame:
    """Two causes over two periods, multinomial logit."""
    n = 400
    x = rng.normal(size=n)
    odds = {cause: np.exp(level + slope * x) for cause, (level, slope) in CAUSES.items()}
    whole = 1.0 + odds[1] + odds[2]
    rows = person_periods(np.column_stack([(whole - 1.0) / whole] * 2), rng)
    share = (odds[1] / (whole - 1.0))[rows["person"]]
    which = np.where(rng.random(len(rows)) < share, 1, 2)
    return rows.assign(cause=rows["y"] * which, x=x[rows["person"]])


def fit_competing(frame: pd.DataFrame) -> Interval:
    """Coefficient of x for the first cause."""
    return interval_of(models.competing_hazards(frame, "cause ~ x + C(period)").tidy(), "1: x")


def draw_confounded(rng: np.random.Generator) -> pd.DataFrame:
    """Draw a binary exposure that depends on a binary background, which also raises the risk."""
    n = 600
    c = rng.integers(0, 2, n)
    a = (rng.random(n) < 0.3 + CONFOUNDED * c).astype(np.int64)
    y = rng.random(n) < _logistic(-1.5 + EXPOSED * a + CONFOUNDER * c)
    return pd.DataFrame({"y": y.astype(np.int64), "a": a, "c": c})


def confounded_risks() -> tuple[float, float]:
    """Risk in everybody without and with the exposure.

    Returns
    -------
    tuple of two floats

    Examples
    --------
    >>> [round(risk, 4) for risk in confounded_risks()]
    [0.2684, 0.4175]
    """
    low, high = (0.5 * _logistic(np.array([-1.5, -1.5 + CONFOUNDER]) + EXPOSED * a).sum() for a in (0, 1))
    return float(low), float(high)


def fit_risk_difference(frame: pd.DataFrame) -> Interval:
    """Difference of standardised risks."""
    fit = models.discrete_hazard(frame, "y ~ a + c", link="logit")
    return interval_of(models.standardised_risk(fit, frame, "a", [0, 1]).differences())


def fit_risk_ratio(frame: pd.DataFrame) -> Interval:
    """Logarithm of the ratio of standardised risks."""
    fit = models.discrete_hazard(frame, "y ~ a + c", link="logit")
    return interval_of(models.standardised_risk(fit, frame, "a", [0, 1]).ratios(), log=True)


def draw_confounded_hazard(rng: np.random.Generator) -> pd.DataFrame:
    """Draw the same exposure, with hazards over three periods."""
    n = 400
    c = rng.integers(0, 2, n)
    a = (rng.random(n) < 0.3 + CONFOUNDED * c).astype(np.int64)
    rows = person_periods(_cloglog(LEVELS - 0.4 + (EXPOSED * a + CONFOUNDER * c)[:, None]), rng)
    return rows.assign(a=a[rows["person"]], c=c[rows["person"]])


def confounded_hazard_difference() -> float:
    """Difference of the three-period risks between everybody exposed and nobody.

    Returns
    -------
    float

    Examples
    --------
    >>> round(confounded_hazard_difference(), 4)
    0.2297
    """
    base = np.exp(LEVELS - 0.4).sum()
    risk = [np.mean([-np.expm1(-base * np.exp(EXPOSED * a + CONFOUNDER * c)) for c in (0, 1)]) for a in (0, 1)]
    return float(risk[1] - risk[0])


def fit_hazard_difference(frame: pd.DataFrame) -> Interval:
    """Difference of standardised three-period risks, errors by person."""
    fit = models.discrete_hazard(frame, "y ~ a + c + C(period)", link="cloglog", cluster="person")
    persons = frame.drop_duplicates("person")
    return interval_of(models.standardised_risk(fit, persons, "a", [0, 1], horizon=3).differences())


def binary_designs() -> tuple[Design, ...]:
    """Return the designs for discrete hazards.

    Returns
    -------
    tuple of Design

    Examples
    --------
    >>> binary_designs()[0].name
    'hazard_cloglog'
    """
    risks = confounded_risks()
    hazard, risk = "models.discrete_hazard", "models.standardised_risk"
    rows = (
        ("hazard_cloglog", hazard, draw_hazard_cloglog, fit_hazard_cloglog, SLOPE),
        ("hazard_logit", hazard, draw_hazard_logit, fit_hazard_logit, SLOPE),
        ("hazard_clustered", hazard, draw_hazard_clustered, fit_hazard_clustered, 0.6 * FRAILTY),
        ("hazard_two_way", hazard, draw_two_ways, fit_two_ways, SLOPE),
        ("competing_hazards", "models.competing_hazards", draw_competing, fit_competing, CAUSES[1][1]),
        ("risk_difference", risk, draw_confounded, fit_risk_difference, risks[1] - risks[0]),
        ("risk_ratio", risk, draw_confounded, fit_risk_ratio, float(np.log(risks[1] / risks[0]))),
        ("hazard_difference", risk, draw_confounded_hazard, fit_hazard_difference, confounded_hazard_difference()),
        ("cluster_bootstrap", "models.bootstrap", draw_clusters, fit_cluster_bootstrap, SLOPE),
    )
    return tuple(
        Design(name=name, estimator=estimator, draw=draw, estimate=estimate, truth=truth)
        for name, estimator, draw, estimate, truth in rows
    )
