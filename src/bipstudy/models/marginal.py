"""Average marginal effects and adjusted survival curves of discrete hazards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError
from bipstudy.models.design import Weights
from bipstudy.models.estimates import Errors, Estimates, Fit
from bipstudy.models.hazard import HazardFit
from bipstudy.models.links import hazard
from bipstudy.models.separation import limit_eta
from bipstudy.models.standardised import (
    Values,
    exposure_settings,
    predict_risk,
    risk_covariance,
    row_weights,
    set_exposure,
)
from bipstudy.models.tidy import critical_value

__all__ = ["StandardisedCurves", "average_marginal_effects", "standardised_curves"]

FloatArray: TypeAlias = npt.NDArray[np.float64]


def average_marginal_effects(
    fit: HazardFit, frame: pd.DataFrame, variables: Sequence[str], *, weights: Weights = None
) -> Estimates:
    r"""Average change of the hazard per unit of numeric variables, over the rows of `frame` as they are.

    :math:`\frac{1}{n}\sum_i \partial h(x_i) / \partial z_i` for each variable z, through every term that holds it
    (interactions, powers); the derivative of the design matrix is a central difference. Errors by the delta method
    from the covariance of the fit, rows held fixed. For a variable of two values use `standardised_risk`.

    Parameters
    ----------
    fit : HazardFit
    frame : DataFrame
    variables : sequence of str
        Numeric columns.
    weights : str or array of shape (rows,), optional

    Returns
    -------
    Estimates

    Raises
    ------
    ModelError
        If a variable is not numeric.

    Examples
    --------
    >>> import pandas as pd
    >>> from bipstudy import models
    >>> frame = pd.DataFrame({"y": [0, 1, 0, 0, 1, 0, 1, 1], "x": [0.0, 1, 2, 0, 3, 1, 2, 4]})
    >>> fit = models.discrete_hazard(frame, "y ~ x", link="logit")
    >>> round(average_marginal_effects(fit, frame, ["x"]).estimates.item(), 3)
    0.222
    """
    weight = row_weights(frame, weights)
    matrix = fit.design.matrix(frame)
    eta = limit_eta(matrix, fit.estimates, fit.directions)
    slope, bend = _hazard_derivatives(eta, fit)
    effects, jacobian = [], []
    for name in variables:
        if name not in frame.columns or not pd.api.types.is_numeric_dtype(frame[name]):
            raise ModelError(f"{name!r} must be a numeric column of the frame")
        column = frame[name].astype(float)
        step = 1e-4 * max(float(column.std(ddof=0)), 1e-12)
        up, down = (fit.design.matrix(frame.assign(**{name: column + move})) for move in (step, -step))
        change = (up - down) / (2.0 * step)
        moved = change @ fit.estimates
        effects.append(float(weight @ (slope * moved)))
        jacobian.append((weight * bend * moved) @ matrix + (weight * slope) @ change)
    gradient = np.array(jacobian)
    errors = replace(fit.errors, text=f"{fit.errors.text}; delta method, rows held fixed")
    return Estimates(
        terms=tuple(variables),
        estimates=np.array(effects),
        covariance=gradient @ fit.covariance @ gradient.T,
        errors=errors,
        notes=fit.notes,
    )


def _hazard_derivatives(eta: FloatArray, fit: HazardFit) -> tuple[FloatArray, FloatArray]:
    """First and second derivative of the hazard by the linear predictor; zero where it is infinite."""
    finite = np.isfinite(eta)
    safe = np.where(finite, np.minimum(eta, 30.0), 0.0)
    if fit.link == "logit":
        probability = hazard(safe, "logit")
        slope = probability * (1.0 - probability)
        bend = slope * (1.0 - 2.0 * probability)
    else:
        rate = np.exp(safe)
        slope = rate * np.exp(-rate)
        bend = slope * (1.0 - rate)
    return np.where(finite, slope, 0.0), np.where(finite, bend, 0.0)


@dataclass(frozen=True)
class StandardisedCurves:
    """Risk or survival by period with the exposure set to each value.

    Attributes
    ----------
    labels : tuple of str
    times : tuple of int
    risk : array of shape (values, periods)
    covariance : array of shape (values * periods, values * periods)
    errors : Errors
    """

    labels: tuple[str, ...]
    times: tuple[int, ...]
    risk: FloatArray
    covariance: FloatArray
    errors: Errors

    def tidy(self, level: float = 0.95, *, kind: Literal["survival", "risk"] = "survival") -> pd.DataFrame:
        """One row per value and period, period 0 first.

        Parameters
        ----------
        level : float, default 0.95
        kind : {"survival", "risk"}

        Returns
        -------
        DataFrame
            Columns ``time, group, estimate, std_error, conf_low, conf_high``; intervals are made on the scale of the
            complementary log-log of the risk, so they stay between 0 and 1.
        """
        values, periods = self.risk.shape
        errors = np.sqrt(np.maximum(np.diag(self.covariance), 0.0)).reshape(values, periods)
        risk = np.column_stack([np.zeros(values), self.risk])
        spread = np.column_stack([np.zeros(values), errors])
        half = float(critical_value(level, self.errors.degrees))
        with np.errstate(divide="ignore", invalid="ignore"):
            cumulated = -np.log1p(-risk)
            # Standard error of log(-log(1 - risk)).
            width = half * spread / ((1.0 - risk) * cumulated)
            low, high = (-np.expm1(-cumulated * np.exp(side * width)) for side in (-1.0, 1.0))
        low, high = np.where(np.isfinite(width), low, risk), np.where(np.isfinite(width), high, risk)
        flip = kind == "survival"
        return pd.DataFrame(
            {
                "time": np.tile([0, *self.times], values),
                "group": np.repeat(list(self.labels), periods + 1),
                "estimate": (1.0 - risk if flip else risk).ravel(),
                "std_error": spread.ravel(),
                "conf_low": (1.0 - high if flip else low).ravel(),
                "conf_high": (1.0 - low if flip else high).ravel(),
            }
        )


def standardised_curves(
    fit: Fit,
    frame: pd.DataFrame,
    exposure: str | None = None,
    values: Values = (0, 1),
    horizon: int = 1,
    *,
    period: str = "period",
    cause: Any = None,
    weights: Weights = None,
    sampling: Literal["sampled", "fixed"] = "sampled",
) -> StandardisedCurves:
    """Make adjusted survival or incidence curves: `standardised_risk` after every period up to the horizon.

    Parameters
    ----------
    fit, frame, exposure, values, period, weights, sampling
        As for `standardised_risk`.
    horizon : int
        Last period.
    cause : object, optional
        Which cause, for competing hazards.

    Returns
    -------
    StandardisedCurves

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bipstudy import models
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": np.tile([0, 1], 200), "period": np.repeat([1, 2], 200)})
    >>> frame["event"] = (rng.random(400) < 0.2).astype(int)
    >>> fit = models.discrete_hazard(frame, "event ~ x + C(period)")
    >>> curves = models.standardised_curves(fit, frame[frame["period"] == 1], "x", horizon=2)
    >>> "estimate" in curves.tidy()
    True
    """
    settings = exposure_settings(exposure, values)
    weight = row_weights(frame, weights)
    times = list(range(1, horizon + 1))
    parts = [
        part
        for setting in settings.values()
        for part in predict_risk(fit, set_exposure(frame, setting), times, period, weight, cause)
    ]
    jacobian = np.vstack([part.gradient for part in parts])
    spread = np.column_stack([weight * (part.individual - part.risk) for part in parts])
    return StandardisedCurves(
        labels=tuple(settings),
        times=tuple(times),
        risk=np.array([part.risk for part in parts]).reshape(len(settings), horizon),
        covariance=risk_covariance(fit, frame, jacobian, spread, sampling),
        errors=replace(fit.errors, text=f"{fit.errors.text}; covariates {sampling}"),
    )
