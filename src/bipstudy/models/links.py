"""Links of a binary response: hazards, and derivatives of the log-likelihood by the linear predictor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Link", "RowDerivatives", "hazard", "row_derivatives"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
Link = Literal["cloglog", "logit"]

# A linear predictor beyond this is a probability of 0 or 1 to machine precision.
ETA_LIMIT = 30.0


@dataclass(frozen=True)
class RowDerivatives:
    """Log-likelihood of each row and its derivatives by the linear predictor.

    Attributes
    ----------
    value, slope, observed, expected : arrays of shape (n,)
        Log-likelihood, first derivative, minus the second derivative, and the expectation of the latter.
    """

    value: FloatArray
    slope: FloatArray
    observed: FloatArray
    expected: FloatArray


def hazard(eta: FloatArray, link: Link) -> FloatArray:
    """Probability of the event for a linear predictor.

    Examples
    --------
    >>> import numpy as np
    >>> hazard(np.array([0.0]), "logit").item(), round(hazard(np.array([0.0]), "cloglog").item(), 6)
    (0.5, 0.632121)
    """
    if link == "logit":
        from scipy.special import expit

        return np.asarray(expit(eta))
    with np.errstate(over="ignore"):
        return np.asarray(-np.expm1(-np.exp(eta)))


def row_derivatives(eta: FloatArray, response: FloatArray, link: Link) -> RowDerivatives:
    r"""Log-likelihood of rows and derivatives by the linear predictor, without weights.

    For the complementary log-log link with :math:`\lambda = e^\eta` and :math:`h = 1-e^{-\lambda}`: slope
    :math:`\lambda(y/h - 1)`, expected information :math:`\lambda^2(1-h)/h`, observed information
    :math:`\lambda - y\,(\lambda/h)\,(1 - \lambda(1-h)/h)`.

    Parameters
    ----------
    eta, response : arrays of shape (n,)
    link : {"cloglog", "logit"}

    Returns
    -------
    RowDerivatives
    """
    if link == "logit":
        from scipy.special import expit

        probability = expit(eta)
        value = response * eta - np.logaddexp(0.0, eta)
        information = probability * (1.0 - probability)
        return RowDerivatives(value, response - probability, information, information)
    eta = np.clip(eta, -700.0, ETA_LIMIT)
    rate = np.exp(eta)
    survival = np.exp(-rate)
    event = -np.expm1(-rate)
    ratio = rate / event
    odds = ratio * survival
    value = response * np.log(event) - (1.0 - response) * rate
    slope = response * ratio - rate
    # Never negative, but by rounding where an event had almost no chance.
    observed = np.maximum(rate - response * ratio * (1.0 - odds), 0.0)
    return RowDerivatives(value, slope, observed, rate * odds)
