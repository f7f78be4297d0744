"""The likelihood of a logit with one random intercept, by adaptive Gauss-Hermite quadrature.

``logit Pr(y = 1 | u) = X beta + tau u[g]``, ``u ~ N(0, 1)``. For each group the integrand is centred at its mode and
scaled by its curvature there, as in Pinheiro and Chao (2006) and lme4's ``glmer(nAGQ = k)``; with one node this is
the Laplace approximation. The gradient is that of the approximation itself: the movement of mode and scale with the
parameters is included, by the implicit function theorem, so the optimum is the one the criterion has, for any number
of nodes.

References
----------
Pinheiro, J. C. and Chao, E. C. (2006). Efficient Laplacian and adaptive Gaussian quadrature algorithms for multilevel
generalized linear mixed models. Journal of Computational and Graphical Statistics 15, 58-81.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bipstudy.models.estimates import ModelError

__all__ = [
    "BinomialGroups",
    "QuadraturePoint",
    "binomial_groups",
    "log_likelihood",
    "posterior_modes",
    "row_likelihood",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BinomialGroups:
    """The data of the model, rows sorted by group.

    Attributes
    ----------
    design : array, shape (rows, p)
    order : array of int, shape (rows,)
        Positions of the rows in the arrays given.
    outcome : array, shape (rows,)
        Share of successes, 0 to 1.
    trials : array, shape (rows,)
        Number of trials behind each row (a frequency weight).
    group : array of int, shape (rows,)
        Codes 0 to groups - 1, ascending.
    starts : array of int, shape (groups,)
        First row of each group.
    nodes, weights : arrays, shape (k,)
        Gauss-Hermite rule for the standard normal; the weights are logarithms and contain ``exp(z^2 / 2)``.
    """

    design: Floats
    outcome: Floats
    trials: Floats
    group: Ints
    starts: Ints
    nodes: Floats
    weights: Floats
    order: Ints

    def add(self, values: Floats) -> Floats:
        """Sum rows (first axis) within groups."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0), dtype=np.float64)

    @cached_property
    def constant(self) -> float:
        """Sum of the logarithms of the binomial coefficients; 0 for rows of zeros and ones."""
        from scipy.special import gammaln

        hits = self.trials * self.outcome
        return float((gammaln(self.trials + 1) - gammaln(hits + 1) - gammaln(self.trials - hits + 1)).sum())


def binomial_groups(
    *,
    design: Floats,
    outcome: Floats,
    group: Ints,
    trials: Floats | None = None,
    nodes: int = 15,
) -> BinomialGroups:
    """Sort the rows by group and lay out the quadrature rule.

    Parameters
    ----------
    design : array, shape (rows, p)
    outcome : array, shape (rows,)
        0 or 1, or a share of successes where `trials` are given.
    group : array of int, shape (rows,)
        Codes 0 to groups - 1, each of them present.
    trials : array, shape (rows,), optional
    nodes : int
        Number of quadrature points; 1 is Laplace.

    Returns
    -------
    BinomialGroups
    """
    if nodes < 1 or nodes > 101:
        raise ModelError("the number of quadrature points must lie between 1 and 101")
    order = np.argsort(group, kind="stable")
    sorted_group = group[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_group[1:] != sorted_group[:-1]]))
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    kept = weights > 0  # the outermost weights of long rules underflow
    points, weights = points[kept], weights[kept]
    size = np.ones(outcome.shape[0]) if trials is None else trials[order]
    log_weights = np.log(weights) - 0.5 * np.log(2.0 * np.pi) + 0.5 * points**2
    return BinomialGroups(design[order], outcome[order], size, sorted_group, starts, points, log_weights, order)


def posterior_modes(data: BinomialGroups, fixed: Floats, tau: float, start: Floats) -> tuple[Floats, Floats]:
    """Mode of each group's integrand and the curvature there, by Newton with halved steps; shapes (groups,)."""
    u = start
    value, slope, curvature = _integrand(data, fixed, tau, u)
    for _ in range(200):
        step = slope / curvature
        if np.max(np.abs(step)) < 1e-13 * (1.0 + np.max(np.abs(u))):
            break
        trial = u + step
        for _ in range(30):
            new, new_slope, new_curvature = _integrand(data, fixed, tau, trial)
            worse = new < value - 1e-12 * (1.0 + np.abs(value))
            if not worse.any():
                break
            step = np.where(worse, 0.5 * step, step)
            trial = u + step
        u, value, slope, curvature = trial, new, new_slope, new_curvature
    return u, curvature


