"""Agreement between respondents: intraclass correlations and weighted kappa.

Errors come from the influence of each case, added within clusters where cases are clustered; without clusters the
intervals of the intraclass correlation are the classical ones by F, which assume normal answers.

References
----------
McGraw, K. O. and Wong, S. P. (1996). Forming inferences about some intraclass correlation coefficients. Psychological
Methods 1, 30-46. Fleiss, J. L., Cohen, J. and Everitt, B. S. (1969). Large sample standard errors of kappa and weighted
kappa. Psychological Bulletin 72, 323-327.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.polychorics import influence_error
from bipstudy.models.psychometrics import complete_rows
from bipstudy.models.tidy import tidy_frame

__all__ = ["Agreement", "intraclass_correlation", "weighted_kappa"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement between respondents.

    Attributes
    ----------
    table : DataFrame
        ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
    model : str
    rows, rows_dropped : int
    convention : str
    influence : mapping of str to array of shape (rows,)
        By term, what each complete case adds to it; of intraclass correlations only.
    """

    table: pd.DataFrame
    model: str
    rows: int
    rows_dropped: int
    convention: str
    influence: Mapping[str, Floats] = field(default_factory=dict)

    def tidy(self) -> pd.DataFrame:
        """Coefficients with errors and intervals.

        Returns
        -------
        DataFrame
        """
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        """One row: the model, rows and the convention of the errors.

        Returns
        -------
        DataFrame
        """
        names = {
            "model": self.model,
            "rows": self.rows,
            "rows_dropped": self.rows_dropped,
            "convention": self.convention,
        }
        return pd.DataFrame([names])


def intraclass_correlation(
    frame: pd.DataFrame, raters: Sequence[str], *, cluster: str | None = None, level: float = 0.95
) -> Agreement:
    """Estimate intraclass correlations between respondents who answer about the same cases.

    Parameters
    ----------
    frame : DataFrame
        One row per case; rows with a missing answer are left out and counted.
    raters : sequence of str
        One column per respondent.
    cluster : str, optional
        Column of clusters (the caseworker who rates many cases): errors and intervals then come from the influence of
        cases added within clusters, respondents taken as these. Else intervals are the classical ones by F.
    level : float, default 0.95

    Returns
    -------
    Agreement
        Terms as in McGraw and Wong (1996) with the names of Shrout and Fleiss (1979): ``icc1`` (respondents differ
        from case to case), ``icc2`` (absolute agreement), ``icc3`` (agreement but for a constant difference) and, for
        the mean of all respondents, ``icc1k, icc2k, icc3k``.

    Raises
    ------
    ModelError
        If there are fewer than two respondents or three complete cases.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    >>> frame.columns = list("abcd")
    >>> intraclass_correlation(frame, list("abcd")).tidy()["estimate"].round(2).tolist()
    [0.17, 0.29, 0.71, 0.44, 0.62, 0.91]
    """
    names = list(raters)
    if len(names) < 2:
        raise ModelError("agreement needs at least two respondents")
    used, groups = complete_rows(frame, names, cluster)
    values = used[names].to_numpy(dtype=np.float64)
    estimates, slopes, squares = _icc(values)
    errors = np.array([influence_error(slope, groups) for slope in slopes])
    table = tidy_frame(_ICC_NAMES, estimates, errors, level=level)
    if groups is None:
        low, high, p_values = _icc_intervals(squares, values.shape[0], values.shape[1], level)
        table = table.assign(conf_low=low, conf_high=high, p_value=p_values)
        text = "independent rows assumed; intervals and p-values by F"
    else:
        text = f"clustered by {cluster} ({int(groups.max()) + 1}); factor G/(G-1)"
    return Agreement(
        table=table,
        model="intraclass correlation",
        rows=len(used),
        rows_dropped=len(frame) - len(used),
        convention=text,
        influence={name: slope / len(used) for name, slope in zip(_ICC_NAMES, slopes, strict=True)},
    )


_ICC_NAMES = ("icc1", "icc2", "icc3", "icc1k", "icc2k", "icc3k")


def _icc(values: Floats) -> tuple[Floats, Floats, tuple[float, float, float, float]]:
    """Coefficients (6,), influence of each case (6, n) and mean squares: cases, respondents, residual, within cases."""
    n, k = values.shape
    center = values - values.mean()
    rows, columns = center.mean(axis=1), center.mean(axis=0)
    residual = center - rows[:, None] - columns
    own = k * rows**2 * n / (n - 1.0)
    noise = (residual**2).sum(axis=1) / (k - 1.0) * n / (n - 1.0)
    msr, mse, msc = own.mean(), noise.mean(), n / (k - 1.0) * float(columns @ columns)
    msw = (msc + (n - 1.0) * mse) / n
    # Influence on the mean square between respondents over n, respondents taken as these.
    tilt = 2.0 * (residual @ columns) / (k - 1.0)
    d_r, d_e, d_w = own - msr, noise - mse, tilt + (n - 1.0) / n * (noise - mse)
    spread = msr + (k - 1) * mse + k * (msc - mse) / n
    d_spread = d_r + (k - 1) * d_e + k * (tilt - d_e / n)
    whole = msr + (msc - mse) / n
    d_whole = d_r + tilt - d_e / n
    top, d_top = msr - mse, d_r - d_e
    ratios = [
        (msr - msw, d_r - d_w, msr + (k - 1) * msw, d_r + (k - 1) * d_w),
        (top, d_top, spread, d_spread),
        (top, d_top, msr + (k - 1) * mse, d_r + (k - 1) * d_e),
        (msr - msw, d_r - d_w, msr, d_r),
        (top, d_top, whole, d_whole),
        (top, d_top, msr, d_r),
    ]
    estimates = np.array([upper / lower for upper, _, lower, _ in ratios])
    slopes = np.array([(d_upper - upper / lower * d_lower) / lower for upper, d_upper, lower, d_lower in ratios])
    return estimates, slopes, (float(msr), float(msc), float(mse), float(msw))


