"""Intervals and errors of the variance components of a linear model with one random intercept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bipstudy.models.mixed_linear import GroupMoments, LinearIntercept, given_columns, profile

__all__ = ["deviation_errors", "profile_intervals", "satterthwaite"]

Floats = npt.NDArray[np.float64]

# Relative tolerance of where a criterion is least; the criterion itself is then known to about the square of it.
_FLAT = 1e-7


def profile_intervals(moments: GroupMoments, fit: LinearIntercept, *, level: float = 0.95) -> Floats:
    """Profile-likelihood intervals of the two standard deviations and of the intraclass correlation.

    Parameters
    ----------
    moments : GroupMoments
    fit : LinearIntercept
    level : float

    Returns
    -------
    array, shape (3, 2)
        Rows: tau, sigma, ``tau^2 / (tau^2 + sigma^2)``; columns: lower and upper end. An end on the boundary is 0.
    """
    from scipy.stats import chi2

    allowed = float(chi2.ppf(level, 1))

    def excess_ratio(log_ratio: float) -> float:
        return profile(moments, float(np.exp(log_ratio)), reml=fit.reml).criterion - fit.criterion - allowed

    def excess_tau(log_tau: float) -> float:
        return _given_tau(moments, fit, log_tau) - fit.criterion - allowed

    def excess_sigma(log_sigma: float) -> float:
        return _given_sigma(moments, fit, log_sigma) - fit.criterion - allowed

    typical = 1.0 / float(np.median(moments.mass))
    spread = fit.sigma * np.sqrt(typical)
    ratio = _ends(excess_ratio, np.log(max(fit.ratio, 1e-3 * typical)), np.log(1e-10 * typical))
    tau = _ends(excess_tau, np.log(max(fit.tau, 0.03 * spread)), np.log(1e-5 * spread))
    sigma = _ends(excess_sigma, np.log(fit.sigma), -np.inf)
    share = np.exp(ratio) / (1.0 + np.exp(ratio))
    return np.vstack([np.exp(tau), np.exp(sigma), share])


def _ends(excess: Callable[[float], float], centre: float, floor: float) -> Floats:
    """Step away from `centre` until the criterion is exceeded, then find the crossing; -inf at the floor."""
    from scipy.optimize import brentq

    ends = []
    for direction in (-1.0, 1.0):
        step, inner = 0.1, centre
        while True:
            outer = inner + direction * step
            if direction < 0 and outer <= floor:
                ends.append(-np.inf)
                break
            if excess(outer) > 0:
                ends.append(float(brentq(excess, min(inner, outer), max(inner, outer), xtol=1e-10)))
                break
            inner, step = outer, step * 1.5
    return np.array(ends)


def _free_criterion(moments: GroupMoments, reml: bool, ratio: float, variance: float) -> float:
    """Minus twice the log-likelihood with the residual variance not profiled out."""
    point = profile(moments, ratio, reml=reml)
    free = moments.rows - (moments.within.shape[0] - 1 if reml else 0)
    return float(free * np.log(2.0 * np.pi * variance) + point.residual / variance + point.log_determinant)


def _given_tau(moments: GroupMoments, fit: LinearIntercept, log_tau: float) -> float:
    """Smallest criterion with tau fixed."""
    from scipy.optimize import minimize_scalar

    tau_squared = float(np.exp(2.0 * log_tau))

    def at(log_variance: float) -> float:
        variance = float(np.exp(log_variance))
        return _free_criterion(moments, fit.reml, tau_squared / variance, variance)

    centre = 2.0 * np.log(fit.sigma)
    return float(minimize_scalar(at, bracket=(centre - 0.1, centre + 0.1), tol=_FLAT).fun)


def _given_sigma(moments: GroupMoments, fit: LinearIntercept, log_sigma: float) -> float:
    """Smallest criterion with sigma fixed, the boundary tau = 0 included."""
    from scipy.optimize import minimize_scalar

    variance = float(np.exp(2.0 * log_sigma))

    def at(root_ratio: float) -> float:
        return _free_criterion(moments, fit.reml, root_ratio * root_ratio, variance)

    centre = np.sqrt(max(fit.ratio, 1e-3 / float(np.median(moments.mass))))
    found = minimize_scalar(at, bracket=(0.5 * centre, 2.0 * centre), tol=_FLAT)
    return min(float(found.fun), at(0.0))


def deviation_errors(moments: GroupMoments, fit: LinearIntercept) -> Floats:
    """Give standard errors of tau, sigma and the intraclass correlation from the observed information.

    Parameters
    ----------
    moments : GroupMoments
    fit : LinearIntercept

    Returns
    -------
    array, shape (3,)
        Missing on the boundary, where the likelihood has no quadratic top.
    """
    if fit.ratio == 0.0:
        return np.full(3, np.nan)
    covariance = _log_covariance(moments, fit)
    share = fit.ratio / (1.0 + fit.ratio)
    slope = 2.0 * share * (1.0 - share) * np.array([1.0, -1.0])
    errors = [fit.tau**2 * covariance[0, 0], fit.sigma**2 * covariance[1, 1], slope @ covariance @ slope]
    return np.asarray(np.sqrt(np.array(errors)), dtype=np.float64)


def _log_covariance(moments: GroupMoments, fit: LinearIntercept) -> Floats:
    """Covariance of the logarithms of tau and sigma, from the observed information."""
    step = 1e-3

    def at(log_tau: float, log_sigma: float) -> float:
        ratio, variance = float(np.exp(2.0 * (log_tau - log_sigma))), float(np.exp(2.0 * log_sigma))
        return 0.5 * _free_criterion(moments, fit.reml, ratio, variance)

    t, s = np.log(fit.tau), np.log(fit.sigma)
    here = at(t, s)
    tt = (at(t + step, s) - 2.0 * here + at(t - step, s)) / step**2
    ss = (at(t, s + step) - 2.0 * here + at(t, s - step)) / step**2
    ts = (at(t + step, s + step) - at(t + step, s - step) - at(t - step, s + step) + at(t - step, s - step)) / (
        4 * step**2
    )
    return np.asarray(np.linalg.inv(np.array([[tt, ts], [ts, ss]])), dtype=np.float64)


def satterthwaite(moments: GroupMoments, fit: LinearIntercept) -> Floats:
    r"""Give degrees of freedom of each coefficient by Satterthwaite's method.

    :math:`2 v_j^2 / (g_j' A g_j)` with :math:`v_j` the squared error of coefficient j as a function of the variance
    parameters, :math:`g_j` its gradient and A the covariance of their estimates (Giesbrecht and Burns 1985).

    Parameters
    ----------
    moments : GroupMoments
    fit : LinearIntercept

    Returns
    -------
    array, shape (p,)
        Rows less coefficients on the boundary, where the model is that of least squares.

    References
    ----------
    Giesbrecht, F. G. and Burns, J. C. (1985). Two-stage analysis based on a mixed model. Biometrics 41, 477-486.
    """
    if fit.ratio == 0.0:
        return np.full(fit.coefficients.size, moments.rows - fit.coefficients.size)
    step = 1e-4
    logs = np.log(np.array([fit.tau, fit.sigma]))
    gradient = np.empty((2, fit.coefficients.size))
    for axis in range(2):
        move = step * (np.arange(2) == axis)
        up, down = (_squared_errors(moments, fit, logs + sign * move) for sign in (1.0, -1.0))
        gradient[axis] = (up - down) / (2.0 * step)
    spread = np.einsum("ij,ik,kj->j", gradient, _log_covariance(moments, fit), gradient)
    return np.asarray(2.0 * np.diag(fit.covariance) ** 2 / spread, dtype=np.float64)


def _squared_errors(moments: GroupMoments, fit: LinearIntercept, logs: Floats) -> Floats:
    """Squared errors of the coefficients at other variance parameters."""
    ratio, variance = float(np.exp(2.0 * (logs[0] - logs[1]))), float(np.exp(2.0 * logs[1]))
    inverse = given_columns(moments, profile(moments, ratio, reml=fit.reml))[1]
    return np.asarray(variance * np.diag(inverse), dtype=np.float64)
