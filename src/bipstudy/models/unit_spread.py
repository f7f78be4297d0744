"""Spread of group means: what two halves of the rows agree on, and what chance alone would make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError

__all__ = ["STATISTICS", "ChanceSpread", "SplitHalves", "chance_spread", "split_halves"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STATISTICS = ("sd", "weighted_sd", "range", "top_minus_bottom_tenth")


@dataclass(frozen=True)
class SplitHalves:
    """Agreement of two halves of each group's rows.

    Attributes
    ----------
    covariance : float
        Weighted covariance of the half means over groups: the variance of what lasts. May be negative.
    covariance_error : float
        Jackknife over groups.
    correlation : float
        Weighted correlation of the half means; the reliability of one half.
    reliability : float
        Spearman-Brown: of all rows of a group together.
    groups : int
        Groups with rows in both halves.
    """

    covariance: float
    covariance_error: float
    correlation: float
    reliability: float
    groups: int


@dataclass(frozen=True)
class ChanceSpread:
    """Spread of the observed group means, and the same under random assignment.

    Attributes
    ----------
    observed : array, shape (4,)
        Over groups with enough rows: standard deviation of the means, the same weighted by rows, largest minus
        smallest, mean of the highest minus mean of the lowest tenth (at least one group each).
    drawn : array, shape (draws, 4)
        The same with the residuals dealt out anew.
    groups : int
        Groups with enough rows.
    """

    observed: Floats
    drawn: Floats
    groups: int


def split_halves(*, residual: Floats, group: Ints, groups: int, time: Floats, ratio: float = 1.0) -> SplitHalves | None:
    """Cut each group's rows at its median time and compare the means of the halves.

    Parameters
    ----------
    residual : array, shape (rows,)
        Adjusted outcome. What changes with calendar time for everybody must be adjusted for.
    group : array of int, shape (rows,)
    groups : int
    time : array, shape (rows,)
        Any order. Rows at the median go to the earlier half, or to the later if that would be empty.
    ratio : float
        Guess of ``tau^2 / sigma^2`` that weights the groups; the estimate is unbiased for any.

    Returns
    -------
    SplitHalves or None
        None if fewer than three groups have rows in both halves.
    """
    ordered = pd.Series(time).groupby(group)
    median = ordered.quantile(0.5, interpolation="lower").reindex(range(groups)).to_numpy()
    last = ordered.max().reindex(range(groups)).to_numpy()
    early = np.where((median < last)[group], time <= median[group], time < median[group])
    counts, means = [], []
    for half in (early, ~early):
        count = np.bincount(group[half], minlength=groups).astype(np.float64)
        counts.append(count)
        means.append(np.bincount(group[half], weights=residual[half], minlength=groups) / np.maximum(count, 1.0))
    both = (counts[0] > 0) & (counts[1] > 0)
    if both.sum() < 3:
        return None
    first, second, n1, n2 = means[0][both], means[1][both], counts[0][both], counts[1][both]
    weight = (n1 / (1.0 + ratio * n1)) * (n2 / (1.0 + ratio * n2))
    covariance, correlation = _weighted_covariance(first, second, weight)
    error = _jackknife(first, second, weight)
    full = 2.0 * correlation / (1.0 + correlation) if correlation > -1.0 else np.nan
    return SplitHalves(covariance, error, correlation, full, int(both.sum()))


def _weighted_covariance(first: Floats, second: Floats, weight: Floats) -> tuple[float, float]:
    """Weighted covariance, with the correction for the means that were estimated, and correlation."""
    share = weight / weight.sum()
    a, b = first - share @ first, second - share @ second
    cross, a2, b2 = float(share @ (a * b)), float(share @ (a * a)), float(share @ (b * b))
    return cross / (1.0 - float(share @ share)), cross / np.sqrt(a2 * b2) if a2 > 0 and b2 > 0 else 0.0


def _jackknife(first: Floats, second: Floats, weight: Floats) -> float:
    """Leave-one-group-out error of the weighted covariance, by updating its sums."""
    total, squares = weight.sum() - weight, (weight**2).sum() - weight**2
    mean_a = ((weight * first).sum() - weight * first) / total
    mean_b = ((weight * second).sum() - weight * second) / total
    product = ((weight * first * second).sum() - weight * first * second) / total
    left_out = (product - mean_a * mean_b) / (1.0 - squares / total**2)
    size = first.size
    return float(np.sqrt((size - 1.0) / size * ((left_out - left_out.mean()) ** 2).sum()))


def chance_spread(
    *,
    design: Floats,
    outcome: Floats,
    group: Ints,
    groups: int,
    stratum: Ints | None = None,
    minimum_rows: int = 5,
    draws: int = 999,
    seed: int = 0,
) -> ChanceSpread:
    """Spread of the group means of adjusted outcomes, observed and with residuals dealt out anew.

    Parameters
    ----------
    design : array, shape (rows, p)
        With an intercept, or dummies of the strata.
    outcome : array, shape (rows,)
    group : array of int, shape (rows,)
    groups : int
    stratum : array of int, shape (rows,), optional
        Residuals change places only within strata.
    minimum_rows : int
        Groups with fewer rows are left out of the statistics (not of the dealing).
    draws, seed : int

    Returns
    -------
    ChanceSpread

    Raises
    ------
    ModelError
        If fewer than two groups have enough rows.
    """
    sizes = np.bincount(group, minlength=groups)
    chosen = sizes >= minimum_rows
    if chosen.sum() < 2:
        raise ModelError(f"fewer than two groups have {minimum_rows} rows or more")
    basis = np.linalg.qr(design)[0]
    residual = outcome - basis @ (basis.T @ outcome)
    # Sorting by what is permuted makes the result independent of the order of the rows.
    key = np.lexsort((residual, group, np.zeros_like(group) if stratum is None else stratum))
    basis, residual, codes = basis[key], residual[key], group[key]
    layer = np.zeros(residual.size) if stratum is None else stratum[key].astype(np.float64)
    basis_means = np.column_stack([np.bincount(codes, weights=column, minlength=groups) / sizes for column in basis.T])[
        chosen
    ]
    count = sizes[chosen].astype(np.float64)
    generator = np.random.default_rng(np.random.SeedSequence(seed))

    def statistics(values: Floats) -> Floats:
        means = np.bincount(codes, weights=values, minlength=groups)[chosen] / count
        return _spread(means - basis_means @ (basis.T @ values), count)

    drawn = np.empty((draws, len(STATISTICS)))
    for draw in range(draws):
        drawn[draw] = statistics(residual[np.argsort(layer + generator.random(residual.size))])
    return ChanceSpread(statistics(residual), drawn, int(chosen.sum()))


def _spread(means: Floats, count: Floats) -> Floats:
    """Statistics of `ChanceSpread` for one set of means."""
    centred = means - (count @ means) / count.sum()
    ranked = np.sort(means)
    tenth = max(1, round(0.1 * means.size))
    gap = ranked[-tenth:].mean() - ranked[:tenth].mean()
    return np.array([means.std(ddof=1), np.sqrt((count @ centred**2) / count.sum()), ranked[-1] - ranked[0], gap])
