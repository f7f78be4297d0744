"""What a simulated proof consists of: data drawn with a known truth, and the interval that an estimator gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Design", "Interval", "interval_of", "person_periods", "stable_frailty", "uniform_with_margin"]

Floats: TypeAlias = npt.NDArray[np.float64]
Interval: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Design:
    """One row of the certificate.

    Attributes
    ----------
    name : str
        Unlike every other; its random numbers hang on it. Its words stand in the catalogue.
    estimator : str
        Public name of what is tried.
    draw : callable of Generator
        Gives one simulated data set.
    estimate : callable of the data set
        Gives ``(estimate, std_error, conf_low, conf_high)``, on the scale of `truth`; NaN for what the estimator does
        not give, and without an interval only the bias is judged.
    truth : float
        What is estimated, computed from the parameters of the drawing.
    coverage : float, default 0.95
        Share of intervals that theory says cover.
    bias : float, default 0.0
        Expected error of the estimate, where theory says that it is not zero (shrunken effects).
    reason : str
        Key of the reason, where coverage or bias is not nominal.
    kind : {"estimator", "analysis", "assumption"}
        Whether an estimator is tried alone, a whole analysis on simulated studies, or an analysis once more where an
        assumption of the simulation is another one.
    scenario : str
        Of the simulated studies.
    truth_error : float, default 0.0
        Monte Carlo error of a truth that comes from a large draw.
    no_effect : float, optional
        What would mean that there is nothing: how often intervals exclude it is size or power.
    judged : {"both", "coverage", "nothing"}
        Bias and coverage; coverage alone; or nothing but that there is an answer, where no truth can be defined.
    at_least : bool, default False
        More coverage than expected is no fault: the test is one-sided, or at the edge of what is possible.

    Examples
    --------
    >>> from bipstudy.certification import designs
    >>> design = designs()[0]
    >>> design.name, design.truth, design.coverage
    ('cox', 0.5, 0.95)
    """

    name: str
    estimator: str
    draw: Callable[[np.random.Generator], Any]
    estimate: Callable[[Any], Interval]
    truth: float
    coverage: float = 0.95
    bias: float = 0.0
    reason: str = ""
    kind: Literal["estimator", "analysis", "assumption"] = "estimator"
    scenario: str = ""
    truth_error: float = 0.0
    no_effect: float | None = None
    judged: Literal["both", "coverage", "nothing"] = "both"
    at_least: bool = False


def interval_of(table: pd.DataFrame, term: str | None = None, *, log: bool = False) -> Interval:
    """Return the estimate of one term of a tidy table, or of its first row.

    Parameters
    ----------
    table : DataFrame
        With the columns ``estimate, std_error, conf_low, conf_high`` and ``term`` if a term is named.
    term : str, optional
    log : bool, default False
        Estimate and interval are ratios and are given as logarithms; the error is on the log scale already.

    Returns
    -------
    tuple of four floats

    Examples
    --------
    >>> table = pd.DataFrame({"term": ["x"], "estimate": [1.0], "std_error": [0.5], "conf_low": [0], "conf_high": [2]})
    >>> interval_of(table, "x")
    (1.0, 0.5, 0.0, 2.0)
    """
    row = table.iloc[0] if term is None else table.set_index("term").loc[term]
    estimate, low, high = (float(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    if log:
        estimate, low, high = (float(np.log(value)) for value in (estimate, low, high))
    return estimate, float(row["std_error"]), low, high


def person_periods(hazards: Floats, rng: np.random.Generator) -> pd.DataFrame:
    """Draw events from discrete hazards and give the rows at risk.

    Parameters
    ----------
    hazards : array of shape (persons, periods)
    rng : Generator

    Returns
    -------
    DataFrame
        ``person, period, y``; periods count from 1, persons from 0.

    Examples
    --------
    >>> person_periods(np.array([[0.0, 1.0, 0.5]]), np.random.default_rng(1)).values.tolist()
    [[0, 1, 0], [0, 2, 1]]
    """
    events = rng.random(hazards.shape) < hazards
    before: npt.NDArray[np.int64] = np.cumsum(events, axis=1) - events
    person, period = np.nonzero(before == 0)
    return pd.DataFrame({"person": person, "period": period + 1, "y": events[person, period].astype(np.int64)})


def stable_frailty(size: int, index: float, rng: np.random.Generator) -> Floats:
    r"""Draw positive stable variables, :math:`E e^{-sU} = e^{-s^\alpha}`.

    A frailty of this kind keeps hazards proportional when it is averaged out, every coefficient multiplied by the
    index (Hougaard 1986), so that the truth of a population-averaged model is known exactly.

    Parameters
    ----------
    size : int
    index : float
        Between 0 and 1; 1 is no frailty.
    rng : Generator

    Returns
    -------
    array of shape (size,)

    References
    ----------
    Chambers, J. M., Mallows, C. L., Stuck, B. W. (1976). A method for simulating stable random variables. Journal of
    the American Statistical Association 71, 340-344. Hougaard, P. (1986). A class of multivariate failure time
    distributions. Biometrika 73, 671-678.

    Examples
    --------
    >>> draws = stable_frailty(200_000, 0.5, np.random.default_rng(1))
    >>> bool(abs(np.exp(-draws).mean() - np.exp(-1)) < 0.005)
    True
    """
    angle, wait = rng.uniform(0.0, np.pi, size), rng.exponential(size=size)
    head = np.sin(index * angle) / np.sin(angle) ** (1.0 / index)
    return np.asarray(head * (np.sin((1.0 - index) * angle) / wait) ** ((1.0 - index) / index))


def uniform_with_margin(parts: list[tuple[float, Floats]], rng: np.random.Generator) -> Floats:
    """Return dependent uniform variables from shared normal parts (a Gaussian copula).

    Each variable alone is uniform, so that an event drawn as ``u < p`` has the probability p exactly, whatever the
    rows share.

    Parameters
    ----------
    parts : list of (share, array of shape (rows,))
        Standard normal parts that rows share, and the share of the variance that each has.
    rng : Generator

    Returns
    -------
    array of shape (rows,)

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> shared = rng.normal(size=5000)[np.arange(100_000) // 20]
    >>> bool(abs(uniform_with_margin([(0.4, shared)], rng).mean() - 0.5) < 0.02)
    True
    """
    from scipy.special import ndtr

    rest = 1.0 - sum(share for share, _ in parts)
    total = np.sqrt(rest) * rng.normal(size=len(parts[0][1]))
    for share, part in parts:
        total = total + np.sqrt(share) * part
    return np.asarray(ndtr(total), dtype=np.float64)
