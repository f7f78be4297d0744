"""Linear model with one random intercept, by restricted or full maximum likelihood, profiled to one dimension.

The model is ``y = X beta + b[g] + e`` with ``b ~ N(0, tau^2)`` and ``e ~ N(0, sigma^2 / w)``. With the ratio
``lam = tau^2 / sigma^2`` everything else has a closed form, and all that the data contribute are the cross-products of
the deviations from the group means and those of the group means themselves:

    X' V^-1 X = W_xx + sum_g d_g xbar_g xbar_g',     d_g = m_g / (1 + lam m_g),     m_g = sum of the weights of group g

so the criterion costs as much as a small Cholesky factor, whatever the number of rows. Its derivative is exact, the
whole half-line is scanned first (the profile can have two maxima, and the boundary ``lam = 0`` is allowed), and the
root is then found to the last digit.

References
----------
Laird, N. M. and Ware, J. H. (1982). Random-effects models for longitudinal data. Biometrics 38, 963-974.
Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects models using lme4. Journal of
Statistical Software 67(1), section 3.4 (the profiled criterion).
Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection model. Biometrics 31, 423-447.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bipstudy.models.estimates import ModelError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Beyond this the group share of the variance is below one in a million of what the data can tell, at either end.
_GRID = np.concatenate([[0.0], np.logspace(-5.0, 7.0, 25)])
_CHUNK = 4096  # rows at a time: deviations from the group means then never leave the processor's cache


@dataclass(frozen=True)
class GroupMoments:
    """What the data say about the model, whatever the variance ratio.

    Attributes
    ----------
    within : array, shape (q, q)
        Weighted cross-products of ``[X, y]`` in deviations from the group means; q is the number of regressors plus
        one.
    means : array, shape (groups, q)
        Weighted group means of ``[X, y]``.
    mass : array, shape (groups,)
        Sum of the weights in each group.
    blocks : array, shape (k, q * q)
        Cross-products of the group means, added over groups of equal mass; empty where compressing does not pay.
    block_mass, block_count : arrays, shape (k,)
        The mass shared by a block and the number of groups in it (without blocks: of each group, and ones).
    shift : array, shape (q,)
        What was taken off every column of ``[X, y]``: their means if `constant` is a column, else 0. It keeps the
        digits of columns far from zero and changes nothing but the coefficient of that column.
    constant : int
        Position of a column of ones (any constant), -1 if there is none.
    level : float
        The value in that column.
    rows : float
        Number of observations the likelihood counts (the sum of weights where weights are frequencies).
    log_weights : float
        Sum of the logarithms of precision weights, else 0.
    """

    within: Floats
    means: Floats
    mass: Floats
    blocks: Floats
    block_mass: Floats
    block_count: Floats
    shift: Floats
    constant: int
    level: float
    rows: float
    log_weights: float

    def between(self, coefficient: Floats) -> Floats:
        """Sum of ``coefficient * mean mean'`` over blocks (or groups, where there are no blocks); shape (q, q)."""
        size = self.within.shape[0]
        if self.blocks.size:
            return (coefficient @ self.blocks).reshape(size, size)
        return np.asarray((self.means * coefficient[:, None]).T @ self.means, dtype=np.float64)


@dataclass(frozen=True)
class LinearIntercept:
    """The fitted model.

    Attributes
    ----------
    coefficients : array, shape (p,)
    covariance : array, shape (p, p)
        ``sigma^2 (X' V^-1 X)^-1`` at the estimated ratio.
    ratio : float
        ``tau^2 / sigma^2``; 0 on the boundary.
    sigma, tau : float
        Standard deviations of the residual and of the intercepts, in units of y.
    criterion : float
        Minus twice the (restricted) log-likelihood, constants included.
    effects : array, shape (groups,)
        Best linear unbiased predictions of the intercepts.
    conditional_error : array, shape (groups,)
        Their standard errors with the coefficients taken as known (what lme4 prints).
    prediction_error : array, shape (groups,)
        Root mean squared error of the prediction, coefficients estimated (Henderson 1975).
    reliability : array, shape (groups,)
        Share of the group's own deviation that is kept, ``lam m / (1 + lam m)``.
    reml : bool
    """

    coefficients: Floats
    covariance: Floats
    ratio: float
    sigma: float
    tau: float
    criterion: float
    effects: Floats
    conditional_error: Floats
    prediction_error: Floats
    reliability: Floats
    reml: bool


