r"""Logistic regression with a quadratic penalty whose strength is chosen without the group it predicts.

With standardised columns and the intercept unpenalised, :math:`\hat\beta_\lambda` minimises
:math:`-\ell(\beta) + \frac{\lambda}{2}\lVert\beta\rVert^2`. Without group g it moves, to first order, by
:math:`-H^{-1} s_g`, where :math:`H` is the penalised information and :math:`s_g` the score of the group (Giordano and
others 2019): one fit per strength gives the loss on groups left out, instead of one per strength and fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError

__all__ = ["STRENGTHS", "RidgeLogit", "fit_ridge_logit"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

# Weights of the penalty, from no say of the columns to hardly any penalty.
STRENGTHS: tuple[float, ...] = (1e4, 1e3, 300.0, 100.0, 30.0, 10.0, 1.0)
_MAX_STEPS = 100
# Squared lengths of steps in standard errors: where the minimum is reached, where it is near enough to choose the
# penalty by, and from where on the information is made anew.
_CONVERGED = 1e-16
_NEAR = 1e-8
_LONG = 1e-1


@dataclass(frozen=True)
class RidgeLogit:
    """A penalised logistic regression.

    Attributes
    ----------
    mean, scale : arrays of shape (k,)
        Of the columns; a column that does not vary has scale 1.
    intercept : float
    coefficients : array of shape (k,)
        Of the standardised columns.
    strength : float
        Weight of the penalty.
    losses : array of shape (number of strengths,)
        Mean logarithmic loss on groups left out, to first order.
    """

    mean: FloatArray
    scale: FloatArray
    intercept: float
    coefficients: FloatArray
    strength: float
    losses: FloatArray

    def linear_predictor(self, matrix: FloatArray) -> FloatArray:
        """Linear predictor of rows, shape (n,)."""
        return np.asarray(self.intercept + ((matrix - self.mean) / self.scale) @ self.coefficients)

    def predict_proba(self, matrix: FloatArray) -> FloatArray:
        """Probabilities of no event and of the event, shape (n, 2), as scikit-learn gives them."""
        from scipy.special import expit

        chance = expit(self.linear_predictor(matrix))
        return np.column_stack([1.0 - chance, chance])


def fit_ridge_logit(
    *,
    matrix: FloatArray,
    response: FloatArray,
    codes: IntArray,
    weights: FloatArray | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> RidgeLogit:
    """Fit a logistic regression whose quadratic penalty predicts groups left out best.

    Parameters
    ----------
    matrix : array of shape (n, k)
        Without intercept.
    response : array of shape (n,)
        Zero or one, both present.
    codes : integer array of shape (n,)
        Groups, from 0.
    weights : array of shape (n,), optional
    strengths : sequence of float
        From strong to weak; of equal losses the stronger penalty is taken.

    Returns
    -------
    RidgeLogit

    Raises
    ------
    ModelError
        If only one outcome occurs, or the iterations do not converge.

    References
    ----------
    Giordano, R., Stephenson, W., Liu, R., Jordan, M., Broderick, T. (2019). A Swiss army infinitesimal jackknife.
    Proceedings of AISTATS 22, 1139-1147.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(300, 2))
    >>> y = (x[:, 0] + rng.logistic(size=300) > 0).astype(float)
    >>> fit = fit_ridge_logit(matrix=x, response=y, codes=np.arange(300) % 30)
    >>> bool(fit.coefficients[0] > 4 * abs(fit.coefficients[1]))
    True
    """
    if response.min() == response.max():
        raise ModelError("both outcomes must occur")
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    weight = np.ones(len(response)) if weights is None else np.asarray(weights, dtype=np.float64)
    mean = matrix.mean(axis=0)
    scale = matrix.std(axis=0)
    scale = np.where(scale > 1e-10, scale, 1.0)
    x = np.column_stack([np.ones(len(matrix)), (matrix - mean) / scale])[order]
    y, w = response[order], weight[order]
    share = float(w @ y / w.sum())
    beta = np.zeros(x.shape[1])
    beta[0] = np.log(share / (1.0 - share))
    fits, losses = [], []
    for strength in strengths:
        beta, factor, residual, eta = _minimum(x, y, w, beta, strength, _NEAR)
        scores = np.add.reduceat(x * residual[:, None], starts, axis=0)
        moved = np.repeat(_solve(factor, scores.T).T, sizes, axis=0)
        left_out = eta - np.einsum("ij,ij->i", x, moved)
        fits.append(beta)
        losses.append(float(w @ (np.logaddexp(0.0, left_out) - y * left_out) / w.sum()))
    best = int(np.argmin(losses))
    chosen = _minimum(x, y, w, fits[best], strengths[best], _CONVERGED)[0]
    return RidgeLogit(mean, scale, float(chosen[0]), chosen[1:], float(strengths[best]), np.array(losses))


def _solve(factor: Any, right: FloatArray) -> FloatArray:
    """Solution of a system whose matrix has been factored."""
    from scipy.linalg import cho_solve

    return np.asarray(cho_solve(factor, right, check_finite=False))


def _minimum(
    x: FloatArray, y: FloatArray, w: FloatArray, beta: FloatArray, strength: float, small: float
) -> tuple[FloatArray, Any, FloatArray, FloatArray]:
    """Minimum at one strength of the penalty, with the factored information, residuals and linear predictor there.

    On the way the information is made anew only while steps are long: near the minimum that of the place before serves
    as well. What is returned is that of the minimum itself.
    """
    from scipy.linalg import cho_factor
    from scipy.special import expit

    penalty = np.full(x.shape[1], strength)
    penalty[0] = 0.0

    def factored(chance: FloatArray) -> Any:
        scaled = x * np.sqrt(w * chance * (1.0 - chance))[:, None]
        information = scaled.T @ scaled
        information[np.diag_indices_from(information)] += penalty
        return cho_factor(information, check_finite=False)

    factor: Any = None
    before = np.inf
    for _ in range(_MAX_STEPS):
        eta = x @ beta
        chance = expit(eta)
        residual = w * (y - chance)
        gradient = residual @ x - penalty * beta
        here = factor is None or before > _LONG
        if here:
            factor = factored(chance)
        step = _solve(factor, gradient)
        length = float(step @ gradient)
        if length < small:
            return beta, factor if here else factored(chance), residual, eta
        # A step that is hardly shorter than the one before asks for a new information.
        before = np.inf if length > 0.05 * before else length
        # The penalised likelihood is concave; steps from a fit at a stronger penalty stay short.
        beta = beta + step
    raise ModelError("the penalised likelihood could not be maximised")
