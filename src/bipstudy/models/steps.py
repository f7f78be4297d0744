"""Draws of clusters, and one Newton step from a fit for each of them."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError, ProductScores, one_thread
from bipstudy.models.estimates import Fit
from bipstudy.models.hazard import HazardFit
from bipstudy.models.linear import LinearFit
from bipstudy.models.links import row_derivatives

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

# Cluster Hessians up to this many numbers are formed; beyond it the one-step bootstrap keeps the Hessian of the fit.
HESSIAN_NUMBERS = 40_000_000


def draws(seeds: list[np.random.SeedSequence], groups: int) -> FloatArray:
    """Count the times each cluster is drawn in each replicate, shape (replicates, groups)."""
    chances = np.full(groups, 1.0 / groups)
    return np.array([np.random.default_rng(seed).multinomial(groups, chances) for seed in seeds], dtype=np.float64)


def draw_counts(groups: int, replications: int, seed: int) -> FloatArray:
    """Count the times each of `groups` clusters is drawn, shape (replications, groups): the draws of `bootstrap`."""
    return draws(np.random.SeedSequence(seed).spawn(replications), groups)


def score_steps(
    fit: Fit, codes: IntArray, counts: FloatArray, *, hessian: Literal["cluster", "fixed"] = "cluster"
) -> tuple[FloatArray, bool]:
    """One Newton step from a fit for each set of draws.

    Parameters
    ----------
    fit : Fit
        With scores.
    codes : array of shape (rows used,)
        Cluster of each row of the fit, as a column of `counts`; a cluster may have no row.
    counts : array of shape (replications, groups)
        Times each cluster is drawn.
    hessian : {"cluster", "fixed"}

    Returns
    -------
    steps : array of shape (replications, k)
        To be added to the estimates.
    by_cluster : bool
        Whether the Hessian is that of the resample.
    """
    if fit.scores is None:
        raise ModelError(f"{fit.model} keeps no scores")
    groups = counts.shape[1]
    scores = fit.scores.by_group(codes, groups)
    curvature = _row_curvature(fit) if hessian == "cluster" else None
    k = scores.shape[1]
    by_cluster = curvature is not None and groups * k * (k + 1) // 2 <= HESSIAN_NUMBERS
    if by_cluster and isinstance(fit.scores, ProductScores) and curvature is not None:
        with one_thread():
            steps = _newton_steps(fit.scores.matrix, curvature, codes, scores, counts)
        if isinstance(fit, HazardFit) and fit.change is not None:
            steps = steps @ fit.change.T
    else:
        steps = (counts @ scores) @ fit.bread.T
    return steps, by_cluster


def _row_curvature(fit: Fit) -> FloatArray | None:
    """Minus the second derivative of the log-likelihood of each row by its linear predictor; None if there is none."""
    if isinstance(fit, LinearFit):
        return np.ones(fit.source.used) if fit.weights is None else fit.weights
    if isinstance(fit, HazardFit) and not fit.unbounded and isinstance(fit.scores, ProductScores):
        row = row_derivatives(fit.eta, fit.response, fit.link)
        return row.observed if fit.weights is None else row.observed * fit.weights
    return None


def _newton_steps(
    matrix: FloatArray, curvature: FloatArray, codes: IntArray, scores: FloatArray, counts: FloatArray
) -> FloatArray:
    """Newton step of every replicate, shape (replicates, k)."""
    from scipy.sparse import csr_matrix

    k = matrix.shape[1]
    upper = np.triu_indices(k)
    groups = len(scores)
    order = np.argsort(codes, kind="stable")
    pointers = np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=groups))))
    selector = csr_matrix((np.ones(len(codes)), order, pointers), shape=(groups, len(codes)))
    packed = np.empty((groups, len(upper[0])))
    # One row of the triangle at a time: a column times its curvature, times the columns from there on, by cluster.
    start = 0
    for column in range(k):
        selector.data = (matrix[:, column] * curvature)[order]
        packed[:, start : start + k - column] = (selector @ matrix)[:, column:]
        start += k - column
    steps = np.empty((len(counts), k))
    gradients = counts @ scores
    for first in range(0, len(counts), 100):
        totals = counts[first : first + 100] @ packed
        hessians = np.empty((len(totals), k, k))
        hessians[:, upper[0], upper[1]] = totals
        hessians[:, upper[1], upper[0]] = totals
        steps[first : first + 100] = _solve_each(hessians, gradients[first : first + 100])
    return steps


def _solve_each(hessians: FloatArray, gradients: FloatArray) -> FloatArray:
    """Solve many small systems; a singular one gives NaN."""
    try:
        return np.asarray(np.linalg.solve(hessians, gradients[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        result = np.full(gradients.shape, np.nan)
        for place, (hessian, gradient) in enumerate(zip(hessians, gradients, strict=True)):
            if np.linalg.matrix_rank(hessian) == len(hessian):
                result[place] = np.linalg.solve(hessian, gradient)
        return result
