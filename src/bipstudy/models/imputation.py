r"""Chained imputation by predictive mean matching with local residuals.

Each column with gaps is imputed in turn from all the others. A Bayesian linear regression is fitted to the rows where
it is known, coefficients and residual variance are drawn from their posterior, and for each missing value one of the
known rows whose predictions lie nearest is drawn as its donor (Little 1988; type-1 matching: known rows are predicted
with the estimate :math:`\hat\beta`, missing ones with the draw :math:`\beta^*`).

The donor gives its residual, not its value (Schenker and Taylor 1996): the missing row i gets the known value nearest
to :math:`x_i'\beta^* + (\sigma^* / \hat\sigma)(y_j - x_j'\hat\beta)`. Donors of a value of its own have their
predictions to one side where gaps are common (there, known rows are few), so that their values are pulled towards the
middle and slopes towards zero; residuals are not. Only values that occur are imputed, and a value that many rows share
in a column that otherwise varies freely (no time, no money) is given as it stands. A factor is matched on the
predictions of all its indicators together and takes its donor's level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, one_thread
from bipstudy.models.rubin import PooledEstimates, pool_estimates

__all__ = ["Imputations", "cumulative_hazard_column", "impute"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

# Share of the mean diagonal added to the cross-product, as mice does, so that near-collinear predictors do no harm.
RIDGE = 1e-5
# A value is one that many share from this part of the known rows on (and from so many rows), in a column where at least
# a tenth of them have other values of which at least half occur once.
SHARED, SHARED_ROWS, FREE, ONCE = 0.05, 5, 0.1, 0.5


@dataclass(frozen=True)
class Imputations:
    """Completed frames.

    Attributes
    ----------
    frames : tuple of DataFrame
        The frame given, its gaps filled; index, column order and dtypes as given.
    missing : Series
        Missing values per imputed column.
    chain : DataFrame
        Mean and standard deviation of the imputed values by column, imputation and iteration, to see whether the
        chains mix.
    """

    frames: tuple[pd.DataFrame, ...]
    missing: pd.Series
    chain: pd.DataFrame

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Completed frames in turn."""
        return iter(self.frames)

    def fit(self, estimator: Callable[[pd.DataFrame], Any], degrees: float | None = None) -> PooledEstimates:
        """Fit every completed frame and pool; see `pool_estimates`."""
        return pool_estimates([estimator(frame) for frame in self.frames], degrees)


def impute(
    frame: pd.DataFrame,
    columns: Sequence[str] | None = None,
    imputations: int = 20,
    iterations: int = 10,
    seed: int = 0,
    *,
    predictors: Mapping[str, Sequence[str]] | None = None,
    donors: int = 5,
    group: str | None = None,
) -> Imputations:
    """Fill gaps by chained equations with predictive mean matching and local residuals.

    For panels, give one row per person (occasions side by side) so that a person's other answers predict the missing
    one, with the event and `cumulative_hazard_column` among the columns (White and Royston 2009); `group` adds the
    group means of every numeric predictor, so that imputed values keep the differences between groups.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str, optional
        Columns that take part, as predictors and, where they have gaps, as imputed; all by default. Numbers, booleans,
        text and categories; text and categories are factors.
    imputations, iterations : int
    seed : int, default 0
        Each imputation has its own seed spawned from it.
    predictors : mapping of column to columns, optional
        Predictors of a column, all others by default.
    donors : int, default 5
    group : str, optional
        Column of groups, without gaps.

    Returns
    -------
    Imputations
        Rows are taken in the order given: sort by key first for numbers that do not depend on it.

    Raises
    ------
    ModelError
        If a column is known in fewer than two rows, or the group column has gaps.

    References
    ----------
    Little, R. J. A. (1988). Missing-data adjustments in large surveys. Journal of Business & Economic Statistics 6,
    287-296. Schenker, N., Taylor, J. M. G. (1996). Partially parametric techniques for multiple imputation.
    Computational Statistics & Data Analysis 22, 425-446. Morris, T. P., White, I. R., Royston, P. (2014). Tuning
    multiple imputation by predictive mean matching and local residual draws. BMC Medical Research Methodology 14, 75.
    van Buuren, S., Groothuis-Oudshoorn, K. (2011). mice. Journal of Statistical Software 45(3). White, I. R.,
    Royston, P. (2009). Imputing missing covariate values for the Cox model. Statistics in Medicine 28, 1982-1998.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"x": [1.0, 2, 3, 4, 5, 6], "y": [2.0, None, 6, 8, None, 12]})
    >>> done = impute(frame, imputations=2, iterations=2)
    >>> all(done.frames[0]["y"].isin([2, 6, 8, 12])), int(done.missing["y"])
    (True, 2)
    """
    names = list(columns) if columns is not None else [name for name in frame.columns if name != group]
    absent = [name for name in [*names, *([group] if group else [])] if name not in frame.columns]
    if absent:
        raise ModelError(f"the frame has no column {', '.join(absent)}")
    codings = {name: _Coding.of(frame[name]) for name in names}
    gaps = {name: frame[name].isna().to_numpy() for name in names}
    targets = sorted((name for name in names if gaps[name].any()), key=lambda name: (int(gaps[name].sum()), name))
    for name in targets:
        if int((~gaps[name]).sum()) < 2:
            raise ModelError(f"column {name!r} is known in fewer than two rows and cannot be imputed")
    chosen = {name: [other for other in (predictors or {}).get(name, names) if other != name] for name in targets}
    groups = None if group is None else _groups(frame[group], group)
    frames: list[pd.DataFrame] = []
    traces: list[dict[str, Any]] = []
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(imputations)):
        with one_thread():
            codes, trace = _one_chain(codings, gaps, targets, chosen, groups, iterations, donors, child)
        frames.append(
            frame.assign(**{name: codings[name].restore(frame[name], codes[name], gaps[name]) for name in targets})
        )
        traces.extend({"imputation": number, **row} for row in trace)
    missing = pd.Series({name: int(gaps[name].sum()) for name in targets}, dtype="int64", name="missing")
    return Imputations(tuple(frames), missing, pd.DataFrame(traces))


