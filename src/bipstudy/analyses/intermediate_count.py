"""How many indicators both predict work and rise after activities, and how that number varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bipstudy.analyses import resampling
from bipstudy.analyses.estimating import Number
from bipstudy.analyses.indicators_count import REPLICATIONS, holm_holds, in_errors

FloatArray = npt.NDArray[np.float64]
Labels = list[str]


@dataclass(frozen=True)
class Move:
    """A coefficient, its error, the degrees of freedom of its test, and what each caseworker adds to it."""

    estimate: float
    error: float
    degrees: float
    influence: dict[str, float]


def move(fit: Any, term: str) -> Move | None:
    """Return how a coefficient of a fit moves with the caseworkers drawn; None where it could not be estimated."""
    influence = None if fit is None else resampling.influence_of(fit, term)
    if influence is None:
        return None
    row = fit.tidy().set_index("term").loc[term]
    if not (np.isfinite(row["estimate"]) and row["std_error"] > 0):
        return None
    return Move(float(row["estimate"]), float(row["std_error"]), float(fit.errors.degrees), influence)


def with_interval(number: Number, pairs: Sequence[tuple[Move | None, Move | None]]) -> Number:
    """Return a count with the interval of a bootstrap over caseworkers.

    In each resample every coefficient moves by what the drawn caseworkers add to it (one Newton step), its error is
    made again from them, and Holm's correction is made anew, over the indicators that predict and over those that rise.

    Parameters
    ----------
    number : Number
        The count as observed.
    pairs : sequence of (Move or None, Move or None)
        For each indicator what predicts and what rises.

    Returns
    -------
    Number
        The interval holds the middle 95 per cent of the resamples, and the count itself; no interval where caseworkers
        are fewer than two or nothing could be tested.
    """
    from bipstudy.models.steps import draw_counts

    labels = sorted({label for pair in pairs for one in pair if one is not None for label in one.influence})
    if not np.isfinite(number.estimate) or len(labels) < 2:
        return number
    columns = [_arrays([pair[place] for pair in pairs], labels) for place in (0, 1)]

    def counted(draws: FloatArray) -> FloatArray:
        holds = [holm_holds(_in_errors(column, draws)) for column in columns]
        return np.asarray((holds[0] & holds[1]).sum(axis=1), dtype=np.float64)

    # Drawn in an order that labels do not decide: others would draw others.
    order = np.lexsort(np.hstack([column[-1] for column in columns]).T)
    draws = np.empty((REPLICATIONS, len(labels)))
    draws[:, order] = draw_counts(len(labels), REPLICATIONS, 0)
    counts = counted(draws)
    low, high = np.quantile(counts, [0.025, 0.975], method="inverted_cdf")
    return replace(
        number,
        std_error=float(counts.std(ddof=1)),
        conf_low=float(min(low, number.estimate)),
        conf_high=float(max(high, number.estimate)),
        clusters=len(labels),
        resample=resampling.of_draws(counted, labels),
    )


def _arrays(moves: Sequence[Move | None], labels: Labels) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return estimates, errors and degrees, shape (items,), and influences, shape (caseworkers, items)."""
    nothing = Move(np.nan, np.nan, np.inf, {})
    own = [nothing if each is None else each for each in moves]
    influence = np.array([[each.influence.get(label, 0.0) for each in own] for label in labels])
    return (
        np.array([each.estimate for each in own]),
        np.array([each.error for each in own]),
        np.array([each.degrees for each in own]),
        influence,
    )


def _in_errors(column: tuple[FloatArray, FloatArray, FloatArray, FloatArray], draws: FloatArray) -> FloatArray:
    """Return the coefficients of each resample in their errors, turned into normal deviates of the same p-value."""
    estimates, errors, degrees, influence = column
    # Errors are clustered by participants too; what that adds stays as it is.
    one = in_errors(estimates, influence, np.ones((1, draws.shape[1])))
    statistic = in_errors(estimates, influence, draws) * (estimates / errors) / one
    return as_normal(statistic, degrees)


def as_normal(statistic: FloatArray, degrees: FloatArray) -> FloatArray:
    """Return normal deviates with the same p-values as statistics with t distributions.

    Parameters
    ----------
    statistic : array of shape (n, items)
    degrees : array of shape (items,)
        Infinite where the statistic is normal already.

    Returns
    -------
    array of shape (n, items)

    Examples
    --------
    >>> import numpy as np
    >>> as_normal(np.array([[2.2281, -1.96]]), np.array([10.0, np.inf])).round(2).tolist()
    [[1.96, -1.96]]
    """
    from scipy.special import ndtri, stdtr

    finite = np.isfinite(degrees)
    tail = stdtr(np.where(finite, degrees, 1.0), -np.abs(statistic))
    # Far out the tail is nought in floating point: any large deviate says the same.
    normal = np.minimum(-ndtri(tail), 38.0) * np.sign(statistic)
    return np.where(finite, normal, statistic)