def _integrand(data: BinomialGroups, fixed: Floats, tau: float, u: Floats) -> tuple[Floats, Floats, Floats]:
    """Logarithm of each group's integrand at `u`, its slope and its negated second derivative."""
    value, chance = row_likelihood(data, fixed + tau * u[data.group])
    parts = np.column_stack([value, data.trials * (data.outcome - chance), data.trials * chance * (1.0 - chance)])
    sums = data.add(parts)
    return sums[:, 0] - 0.5 * u * u, tau * sums[:, 1] - u, tau * tau * sums[:, 2] + 1.0


def row_likelihood(data: BinomialGroups, predictor: Floats) -> tuple[Floats, Floats]:
    """Log-likelihood of each row without the binomial coefficient, and the probability; no overflow at any size."""
    decay = np.exp(-np.abs(predictor))
    chance = np.where(predictor >= 0, 1.0, decay) / (1.0 + decay)
    softplus = np.maximum(predictor, 0.0) + np.log1p(decay)
    return data.trials * (data.outcome * predictor - softplus), chance


@dataclass(frozen=True)
class QuadraturePoint:
    """The quadrature log-likelihood at one value of the parameters.

    Attributes
    ----------
    value : float
        Without the binomial coefficients.
    row_scores : array, shape (rows,)
        Derivative in the linear predictor of each row; times the design it is the score of beta.
    tau_scores : array, shape (groups,)
        Derivative in tau of each group's part.
    gradient : array, shape (p + 1,)
        With respect to beta and tau.
    mode : array, shape (groups,)
    """

    value: float
    row_scores: Floats
    tau_scores: Floats
    gradient: Floats
    mode: Floats


def log_likelihood(data: BinomialGroups, beta: Floats, tau: float, start: Floats | None = None) -> QuadraturePoint:
    """Evaluate the quadrature log-likelihood and its exact gradient.

    Parameters
    ----------
    data : BinomialGroups
    beta : array, shape (p,)
    tau : float
        Positive.
    start : array, shape (groups,), optional
        Where to look for the modes first.

    Returns
    -------
    QuadraturePoint
    """
    fixed = data.design @ beta
    groups = data.starts.shape[0]
    mode, curvature = posterior_modes(data, fixed, tau, np.zeros(groups) if start is None else start)
    scale = 1.0 / np.sqrt(curvature)
    logs, slopes = np.empty((data.nodes.size, groups)), np.empty((data.nodes.size, groups))
    residuals = np.empty((data.nodes.size, data.outcome.size))
    for k, node in enumerate(data.nodes):
        u = mode + scale * node
        value, chance = row_likelihood(data, fixed + tau * u[data.group])
        residuals[k] = data.trials * (data.outcome - chance)
        logs[k] = data.add(value) - 0.5 * u * u + data.weights[k]
        slopes[k] = data.add(residuals[k])
    top = logs.max(axis=0)
    shares = np.exp(logs - top)
    total = shares.sum(axis=0)
    shares /= total
    marginal = float((np.log(total) + top + np.log(scale)).sum())
    by_row, by_group = _scores(data, fixed, tau, mode, scale, shares, slopes, residuals)
    gradient = np.concatenate([data.design.T @ by_row, [float(by_group.sum())]])
    return QuadraturePoint(marginal, by_row, by_group, gradient, mode)


def _scores(
    data: BinomialGroups,
    fixed: Floats,
    tau: float,
    mode: Floats,
    scale: Floats,
    shares: Floats,
    slopes: Floats,
    residuals: Floats,
) -> tuple[Floats, Floats]:
    """Scores by row and of tau by group; modes and scales move along, by the implicit functions."""
    _, chance = row_likelihood(data, fixed + tau * mode[data.group])
    spread = data.trials * chance * (1.0 - chance)
    skew = spread * (1.0 - 2.0 * chance)
    sums = data.add(np.column_stack([data.trials * (data.outcome - chance), spread, skew]))
    nodes = data.nodes[:, None]
    points = mode + scale * nodes
    inward = tau * slopes - points  # derivative of the log integrand in u at each node
    by_mode = (shares * inward).sum(axis=0)
    by_scale = (shares * inward * nodes).sum(axis=0) + 1.0 / scale
    # d scale = (scale^3 / 2) d(second derivative), and the mode moves by (mixed derivative) * scale^2.
    by_second = 0.5 * scale**3 * by_scale
    by_shift = (by_mode - by_second * tau**3 * sums[:, 2]) * scale**2
    row_weight = (shares[:, data.group] * residuals).sum(axis=0)
    row_weight -= (by_second * tau**2)[data.group] * skew + (by_shift * tau)[data.group] * spread
    tau_direct = (shares * slopes * points).sum(axis=0)
    tau_second = by_second * (-2.0 * tau * sums[:, 1] - tau**2 * mode * sums[:, 2])
    tau_shift = by_shift * (sums[:, 0] - tau * mode * sums[:, 1])
    return row_weight, tau_direct + tau_second + tau_shift
