"""UJIVE with the indicators of caseworkers, by parts that share nobody: the same numbers at any size of the study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError, group_sums

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A row whose own weight in its prediction is closer to one than this cannot be left out.
ALONE = 1e-8


@dataclass(frozen=True)
class LeaveOut:
    """Slope of an outcome on a treatment, instrumented by groups.

    Attributes
    ----------
    estimate, std_error : float
        Clustered by group.
    rows, groups : int
    """

    estimate: float
    std_error: float
    rows: int
    groups: int


def leave_out_groups(
    *, outcome: FloatArray, treatment: FloatArray, group: IntArray, cell: IntArray, weights: FloatArray
) -> LeaveOut:
    r"""Slope by the unbiased jackknife (UJIVE) with indicators of groups as instruments and effects of cells.

    .. math:: \hat\beta = \frac{u'y}{u't}, \qquad
              u = (I - H_W)(I - D_W)^{-1} t - (I - H_Q)(I - D_Q)^{-1} t

    with :math:`H` the projections on the effects of cells (W), and on those of cells and groups (Q), and :math:`D`
    their diagonals: a prediction of the treatment by the group in which a row has no part. Effects of cells on the
    outcome drop out exactly. Groups and cells that no row connects are fitted apart; the numbers are those of
    `bipstudy.models.instrumental` with ``method="ujive"``, which lays all of them out at once. The errors take
    :math:`u` as given and are summed by group, times G / (G - 1).

    Parameters
    ----------
    outcome, treatment : array of shape (n,)
    group, cell : array of int, shape (n,)
        Codes from zero.
    weights : array of shape (n,)
        Above 0.

    Returns
    -------
    LeaveOut

    Raises
    ------
    ModelError
        No row can be left out, or groups do not differ in the treatment.

    References
    ----------
    Kolesar, M. (2013). Estimation in an instrumental variables model with treatment effect heterogeneity. Princeton
    University. Goldsmith-Pinkham, P., Hull, P., Kolesar, M. (2025). Leniency designs: an operator's manual. NBER
    Working Paper.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> group = np.arange(3000) // 10
    >>> t = rng.normal(size=300)[group] + rng.normal(size=3000)
    >>> found = leave_out_groups(outcome=2.0 * t + rng.normal(size=3000), treatment=t, group=group,
    ...                          cell=group // 100, weights=np.ones(3000))
    >>> round(found.estimate, 1), found.groups
    (2.0, 300)
    """
    kept = np.arange(len(outcome))
    while True:
        predicted, alone = _predictions(treatment[kept], group[kept], cell[kept], weights[kept])
        if not alone.any():
            break
        kept = kept[~alone]
    if not len(kept):
        raise ModelError("no row can be left out of its own first stage")
    y, t, w = outcome[kept], treatment[kept], weights[kept]
    strength = float((w * predicted) @ t)
    spread = float((w * predicted) @ predicted)
    if not spread > 0.0 or abs(strength) <= 1e-10 * np.sqrt(spread * float(w @ t**2)):
        raise ModelError("caseworkers do not differ in the treatment within cells")
    beta = float((w * predicted) @ y) / strength
    _, cells = np.unique(cell[kept], return_inverse=True)
    _, groups = np.unique(group[kept], return_inverse=True)
    left = y - beta * t
    left = left - (np.bincount(cells, weights=w * left) / np.bincount(cells, weights=w))[cells]
    count = int(groups.max()) + 1
    sums = group_sums((w * predicted * left)[:, None], groups, count)[:, 0]
    error = float(np.sqrt(count / max(count - 1, 1) * (sums @ sums))) / abs(strength)
    return LeaveOut(beta, error, len(kept), count)


def _predictions(
    treatment: FloatArray, group: IntArray, cell: IntArray, weights: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return what groups add to the prediction of each row without it, and the rows that cannot be left out."""
    predicted, alone = np.zeros(len(treatment)), np.zeros(len(treatment), dtype=bool)
    part = _parts(group, cell)
    order = np.argsort(part, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(part[order])) + 1) if len(order) else []:
        cells = _dummies(cell[rows])
        both = np.column_stack([cells, _dummies(group[rows])])
        by_cell, first = _left_out(cells, treatment[rows], weights[rows])
        by_both, second = _left_out(both, treatment[rows], weights[rows])
        predicted[rows], alone[rows] = by_cell - by_both, first | second
    return predicted, alone


def _parts(group: IntArray, cell: IntArray) -> IntArray:
    """Return the number of the connected part of groups and cells that each row lies in."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = int(group.max(initial=-1)) + 1
    whole = size + int(cell.max(initial=-1)) + 1
    links = coo_matrix((np.ones(len(group)), (group, size + cell)), shape=(whole, whole))
    return np.asarray(connected_components(links, directed=False)[1][group], dtype=np.int64)


def _dummies(codes: IntArray) -> FloatArray:
    """Return one column for each code that occurs."""
    levels, place = np.unique(codes, return_inverse=True)
    return np.asarray(place[:, None] == np.arange(len(levels)), dtype=np.float64)


def _left_out(
    columns: FloatArray, treatment: FloatArray, weights: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the treatment over one less the leverage, less its projection, and the rows of full leverage."""
    root = np.sqrt(weights)
    left, values, _ = np.linalg.svd(columns * root[:, None], full_matrices=False)
    basis = left[:, values > 1e-10 * values[0]]
    leverage = np.einsum("ij,ij->i", basis, basis)
    alone = 1.0 - leverage < ALONE
    raised = root * treatment / np.where(alone, 1.0, 1.0 - leverage)
    return (raised - basis @ (basis.T @ raised)) / root, alone