@dataclass(frozen=True)
class _Point:
    """The profile at one variance ratio."""

    criterion: float
    slope: float
    coefficients: Floats
    inverse: Floats
    residual: float
    log_determinant: float


def _scatter_add(values: Floats, group: Ints, groups: int, weights: Floats | None = None) -> Floats:
    """Add the (weighted) rows of each group; `values` has shape (rows, q), the result (groups, q)."""
    from scipy.sparse import csc_matrix

    rows = group.shape[0]
    factor = np.ones(rows) if weights is None else weights
    indicator = csc_matrix((factor, group, np.arange(rows + 1)), shape=(groups, rows))
    return np.asarray(indicator @ values, dtype=np.float64)


def _within(design: Floats, outcome: Floats, group: Ints, means: Floats, weights: Floats | None) -> Floats:
    """Weighted cross-products of the deviations from the group means, a few thousand rows at a time."""
    size = means.shape[1]
    total = np.zeros((size, size))
    buffer = np.empty((_CHUNK, size))
    for first in range(0, outcome.shape[0], _CHUNK):
        part = slice(first, first + _CHUNK)
        deviations = buffer[: group[part].shape[0]]
        deviations[:, :-1] = design[part]
        deviations[:, -1] = outcome[part]
        deviations -= means[group[part]]
        if weights is not None:
            deviations *= np.sqrt(weights[part])[:, None]
        total += deviations.T @ deviations
    return total


def group_moments(
    *,
    design: Floats,
    outcome: Floats,
    group: Ints,
    groups: int,
    weights: Floats | None = None,
    frequencies: bool = False,
) -> GroupMoments:
    """Reduce the rows to the cross-products within and between groups.

    Parameters
    ----------
    design : array, shape (rows, p)
    outcome : array, shape (rows,)
    group : array of int, shape (rows,)
        Codes 0 to groups - 1, each of them present.
    groups : int
    weights : array, shape (rows,), optional
        Positive. Inverse variances up to sigma^2 (as in lme4), or numbers of identical rows if `frequencies`.
    frequencies : bool
        Whether a weight of two means two rows.

    Returns
    -------
    GroupMoments
    """
    mass = np.bincount(group, weights=weights, minlength=groups).astype(np.float64)
    share = 1.0 / mass[group] if weights is None else weights / mass[group]
    means = np.empty((groups, design.shape[1] + 1))
    means[:, :-1] = _scatter_add(design, group, groups, share)
    means[:, -1] = np.bincount(group, weights=outcome * share, minlength=groups)
    within = _within(design, outcome, group, means, weights)
    constant = _constant_column(design)
    shift = np.zeros(means.shape[1])
    if constant >= 0:
        shift = mass @ means / mass.sum()
        shift[constant] = 0.0
        means -= shift
    counted = weights is not None and frequencies
    total = float(mass.sum()) if counted else float(outcome.shape[0])
    log_weights = 0.0 if weights is None or frequencies else float(np.log(weights).sum())
    blocks, block_mass, block_count = _compress(means, mass)
    level = float(design[0, constant]) if constant >= 0 else 1.0
    return GroupMoments(
        within, means, mass, blocks, block_mass, block_count, shift, constant, level, total, log_weights
    )


def _constant_column(design: Floats) -> int:
    """Position of the first column that is the same number, not zero, in every row; -1 if there is none."""
    for place in range(design.shape[1]):
        first = design[0, place]
        # A look at a few rows spares reading the whole of a column that varies.
        if first != 0.0 and np.all(design[:32, place] == first) and np.all(design[:, place] == first):
            return place
    return -1


