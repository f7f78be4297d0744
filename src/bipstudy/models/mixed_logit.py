"""Logit with one random intercept, by maximum likelihood over adaptive Gauss-Hermite quadrature.

The likelihood and its exact gradient are in `bipstudy.models.quadrature`; here the maximum is found on a scale where
the information is near the unit matrix, and the boundary of no spread between groups is recognised.

References
----------
Self, S. G. and Liang, K.-Y. (1987). Asymptotic properties of maximum likelihood estimators and likelihood ratio tests
under nonstandard conditions. JASA 82, 605-610 (the boundary test).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bipstudy.models.covariance import ModelError
from bipstudy.models.quadrature import BinomialGroups, log_likelihood, posterior_modes, row_likelihood

__all__ = ["LogitIntercept", "fit_logit_intercept"]

Floats = npt.NDArray[np.float64]

_SMALLEST_TAU = 1e-4  # below this the criterion is flat to the last digit: the boundary is reported instead
_LARGEST_COEFFICIENT = 25.0  # on the whitened scale: a probability of 1e-11, which only separation asks for


@dataclass(frozen=True)
class LogitIntercept:
    """The fitted model.

    Attributes
    ----------
    coefficients : array, shape (p,)
        Log odds ratios within a group.
    covariance : array, shape (p + 1, p + 1)
        Inverse observed information of (beta, tau); the last row and column are nan on the boundary.
    tau : float
        Standard deviation of the intercepts on the logit scale.
    criterion : float
        Minus twice the log-likelihood, binomial coefficients included.
    without : float
        The same without the random intercept.
    effects : array, shape (groups,)
        Conditional modes, ``tau u``.
    conditional_error : array, shape (groups,)
        From the curvature at the mode, parameters taken as known.
    row_scores : array, shape (rows,)
        Derivative of the log-likelihood in the linear predictor, rows as in `BinomialGroups`.
    tau_scores : array, shape (groups,)
    gradient : array, shape (p + 1,)
        Of the log-likelihood at the solution, on the scale of the whitened parameters: a convergence check.
    evaluations : int
    """

    coefficients: Floats
    covariance: Floats
    tau: float
    criterion: float
    without: float
    effects: Floats
    conditional_error: Floats
    row_scores: Floats
    tau_scores: Floats
    gradient: Floats
    evaluations: int


def _plain_logit(data: BinomialGroups) -> tuple[Floats, Floats, float]:
    """Logit without the intercepts, by Newton: coefficients, information, log-likelihood."""
    beta = np.zeros(data.design.shape[1])
    value = -np.inf
    for _ in range(60):
        logs, chance = row_likelihood(data, data.design @ beta)
        information = (data.design * (data.trials * chance * (1 - chance))[:, None]).T @ data.design
        previous, value = value, float(logs.sum())
        if value - previous < 1e-12 * (1.0 + abs(value)):
            break
        try:
            beta = beta + np.linalg.solve(information, data.design.T @ (data.trials * (data.outcome - chance)))
        except np.linalg.LinAlgError:
            break
    if np.max(np.abs(data.design @ beta)) > _LARGEST_COEFFICIENT:
        raise ModelError(
            "the outcome is separated: a combination of the regressors tells zeros from ones without error"
        )
    return beta, information, value


class _Whitened:
    """The criterion in parameters whose information is near the unit matrix, for a quasi-Newton method."""

    def __init__(self, data: BinomialGroups, centre: Floats, information: Floats) -> None:
        self.data = data
        self.centre = centre
        self.map = np.linalg.inv(np.linalg.cholesky(information)).T
        self.mode: Floats | None = None
        self.evaluations = 0

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        tau = float(np.exp(parameters[-1]))
        beta = self.centre + self.map @ parameters[:-1]
        point = log_likelihood(self.data, beta, tau, self.mode)
        self.mode = point.mode
        self.evaluations += 1
        return -point.value, -np.concatenate([self.map.T @ point.gradient[:-1], [tau * point.gradient[-1]]])


def _information(target: _Whitened, parameters: Floats) -> Floats:
    """Hessian of minus the log-likelihood by central differences of the exact gradient (fourth order)."""
    step = 1e-3
    rows = []
    for axis in range(parameters.size):
        move = np.zeros(parameters.size)
        move[axis] = step
        near = target(parameters + move)[1] - target(parameters - move)[1]
        far = target(parameters + 2 * move)[1] - target(parameters - 2 * move)[1]
        rows.append((8.0 * near - far) / (12.0 * step))
    hessian = np.array(rows)
    return 0.5 * (hessian + hessian.T)


def fit_logit_intercept(data: BinomialGroups) -> LogitIntercept:
    """Fit the logit with one random intercept.

    Parameters
    ----------
    data : BinomialGroups
        From `binomial_groups`. The design must have full column rank.

    Returns
    -------
    LogitIntercept

    Raises
    ------
    ModelError
        On separation, or if the maximum is not found to a relative gradient of 1e-6.

    Examples
    --------
    >>> import numpy as np
    >>> from bipstudy.models.quadrature import binomial_groups
    >>> hits = np.array([0.1, 0.3, 0.8, 0.6])
    >>> data = binomial_groups(design=np.ones((4, 1)), outcome=hits, group=np.arange(4), trials=np.full(4, 10.0))
    >>> fit = fit_logit_intercept(data)
    >>> round(float(fit.coefficients[0]), 2), round(fit.tau, 2)
    (-0.26, 1.11)
    """
    if data.starts.size < 2:
        raise ModelError("a random intercept needs at least two groups")
    centre, information, plain = _plain_logit(data)
    target = _Whitened(data, centre, information)
    parameters = _climb(target)
    tau = float(np.exp(parameters[-1]))
    value = -target(parameters)[0]
    constant, size = data.constant, centre.size
    if tau < _SMALLEST_TAU or value < plain + 1e-10:
        return _boundary(data, centre, information, plain, target.evaluations)
    gradient = target(parameters)[1]
    jacobian = np.zeros((size + 1, size + 1))
    jacobian[:-1, :-1] = target.map
    jacobian[-1, -1] = tau
    covariance = jacobian @ np.linalg.inv(_information(target, parameters)) @ jacobian.T
    beta = centre + target.map @ parameters[:-1]
    point = log_likelihood(data, beta, tau)
    mode, curvature = posterior_modes(data, data.design @ beta, tau, point.mode)
    return LogitIntercept(
        coefficients=beta,
        covariance=covariance,
        tau=tau,
        criterion=-2.0 * (value + constant),
        without=-2.0 * (plain + constant),
        effects=tau * mode,
        conditional_error=tau / np.sqrt(curvature),
        row_scores=point.row_scores,
        tau_scores=point.tau_scores,
        gradient=-gradient,
        evaluations=target.evaluations,
    )


def _boundary(
    data: BinomialGroups, beta: Floats, information: Floats, plain: float, evaluations: int
) -> LogitIntercept:
    """Give the fit without spread between groups, in the same shape."""
    size, nothing = beta.size, np.zeros(data.starts.size)
    covariance = np.full((size + 1, size + 1), np.nan)
    covariance[:-1, :-1] = np.linalg.inv(information)
    criterion = -2.0 * (plain + data.constant)
    _, chance = row_likelihood(data, data.design @ beta)
    return LogitIntercept(
        coefficients=beta,
        covariance=covariance,
        tau=0.0,
        criterion=criterion,
        without=criterion,
        effects=nothing,
        conditional_error=nothing,
        row_scores=data.trials * (data.outcome - chance),
        tau_scores=nothing,
        gradient=np.zeros(size + 1),
        evaluations=evaluations,
    )


def _climb(target: _Whitened) -> Floats:
    """Maximise by BFGS, then Newton steps until the gradient is nothing; the whitened parameters."""
    from scipy.optimize import minimize

    start = np.zeros(target.centre.size + 1)
    start[-1] = np.log(0.5)
    found = minimize(target, start, jac=True, method="BFGS", options={"gtol": 1e-5, "maxiter": 500})
    parameters = np.asarray(found.x, dtype=np.float64)
    if np.exp(parameters[-1]) < _SMALLEST_TAU:
        return parameters
    for _ in range(20):
        value, gradient = target(parameters)
        if np.max(np.abs(gradient)) < 1e-8:
            break
        hessian = _information(target, parameters)
        root = np.linalg.eigvalsh(hessian)[0]
        if root <= 0:
            hessian = hessian + (1e-3 - root) * np.eye(parameters.size)
        step = np.linalg.solve(hessian, gradient)
        for _ in range(30):
            if target(parameters - step)[0] <= value + 1e-10 * abs(value):
                break
            step = 0.5 * step
        parameters = parameters - step
        if np.max(np.abs(step)) < 1e-9 or np.exp(parameters[-1]) < _SMALLEST_TAU:
            break
    value, gradient = target(parameters)
    if np.exp(parameters[-1]) > _SMALLEST_TAU and np.max(np.abs(gradient)) > 1e-4:
        raise ModelError(
            "the random-intercept logit did not converge; a regressor may separate the outcome within groups"
        )
    return parameters
