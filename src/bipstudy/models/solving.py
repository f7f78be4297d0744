"""Small linear algebra shared by the estimators: weighted cross-products, scaled solves, collinear columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError

__all__ = ["BLOCK", "cross_product", "independent_columns", "inverse", "offsets", "shift_matrix"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

# Rows handled at a time: the block and its weighted copy stay in the second-level cache for some fifty columns.
BLOCK = 2048

# A column is called collinear if this share of its length, or less, is not explained by the columns before it. Rounding
# leaves about 1e-15 times the number of columns; means far from zero are taken out before (see `offsets`).
COLLINEAR = 1e-11


def cross_product(matrix: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Weighted cross-product X' diag(w) X by blocks of rows.

    Parameters
    ----------
    matrix : array of shape (n, k)
    weights : array of shape (n,), not negative, optional

    Returns
    -------
    array of shape (k, k)

    Examples
    --------
    >>> import numpy as np
    >>> round(cross_product(np.array([[1.0], [2.0]]), np.array([1.0, 3.0])).item(), 9)
    13.0
    """
    if weights is None:
        return np.asarray(matrix.T @ matrix)
    rows, k = matrix.shape
    total = np.zeros((k, k))
    buffer = np.empty((min(BLOCK, rows), k))
    for start in range(0, rows, BLOCK):
        part = matrix[start : start + BLOCK]
        scaled = buffer[: len(part)]
        np.multiply(part, np.sqrt(weights[start : start + BLOCK])[:, None], out=scaled)
        total += scaled.T @ scaled
    return total


def inverse(information: FloatArray) -> FloatArray:
    """Inverse of a positive definite matrix, scaled to unit diagonal first so that units do not matter.

    Raises
    ------
    ModelError
        If the matrix is singular to working precision.
    """
    with np.errstate(invalid="ignore"):
        scale = np.sqrt(np.diag(information))
    if not np.all(np.isfinite(scale)) or np.any(scale <= 0.0):
        raise ModelError("the information matrix is singular: a term does not vary in the rows that carry information")
    scaled = information / np.outer(scale, scale)
    try:
        root = np.linalg.inv(np.linalg.cholesky(scaled))
    except np.linalg.LinAlgError:
        raise ModelError("the information matrix is singular: some terms cannot be told apart") from None
    return np.asarray(root.T @ root / np.outer(scale, scale))


def independent_columns(gram: FloatArray, tolerance: float = COLLINEAR) -> list[int]:
    """Positions of columns that are no combination of the columns before them.

    Parameters
    ----------
    gram : array of shape (k, k)
        Cross-product of the columns.
    tolerance : float
        Share of a column's squared length that must be left unexplained.

    Returns
    -------
    list of int

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0, 3.0], [1.0, 0.0, 1.0], [1.0, 5.0, 6.0]])
    >>> independent_columns(x.T @ x)
    [0, 1]
    """
    k = len(gram)
    scale = np.sqrt(np.diag(gram))
    safe = np.where(scale > 0.0, scale, 1.0)
    left = gram / np.outer(safe, safe)
    kept: list[int] = []
    for column in range(k):
        pivot = left[column, column]
        if scale[column] <= 0.0 or pivot <= tolerance:
            continue
        kept.append(column)
        row = left[column, column + 1 :] / pivot
        left[column + 1 :, column + 1 :] -= np.outer(left[column + 1 :, column], row)
    return kept


def offsets(matrix: FloatArray, intercept: int | None, ratio: float = 1e3) -> FloatArray | None:
    """Means to take out of columns that lie far from zero compared with their spread.

    Cross-products of such columns (years, dates as numbers) lose the digits that matter.

    Parameters
    ----------
    matrix : array of shape (n, k)
    intercept : int or None
        Position of the intercept; without one nothing can be taken out.
    ratio : float
        Mean over standard deviation from which a column is centred.

    Returns
    -------
    array of shape (k,) or None
        Zero where nothing is taken out; None if that is everywhere.
    """
    if intercept is None or len(matrix) < 2:
        return None
    first = matrix[0]
    total, squares = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
    for start in range(0, len(matrix), BLOCK):
        part = matrix[start : start + BLOCK] - first
        total += part.sum(axis=0)
        squares += np.einsum("ij,ij->j", part, part)
    shift = total / len(matrix)
    spread = np.sqrt(np.maximum(squares / len(matrix) - shift**2, 0.0))
    mean = first + shift
    far = (np.abs(mean) > ratio * spread) & (spread > 0.0)
    return np.where(far, mean, 0.0) if far.any() else None


def shift_matrix(means: FloatArray, intercept: int) -> FloatArray:
    """Matrix T with b = T c, where c are the coefficients after `means` were taken out of the columns."""
    transform = np.eye(len(means))
    transform[intercept, :] -= means
    return transform


def name_terms(terms: Sequence[str], limit: int = 8) -> str:
    """Name some of the terms in words."""
    shown = ", ".join(terms[:limit])
    return shown if len(terms) <= limit else f"{shown} and {len(terms) - limit} more"
