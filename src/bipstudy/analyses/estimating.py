"""Rows of estimates, shares with intervals, and models that may turn out not to be estimable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses import resampling
from bipstudy.analyses.result import ESTIMATE_COLUMNS

FloatArray = npt.NDArray[np.float64]
T = TypeVar("T")
Z = 1.959963984540054
# A logarithm of a ratio, or its error, beyond this was not estimated: several terms together tell the events from the
# rest, and the fit stopped on its way to infinity.
_RUN_AWAY = 20.0
# Set while an analysis runs, and only then: models are fitted deep inside, and their messages belong to its result.
_SAID: ContextVar[list[str] | None] = ContextVar("said", default=None)


@dataclass(frozen=True)
class Number:
    """An estimate with its error; everything NaN where it could not be made.

    Attributes
    ----------
    estimate, std_error, conf_low, conf_high, p_value : float
        Ratios as ratios, their standard error on the log scale.
    n : int
        Rows behind the estimate.
    events : int or None
        Rows with the event, where there is one.
    clusters : int or None
        The smaller number of clusters, where errors are clustered.
    resample : callable or None
        Draws bootstrap replicates, see `bipstudy.analyses.resampling`; None unless they were asked for.
    """

    estimate: float = math.nan
    std_error: float = math.nan
    conf_low: float = math.nan
    conf_high: float = math.nan
    p_value: float = math.nan
    n: int = 0
    events: int | None = None
    clusters: int | None = None
    resample: resampling.Resample | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Label:
    """What an estimate is of: all columns of its row but the numbers."""

    analysis: str
    contrast: str
    scale: str
    outcome: str
    term: str = ""
    horizon_months: int | None = None
    adjustment: str = "raw"
    role: str = "secondary"
    benchmark: str = ""


def estimates(rows: Sequence[tuple[Label, Number]]) -> pd.DataFrame:
    """Return labelled numbers as a table of estimates.

    Parameters
    ----------
    rows : sequence of (Label, Number)

    Returns
    -------
    DataFrame
        Columns `ESTIMATE_COLUMNS`; horizon, events and clusters are missing where there are none.
    """
    for label, number in rows:
        resampling.keep(vars(label), number.resample)
    table = pd.DataFrame([{**vars(label), **vars(number)} for label, number in rows], columns=list(ESTIMATE_COLUMNS))
    whole = {"horizon_months": "Int64", "events": "Int64", "clusters": "Int64", "n": "int64"}
    return table.astype(
        {**whole, **dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high", "p_value"), float)}
    )


def from_tidy(tidy: pd.DataFrame, term: str, fit: Any, *, ratio: bool = False) -> Number:
    """Return one term of a fit as a number.

    Parameters
    ----------
    tidy : DataFrame
        ``.tidy()`` of a fit or of standardised risks.
    term : str
    fit : Fit
        Where rows, events and clusters are counted.
    ratio : bool
        Whether `tidy` is on the log scale and a ratio is wanted.
    """
    row = tidy.loc[tidy["term"] == term].iloc[0]
    shown: Callable[[float], float] = math.exp if ratio else float
    glance = fit.glance().iloc[0]
    if ratio and max(abs(float(row["estimate"])), float(row["std_error"])) > _RUN_AWAY:
        events, clusters = _whole(glance.get("events")), _whole(glance.get("clusters"))
        return Number(n=int(glance["rows"]), events=events, clusters=clusters)
    of = tidy.attrs.get(resampling.ATTRIBUTE)
    return Number(
        estimate=_finite(shown, row["estimate"]),
        std_error=float(row["std_error"]),
        conf_low=_finite(shown, row["conf_low"]),
        conf_high=_finite(shown, row["conf_high"]),
        p_value=float(row["p_value"]),
        n=int(glance["rows"]),
        events=_whole(glance.get("events")),
        clusters=_whole(glance.get("clusters")),
        resample=of(term) if of is not None else resampling.of_term(fit, term, ratio=ratio),
    )


def _finite(shown: Callable[[float], float], value: float) -> float:
    """Return a number as shown; what ran to infinity was not estimated."""
    return shown(float(value)) if math.isfinite(value) else math.nan


def _whole(value: object) -> int | None:
    """Return a count, None where there is none."""
    return None if value is None or pd.isna(value) else int(value)  # type: ignore[call-overload]


def share(*, values: FloatArray, weights: FloatArray | None = None, clusters: npt.NDArray[Any] | None = None) -> Number:
    r"""Weighted share of ones, with an interval on the logit scale.

    The variance is that of a ratio of sums over clusters, :math:`\sum_g (\sum_{i \in g} w_i (y_i - p))^2 / (\sum w)^2`
    times :math:`G / (G - 1)`; there is none with one cluster. With no one or everyone the interval is exact
    (Clopper and Pearson 1934).

    Parameters
    ----------
    values : array of shape (n,)
        0 or 1; missing values are left out.
    weights : array of shape (n,), optional
    clusters : array of shape (n,), optional
        Labels of clusters; every row by itself if left out.

    Returns
    -------
    Number
        Without p-value.

    Examples
    --------
    >>> import numpy as np
    >>> number = share(values=np.array([1.0, 0, 0, 0, 1, 0, 0, 0, 0, 0]))
    >>> number.estimate, round(number.conf_low, 3), round(number.conf_high, 3), number.events
    (0.2, 0.047, 0.561, 2)
    """
    values = np.asarray(values, dtype=np.float64)
    given = ~np.isnan(values)
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    given &= weights > 0
    y, w = values[given], weights[given]
    n, events = len(y), int((y > 0).sum())
    groups = np.arange(n) if clusters is None else np.unique(np.asarray(clusters)[given], return_inverse=True)[1]
    counted = None if clusters is None else (int(groups.max()) + 1 if n else 0)
    if n < 2:
        return Number(n=n, events=events, clusters=counted)
    p = float(w @ y / w.sum())
    resample = resampling.of_ratio(w * y, w, None if clusters is None else np.asarray(clusters)[given])
    if events in (0, n):
        low, high = _exact_end(n)
        low, high = (0.0, high) if events == 0 else (low, 1.0)
        return Number(p, math.nan, low, high, math.nan, n, events, counted, resample)
    error = _ratio_error(w * (y - p), w.sum(), groups)
    half = Z * error / (p * (1 - p))
    logit = math.log(p / (1 - p))
    low, high = (1 / (1 + math.exp(-(logit + sign * half))) for sign in (-1, 1))
    return Number(p, error, low, high, math.nan, n, events, counted, resample)


def mean(*, values: FloatArray, weights: FloatArray | None = None, clusters: npt.NDArray[Any] | None = None) -> Number:
    """Weighted mean with a clustered error, tested against zero.

    It is a linear model with nothing but a constant, and its interval is that of one: t with clusters less one degrees
    of freedom, or rows less one without clusters.

    Parameters
    ----------
    values, weights, clusters
        As for `share`; any numbers.

    Returns
    -------
    Number
    """
    from scipy.special import stdtr, stdtrit

    values = np.asarray(values, dtype=np.float64)
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    given = ~np.isnan(values) & (weights > 0)
    y, w = values[given], weights[given]
    n = len(y)
    groups = np.arange(n) if clusters is None else np.unique(np.asarray(clusters)[given], return_inverse=True)[1]
    counted = None if clusters is None else (int(groups.max()) + 1 if n else 0)
    if n < 2:
        return Number(n=n, clusters=counted)
    centre = float(w @ y / w.sum())
    error = _ratio_error(w * (y - centre), w.sum(), groups)
    degrees = float(groups.max())
    p_value = 2.0 * float(stdtr(degrees, -abs(centre) / error)) if error > 0 else math.nan
    half = float(stdtrit(degrees, 0.975)) * error if error > 0 else error
    resample = resampling.of_ratio(w * y, w, None if clusters is None else np.asarray(clusters)[given])
    return Number(centre, error, centre - half, centre + half, p_value, n, None, counted, resample)


def _ratio_error(scores: FloatArray, total: float, groups: npt.NDArray[np.int64]) -> float:
    """Return the clustered standard error of a ratio of sums; NaN with one cluster, whose scores add to nought."""
    sums = np.bincount(groups, weights=scores)
    count = len(sums)
    if count < 2:
        return math.nan
    return math.sqrt(float(sums @ sums) * count / (count - 1)) / float(total)


def _exact_end(n: int) -> tuple[float, float]:
    """Return the inner ends of the exact 95 per cent intervals of everyone and of no one."""
    low = 0.025 ** (1 / n)
    return low, 1 - low


@contextmanager
def reasons() -> Iterator[list[str]]:
    """Collect, while it is open, what models say that `attempt` could not fit; each message once."""
    said: list[str] = []
    token = _SAID.set(said)
    try:
        yield said
    finally:
        _SAID.reset(token)


def attempt(fit: Callable[[], T]) -> T | None:
    """Return a fit, or None where the data cannot give one: no events, no variation, too few rows.

    The model's own message goes to `reasons`, so that the reader of the result learns why.
    """
    from bipstudy.models import ModelError

    try:
        return fit()
    except (ModelError, np.linalg.LinAlgError) as error:
        message, said = str(error), _SAID.get()
        if said is not None and message not in said:
            said.append(message)
        return None
