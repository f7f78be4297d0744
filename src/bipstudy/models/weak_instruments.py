r"""Are the instruments strong enough, and what can be said if they are not.

With orthonormal instruments (exogenous terms taken out), :math:`\hat\pi` the first stage, :math:`\hat\delta` the
reduced form and V their robust covariance:

* effective F (Montiel Olea and Pflueger 2013): :math:`\hat\pi'\hat\pi / \mathrm{tr}\,V_{\pi\pi}`, to be held against
  critical values for a worst-case bias of a share tau of the least-squares bias;
* Anderson and Rubin's statistic of :math:`\beta = b`, valid whatever the strength:
  :math:`(\hat\delta - b\hat\pi)' V(b)^{-1} (\hat\delta - b\hat\pi) / k`,
  :math:`V(b) = V_{\delta\delta} - b (V_{\delta\pi} + V_{\pi\delta}) + b^2 V_{\pi\pi}`.
  The values b that it does not reject are an interval, the whole line, a line with a hole, or nothing.

References
----------
Montiel Olea, J. L. and Pflueger, C. (2013). A robust test for weak instruments. Journal of Business & Economic
Statistics 31, 358-369 (section 2.3, simplified critical values). Anderson, T. W. and Rubin, H. (1949). Estimation of
the parameters of a single equation. Annals of Mathematical Statistics 20, 46-63.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ReducedForms", "anderson_rubin", "anderson_rubin_set", "effective_f", "effective_f_critical"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReducedForms:
    """Outcome and one treatment on orthonormal instruments.

    Attributes
    ----------
    outcome, treatment : arrays, shape (k,)
    covariance : array, shape (2 k, 2 k)
        Of outcome and treatment together, outcome first.
    degrees : float
        Denominator degrees of freedom; infinite for chi-square.
    """

    outcome: FloatArray
    treatment: FloatArray
    covariance: FloatArray
    degrees: float


def effective_f(forms: ReducedForms) -> float:
    """Give the effective F statistic.

    Parameters
    ----------
    forms : ReducedForms

    Returns
    -------
    float
    """
    k = forms.treatment.size
    return float(forms.treatment @ forms.treatment / np.trace(forms.covariance[k:, k:]))


def effective_f_critical(covariance: FloatArray, share: float = 0.10, level: float = 0.05) -> float:
    """Give the simplified critical value of the effective F for two-stage least squares.

    Parameters
    ----------
    covariance : array, shape (k, k)
        Of the first-stage coefficients of orthonormal instruments.
    share : float
        Largest bias that is tolerated, as a share of the worst case.
    level : float
        Size of the test.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> round(effective_f_critical(np.eye(1)), 2), round(effective_f_critical(np.eye(1), share=0.05), 2)
    (23.11, 37.42)
    """
    from scipy.stats import ncx2

    bound = 1.0 / share
    trace, largest = float(np.trace(covariance)), float(np.linalg.eigvalsh(covariance)[-1])
    effective = trace**2 * (1.0 + 2.0 * bound) / ((covariance**2).sum() + 2.0 * bound * trace * largest)
    return float(ncx2.ppf(1.0 - level, effective, bound * effective) / effective)


def anderson_rubin(forms: ReducedForms, value: float) -> tuple[float, float]:
    """Test that the coefficient of the treatment is `value`.

    Parameters
    ----------
    forms : ReducedForms
    value : float

    Returns
    -------
    statistic : float
        F with k and `degrees` degrees of freedom, or chi-square over k.
    p_value : float
    """
    from scipy.special import chdtrc, fdtrc

    k = forms.outcome.size
    statistic = float(_statistics(forms, np.array([1.0]), np.array([value]))[0])
    if np.isfinite(forms.degrees):
        return statistic, float(fdtrc(k, forms.degrees, statistic))
    return statistic, float(chdtrc(k, k * statistic))


def _statistics(forms: ReducedForms, along: FloatArray, across: FloatArray) -> FloatArray:
    """Statistic of ``across / along`` for many points, so that infinity is one of them (along = 0)."""
    k = forms.outcome.size
    v = forms.covariance
    gap = along[:, None] * forms.outcome - across[:, None] * forms.treatment
    mixed = v[:k, k:] + v[k:, :k]
    matrix = (
        (along**2)[:, None, None] * v[:k, :k]
        - (along * across)[:, None, None] * mixed
        + (across**2)[:, None, None] * v[k:, k:]
    )
    solved = np.linalg.solve(matrix, gap[:, :, None])[:, :, 0]
    return np.asarray((gap * solved).sum(axis=1) / k, dtype=np.float64)


def anderson_rubin_set(
    forms: ReducedForms, *, centre: float, scale: float, level: float = 0.95, points: int = 4000
) -> list[tuple[float, float]]:
    """Find the values that the test does not reject.

    The line is closed to a circle, searched on a grid that is fine near `centre`, and every crossing found to the
    last digits.

    Parameters
    ----------
    forms : ReducedForms
    centre, scale : float
        Where the grid is fine: an estimate and its error.
    level : float
    points : int

    Returns
    -------
    list of (low, high)
        In ascending order; ends may be infinite; empty if every value is rejected (the instruments contradict each
        other).
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri, fdtri

    k = forms.outcome.size
    limit = float(fdtri(k, forms.degrees, level) if np.isfinite(forms.degrees) else chdtri(k, 1.0 - level) / k)

    def excess(angle: float) -> float:
        along, across = np.cos(angle), centre * np.cos(angle) + scale * np.sin(angle)
        return float(_statistics(forms, np.array([along]), np.array([across]))[0]) - limit

    angles = np.linspace(-0.5 * np.pi, 0.5 * np.pi, points + 1)
    across = centre * np.cos(angles) + scale * np.sin(angles)
    inside = _statistics(forms, np.cos(angles), across) <= limit
    crossings = [
        float(brentq(excess, angles[place], angles[place + 1], xtol=1e-14))
        for place in np.flatnonzero(inside[1:] != inside[:-1])
    ]
    values = [centre + scale * np.tan(angle) for angle in crossings]
    edges = [-np.inf, *values, np.inf] if inside[0] else values
    return [(float(edges[place]), float(edges[place + 1])) for place in range(0, len(edges) - 1, 2)]
