"""Designs for linear models: absorbed effects, clusters, few clusters, instruments."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from bipstudy import models
from bipstudy.certification.design import Design, Interval, interval_of

__all__ = ["few_clusters_coverage", "linear_designs"]

SLOPE = 0.5
FEW, FEW_ROWS = 8, 10


def draw_plain(rng: np.random.Generator) -> pd.DataFrame:
    """Independent rows of equal variance."""
    x, z = rng.normal(size=(2, 60))
    return pd.DataFrame({"y": SLOPE * x + z + rng.normal(size=60), "x": x, "z": z})


def fit_plain(frame: pd.DataFrame) -> Interval:
    """Coefficient of x, model-based error."""
    return interval_of(models.linear_probability(frame, "y ~ x + z").tidy(), "x")


def draw_clustered(rng: np.random.Generator, clusters: int = 60, rows: int = 6) -> pd.DataFrame:
    """Regressor and error share parts within clusters."""
    cluster = np.repeat(np.arange(clusters), rows)
    x = rng.normal(size=clusters)[cluster] + rng.normal(size=len(cluster))
    error = rng.normal(size=clusters)[cluster] + rng.normal(size=len(cluster))
    return pd.DataFrame({"y": SLOPE * x + error, "x": x, "cluster": cluster})


def fit_clustered(frame: pd.DataFrame) -> Interval:
    """Coefficient of x, errors by cluster."""
    return interval_of(models.linear_probability(frame, "y ~ x", cluster="cluster").tidy(), "x")


def draw_binary(rng: np.random.Generator) -> pd.DataFrame:
    """Draw a 0/1 outcome whose probability is linear, so that its variance is not equal."""
    x = rng.uniform(0, 1, 300)
    y = rng.random(300) < 0.1 + SLOPE * x
    return pd.DataFrame({"y": y.astype(np.int64), "x": x, "row": np.arange(300)})


def fit_binary(frame: pd.DataFrame) -> Interval:
    """Coefficient of x, errors robust to unequal variance."""
    return interval_of(models.linear_probability(frame, "y ~ x", cluster="row").tidy(), "x")


def draw_absorbed(rng: np.random.Generator) -> pd.DataFrame:
    """Levels of persons and quarters that go with the regressor; errors follow a walk within the person."""
    persons, quarters = 70, 6
    person, quarter = np.divmod(np.arange(persons * quarters), quarters)
    level, season = rng.normal(size=persons), rng.normal(size=quarters)
    walk_x, walk_e = rng.normal(size=(2, persons, quarters)).cumsum(axis=2).reshape(2, -1) * 0.5
    x = level[person] + season[quarter] + walk_x + rng.normal(size=len(person))
    error = walk_e + rng.normal(size=len(person))
    one = SLOPE * x + 2.0 * level[person] + error
    return pd.DataFrame(
        {"one": one, "two": one + 2.0 * season[quarter], "x": x, "s": season[quarter], "person": person}
        | {"quarter": quarter}
    )


def fit_one_absorbed(frame: pd.DataFrame) -> Interval:
    """Coefficient of x within persons."""
    fit = models.linear_probability(frame, "one ~ x | person", cluster="person")
    return interval_of(fit.tidy(), "x")


def fit_two_absorbed(frame: pd.DataFrame) -> Interval:
    """Coefficient of x within persons and quarters."""
    fit = models.linear_probability(frame, "two ~ x | person + quarter", cluster="person")
    return interval_of(fit.tidy(), "x")


def draw_few(rng: np.random.Generator) -> pd.DataFrame:
    """Eight clusters of ten, half of them treated, normal errors that share a part."""
    cluster = np.repeat(np.arange(FEW), FEW_ROWS)
    x = (cluster % 2).astype(np.float64)
    error = rng.normal(size=FEW)[cluster] + rng.normal(size=len(cluster))
    return pd.DataFrame({"y": SLOPE * x + error, "x": x, "cluster": cluster})


def few_clusters_coverage() -> float:
    r"""Coverage of the clustered interval with eight equal clusters, half of them treated, normal errors.

    The estimate is a difference of two means of :math:`h = G / 2` cluster means. The clustered variance is
    :math:`c \, \hat S / h^2` with :math:`\hat S \sim \sigma^2 \chi^2_{G-2}` and :math:`c = \frac{G}{G-1}
    \frac{N-1}{N-2}`, the true one :math:`2 \sigma^2 / h`. So the statistic is :math:`\sqrt{2h / (c (G-2))}` times a t
    variable with G - 2 degrees of freedom, but is held against a t with G - 1.

    Returns
    -------
    float

    Examples
    --------
    >>> round(few_clusters_coverage(), 4)
    0.9302
    """
    from scipy import stats

    half, n = FEW / 2, FEW * FEW_ROWS
    c = FEW / (FEW - 1) * (n - 1) / (n - 2)
    limit = stats.t.ppf(0.975, FEW - 1) * np.sqrt(c * (FEW - 2) / (2 * half))
    return float(1.0 - 2.0 * stats.t.sf(limit, FEW - 2))


def fit_wild(frame: pd.DataFrame) -> Interval:
    """Interval of the wild cluster bootstrap, all sign patterns."""
    fit = models.linear_probability(frame, "y ~ x", cluster="cluster")
    return interval_of(models.wild_cluster_bootstrap(fit, "x").tidy(), "x")


def draw_instrument(rng: np.random.Generator) -> pd.DataFrame:
    """One endogenous term, three instruments, one exogenous term."""
    n = 400
    z, u, w = rng.normal(size=(n, 3)), rng.normal(size=n), rng.normal(size=n)
    d = z @ np.array([0.5, 0.3, 0.2]) + u + 0.5 * w + rng.normal(size=n)
    frame = pd.DataFrame(z, columns=["z1", "z2", "z3"])
    return frame.assign(d=d, w=w, y=SLOPE * d + w + u + rng.normal(size=n), row=np.arange(n))


def fit_2sls(frame: pd.DataFrame) -> Interval:
    """Coefficient of d with one instrument."""
    return interval_of(models.instrumental(frame, "y ~ w | d ~ z1", method="2sls").tidy(), "d")


def fit_liml(frame: pd.DataFrame) -> Interval:
    """Coefficient of d with three instruments."""
    return interval_of(models.instrumental(frame, "y ~ w | d ~ z1 + z2 + z3", method="liml").tidy(), "d")


def draw_judges(rng: np.random.Generator) -> pd.DataFrame:
    """Forty caseworkers whose leaning moves the treatment, and unobserved readiness that moves both."""
    worker = np.repeat(np.arange(40), 20)
    u = rng.normal(size=800)
    d = 0.7 * rng.normal(size=40)[worker] + u + rng.normal(size=800)
    return pd.DataFrame({"y": SLOPE * d + u + rng.normal(size=800), "d": d, "worker": worker, "row": np.arange(800)})


def fit_ujive(frame: pd.DataFrame) -> Interval:
    """Coefficient of d, dummies of caseworkers as instruments."""
    fit = models.instrumental(frame, "y ~ 1 | d ~ C(worker)", method="ujive", cluster="row")
    return interval_of(fit.tidy(), "d")


def linear_designs() -> tuple[Design, ...]:
    """Return the designs for linear models.

    Returns
    -------
    tuple of Design

    Examples
    --------
    >>> linear_designs()[0].name
    'linear'
    """
    linear = partial(Design, truth=SLOPE, estimator="models.linear_probability")
    instrumental = partial(Design, truth=SLOPE, estimator="models.instrumental")
    return (
        linear(name="linear", draw=draw_plain, estimate=fit_plain),
        linear(name="linear_binary", draw=draw_binary, estimate=fit_binary),
        linear(name="linear_clustered", draw=draw_clustered, estimate=fit_clustered),
        linear(name="linear_one_absorbed", draw=draw_absorbed, estimate=fit_one_absorbed),
        linear(name="linear_two_absorbed", draw=draw_absorbed, estimate=fit_two_absorbed),
        linear(
            name="few_clusters",
            draw=draw_few,
            estimate=fit_clustered,
            coverage=few_clusters_coverage(),
            reason="few_clusters",
        ),
        Design(
            name="wild_bootstrap",
            estimator="models.wild_cluster_bootstrap",
            draw=partial(draw_clustered, clusters=10, rows=10),
            estimate=fit_wild,
            truth=SLOPE,
        ),
        instrumental(name="iv_2sls", draw=draw_instrument, estimate=fit_2sls),
        instrumental(name="iv_liml", draw=draw_instrument, estimate=fit_liml),
        instrumental(name="iv_ujive", draw=draw_judges, estimate=fit_ujive),
    )