def given_columns(moments: GroupMoments, point: _Point) -> tuple[Floats, Floats]:
    """Give coefficients and inverse information of the columns as they were before the shift."""
    if moments.constant < 0:
        return point.coefficients, point.inverse
    change = np.eye(point.coefficients.size)
    change[moments.constant] -= moments.shift[:-1] / moments.level
    coefficients = change @ point.coefficients
    coefficients[moments.constant] += moments.shift[-1] / moments.level
    return coefficients, change @ point.inverse @ change.T


def _compress(means: Floats, mass: Floats) -> tuple[Floats, Floats, Floats]:
    """Add the cross-products of groups of equal mass, if there are few enough different masses for that to pay."""
    distinct, where, count = np.unique(mass, return_inverse=True, return_counts=True)
    size = means.shape[1]
    if distinct.size * size > means.shape[0]:
        return np.empty((0, 0)), mass, np.ones_like(mass)
    order = np.argsort(where, kind="stable")
    ordered = means[order]
    edges = np.concatenate([[0], np.cumsum(count)])
    blocks = np.empty((distinct.size, size * size))
    for block in range(distinct.size):
        part = ordered[edges[block] : edges[block + 1]]
        blocks[block] = (part.T @ part).ravel()
    return blocks, distinct, count.astype(np.float64)


def profile(moments: GroupMoments, ratio: float, *, reml: bool = True) -> _Point:
    """Evaluate the profiled criterion and its exact derivative at one variance ratio.

    Parameters
    ----------
    moments : GroupMoments
    ratio : float
        ``tau^2 / sigma^2``, not negative.
    reml : bool

    Returns
    -------
    _Point
        `criterion` (minus twice the log-likelihood), `slope` (its derivative in the ratio), the coefficients, the
        inverse of ``X' V^-1 X``, the weighted residual sum of squares and the log-determinant terms.
    """
    scale = 1.0 + ratio * moments.block_mass
    weight = moments.block_mass / scale
    cross = moments.within + moments.between(weight)
    curve = moments.between(weight * weight)
    size = np.sqrt(np.diag(cross))
    # One factor of the augmented matrix holds everything: its corner is the root of the residual sum of squares.
    root = _factor(cross / np.outer(size, size))
    inverse_root = np.linalg.inv(root[:-1, :-1])
    coefficients = (root[-1, :-1] @ inverse_root) * size[-1] / size[:-1]
    inverse = (inverse_root.T @ inverse_root) / np.outer(size[:-1], size[:-1])
    residual = float((root[-1, -1] * size[-1]) ** 2)
    contrast = np.concatenate([-coefficients, [1.0]])
    size = size[:-1]
    root = root[:-1, :-1]
    free = moments.rows - (size.size if reml else 0)
    log_determinant = float(moments.block_count @ np.log(scale)) - moments.log_weights
    slope = float(moments.block_count @ weight) - free * float(contrast @ curve @ contrast) / residual
    if reml:
        log_determinant += 2.0 * float(np.log(np.diag(root)).sum() + np.log(size).sum())
        slope -= float((inverse * curve[:-1, :-1]).sum())
    criterion = log_determinant + free * (1.0 + np.log(2.0 * np.pi * residual / free))
    return _Point(float(criterion), slope, coefficients, inverse, residual, log_determinant)


def _factor(matrix: Floats) -> Floats:
    """Cholesky factor of a scaled cross-product, or an error in words."""
    try:
        return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise ModelError(
            "the regressors are collinear, or they fit the outcome without residual: drop a regressor"
        ) from error


