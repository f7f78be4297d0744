r"""Maximum likelihood for a multinomial logit, on arrays.

With causes :math:`1..m` against a reference, :math:`h_a = e^{x'\beta_a} / (1 + \sum_b e^{x'\beta_b})`. Newton's
method; the information has blocks :math:`\sum_i w_i h_a(\delta_{ab} - h_b) x_i x_i'`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import IntArray, ModelError, group_sums
from bipstudy.models.solving import BLOCK, inverse

__all__ = ["BlockScores", "MultinomialFit", "fit_multinomial", "multinomial_hazards"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

# Squared length of the next step in standard errors at which it is the last; Newton's method squares what is left.
CONVERGED = 1e-10
MAX_ITERATIONS = 60


@dataclass(frozen=True)
class BlockScores:
    """Scores of a model with several linear predictors over the same columns.

    Attributes
    ----------
    matrix : array of shape (n, k)
    factors : array of shape (n, m)
        Derivative of the log-likelihood by each linear predictor.
    free : boolean array of shape (m * k,)
        Parameters that have a finite estimate; the score of the others is zero.
    """

    matrix: FloatArray
    factors: FloatArray
    free: BoolArray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and parameters."""
        return self.matrix.shape[0], self.matrix.shape[1] * self.factors.shape[1]

    def by_group(self, codes: IntArray, groups: int) -> FloatArray:
        """Return sums within groups, shape (groups, m * k)."""
        parts = [
            group_sums(self.matrix, codes, groups, np.ascontiguousarray(self.factors[:, place]))
            for place in range(self.factors.shape[1])
        ]
        return np.where(self.free, np.hstack(parts), 0.0)

    def dense(self) -> FloatArray:
        """All rows, shape (n, m * k)."""
        whole = np.hstack([self.matrix * factor[:, None] for factor in self.factors.T])
        return np.where(self.free, whole, 0.0)


@dataclass(frozen=True)
class MultinomialFit:
    """Maximum of the likelihood.

    Attributes
    ----------
    beta : array of shape (m, k)
        Zero where `free` is false.
    covariance : array of shape (m * k, m * k)
        Inverse information, causes one after the other; zero rows and columns where `free` is false.
    factors : array of shape (n, m)
        Weight times (indicator of the cause minus its hazard).
    log_likelihood : float
    """

    beta: FloatArray
    covariance: FloatArray
    factors: FloatArray
    log_likelihood: float


def multinomial_hazards(matrix: FloatArray, beta: FloatArray, allowed: BoolArray) -> FloatArray:
    """Hazards of the causes, shape (n, m); zero where `allowed`, of the same shape, is false.

    Examples
    --------
    >>> import numpy as np
    >>> multinomial_hazards(np.ones((1, 1)), np.zeros((3, 1)), np.ones((1, 3), bool)).tolist()
    [[0.25, 0.25, 0.25]]
    """
    eta = np.where(allowed, matrix @ beta.T, -np.inf)
    top = np.maximum(eta.max(axis=1, initial=0.0), 0.0)
    odds = np.exp(eta - top[:, None])
    return np.asarray(odds / (np.exp(-top) + odds.sum(axis=1))[:, None])


def fit_multinomial(
    *,
    matrix: FloatArray,
    cause: IntArray,
    causes: int,
    weights: FloatArray | None = None,
    allowed: BoolArray | None = None,
    free: BoolArray | None = None,
) -> MultinomialFit:
    """Maximise the likelihood of a multinomial logit.

    Parameters
    ----------
    matrix : array of shape (n, k), C order
    cause : integer array of shape (n,)
        0 for the reference, else 1 to `causes`.
    causes : int
        m
    weights : array of shape (n,), optional
    allowed : boolean array of shape (n, m), optional
        False where a cause has hazard zero.
    free : boolean array of shape (m * k,), optional
        False for parameters that stay zero.

    Returns
    -------
    MultinomialFit

    Raises
    ------
    ModelError
        If the information is singular or the iterations do not converge.
    """
    rows, k = matrix.shape
    allowed = np.ones((rows, causes), dtype=bool) if allowed is None else allowed
    free = np.ones(causes * k, dtype=bool) if free is None else free
    indicator = cause[:, None] == np.arange(1, causes + 1)
    beta = np.zeros((causes, k))
    value = -np.inf
    step = np.zeros(causes * k)
    last = False
    for _ in range(MAX_ITERATIONS):
        for _ in range(40):
            candidate = beta + step.reshape(causes, k)
            hazards = multinomial_hazards(matrix, candidate, allowed)
            fresh = _log_likelihood(hazards, indicator, weights)
            if fresh >= value - 1e-12 * (1.0 + abs(value)):
                break
            step = 0.5 * step
        beta, value = candidate, fresh
        factors = indicator - hazards
        factors = factors if weights is None else factors * weights[:, None]
        if last:
            covariance = np.zeros((len(free), len(free)))
            covariance[np.ix_(free, free)] = inverse(_information(matrix, hazards, weights)[np.ix_(free, free)])
            return MultinomialFit(beta, covariance, factors, value)
        gradient = (factors.T @ matrix).ravel()
        information = _information(matrix, hazards, weights)
        step = np.zeros(causes * k)
        step[free] = inverse(information[np.ix_(free, free)]) @ gradient[free]
        last = float(step @ gradient) < CONVERGED
        # A step worth nothing that still moves a hazard by a tenth on the log scale goes to infinity.
        if last and np.abs(matrix @ step.reshape(causes, k).T).max() > 0.1:
            break
    raise ModelError(
        "the likelihood has no finite maximum: some combination of terms separates a cause from the other rows; "
        "a reference level without events of a cause is the usual reason"
    )


def _log_likelihood(hazards: FloatArray, indicator: BoolArray, weights: FloatArray | None) -> float:
    """Weighted log-likelihood."""
    own = np.where(indicator.any(axis=1), (hazards * indicator).sum(axis=1), 1.0 - hazards.sum(axis=1))
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(own, 0.0))
    return float(logs.sum() if weights is None else weights @ logs)


def _information(matrix: FloatArray, hazards: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Information, shape (m * k, m * k), by blocks of rows."""
    k, causes = matrix.shape[1], hazards.shape[1]
    total = np.zeros((causes * k, causes * k))
    for start in range(0, len(matrix), BLOCK):
        part, hazard = matrix[start : start + BLOCK], hazards[start : start + BLOCK]
        weight = np.ones(len(part)) if weights is None else weights[start : start + BLOCK]
        for a in range(causes):
            for b in range(a, causes):
                curvature = weight * hazard[:, a] * ((a == b) - hazard[:, b])
                total[a * k : (a + 1) * k, b * k : (b + 1) * k] += part.T @ (part * curvature[:, None])
    upper = np.triu(total)
    for a in range(causes):
        for b in range(a + 1, causes):
            block = total[a * k : (a + 1) * k, b * k : (b + 1) * k]
            upper[a * k : (a + 1) * k, b * k : (b + 1) * k] = block
    return upper + np.triu(upper, 1).T
