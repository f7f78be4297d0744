r"""Instrumental variables: the numbers.

With outcome :math:`y`, treatments :math:`D`, exogenous columns :math:`W` and instruments :math:`Z`, every estimator
here solves :math:`\hat Z'(y - D\beta) = 0` for constructed instruments :math:`\hat Z` orthogonal to W:

* k-class: :math:`\hat Z = M_W D - \kappa M_{WZ} D`, with :math:`\kappa = 1` for two-stage least squares and the
  smallest root of :math:`|(y,D)'(M_W - \kappa M_{WZ})(y,D)| = 0` for LIML.
* UJIVE: :math:`\hat Z = G'D`, :math:`G = (I - B_W)^{-1} M_W - (I - B_{WZ})^{-1} M_{WZ}`, where B keeps the diagonal
  blocks (one per cell) of the projection. The blocks of G on the diagonal are zero: the instrument of a row holds
  nothing of the rows of its own cell, so noise in the first stage does not become bias, with many instruments or many
  W.

G annihilates W from the right, so adding any combination of W to y changes nothing. Kolesar's form :math:`\hat Z = G
D` has the same property in expectation only; the two coincide where W and Z are dummies of cells and of cells by
group.

References
----------
Anderson, T. W. and Rubin, H. (1949). Estimation of the parameters of a single equation. Annals of Mathematical
Statistics 20, 46-63. Kolesar, M. (2013). Estimation in an instrumental variables model with treatment effect
heterogeneity. Working paper, Princeton. Frandsen, B., Leslie, E. and McIntyre, S. (2023). Cluster jackknife
instrumental variables estimation. Review of Economics and Statistics (cells left out).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError
from bipstudy.models.linear import _independent

__all__ = [
    "Instrumented",
    "independent_columns",
    "instrument_cells",
    "instrument_kclass",
    "liml_kappa",
    "residual_maker",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Share of a cell that must be left when the projection of the others is taken off; less, and it stands alone.
_ALONE = 1e-8


@dataclass(frozen=True)
class Instrumented:
    """Solution of an instrumental-variable problem.

    Attributes
    ----------
    beta : array, shape (d + w,)
        Coefficients of the treatments, then of W.
    influence : array, shape (n, d + w)
        Times the residual, what each row adds to the estimates.
    residuals : array, shape (n,)
    bread : array, shape (d + w, d + w)
        Covariance of the estimates over the residual variance, if rows are independent with equal variance.
    kappa : float
        Of the k-class; nan for UJIVE.
    """

    beta: FloatArray
    influence: FloatArray
    residuals: FloatArray
    bread: FloatArray
    kappa: float


def independent_columns(matrix: FloatArray, given: FloatArray) -> tuple[list[int], FloatArray]:
    """Columns that are no combination of those before them and of `given`, and an orthonormal basis of what they add.

    Parameters
    ----------
    matrix : array, shape (n, k)
    given : array, shape (n, g)
        Orthonormal columns.

    Returns
    -------
    kept : list of int
    basis : array, shape (n, len(kept))
        Orthonormal, orthogonal to `given`.
    """
    length = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
    unit = matrix / np.where(length > 0.0, length, 1.0)
    for _ in range(2):
        unit = unit - given @ (given.T @ unit)
    # A column that `given` explains is left with rounding; it must not be taken for a direction.
    left = np.sqrt(np.einsum("ij,ij->j", unit, unit))
    candidates = np.flatnonzero(left > 1e-8)
    if candidates.size == 0:
        return [], np.zeros((len(matrix), 0))
    found = _independent(np.asarray(np.linalg.qr(unit[:, candidates] / left[candidates], mode="r")), 1e-8)
    kept = [int(candidates[place]) for place in found]
    basis = np.linalg.qr(unit[:, kept])[0]
    return kept, np.asarray(basis - given @ (given.T @ basis), dtype=np.float64)


def residual_maker(columns: FloatArray, basis: FloatArray) -> FloatArray:
    """Take the projection on orthonormal columns off."""
    return np.asarray(columns - basis @ (basis.T @ columns), dtype=np.float64)


def liml_kappa(outcome: FloatArray, treatments: FloatArray, basis_w: FloatArray, basis_z: FloatArray) -> float:
    """Smallest root of the LIML determinant.

    Parameters
    ----------
    outcome : array, shape (n,)
    treatments : array, shape (n, d)
    basis_w, basis_z : arrays, shape (n, w), (n, z)
        Orthonormal, orthogonal to each other.

    Returns
    -------
    float
        One if there are as many instruments as treatments.
    """
    from scipy.linalg import eigh

    if basis_z.shape[1] == treatments.shape[1]:
        return 1.0
    partial = residual_maker(np.column_stack([outcome, treatments]), basis_w)
    inner = residual_maker(partial, basis_z)
    return float(eigh(partial.T @ partial, inner.T @ inner, eigvals_only=True, subset_by_index=[0, 0])[0])


def instrument_kclass(
    *,
    outcome: FloatArray,
    treatments: FloatArray,
    exogenous: FloatArray,
    basis_w: FloatArray,
    basis_z: FloatArray,
    kappa: float,
) -> Instrumented:
    """Estimate by a k-class: two-stage least squares for one, LIML for `liml_kappa`.

    Parameters
    ----------
    outcome : array, shape (n,)
    treatments : array, shape (n, d)
    exogenous : array, shape (n, w)
        Of full rank.
    basis_w, basis_z : arrays, shape (n, w), (n, z)
        Orthonormal bases of W, and of Z without W.
    kappa : float

    Returns
    -------
    Instrumented

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([-1.0, -1.0, 1.0, 1.0])
    >>> y, d = np.array([0.0, 1.0, 4.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0])
    >>> one = np.full((4, 1), 0.5)
    >>> fit = instrument_kclass(
    ...     outcome=y, treatments=d[:, None], exogenous=np.ones((4, 1)), basis_w=one, basis_z=z[:, None] / 2, kappa=1.0
    ... )
    >>> fit.beta.round(9).tolist()
    [3.0, 0.5]
    """
    partial = residual_maker(treatments, basis_w)
    constructed = partial - kappa * residual_maker(partial, basis_z)
    return _solve(outcome, treatments, exogenous, constructed, kappa)


def instrument_cells(
    *,
    raw: FloatArray,
    outcome: FloatArray,
    treatments: FloatArray,
    exogenous: FloatArray,
    basis_w: FloatArray,
    basis_z: FloatArray,
    cells: IntArray,
) -> Instrumented:
    """Estimate by UJIVE, each cell left out of its own first stage.

    Parameters
    ----------
    raw : array, shape (n, d)
        Treatments from which nothing was taken out: what the other rows say about W must not enter through them.
    outcome, treatments, exogenous, basis_z : arrays
        As in `instrument_kclass`.
    basis_w : array, shape (n, w + a)
        Orthonormal basis of everything exogenous, absorbed effects included.
    cells : array of int, shape (n,)
        The row itself for leave-one-out.

    Returns
    -------
    Instrumented
    """
    both = np.hstack([basis_w, basis_z])
    by_w = residual_maker(_undo_blocks(raw, basis_w, cells), basis_w)
    by_both = residual_maker(_undo_blocks(raw, both, cells), both)
    return _solve(outcome, treatments, exogenous, by_w - by_both, np.nan)


def cells_alone(basis: FloatArray, cells: IntArray) -> npt.NDArray[np.bool_]:
    """Rows of cells that alone determine a direction of the basis, so that they cannot be left out; shape (n,)."""
    alone = np.zeros(len(cells), dtype=bool)
    for rows in _cell_rows(cells):
        part = basis[rows]
        if len(rows) == 1:
            alone[rows] = 1.0 - float((part * part).sum()) < _ALONE
        else:
            alone[rows] = 1.0 - np.linalg.norm(part, 2) ** 2 < _ALONE
    return alone


def _cell_rows(cells: IntArray) -> list[IntArray]:
    """Rows of each cell."""
    order = np.argsort(cells, kind="stable")
    return [np.asarray(part) for part in np.split(order, np.flatnonzero(np.diff(cells[order])) + 1)]


def _undo_blocks(columns: FloatArray, basis: FloatArray, cells: IntArray) -> FloatArray:
    """Solve ``(I - P_cc) v_c = columns_c`` in each cell, P the projection on the basis."""
    parts = _cell_rows(cells)
    if len(parts) == len(cells):
        leverage = np.einsum("ij,ij->i", basis, basis)
        return np.asarray(columns / (1.0 - leverage)[:, None], dtype=np.float64)
    out = np.empty_like(columns)
    for rows in parts:
        part = basis[rows]
        out[rows] = np.linalg.solve(np.eye(len(rows)) - part @ part.T, columns[rows])
    return out


def _solve(
    outcome: FloatArray, treatments: FloatArray, exogenous: FloatArray, constructed: FloatArray, kappa: float
) -> Instrumented:
    """Solve the moment conditions, the constructed instruments being orthogonal to the exogenous columns."""
    regressors = np.hstack([treatments, exogenous])
    moments = np.hstack([constructed, exogenous])
    # Columns in any units: scale before the system is judged and solved.
    size = np.sqrt(np.einsum("ij,ij->j", regressors, regressors))
    weight = np.sqrt(np.maximum(np.einsum("ij,ij->j", moments, moments), 1e-300))
    system = (moments / weight).T @ (regressors / size)
    if np.linalg.cond(system) > 1e12:
        raise ModelError("the instruments do not tell the endogenous terms apart (rank condition)")
    inverse = (np.linalg.inv(system) / weight) / size[:, None]
    beta = inverse @ (moments.T @ outcome)
    beta = beta + inverse @ (moments.T @ (outcome - regressors @ beta))
    influence = moments @ inverse.T
    return Instrumented(
        beta=beta,
        influence=influence,
        residuals=outcome - regressors @ beta,
        bread=influence.T @ influence if np.isnan(kappa) else _kclass_bread(treatments, exogenous, constructed),
        kappa=kappa,
    )


def _kclass_bread(treatments: FloatArray, exogenous: FloatArray, constructed: FloatArray) -> FloatArray:
    """Inverse of ``(D, W)'(I - kappa M)(D, W)`` by its blocks."""
    d = treatments.shape[1]
    slope = np.linalg.lstsq(exogenous, treatments, rcond=None)[0] if exogenous.shape[1] else np.zeros((0, d))
    corner = np.linalg.inv(constructed.T @ treatments)
    corner = 0.5 * (corner + corner.T)
    bread = np.empty((d + exogenous.shape[1],) * 2)
    bread[:d, :d] = corner
    bread[d:, :d] = -slope @ corner
    bread[:d, d:] = bread[d:, :d].T
    bread[d:, d:] = np.linalg.inv(exogenous.T @ exogenous) + slope @ corner @ slope.T
    return bread
