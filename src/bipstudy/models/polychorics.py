r"""Polychoric correlation: the correlation of the normal variables behind two ordered answers.

Two steps (Olsson 1979): thresholds from the margins of the table of the pair, then the correlation that maximises the
likelihood of its cells. Cell probabilities come from Owen's T function, to the last digits for any correlation.
Errors carry the estimation of the thresholds along: the influence of an answer on the correlation is that on its
score plus that on the thresholds, so they hold for clustered answers as well.

References
----------
Olsson, U. (1979). Maximum likelihood estimation of the polychoric correlation coefficient. Psychometrika 44, 443-460.
Owen, D. B. (1956). Tables for computing bivariate normal probabilities. Annals of Mathematical Statistics 27,
1075-1090.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, encode_groups
from bipstudy.models.tidy import tidy_frame

__all__ = ["PolychoricFit", "Polychorics", "bivariate_normal", "fit_polychoric", "influence_error", "polychoric"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LARGEST = 0.99999


@dataclass(frozen=True)
class PolychoricFit:
    """Polychoric correlation of one table.

    Attributes
    ----------
    correlation : float
    rows, columns : arrays
        Thresholds, one fewer than categories.
    influence : array, shape of the table
        What one answer in each cell adds to the correlation, times the number of answers.
    boundary : bool
        The likelihood rises to a correlation of plus or minus one; there is no error then.
    """

    correlation: float
    rows: Floats
    columns: Floats
    influence: Floats
    boundary: bool


@dataclass(frozen=True, kw_only=True)
class Polychorics:
    """Polychoric correlations of several items.

    Attributes
    ----------
    items : tuple of str, length p
    matrix : DataFrame, shape (p, p)
        As estimated pair by pair; it need not be positive definite (see `smallest_eigenvalue`).
    pairs : tuple of (str, str)
    estimates, std_errors : arrays, one per pair
    rows : array of int, one per pair
        Rows in which both answers are there.
    smallest_eigenvalue : float
    notes : tuple of str
    """

    items: tuple[str, ...]
    matrix: pd.DataFrame
    pairs: tuple[tuple[str, str], ...]
    estimates: Floats
    std_errors: Floats
    rows: Ints
    smallest_eigenvalue: float
    clusters: int | None = None
    notes: tuple[str, ...] = ()

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Correlations by pair; intervals on Fisher's z scale.

        Parameters
        ----------
        level : float, default 0.95

        Returns
        -------
        DataFrame
            ``term, estimate, std_error, statistic, p_value, conf_low, conf_high, rows``.
        """
        names = [f"{first}~~{second}" for first, second in self.pairs]
        table = tidy_frame(names, self.estimates, self.std_errors, level=level)
        slope = 1.0 - self.estimates**2
        with np.errstate(divide="ignore", invalid="ignore"):
            z = tidy_frame(names, np.arctanh(self.estimates), self.std_errors / slope, level=level)
        return table.assign(conf_low=np.tanh(z["conf_low"]), conf_high=np.tanh(z["conf_high"]), rows=self.rows)

    def glance(self) -> pd.DataFrame:
        """One row about the correlations.

        Returns
        -------
        DataFrame
        """
        convention = "independent rows assumed" if self.clusters is None else f"clustered ({self.clusters})"
        return pd.DataFrame(
            {
                "model": ["polychoric correlations, two steps"],
                "items": [len(self.items)],
                "rows": [int(self.rows.max())],
                "rows_fewest": [int(self.rows.min())],
                "smallest_eigenvalue": [self.smallest_eigenvalue],
                "convention": [convention],
            }
        )


def bivariate_normal(h: Floats, k: Floats, correlation: float) -> Floats:
    """Probability that two standard normals with a correlation lie below `h` and `k`.

    Parameters
    ----------
    h, k : arrays of equal shape
        Finite.
    correlation : float
        Strictly between -1 and 1.

    Returns
    -------
    array

    Examples
    --------
    >>> import numpy as np
    >>> bivariate_normal(np.array([0.0]), np.array([0.0]), 0.5).round(10).tolist()
    [0.3333333333]
    """
    from scipy.special import ndtr, owens_t

    # At exactly zero the formula has a removable singularity; the smallest positive number is on the right side of it.
    h = np.where(h == 0.0, 1e-300, h)
    k = np.where(k == 0.0, 1e-300, k)
    root = np.sqrt((1.0 - correlation) * (1.0 + correlation))
    with np.errstate(over="ignore"):
        by_h, by_k = owens_t(h, (k / h - correlation) / root), owens_t(k, (h / k - correlation) / root)
    value = 0.5 * (ndtr(h) + ndtr(k)) - by_h - by_k - np.where(h * k > 0, 0.0, 0.5) * ((h < 0) != (k < 0))
    return np.asarray(np.maximum(value, 0.0), dtype=np.float64)