@dataclass(frozen=True)
class _Coding:
    """A column as numbers: itself, or codes of levels."""

    values: FloatArray
    levels: pd.Index | None

    @classmethod
    def of(cls, column: pd.Series) -> _Coding:
        """Code a column."""
        if pd.api.types.is_numeric_dtype(column.dtype) and not isinstance(column.dtype, pd.CategoricalDtype):
            return cls(column.to_numpy(dtype=np.float64, na_value=np.nan), None)
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes, levels = column.cat.codes.to_numpy(), column.cat.categories
        else:
            codes, levels = pd.factorize(column, sort=True)
            levels = pd.Index(levels)
        return cls(np.where(codes < 0, np.nan, codes).astype(np.float64), levels)

    def indicators(self, values: FloatArray) -> FloatArray:
        """Columns for a regression: the number itself, or one indicator per level but the first."""
        if self.levels is None:
            return values[:, None]
        return np.asarray(values[:, None] == np.arange(1, max(len(self.levels), 2)), dtype=np.float64)

    def restore(self, column: pd.Series, values: FloatArray, gaps: BoolArray) -> pd.Series:
        """Fill the gaps of the given column, keeping its dtype where it can hold the values."""
        filled = column.copy()
        if self.levels is None:
            new: Any = values[gaps]
            if pd.api.types.is_integer_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
                new = new.astype(np.int64)
            if pd.api.types.is_bool_dtype(column.dtype):
                new = new.astype(bool)
        else:
            new = self.levels.take(values[gaps].astype(np.int64)).to_numpy()
        filled.iloc[np.flatnonzero(gaps)] = new
        return filled


def _groups(column: pd.Series, name: str) -> npt.NDArray[np.int64]:
    """Group numbers, refused if any is missing."""
    from bipstudy.models.covariance import encode_groups

    return encode_groups(column, name)[0]


def _one_chain(
    codings: Mapping[str, _Coding],
    gaps: Mapping[str, BoolArray],
    targets: Sequence[str],
    predictors: Mapping[str, Sequence[str]],
    groups: npt.NDArray[np.int64] | None,
    iterations: int,
    donors: int,
    seed: np.random.SeedSequence,
) -> tuple[dict[str, FloatArray], list[dict[str, Any]]]:
    """Run one chain: completed columns by name, and means of what was imputed."""
    rng = np.random.default_rng(seed)
    codes = {name: coding.values.copy() for name, coding in codings.items()}
    for name in targets:
        known = codes[name][~gaps[name]]
        codes[name][gaps[name]] = rng.choice(known, size=int(gaps[name].sum()))
    trace: list[dict[str, Any]] = []
    for iteration in range(iterations):
        for name in targets:
            blocks = [codings[other].indicators(codes[other]) for other in predictors[name]]
            matrix = np.hstack([np.ones((len(codes[name]), 1)), *blocks])
            if groups is not None:
                matrix = np.hstack([matrix, _means_by_group(matrix[:, 1:], groups)])
            gap, known = gaps[name], codes[name][~gaps[name]]
            places, moved = _match(matrix, codings[name].indicators(codes[name]), gap, donors, rng)
            own = known[places]
            numeric = codings[name].levels is None
            codes[name][gap] = np.where(_shared(known)[places], own, _closest(known, moved)) if numeric else own
            trace.append(
                {
                    "iteration": iteration,
                    "column": name,
                    "mean": float(codes[name][gap].mean()),
                    "sd": float(codes[name][gap].std()),
                }
            )
    return codes, trace


def _means_by_group(matrix: FloatArray, groups: npt.NDArray[np.int64]) -> FloatArray:
    """Group means of each column, on every row."""
    from bipstudy.models.covariance import group_sums

    count = int(groups.max()) + 1
    means = group_sums(matrix, groups, count) / np.bincount(groups, minlength=count)[:, None]
    return np.asarray(means[groups])


