"""Clustered covariance of estimators that solve a score equation, in four named small-sample conventions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

__all__ = [
    "ClusteredCovariance",
    "ModelError",
    "ProductScores",
    "RowScores",
    "Scores",
    "SmallSample",
    "cluster_names",
    "clustered_covariance",
    "combine_codes",
    "encode_groups",
    "group_sums",
    "one_thread",
]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
SmallSample = Literal["stata", "none", "fixest", "sandwich"]
Family = Literal["ml", "linear"]


class ModelError(ValueError):
    """The model cannot be estimated as asked; the message says what to change."""


@cache
def _thread_pools() -> Any:
    """Libraries with threads of their own, found once."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Hold linear algebra to one thread.

    Blocks that fit the cache gain nothing from two, lose much when other processes are busy, and are summed the same
    way whatever the machine allows.
    """
    return _thread_pools().limit(limits=1)  # type: ignore[no-any-return]


class Scores(Protocol):
    """What each of n rows adds to the score of k parameters."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and parameters."""

    def by_group(self, codes: IntArray, groups: int) -> FloatArray:
        """Return sums within groups, shape (groups, k); `codes` has shape (n,) with values below `groups`."""

    def dense(self) -> FloatArray:
        """All rows, shape (n, k)."""


@dataclass(frozen=True)
class RowScores:
    """Scores kept as a matrix of shape (n, k)."""

    matrix: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and parameters."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def by_group(self, codes: IntArray, groups: int) -> FloatArray:
        """Return sums within groups, shape (groups, k)."""
        return group_sums(self.matrix, codes, groups)

    def dense(self) -> FloatArray:
        """All rows, shape (n, k)."""
        return self.matrix


@dataclass(frozen=True)
class ProductScores:
    """Scores of models with a linear predictor: row i of `matrix` times `factor[i]`, never formed as a whole.

    Attributes
    ----------
    matrix : array of shape (n, k)
        The design matrix (a reference).
    factor : array of shape (n,)
        Derivative of the weighted log-likelihood by the linear predictor; for least squares weight times residual.
    """

    matrix: FloatArray
    factor: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and parameters."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def by_group(self, codes: IntArray, groups: int) -> FloatArray:
        """Return sums within groups, shape (groups, k)."""
        return group_sums(self.matrix, codes, groups, self.factor)

    def dense(self) -> FloatArray:
        """All rows, shape (n, k)."""
        return self.matrix * self.factor[:, None]


def group_sums(matrix: FloatArray, codes: IntArray, groups: int, factor: FloatArray | None = None) -> FloatArray:
    """Sum the rows of `matrix`, each times its `factor`, within groups.

    Parameters
    ----------
    matrix : array of shape (n, k)
    codes : integer array of shape (n,)
        Group of each row, from 0 to `groups` - 1.
    groups : int
    factor : array of shape (n,), optional

    Returns
    -------
    array of shape (groups, k)

    Examples
    --------
    >>> import numpy as np
    >>> group_sums(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 0]), 2).ravel().tolist()
    [5.0, 2.0]
    """
    from scipy.sparse import csr_matrix

    rows = len(codes)
    counts = np.bincount(codes, minlength=groups)
    pointers = np.concatenate(([0], np.cumsum(counts)))
    ordered = bool(np.all(codes[1:] >= codes[:-1]))
    order = np.arange(rows) if ordered else np.argsort(codes, kind="stable")
    data = np.ones(rows) if factor is None else factor if ordered else factor[order]
    selector = csr_matrix((data, order, pointers), shape=(groups, rows))
    return np.asarray(selector @ np.ascontiguousarray(matrix))


def encode_groups(column: Any, name: str) -> tuple[IntArray, int]:
    """Give numbers to the distinct values of a column from zero, in the order of first appearance.

    Returns
    -------
    codes : integer array of shape (n,)
    groups : int

    Raises
    ------
    ModelError
        If a value is missing.
    """
    import pandas as pd

    codes, levels = pd.factorize(column)
    if len(codes) and codes.min() < 0:
        raise ModelError(f"column {name!r} has missing values in rows that are used; drop them before the fit")
    return np.asarray(codes, dtype=np.int64), len(levels)


def combine_codes(first: IntArray, second: IntArray) -> tuple[IntArray, int]:
    """Group numbers of the pairs of two groupings, and how many pairs occur."""
    import pandas as pd

    pairs = first * (int(second.max(initial=0)) + 1) + second
    codes, levels = pd.factorize(pairs)
    return np.asarray(codes, dtype=np.int64), len(levels)