def _icc_intervals(
    squares: tuple[float, float, float, float], n: int, k: int, level: float
) -> tuple[Floats, Floats, Floats]:
    """Limits by F (McGraw and Wong 1996, table 7) and p-values of no correlation."""
    from scipy.special import fdtrc, fdtri

    msr, msc, mse, msw = squares
    upper = 0.5 + level / 2.0
    one, three = msr / msw, msr / mse
    d1, d3 = n * (k - 1), (n - 1) * (k - 1)
    f1 = (one / fdtri(n - 1, d1, upper), one * fdtri(d1, n - 1, upper))
    f3 = (three / fdtri(n - 1, d3, upper), three * fdtri(d3, n - 1, upper))
    single1, single3 = [(f - 1) / (f + k - 1) for f in f1], [(f - 1) / (f + k - 1) for f in f3]
    share = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    a, b = k * share / (n * (1 - share)), 1 + k * share * (n - 1) / (n * (1 - share))
    freedom = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / d3)
    low_f, high_f = fdtri(n - 1, freedom, upper), fdtri(freedom, n - 1, upper)
    rest = k * msc + (k * n - k - n) * mse
    low2 = n * (msr - low_f * mse) / (low_f * rest + n * msr)
    high2 = n * (high_f * msr - mse) / (rest + n * high_f * msr)
    single2 = [low2, high2]
    many = [[end * k / (1 + end * (k - 1)) for end in ends] for ends in (single1, single2, single3)]
    ends = np.array([single1, single2, single3, *many])
    p1, p3 = float(fdtrc(n - 1, d1, one)), float(fdtrc(n - 1, d3, three))
    return ends[:, 0], ends[:, 1], np.array([p1, p3, p3, p1, p3, p3])


def weighted_kappa(
    frame: pd.DataFrame,
    first: str,
    second: str,
    *,
    weights: Literal["quadratic", "linear", "none"] = "quadratic",
    cluster: str | None = None,
    level: float = 0.95,
) -> Agreement:
    """Estimate Cohen's (weighted) kappa between two respondents.

    Parameters
    ----------
    frame : DataFrame
        One row per case; rows with a missing answer are left out and counted.
    first, second : str
        Columns of ordered numeric answers on the same scale.
    weights : {"quadratic", "linear", "none"}
        How disagreement grows with the distance of the answers; "none": any disagreement is the same.
    cluster : str, optional
    level : float, default 0.95

    Returns
    -------
    Agreement
        One term, ``kappa``. Without clusters the error is that of Fleiss, Cohen and Everitt (1969).

    Raises
    ------
    ModelError
        If both give one and the same answer everywhere, so that no agreement by chance can be taken off.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"a": [1, 1, 2, 2, 3, 3, 3, 1], "b": [1, 2, 2, 2, 3, 2, 3, 1]})
    >>> weighted_kappa(frame, "a", "b").tidy()["estimate"].round(3).tolist()
    [0.8]
    """
    used, groups = complete_rows(frame, [first, second], cluster)
    a, b = used[first].to_numpy(dtype=np.float64), used[second].to_numpy(dtype=np.float64)
    values, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
    x, y = codes[: len(a)], codes[len(a) :]
    distance = np.abs(values[:, None] - values[None, :])
    cost = {"quadratic": distance**2, "linear": distance, "none": (distance > 0) * 1.0}[weights]
    p_first, p_second = np.bincount(x, minlength=len(values)) / len(x), np.bincount(y, minlength=len(values)) / len(y)
    by_first, by_second = cost @ p_second, cost.T @ p_first
    observed, expected = float(cost[x, y].mean()), float(p_first @ by_first)
    if expected == 0.0:
        raise ModelError(f"{first} and {second} are one and the same answer in every row: kappa is not defined")
    chance = by_first[x] + by_second[y] - 2.0 * expected
    influence = observed / expected**2 * chance - (cost[x, y] - observed) / expected
    table = tidy_frame(
        ["kappa"], np.array([1.0 - observed / expected]), np.array([influence_error(influence, groups)]), level=level
    )
    text = (
        "independent rows assumed"
        if groups is None
        else f"clustered by {cluster} ({int(groups.max()) + 1}); factor G/(G-1)"
    )
    model = "kappa" if weights == "none" else f"kappa, {weights} weights"
    return Agreement(table=table, model=model, rows=len(used), rows_dropped=len(frame) - len(used), convention=text)
