"""The table that every fit gives: estimates with errors, p-values and intervals in the same columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError

__all__ = ["critical_value", "tidy_frame", "two_sided_p"]

FloatArray: TypeAlias = npt.NDArray[np.float64]


def two_sided_p(statistic: FloatArray, degrees: float | FloatArray) -> FloatArray:
    """Two-sided p-value of a t statistic; infinite degrees of freedom mean the normal distribution."""
    from scipy.special import ndtr, stdtr

    size = -np.abs(statistic)
    degrees = np.broadcast_to(np.asarray(degrees, dtype=np.float64), size.shape)
    finite = np.isfinite(degrees)
    return np.asarray(2.0 * np.where(finite, stdtr(np.where(finite, degrees, 1.0), size), ndtr(size)))


def critical_value(level: float, degrees: float | FloatArray) -> FloatArray:
    """Half-width of a two-sided interval in standard errors; infinite degrees of freedom mean the normal."""
    from scipy.special import ndtri, stdtrit

    if not 0.0 < level < 1.0:
        raise ModelError(f"level must lie between 0 and 1, got {level!r}")
    upper = 0.5 + level / 2.0
    degrees = np.asarray(degrees, dtype=np.float64)
    finite = np.isfinite(degrees)
    return np.asarray(np.where(finite, stdtrit(np.where(finite, degrees, 1.0), upper), ndtri(upper)))


def tidy_frame(
    terms: Sequence[str],
    estimate: FloatArray,
    std_error: FloatArray,
    degrees: float | FloatArray = np.inf,
    level: float = 0.95,
    *,
    exponentiate: bool = False,
    null: float | FloatArray = 0.0,
) -> pd.DataFrame:
    """Table of estimates in the columns that every fit shares.

    Parameters
    ----------
    terms : sequence of str, length k
    estimate, std_error : arrays of shape (k,)
        On the scale of the linear predictor.
    degrees : float or array of shape (k,), default inf
        Degrees of freedom of the t distribution; infinite means the normal.
    level : float, default 0.95
        Confidence level.
    exponentiate : bool, default False
        Give estimate and interval as ratios; the standard error stays on the log scale.
    null : float or array of shape (k,), default 0
        What the statistic tests against, before exponentiation.

    Returns
    -------
    DataFrame
        Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.

    Examples
    --------
    >>> import numpy as np
    >>> table = tidy_frame(["x"], np.array([1.0]), np.array([0.5]))
    >>> table[["statistic", "p_value"]].round(4).values.tolist()
    [[2.0, 0.0455]]
    """
    estimate = np.asarray(estimate, dtype=np.float64)
    std_error = np.asarray(std_error, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (estimate - null) / std_error
        half = critical_value(level, degrees) * std_error
    shown = np.exp if exponentiate else np.asarray
    return pd.DataFrame(
        {
            "term": pd.Series(list(terms), dtype=object),
            "estimate": shown(estimate),
            "std_error": std_error,
            "statistic": statistic,
            "p_value": two_sided_p(statistic, degrees),
            "conf_low": shown(estimate - half),
            "conf_high": shown(estimate + half),
        }
    )
