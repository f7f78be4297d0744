"""How many indicators hold, how that number varies, and how many would hold here at a given size of association."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.analyses.estimating import Number
from bipstudy.analyses.indicators_models import Difference

FloatArray = npt.NDArray[np.float64]
LEVEL = 0.05
REPLICATIONS = 999
DRAWS = 4000
# Risk differences per standard deviation of the answer, common to the indicators that have one.
SIZES = (0.0, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03)
# The published count: seven of eleven go with getting a job.
PUBLISHED = 7


def holm_holds(z: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which positive associations hold after Holm's correction, row by row.

    Parameters
    ----------
    z : array of shape (draws, items)
        Estimates in standard errors; NaN where there is none.

    Returns
    -------
    bool array of shape (draws, items)

    Examples
    --------
    >>> import numpy as np
    >>> holm_holds(np.array([[3.0, 2.3, 0.1], [-3.0, 2.0, 0.1]])).tolist()
    [[True, True, False], [False, False, False]]
    """
    from scipy.special import erfc

    p_values = erfc(np.abs(z) / np.sqrt(2.0))
    p_values = np.where(np.isnan(p_values), np.inf, p_values)
    tested = (~np.isnan(z)).sum(axis=1, keepdims=True)
    order = np.argsort(p_values, axis=1, kind="stable")
    steps = np.take_along_axis(p_values, order, axis=1) * np.maximum(tested - np.arange(z.shape[1]), 1)
    adjusted = np.maximum.accumulate(steps, axis=1)
    holds = np.zeros(z.shape, dtype=bool)
    np.put_along_axis(holds, order, adjusted < LEVEL, axis=1)
    return holds & (np.nan_to_num(z) > 0)


def count(found: Sequence[Difference], labels: Sequence[str]) -> Number:
    """Return how many items hold with a positive association, with the interval of a bootstrap over caseworkers.

    In each resample every estimate moves by what the drawn caseworkers add to it (one Newton step), its standard error
    is made again from them, and Holm's correction is made anew.

    Parameters
    ----------
    found : sequence of Difference
    labels : sequence of str
        Caseworkers, in the order of the influences.

    Returns
    -------
    Number
        `n` items tested; the interval holds the middle 95 per cent of the resamples, and the count itself.
    """
    from bipstudy.analyses import resampling
    from bipstudy.models.steps import draw_counts

    estimates = np.array([each.number.estimate for each in found])
    errors = np.array([each.number.std_error for each in found])
    tested = int((~np.isnan(estimates / errors)).sum())
    if not tested:
        return Number(n=len(found))
    own = int(holm_holds((estimates / errors)[None, :]).sum())
    influence = np.column_stack([each.influence for each in found])
    # Drawn in an order that labels do not decide: others would draw others.
    order = np.lexsort(np.nan_to_num(influence).T)
    counts = replicates(estimates, influence[order], draw_counts(len(order), REPLICATIONS, 0))
    low, high = np.quantile(counts, [0.025, 0.975], method="inverted_cdf")
    return Number(
        float(own),
        float(counts.std(ddof=1)),
        float(min(low, own)),
        float(max(high, own)),
        n=tested,
        clusters=int((np.nan_to_num(influence) != 0).any(axis=1).sum()),
        resample=resampling.of_draws(lambda draws: replicates(estimates, influence, draws), labels),
    )


def replicates(estimates: FloatArray, influence: FloatArray, draws: FloatArray) -> FloatArray:
    """Return the count in each resample.

    Parameters
    ----------
    estimates : array of shape (items,)
    influence : array of shape (caseworkers, items)
    draws : array of shape (resamples, caseworkers)
        How often each caseworker is drawn.

    Returns
    -------
    array of shape (resamples,)
    """
    return np.asarray(holm_holds(in_errors(estimates, influence, draws)).sum(axis=1), dtype=np.float64)


def in_errors(estimates: FloatArray, influence: FloatArray, draws: FloatArray) -> FloatArray:
    """Return the estimates of each resample in the standard errors made again from it; parameters as above."""
    moved = (draws - 1.0) @ influence
    groups = draws.sum(axis=1, keepdims=True)
    # Squares around the mean of the resample: it has moved, and its influences with it.
    squares = draws @ influence**2 - (draws @ influence) ** 2 / groups
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((estimates + moved) / np.sqrt(squares * groups / (groups - 1.0)))


def expected(found: Sequence[Difference]) -> pd.DataFrame:
    """Return how many indicators would hold here at common sizes of association, from the standard errors.

    Estimates are drawn around a common true size with the standard errors and correlations found here: once with all
    indicators associated, once with seven, drawn anew each time.

    Parameters
    ----------
    found : sequence of Difference

    Returns
    -------
    DataFrame
        ``size`` and, for all and for seven, mean count and the middle 95 per cent.
    """
    columns = ["size", "all", "all_low", "all_high", "seven", "seven_low", "seven_high"]
    errors = np.array([each.number.std_error for each in found])
    good = errors > 0
    if good.sum() < 2 or len(found[0].influence) < 2:
        return pd.DataFrame(columns=columns)
    errors = errors[good]
    influence = np.column_stack([each.influence for each, kept in zip(found, good, strict=True) if kept])
    correlation = np.corrcoef(influence, rowvar=False)
    values, vectors = np.linalg.eigh(correlation)
    generator = np.random.default_rng(np.random.SeedSequence(0))
    noise = generator.standard_normal((DRAWS, len(errors))) @ (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    ranks = np.argsort(generator.random((DRAWS, len(errors))), axis=1)
    rows = []
    for size in SIZES:
        row: list[float] = [size]
        for carried in (np.ones(ranks.shape, dtype=bool), ranks < PUBLISHED):
            counts = holm_holds(noise + carried * size / errors).sum(axis=1)
            low, high = np.quantile(counts, [0.025, 0.975], method="inverted_cdf")
            row += [float(counts.mean()), float(low), float(high)]
        rows.append(row)
    return pd.DataFrame(rows, columns=columns)