def cluster_names(cluster: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names of the cluster columns as a tuple of at most two."""
    if cluster is None:
        return ()
    names = (cluster,) if isinstance(cluster, str) else tuple(cluster)
    if len(names) > 2:
        raise ModelError(f"errors can be clustered one or two ways, got {len(names)} columns")
    if len(set(names)) != len(names):
        raise ModelError(f"the same cluster column was given twice: {names[0]!r}")
    return names


@dataclass(frozen=True)
class ClusteredCovariance:
    """A clustered covariance and how it was made.

    Attributes
    ----------
    covariance : array of shape (k, k)
    clusters : tuple of int
        Clusters in each dimension.
    small_sample : {"stata", "none", "fixest", "sandwich"}
    family : {"ml", "linear"}
    repaired : bool
        True if negative eigenvalues were set to zero.
    """

    covariance: FloatArray
    clusters: tuple[int, ...]
    small_sample: SmallSample
    family: Family
    repaired: bool

    def describe(self, names: Sequence[str]) -> str:
        """Say the convention in words: ``clustered by person (400); small-sample factor stata: G/(G-1)``."""
        by = " and ".join(f"{name} ({count})" for name, count in zip(names, self.clusters, strict=True))
        factor = {
            ("none", "ml"): "no small-sample factor",
            ("none", "linear"): "no small-sample factor",
            ("stata", "ml"): "small-sample factor stata: G/(G-1)",
            ("stata", "linear"): "small-sample factor stata: G/(G-1) x (N-1)/(N-K)",
            ("fixest", "ml"): "small-sample factor fixest: G/(G-1) x (N-1)/(N-K)",
            ("fixest", "linear"): "small-sample factor fixest: G/(G-1) x (N-1)/(N-K)",
            ("sandwich", "ml"): "small-sample factor sandwich: G/(G-1)",
            ("sandwich", "linear"): "small-sample factor sandwich: G/(G-1) x (N-1)/(N-K)",
        }[self.small_sample, self.family]
        if len(names) == 2 and self.small_sample != "none":
            factor += ", smallest G" if self.small_sample == "fixest" else ", each part its own G"
        repaired = "; negative eigenvalues set to zero" if self.repaired else ""
        return f"clustered by {by}; {factor}{repaired}"


def clustered_covariance(
    *,
    bread: FloatArray,
    scores: Scores,
    codes: Sequence[IntArray],
    small_sample: SmallSample = "stata",
    family: Family = "ml",
    parameters: int | None = None,
    rows: int | None = None,
) -> ClusteredCovariance:
    r"""One- or two-way cluster-robust covariance.

    With :math:`s_g` the sum of scores in cluster :math:`g` and :math:`B` the bread, one grouping gives

    .. math:: V_c = f_c \, B \Bigl(\sum_g s_g s_g'\Bigr) B

    and two groupings (Cameron, Gelbach and Miller 2011, equation 2.11) :math:`V = V_1 + V_2 - V_{12}`, where the
    last is grouped by the pairs that occur. Let :math:`G_c` be the number of groups of part :math:`c`, :math:`N` the
    rows, :math:`K` the parameters, absorbed ones as described below. The factor :math:`f_c` is

    ============ ==================================== =================================================
    convention   maximum likelihood                   linear
    ============ ==================================== =================================================
    ``none``     1                                    1
    ``stata``    G_c/(G_c-1)                          G_c/(G_c-1) (N-1)/(N-K)
    ``fixest``   G/(G-1) (N-1)/(N-K), G the smallest  G/(G-1) (N-1)/(N-K), G the smallest
    ``sandwich`` G_c/(G_c-1)                          G_c/(G_c-1) (N-1)/(N-K)
    ============ ==================================== =================================================

    ``stata`` is what ``vce(cluster)`` prints (``regress``, ``xtreg, fe``, ``logit``), two-way as in ``cgmreg`` and
    ``vcemway``: each part has its own factor; ``reghdfe`` and ``ivreg2`` use the smallest G, which is ``fixest``
    here. ``sandwich`` is the default of R's ``sandwich::vcovCL``: HC1 for ``lm``, HC0 for everything else, with
    ``cadjust = TRUE``. In K, ``stata`` and ``fixest`` leave out absorbed effects nested in a cluster (one is counted
    for each such effect); ``sandwich`` counts all of them, as ``lm`` with dummies does.

    A two-way covariance need not be positive semidefinite; negative eigenvalues, in units of the errors, are then set
    to zero, and `repaired` says so (R's ``vcovCL`` leaves them). How much that adds to an error depends a little on
    how the regressors are written, such as which level is the reference.

    Parameters
    ----------
    bread : array of shape (k, k)
        Need not be symmetric: if the scores belong to parameters c and the estimates are b = T c, it is T times the
        bread of c, and the last factor above is its transpose.
    scores : Scores of shape (n, k)
    codes : one or two integer arrays of shape (n,)
        Cluster of each row, any integers from zero.
    small_sample : {"stata", "none", "fixest", "sandwich"}
    family : {"ml", "linear"}
    parameters : int, optional
        K; k by default.
    rows : int, optional
        N; n by default.

    Returns
    -------
    ClusteredCovariance

    Raises
    ------
    ModelError
        If there are fewer than two clusters, or the convention is unknown.

    References
    ----------
    Cameron, A. C., Gelbach, J. B., Miller, D. L. (2011). Robust inference with multiway clustering. Journal of
    Business & Economic Statistics 29, 238-249. Zeileis, A., Koell, S., Graham, N. (2020). Various versatile
    variances. Journal of Statistical Software 95(1).

    Examples
    --------
    >>> import numpy as np
    >>> scores = RowScores(np.array([[1.0], [1.0], [-2.0]]))
    >>> result = clustered_covariance(bread=np.eye(1), scores=scores, codes=[np.array([0, 0, 1])])
    >>> result.covariance.item(), result.clusters
    (16.0, (2,))
    """
    if small_sample not in get_args(SmallSample):
        raise ModelError(f"small_sample must be one of {', '.join(get_args(SmallSample))}, got {small_sample!r}")
    given, k = scores.shape
    rows = given if rows is None else rows
    parts = _parts(codes)
    sizes = [groups for _, groups, _ in parts[: len(codes)]]
    if min(sizes) < 2:
        raise ModelError("clustered errors need at least two clusters in every dimension")
    counted = k if parameters is None else parameters
    if family == "linear" and small_sample != "none" and rows <= counted:
        raise ModelError(f"{rows} rows cannot carry {counted} parameters")
    total = np.zeros((k, k))
    # The finest grouping is read from the rows; the others are sums of its sums.
    finest, count, _ = parts[-1]
    with one_thread():
        fine = scores.by_group(finest, count)
        for part, groups, sign in parts:
            sums = fine
            if part is not finest:
                coarser = np.empty(count, dtype=np.int64)
                coarser[finest] = part
                sums = group_sums(fine, coarser, groups)
            counted_groups = min(sizes) if small_sample == "fixest" else groups
            total += sign * _factor(small_sample, family, counted_groups, rows, counted) * (sums.T @ sums)
        covariance = bread @ total @ bread.T
        covariance, repaired = _positive_part(0.5 * (covariance + covariance.T), needed=len(parts) > 1)
    return ClusteredCovariance(covariance, tuple(sizes), small_sample, family, repaired)


def _parts(codes: Sequence[IntArray]) -> list[tuple[IntArray, int, float]]:
    """List the groupings with their number of groups and sign: one, or two and their pairs."""
    groupings = [_compact(part) for part in codes]
    parts = [(part, groups, 1.0) for part, groups in groupings]
    if len(groupings) == 2:
        pairs, count = combine_codes(groupings[0][0], groupings[1][0])
        parts.append((pairs, count, -1.0))
    return parts


def _compact(codes: IntArray) -> tuple[IntArray, int]:
    """Renumber codes so that every number below the count occurs."""
    counts = np.bincount(codes)
    if np.all(counts > 0):
        return codes, len(counts)
    renumbered = np.cumsum(counts > 0) - 1
    return renumbered[codes], int((counts > 0).sum())


def _factor(small_sample: SmallSample, family: Family, groups: int, rows: int, parameters: int) -> float:
    """Small-sample factor of one part."""
    if small_sample == "none":
        return 1.0
    factor = groups / (groups - 1.0)
    if family == "linear" or small_sample == "fixest":
        factor *= (rows - 1.0) / (rows - parameters)
    return factor


def _positive_part(covariance: FloatArray, *, needed: bool) -> tuple[FloatArray, bool]:
    """Set negative eigenvalues to zero, and say whether there were any beyond rounding."""
    if not needed:
        return covariance, False
    # Scale to unit diagonal first: eigenvalues of terms in different units cannot be compared.
    scale = np.sqrt(np.abs(np.diag(covariance)))
    scale = np.where(scale > 0.0, scale, 1.0)
    scaled = covariance / np.outer(scale, scale)
    try:
        np.linalg.cholesky(scaled)
        return covariance, False
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(scaled)
    if values.min() >= -1e-10 * max(values.max(), 1.0):
        return covariance, False
    mended = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return mended * np.outer(scale, scale), True