def _density(h: Floats, k: Floats, correlation: float) -> Floats:
    """Bivariate normal density: the derivative of `bivariate_normal` in the correlation."""
    free = (1.0 - correlation) * (1.0 + correlation)
    exponent = -(h * h - 2.0 * correlation * h * k + k * k) / (2.0 * free)
    return np.asarray(np.exp(exponent) / (2.0 * np.pi * np.sqrt(free)), dtype=np.float64)


def _differences(corners: Floats) -> Floats:
    """Cells of a table from the values at its inner corners, zero outside."""
    return np.diff(np.diff(np.pad(corners, 1), axis=0), axis=1)


def _cells(rows: Floats, columns: Floats, correlation: float) -> Floats:
    """Cell probabilities."""
    from scipy.special import ndtr

    corners = np.zeros((rows.size + 2, columns.size + 2))
    grid = np.broadcast_arrays(rows[:, None], columns[None, :])
    corners[1:-1, 1:-1] = bivariate_normal(grid[0], grid[1], correlation)
    corners[-1, 1:-1], corners[1:-1, -1], corners[-1, -1] = ndtr(columns), ndtr(rows), 1.0
    return np.asarray(np.maximum(np.diff(np.diff(corners, axis=0), axis=1), 1e-300), dtype=np.float64)


def _score(table: Floats, rows: Floats, columns: Floats, correlation: float) -> float:
    """Give the derivative of the log-likelihood of the table in the correlation."""
    slopes = _differences(_density(rows[:, None], columns[None, :], correlation))
    return float((table * slopes / _cells(rows, columns, correlation)).sum())


