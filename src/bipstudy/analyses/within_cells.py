r"""Relative risk within cells: events of each cell taken as given, errors for few clusters in small cells."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError, group_sums

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# A cluster whose leverage is this near to 1 alone tells what some coefficient is, and says nothing about its error.
_ALONE = 1e-6


@dataclass(frozen=True)
class RelativeRisk:
    r"""Relative risk of an exposure within cells.

    Attributes
    ----------
    log_ratio, std_error : float
        Logarithm of the relative risk per unit of the exposure, and its clustered error.
    risk : float
        Weighted risk of everybody.
    rows, events, clusters : int
        Rows with a known outcome, those with the event, and clusters among them.
    degrees : float
        Degrees of freedom of the error: intervals are those of t.
    influence : array of shape (clusters,)
        What each cluster, in the order of its code, adds to the logarithm (0 for a cluster without rows in a cell with
        events); the sum of squares is that of the error. A resample that draws cluster g :math:`d_g` times has
        :math:`\hat\beta + \sum_g (d_g - 1) \iota_g`.
    """

    log_ratio: float
    std_error: float
    risk: float
    rows: int
    events: int
    clusters: int
    degrees: float = math.inf
    influence: FloatArray = field(default_factory=lambda: np.zeros(0), compare=False, repr=False)


def relative_risk(
    *,
    outcome: FloatArray,
    exposure: FloatArray,
    covariates: FloatArray,
    cell: IntArray,
    weights: FloatArray,
    cluster: IntArray,
    penalty: float | None = None,
) -> RelativeRisk:
    r"""Relative risk by a log-linear model with an effect of each cell, taken out by conditioning.

    .. math:: \mu_i = \exp(\alpha_{k(i)} + \beta z_i + x_i'\gamma)

    with the weighted Poisson likelihood, which for a binary outcome gives a consistent :math:`\beta` and needs robust
    errors (Zou 2004). The effects :math:`\alpha_k` are those that make observed and expected events of each cell equal,
    so that their number does no harm; cells without events say nothing about :math:`\beta`. A relative risk is the same
    in every stratum of such a model, so that :math:`e^\beta` is also the ratio of the standardised risks. Covariates
    are there for precision and enter in standard deviations with a penalty :math:`\lambda \gamma'\gamma / 2`. Their
    number as :math:`\lambda` means that all of them together are expected to move the risk by a factor of about e (one
    prior standard deviation of :math:`x_i'\gamma`), however many there are: a diffuse prior on each of some forty would
    let few events be fitted by chance, and the ratio with them. :math:`\beta` is not penalised.

    Errors add up over clusters, :math:`\sum_g \iota_g^2`, by the bias-reduced linearisation of Bell and McCaffrey
    (CR2): with :math:`H` the leverages in all parameters, effects of cells among them, :math:`W` the expected events
    and :math:`r` the residuals,

    .. math:: \iota_g = e_\beta' M X_g' W_g^{1/2} (I - H_{gg})^{-1/2} W_g^{-1/2} r_g

    with a Moore-Penrose root. Where a cell holds few clusters each of them moves the effect of the cell towards itself:
    the plain sandwich is then too small and leaving out whole clusters too large, while this one is right on average
    were events independent. Its degrees of freedom are Satterthwaite's in the same case.

    Parameters
    ----------
    outcome : array of shape (n,)
        0 or 1.
    exposure : array of shape (n,)
    covariates : array of shape (n, q)
        Without missing values.
    cell, cluster : array of int, shape (n,)
    weights : array of shape (n,)
        Above 0.
    penalty : float, optional
        The number of covariates that vary if left out.

    Returns
    -------
    RelativeRisk

    Raises
    ------
    ModelError
        Events or exposure do not vary within cells, everybody with the event has the same exposure, or there are fewer
        than two clusters.

    References
    ----------
    Zou, G. (2004). A modified Poisson regression approach to prospective studies with binary data. American Journal of
    Epidemiology 159, 702-706. Bell, R. M., McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. Survey Methodology 28(2), 169-181. Pustejovsky, J. E., Tipton, E. (2018).
    Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects models. Journal
    of Business & Economic Statistics 36, 672-683.

    Examples
    --------
    >>> import numpy as np
    >>> y, z = np.array([1.0, 0, 1, 1, 1, 0, 0, 0]), np.array([0.0, 0, 1, 1, 1, 1, 0, 0])
    >>> one = np.zeros(8, dtype=int)
    >>> found = relative_risk(outcome=y, exposure=z, covariates=np.zeros((8, 0)), cell=one, weights=np.ones(8),
    ...                       cluster=np.arange(8))
    >>> round(float(np.exp(found.log_ratio)), 6)
    3.0
    """
    everybody = _weighted(outcome, weights)
    every = np.unique(cluster)
    rows, events, clusters = len(outcome), int((outcome > 0).sum()), len(every)
    used = _informative(outcome, cell)
    y, z, w = outcome[used], exposure[used], weights[used]
    if clusters < 2 or not len(y) or np.ptp(z) == 0.0 or np.ptp(z[y > 0]) == 0.0:
        raise ModelError("events are too few to compare the optimism of caseworkers within cells")
    matrix = np.column_stack([z, unit_columns(covariates[used])])
    count = matrix.shape[1] - 1
    penalties = np.concatenate([[0.0], np.full(count, count if penalty is None else penalty, dtype=np.float64)])
    _, codes = np.unique(cell[used], return_inverse=True)
    present, groups = np.unique(cluster[used], return_inverse=True)
    beta, centred, expected, bread = _maximise(y, matrix, codes, w, penalties)
    influences, degrees = _influences(centred, w * (y - expected), w * expected, bread, codes, groups)
    influence = np.zeros(clusters)
    influence[np.searchsorted(every, present)] = influences
    error = float(np.sqrt(influences @ influences))
    return RelativeRisk(float(beta[0]), error, everybody, rows, events, clusters, degrees, influence)


def _weighted(values: FloatArray, weights: FloatArray) -> float:
    """Return a weighted mean, NaN without rows."""
    return float(weights @ values / weights.sum()) if len(values) else float("nan")


def _informative(outcome: FloatArray, cell: IntArray) -> BoolArray:
    """Return the rows of cells with an event."""
    with_events = np.bincount(cell, weights=outcome, minlength=int(cell.max(initial=-1)) + 1) > 0
    return np.asarray(with_events[cell], dtype=np.bool_)


def unit_columns(columns: FloatArray) -> FloatArray:
    """Return the columns that vary, in standard deviations from their mean."""
    spread = columns.std(axis=0)
    varying = spread > 1e-12
    return np.asarray((columns[:, varying] - columns[:, varying].mean(axis=0)) / spread[varying], dtype=np.float64)


def _maximise(
    y: FloatArray, matrix: FloatArray, cell: IntArray, w: FloatArray, penalties: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return coefficients, columns less their means within cells, expected events and the penalised information."""
    cells = int(cell.max()) + 1
    observed = np.bincount(cell, weights=w * y, minlength=cells)

    def value(at: FloatArray) -> float:
        """Log-likelihood given the events of each cell, less the penalty."""
        predictor = matrix @ at
        top = np.full(cells, -np.inf)
        np.maximum.at(top, cell, predictor)
        total = np.bincount(cell, weights=w * np.exp(predictor - top[cell]), minlength=cells)
        return float((w * y) @ predictor - observed @ (np.log(total) + top) - 0.5 * penalties @ at**2)

    beta = np.zeros(matrix.shape[1])
    now = value(beta)
    for _ in range(100):
        relative = np.exp(np.clip(matrix @ beta, -50.0, 50.0))
        expected = relative * (observed / np.bincount(cell, weights=w * relative, minlength=cells))[cell]
        centred = matrix - cell_means(matrix, cell, w * expected, cells)
        information = centred.T @ (centred * (w * expected)[:, None]) + np.diag(penalties)
        if information[0, 0] <= 1e-10 * max(1.0, float(np.abs(matrix[:, 0]).max()) ** 2):
            break
        step = np.linalg.solve(information, centred.T @ (w * (y - expected)) - penalties * beta)
        if np.abs(step).max() < 1e-10:
            return beta, centred, expected, information
        # A rare level is many standard deviations away, and a whole step can overshoot without end.
        after = value(beta + step)
        for _ in range(40):
            if after >= now - 1e-12 * (1.0 + abs(now)):
                break
            step = step / 2
            after = value(beta + step)
        beta, now = beta + step, after
    raise ModelError("the comparison of optimism within cells has no finite estimate: there are too few events")


def cell_means(matrix: FloatArray, cell: IntArray, weights: FloatArray, cells: int) -> FloatArray:
    """Return the weighted mean of each column in the cell of each row."""
    sums = group_sums(matrix * weights[:, None], cell, cells)
    return np.asarray((sums / np.bincount(cell, weights=weights, minlength=cells)[:, None])[cell], dtype=np.float64)


def _influences(
    centred: FloatArray,
    residual: FloatArray,
    expected: FloatArray,
    information: FloatArray,
    cell: IntArray,
    groups: IntArray,
) -> tuple[FloatArray, float]:
    """Return what each group adds to the first coefficient, and Satterthwaite's degrees of freedom of their squares."""
    root = np.sqrt(expected)
    inverse = np.linalg.inv(information)
    # Rows of a factor of the leverages: of the coefficients, and of the effect of the own cell, which are orthogonal.
    factor = (centred * root[:, None]) @ np.linalg.cholesky(inverse)
    own_cell = root / np.sqrt(np.bincount(cell, weights=expected)[cell])
    lead = root * (centred @ inverse[0])
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    weight = np.zeros(len(residual))
    for rows in parts:
        cells, place = np.unique(cell[rows], return_inverse=True)
        of_cells = own_cell[rows][:, None] * (place[:, None] == np.arange(len(cells)))
        left, size, _ = np.linalg.svd(np.column_stack([factor[rows], of_cells]), full_matrices=False)
        remains = 1.0 - np.minimum(size, 1.0) ** 2
        stretch = np.divide(1.0, np.sqrt(remains), out=np.zeros(len(size)), where=remains > _ALONE)
        weight[rows] = lead[rows] + left @ ((stretch - 1.0) * (left.T @ lead[rows]))
    count = len(parts)
    influences = np.bincount(groups, weights=weight * residual / root, minlength=count)
    common = group_sums(factor * weight[:, None], groups, count)
    shared = np.zeros((count, int(cell.max()) + 1))
    np.add.at(shared, (groups, cell), own_cell * weight)
    spread = np.diag(np.bincount(groups, weights=weight**2)) - common @ common.T - shared @ shared.T
    trace, squares = float(np.trace(spread)), float((spread**2).sum())
    if not trace > _ALONE * float(lead @ lead):
        raise ModelError("caseworkers are too few to say how sure the comparison of optimism within cells is")
    return np.asarray(influences, dtype=np.float64), trace**2 / squares
