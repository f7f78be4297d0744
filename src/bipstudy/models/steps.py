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
    k = matrix.shape[1]
    upper = np.triu_indices(k)
    groups = len(scores)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=groups))
    rows, weight = matrix[order], curvature[order][:, None]
    packed = np.empty((groups, len(upper[0])))
    start = 0
    for group, end in enumerate(ends):
        own = rows[start:end]
        packed[group] = ((weight[start:end] * own).T @ own)[upper]
        start = end
    steps = np.empty((len(counts), k))
    gradients = counts @ scores
    hessian = np.zeros((k, k), order="F")
    for first in range(0, len(counts), 100):
        for place, total in enumerate(counts[first : first + 100] @ packed, start=first):
            hessian[upper] = total
            steps[place] = _solve(hessian, gradients[place])
    return steps


def _solve(hessian: FloatArray, gradient: FloatArray) -> FloatArray:
    """Solve a system of which the upper triangle is given; NaN if it is singular."""
    from scipy.linalg.lapack import dposv

    _, step, failed = dposv(hessian, gradient)
    if failed == 0:
        return np.asarray(step)
    whole = np.triu(hessian) + np.triu(hessian, 1).T
    if np.linalg.matrix_rank(whole) < len(whole):
        return np.full(len(gradient), np.nan)
    return np.asarray(np.linalg.solve(whole, gradient))
