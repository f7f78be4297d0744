r"""Taking group effects out of columns, exactly where that is possible.

The effect with most levels is taken out by subtracting weighted group means. With :math:`Z` the dummies of the other
effects and :math:`M_1` that first projection, the rest is the small system
:math:`(Z'WM_1Z)\gamma = Z'WM_1V` (Frisch and Waugh 1933), solved by a pivoted Cholesky factor, whose rank is the
number of further parameters. If the other effects have too many levels for that, projections are alternated and
accelerated by conjugate gradients (Correia 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError, combine_codes, group_sums

__all__ = ["AbsorbedEffects", "absorb", "is_nested", "singletons"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

# Levels of the smaller effects together up to which the exact way is taken: its system has that many rows.
EXACT_LEVELS = 2_500
# Squared residual of the projections, relative to the column, at which the iterations stop.
PROJECTED = 1e-24
MAX_SWEEPS = 5_000
# Share of a dummy, squared, that must be left after the dummies before it: less is rounding, and the dummy redundant.
RANK = 1e-10


@dataclass(frozen=True)
class AbsorbedEffects:
    """Columns without the effects, and how many parameters went.

    Attributes
    ----------
    columns : array of shape (n, q)
    parameters : int
        Parameters of the effects together, redundant ones not counted.
    exact : bool
        False if projections were alternated; `parameters` may then count too many when there are three effects.
    """

    columns: FloatArray
    parameters: int
    exact: bool


def singletons(effects: Sequence[IntArray]) -> BoolArray:
    """Rows that are alone in a level of some effect, found again until none is left.

    Parameters
    ----------
    effects : sequence of integer arrays of shape (n,)

    Returns
    -------
    boolean array of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> singletons([np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])]).tolist()
    [True, True, False, False]
    """
    alone = np.zeros(len(effects[0]) if effects else 0, dtype=bool)
    while True:
        before = int(alone.sum())
        for codes in effects:
            counts = np.bincount(codes[~alone], minlength=int(codes.max(initial=0)) + 1)
            alone |= counts[codes] == 1
        if int(alone.sum()) == before:
            return alone


def is_nested(inner: IntArray, outer: IntArray) -> bool:
    """Say whether every level of `inner` lies in one level of `outer`."""
    _, pairs = combine_codes(inner, outer)
    return pairs == len(np.unique(inner))


def absorb(columns: FloatArray, effects: Sequence[IntArray], weights: FloatArray | None = None) -> AbsorbedEffects:
    """Take effects out of columns.

    Parameters
    ----------
    columns : array of shape (n, q)
    effects : sequence of integer arrays of shape (n,)
        Codes from zero, every number below the count occurs.
    weights : array of shape (n,), optional

    Returns
    -------
    AbsorbedEffects

    Raises
    ------
    ModelError
        If the projections do not converge.

    Examples
    --------
    >>> import numpy as np
    >>> absorb(np.array([[1.0], [3.0], [5.0]]), [np.array([0, 0, 1])]).columns.ravel().tolist()
    [-1.0, 1.0, 0.0]
    """
    levels = [int(codes.max(initial=-1)) + 1 for codes in effects]
    order = sorted(range(len(effects)), key=lambda place: -levels[place])
    first, others = effects[order[0]], [effects[place] for place in order[1:]]
    if not others:
        return AbsorbedEffects(_Means(first, weights).remove(columns), levels[order[0]], True)
    if sum(levels[place] for place in order[1:]) <= EXACT_LEVELS:
        return _absorb_exactly(columns, first, others, weights)
    swept = _alternate(columns, [_Means(codes, weights) for codes in (first, *others)])
    redundant = _components(first, others[0]) + len(others) - 1
    return AbsorbedEffects(swept, sum(levels) - redundant, False)


class _Means:
    """Weighted group means of one effect."""

    def __init__(self, codes: IntArray, weights: FloatArray | None) -> None:
        self.codes = codes
        self.weights = weights
        self.groups = int(codes.max(initial=-1)) + 1
        self.totals = np.bincount(codes, weights=weights, minlength=self.groups)

    def means(self, columns: FloatArray) -> FloatArray:
        """Group means, shape (groups, q)."""
        return group_sums(columns, self.codes, self.groups, self.weights) / self.totals[:, None]

    def remove(self, columns: FloatArray) -> FloatArray:
        """Columns in deviations from group means, shape (n, q)."""
        return columns - np.take(self.means(columns), self.codes, axis=0)


def _dummies(effects: Sequence[IntArray], weights: FloatArray | None = None) -> Any:
    """Sparse dummies of several effects side by side, each row times its weight."""
    from scipy.sparse import csr_matrix

    rows = len(effects[0])
    starts = np.cumsum([0] + [int(codes.max(initial=-1)) + 1 for codes in effects])
    indices = np.column_stack([codes + start for codes, start in zip(effects, starts, strict=False)]).ravel()
    data = np.ones(indices.size) if weights is None else np.repeat(weights, len(effects))
    return csr_matrix((data, indices, np.arange(0, indices.size + 1, len(effects))), shape=(rows, int(starts[-1])))


def _absorb_exactly(
    columns: FloatArray, first: IntArray, others: Sequence[IntArray], weights: FloatArray | None
) -> AbsorbedEffects:
    """Means of the first effect, then the small system of the others."""
    from scipy.linalg import solve_triangular
    from scipy.linalg.lapack import dpstrf

    head = _Means(first, weights)
    within = head.remove(columns)
    plain, weighted = _dummies(others), _dummies(others, weights)
    # Weighted dummies summed over the levels of the first effect: (groups, levels), sparse.
    crossed = (_dummies([first]).T @ weighted).tocsr()
    divided = crossed.multiply((1.0 / head.totals)[:, None]).tocsr()
    whole = np.asarray((plain.T @ weighted).todense())
    scale = 1.0 / np.sqrt(np.diag(whole))
    system = (whole - np.asarray((crossed.T @ divided).todense())) * np.outer(scale, scale)
    factor, pivots, rank, _ = dpstrf(system, tol=RANK, lower=1)
    chosen = pivots[:rank] - 1
    gamma = np.zeros((len(scale), columns.shape[1]))
    if rank:
        lower = np.tril(factor[:rank, :rank])
        right = (np.asarray(weighted.T @ within) * scale[:, None])[chosen]
        half = solve_triangular(lower, right, lower=True)
        gamma[chosen] = solve_triangular(lower, half, lower=True, trans=1) * scale[chosen, None]
    return AbsorbedEffects(within - head.remove(np.asarray(plain @ gamma)), head.groups + int(rank), True)


def _alternate(columns: FloatArray, heads: Sequence[_Means]) -> FloatArray:
    """Conjugate gradients on symmetric sweeps: each sweep takes the means out forwards and back."""

    def swept_away(values: FloatArray) -> FloatArray:
        left = values
        for head in (*heads, *reversed(heads[:-1])):
            left = head.remove(left)
        return values - left

    weights = heads[0].weights

    def inner(one: FloatArray, other: FloatArray) -> FloatArray:
        if weights is None:
            return np.asarray(np.einsum("ij,ij->j", one, other))
        return np.asarray(np.einsum("i,ij,ij->j", weights, one, other))

    values = columns.copy()
    residual = swept_away(values)
    direction = residual.copy()
    size = inner(residual, residual)
    target = PROJECTED * np.maximum(inner(columns, columns), 1e-300)
    for _ in range(MAX_SWEEPS):
        if np.all(size <= target):
            return values
        moved = swept_away(direction)
        curvature = inner(direction, moved)
        pace = np.divide(size, curvature, out=np.zeros_like(size), where=(curvature > 0.0) & (size > target))
        values -= pace * direction
        residual -= pace * moved
        fresh = inner(residual, residual)
        direction = residual + np.divide(fresh, size, out=np.zeros_like(size), where=size > 0.0) * direction
        size = fresh
    raise ModelError("the absorbed effects could not be taken out; the groups are connected too weakly")


def _components(first: IntArray, second: IntArray) -> int:
    """Count the connected sets of two groupings: the redundant parameters of their effects."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    groups, others = int(first.max()) + 1, int(second.max()) + 1
    links = coo_matrix((np.ones(len(first)), (first, groups + second)), shape=(groups + others, groups + others))
    return int(connected_components(links, directed=False)[0])