def fit_polychoric(table: Floats) -> PolychoricFit:
    """Fit the polychoric correlation of one table of counts.

    Parameters
    ----------
    table : array, shape (categories, categories)
        Counts (or sums of weights), no empty row or column.

    Returns
    -------
    PolychoricFit

    Raises
    ------
    ModelError
        If an item has one category only.

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_polychoric(np.array([[40.0, 10.0], [10.0, 40.0]]))
    >>> round(fit.correlation, 4), round(float(np.sin(np.pi * (0.8 - 0.5))), 4)
    (0.809, 0.809)
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    table = np.asarray(table, dtype=np.float64)
    if min(table.shape) < 2:
        raise ModelError("a polychoric correlation needs at least two categories in each item")
    total = table.sum()
    rows = ndtri(np.cumsum(table.sum(axis=1))[:-1] / total)
    columns = ndtri(np.cumsum(table.sum(axis=0))[:-1] / total)
    score = partial(_score, table, rows, columns)
    grid = np.array([-_LARGEST, -0.99, -0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9, 0.99, _LARGEST])
    likelihood = [float((table * np.log(_cells(rows, columns, value))).sum()) for value in grid]
    best = int(np.argmax(likelihood))
    low, high = (best, best + 1) if score(grid[best]) > 0 else (best - 1, best)
    if low < 0 or high >= grid.size or score(grid[low]) < 0 or score(grid[high]) > 0:
        edge = float(np.sign(grid[best]))
        return PolychoricFit(edge, rows, columns, np.full(table.shape, np.nan), True)
    correlation = float(brentq(score, grid[low], grid[high], xtol=1e-13, rtol=1e-13))
    return PolychoricFit(correlation, rows, columns, _influence(table, rows, columns, correlation), False)


def _influence(table: Floats, rows: Floats, columns: Floats, correlation: float) -> Floats:
    """Influence of an answer in each cell on the correlation, thresholds estimated."""
    share = table / table.sum()
    cells = _cells(rows, columns, correlation)
    slopes = _differences(_density(rows[:, None], columns[None, :], correlation))
    step = 1e-5
    bend = _score(share, rows, columns, correlation + step) - _score(share, rows, columns, correlation - step)
    curvature = -bend / (2.0 * step)
    by_answer = slopes / cells
    for axis, thresholds in ((0, rows), (1, columns)):
        cumulative = np.cumsum(share.sum(axis=1 - axis))[:-1]
        for place, threshold in enumerate(thresholds):
            moved = [thresholds + sign * step * (np.arange(thresholds.size) == place) for sign in (1, -1)]
            pairs = [(m, columns) if axis == 0 else (rows, m) for m in moved]
            up, down = (_score(share, first, second, correlation) for first, second in pairs)
            pull = (up - down) / (2.0 * step)
            density = np.exp(-0.5 * threshold**2) / np.sqrt(2.0 * np.pi)
            below = (np.arange(table.shape[axis]) <= place) - cumulative[place]
            by_answer = by_answer + pull / density * (below[:, None] if axis == 0 else below[None, :])
    return np.asarray(by_answer / curvature, dtype=np.float64)


def polychoric(frame: pd.DataFrame, items: Sequence[str], *, cluster: str | None = None) -> Polychorics:
    """Estimate polychoric correlations of ordered answers, pair by pair.

    Parameters
    ----------
    frame : DataFrame
        One row per person; a pair uses the rows in which both answers are there.
    items : sequence of str
        Columns of ordered answers (numbers; the order is theirs, the spacing plays no part).
    cluster : str, optional
        Column of clusters for the errors, with the factor G / (G - 1).

    Returns
    -------
    Polychorics

    Raises
    ------
    ModelError
        If there are fewer than two items, or an item has one category only.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> z = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=2000)
    >>> frame = pd.DataFrame(np.digitize(z, [-1, 0, 1]), columns=["a", "b"])
    >>> polychoric(frame, ["a", "b"]).tidy()[["estimate", "std_error"]].round(2).values.tolist()
    [[0.59, 0.02]]
    """
    names = tuple(items)
    if len(names) < 2:
        raise ModelError("at least two items are needed")
    p = len(names)
    codes, levels = _codes(frame, names)
    groups = None if cluster is None else encode_groups(frame[cluster], cluster)
    matrix, pairs, estimates, errors, rows, notes = np.eye(p), [], [], [], [], []
    for i in range(p):
        for j in range(i + 1, p):
            both = (codes[i] >= 0) & (codes[j] >= 0)
            first, second = codes[i][both], codes[j][both]
            table = np.zeros((levels[i], levels[j]))
            np.add.at(table, (first, second), 1.0)
            fit = fit_polychoric(table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0])
            if fit.boundary:
                notes.append(f"{names[i]} and {names[j]}: the likelihood rises to a correlation of {fit.correlation:g}")
            matrix[i, j] = matrix[j, i] = fit.correlation
            pairs.append((names[i], names[j]))
            estimates.append(fit.correlation)
            rows.append(int(both.sum()))
            part = fit.influence[_packed(first), _packed(second)]
            errors.append(influence_error(part, None if groups is None else groups[0][both]))
    return Polychorics(
        items=names,
        matrix=pd.DataFrame(matrix, index=list(names), columns=list(names)),
        pairs=tuple(pairs),
        estimates=np.array(estimates),
        std_errors=np.array(errors),
        rows=np.array(rows, dtype=np.int64),
        smallest_eigenvalue=float(np.linalg.eigvalsh(matrix)[0]),
        clusters=None if groups is None else groups[1],
        notes=tuple(notes),
    )


def _codes(frame: pd.DataFrame, items: Sequence[str]) -> tuple[list[Ints], list[int]]:
    """Answers as ranks from zero, -1 where missing, and the number of categories."""
    absent = [name for name in items if name not in frame.columns]
    if absent:
        raise ModelError(f"the frame has no column {', '.join(repr(name) for name in absent)}")
    codes, levels = [], []
    for name in items:
        code, values = pd.factorize(frame[name], sort=True)
        codes.append(np.asarray(code, dtype=np.int64))
        levels.append(len(values))
    return codes, levels


def _packed(codes: Ints) -> Ints:
    """Codes renumbered without gaps."""
    return np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.int64)


def influence_error(influence: Floats, groups: Ints | None) -> float:
    """Give the standard error of a mean of influences, rows independent or clustered; NaN with one cluster."""
    rows = influence.size
    if groups is None:
        return float(np.sqrt((influence**2).sum()) / rows)
    sums = np.bincount(groups, weights=influence)
    count = np.unique(groups).size
    if count < 2:
        return float("nan")
    return float(np.sqrt(count / (count - 1.0) * (sums**2).sum()) / rows)