def best_ratio(moments: GroupMoments, *, reml: bool = True) -> float:
    """Find the variance ratio at which the profiled criterion is smallest, over the whole half-line.

    Parameters
    ----------
    moments : GroupMoments
    reml : bool

    Returns
    -------
    float
        0 if the boundary is best.
    """
    from scipy.optimize import brentq

    grid = _GRID / float(np.median(moments.block_mass))
    best = int(np.argmin(_criteria(moments, grid, reml)))
    if best == grid.size - 1:
        raise ModelError("the outcome does not vary within groups once the regressors are taken out")
    slope_at = partial(_slope, moments, reml)
    low, high = (best, best + 1) if slope_at(float(grid[best])) < 0 else (best - 1, best)
    if low < 0:
        return 0.0
    return float(brentq(slope_at, grid[low], grid[high], xtol=1e-300, rtol=1e-14))


def _criteria(moments: GroupMoments, ratios: Floats, reml: bool) -> Floats:
    """Profiled criterion at many ratios at once, without its derivative."""
    scale = 1.0 + np.outer(ratios, moments.block_mass)
    cross = np.stack([moments.within + moments.between(moments.block_mass / row) for row in scale])
    diagonal = np.sqrt(np.einsum("kii->ki", cross))
    if not diagonal.all():
        raise ModelError("the outcome does not vary")
    roots = _factor(cross / (diagonal[:, :, None] * diagonal[:, None, :]))
    factor = np.einsum("kii->ki", roots) * diagonal
    free = moments.rows - (factor.shape[1] - 1 if reml else 0)
    value = np.log(scale) @ moments.block_count + free * np.log(factor[:, -1] ** 2)
    return np.asarray(value + 2.0 * np.log(factor[:, :-1]).sum(axis=1) if reml else value)


def _slope(moments: GroupMoments, reml: bool, ratio: float) -> float:
    """Give the derivative of the profiled criterion in the ratio."""
    return profile(moments, ratio, reml=reml).slope


def fit_linear_intercept(moments: GroupMoments, *, reml: bool = True) -> LinearIntercept:
    """Fit the linear model with one random intercept.

    Parameters
    ----------
    moments : GroupMoments
        From `group_moments`. The design must have full column rank.
    reml : bool
        Restricted likelihood (the default), or full.

    Returns
    -------
    LinearIntercept

    Raises
    ------
    ModelError
        If every group has one row (the two variances cannot be told apart), or nothing varies within groups.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([1.0, 2.0, 4.0, 6.0, 5.0, 8.0])
    >>> sums = group_moments(design=np.ones((6, 1)), outcome=y, group=np.array([0, 0, 1, 1, 2, 2]), groups=3)
    >>> fit = fit_linear_intercept(sums)
    >>> round(float(fit.coefficients[0]), 3), round(fit.tau ** 2, 3), round(fit.sigma ** 2, 3)
    (4.333, 5.417, 2.333)
    """
    parameters = moments.within.shape[0] - 1
    if moments.mass.size < 2:
        raise ModelError("a random intercept needs at least two groups")
    if moments.rows <= moments.mass.size:
        raise ModelError("every group has one row: the intercepts cannot be told from the residual")
    if moments.rows <= parameters:
        raise ModelError("there are not more rows than regressors")
    ratio = best_ratio(moments, reml=reml)
    point = profile(moments, ratio, reml=reml)
    free = moments.rows - (parameters if reml else 0)
    variance = point.residual / free
    kept = ratio * moments.mass / (1.0 + ratio * moments.mass)
    deviation = moments.means[:, -1] - moments.means[:, :-1] @ point.coefficients
    conditional = ratio / (1.0 + ratio * moments.mass)
    leverage = np.einsum("gi,ij,gj->g", moments.means[:, :-1], point.inverse, moments.means[:, :-1], optimize=True)
    coefficients, inverse = given_columns(moments, point)
    return LinearIntercept(
        coefficients=coefficients,
        covariance=variance * inverse,
        ratio=ratio,
        sigma=float(np.sqrt(variance)),
        tau=float(np.sqrt(variance * ratio)),
        criterion=point.criterion,
        effects=kept * deviation,
        conditional_error=np.sqrt(variance * conditional),
        prediction_error=np.sqrt(variance * (conditional + kept * kept * leverage)),
        reliability=kept,
        reml=reml,
    )