def _match(
    matrix: FloatArray, target: FloatArray, gap: BoolArray, donors: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Position among the known rows of the donor of each missing row; its prediction with the donor's residual.

    The latter, of shape (missing,), is that of the first column of `target`.
    """
    known, missing = matrix[~gap], matrix[gap]
    response = target[~gap]
    gram = known.T @ known
    gram = gram + np.diag(RIDGE * np.diag(gram) + 1e-12)
    bread = np.linalg.inv(gram)
    beta = bread @ (known.T @ response)
    residual = response - known @ beta
    degrees = max(len(known) - matrix.shape[1], 1)
    root = np.linalg.cholesky(0.5 * (bread + bread.T))
    drawn = np.empty_like(beta)
    stretch = np.empty(response.shape[1])
    for column in range(response.shape[1]):
        square = residual[:, column] @ residual[:, column]
        sigma = np.sqrt(square / rng.chisquare(degrees))
        drawn[:, column] = beta[:, column] + sigma * (root @ rng.standard_normal(len(beta)))
        stretch[column] = sigma / np.sqrt(square / degrees) if square > 0.0 else 1.0
    predicted = missing @ drawn
    places = _nearest(known @ beta, predicted, min(donors, len(known)), rng)
    return places, predicted[:, 0] + stretch[0] * residual[places, 0]


def _closest(known: FloatArray, wanted: FloatArray) -> FloatArray:
    """Known value closest to each of those wanted."""
    values = np.unique(known)
    above = np.clip(np.searchsorted(values, wanted), 1, max(len(values) - 1, 1))
    low, high = values[above - 1], values[np.minimum(above, len(values) - 1)]
    return np.where(wanted - low <= high - wanted, low, high)


def _shared(known: FloatArray) -> BoolArray:
    """Rows whose value many share, in a column that otherwise varies freely."""
    _, place, count = np.unique(known, return_inverse=True, return_counts=True)
    often = count >= max(SHARED * len(known), SHARED_ROWS)
    free = int(count[~often].sum())
    mixed = free >= FREE * len(known) and int((count[~often] == 1).sum()) >= ONCE * free
    return np.asarray(often[place] & mixed, dtype=np.bool_)


def _nearest(known: FloatArray, missing: FloatArray, donors: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """One of the `donors` known predictions nearest to each missing one, at random; ties in random order."""
    shuffle = rng.permutation(len(known))
    pick = rng.integers(0, donors, size=len(missing))
    if known.shape[1] == 1:
        order = shuffle[np.argsort(known[shuffle, 0], kind="stable")]
        places = _window(known[order, 0], missing[:, 0], donors, pick)
        return np.asarray(order[places], dtype=np.int64)
    from scipy.spatial import cKDTree

    _, index = cKDTree(known[shuffle]).query(missing, k=donors)
    return np.asarray(shuffle[index.reshape(len(missing), donors)[np.arange(len(missing)), pick]], dtype=np.int64)


def _window(values: FloatArray, wanted: FloatArray, donors: int, pick: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Position in sorted `values` of the pick-th of the nearest `donors`, growing a window one step at a time."""
    low = np.searchsorted(values, wanted)
    high = low.copy()
    chosen = np.zeros(len(wanted), dtype=np.int64)
    padded = np.concatenate([[-np.inf], values, [np.inf]])
    for step in range(donors):
        below = np.abs(wanted - padded[low])
        above = np.abs(padded[high + 1] - wanted)
        take_below = below <= above
        taken = np.where(take_below, low - 1, high)
        chosen = np.where(pick == step, taken, chosen)
        low = low - take_below
        high = high + ~take_below
    return chosen


def cumulative_hazard_column(frame: pd.DataFrame, duration: str, event: str) -> pd.Series:
    """Nelson-Aalen estimate at each row's own time, to be used as a predictor when covariates are imputed.

    Parameters
    ----------
    frame : DataFrame
        One row per person.
    duration, event : str
        Time under observation, and 1 if it ended in the event.

    Returns
    -------
    Series
        With the index of the frame.

    References
    ----------
    White, I. R., Royston, P. (2009). Imputing missing covariate values for the Cox model. Statistics in Medicine 28,
    1982-1998.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"t": [1, 2, 3, 4], "d": [1, 0, 1, 1]})
    >>> cumulative_hazard_column(frame, "t", "d").round(3).tolist()
    [0.25, 0.25, 0.75, 1.75]
    """
    time, happened = frame[duration].to_numpy(dtype=np.float64), frame[event].to_numpy(dtype=np.float64)
    if np.isnan(time).any() or np.isnan(happened).any():
        raise ModelError(f"{duration!r} and {event!r} must be known in every row")
    _, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, weights=happened)
    at_risk = np.cumsum(np.bincount(place)[::-1])[::-1]
    return pd.Series(np.cumsum(events / at_risk)[place], index=frame.index, name="cumulative_hazard")
