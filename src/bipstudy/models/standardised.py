r"""Standardised risks, their differences and ratios (g-computation), with errors by the delta method.

For a person with covariates :math:`x_i` the exposure is set to :math:`a` in every row and the predicted risk is
averaged: :math:`R(a) = \sum_i v_i F_i(a) / \sum_i v_i`, where :math:`F_i(a)` is the prediction of a model with one row
per person, or :math:`1 - \prod_{t=1}^{T} (1 - h_{it}(a))` for a discrete hazard and horizon :math:`T` (Robins 1986).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, ProductScores, RowScores, clustered_covariance
from bipstudy.models.design import Weights
from bipstudy.models.estimates import Errors, Estimates, Fit
from bipstudy.models.hazard import HazardFit
from bipstudy.models.linear import LinearFit
from bipstudy.models.links import hazard
from bipstudy.models.tidy import tidy_frame

if TYPE_CHECKING:
    from bipstudy.models.competing import CompetingFit

__all__ = ["StandardisedRisk", "standardised_risk"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = Sequence[Any] | Mapping[str, Any]
Setting: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StandardisedRisk(Estimates):
    """Risks with the exposure set to each value, and their contrasts with the first value.

    Attributes
    ----------
    terms : tuple of str
        ``risk[a]`` for each value, then ``difference[b - a]`` and ``ratio[b / a]`` for each value b after the first.
    estimates : array of shape (3m - 2,)
        For m values; ratios as logarithms.
    labels : tuple of str, length m
    horizon : int or None
    rows : int
        Rows standardised over.
    """

    labels: tuple[str, ...]
    horizon: int | None
    rows: int

    def tidy(self, level: float = 0.95, *, exponentiate: bool = True) -> pd.DataFrame:
        """Risks, differences and ratios.

        Parameters
        ----------
        level : float, default 0.95
        exponentiate : bool, default True
            Give ratios as ratios; False leaves their logarithms. The standard error of a ratio, its statistic and its
            interval are made on the log scale either way. Risks are tested against nothing: statistic and p-value
            are missing. A risk of exactly nought or one, as separation gives it, has no error, nor has a difference
            from it; a ratio with nought has no value. Those of the other values stand.

        Returns
        -------
        DataFrame
            Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
        """
        table = tidy_frame(self.terms, self.estimates, self.std_errors, self.errors.degrees, level)
        count = len(self.labels)
        table.loc[: count - 1, ["statistic", "p_value"]] = np.nan
        if exponentiate:
            shown = ["estimate", "conf_low", "conf_high"]
            table.loc[2 * count - 1 :, shown] = np.exp(table.loc[2 * count - 1 :, shown])
        return table

    def glance(self) -> pd.DataFrame:
        """One row: rows standardised over, horizon, degrees of freedom and the convention of the errors."""
        return pd.DataFrame(
            {
                "model": ["standardised risk"],
                "rows": [self.rows],
                "horizon": [pd.NA if self.horizon is None else self.horizon],
                "degrees": [self.errors.degrees],
                "convention": [self.errors.text],
            }
        )

    def _part(self, start: int, count: int, level: float) -> pd.DataFrame:
        """Rows of `tidy` for one kind of quantity."""
        return self.tidy(level).iloc[start : start + count].reset_index(drop=True)

    def risks(self, level: float = 0.95) -> pd.DataFrame:
        """Rows of `tidy` that are risks."""
        return self._part(0, len(self.labels), level)

    def differences(self, level: float = 0.95) -> pd.DataFrame:
        """Rows of `tidy` that are differences."""
        return self._part(len(self.labels), len(self.labels) - 1, level)

    def ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Rows of `tidy` that are ratios."""
        return self._part(2 * len(self.labels) - 1, len(self.labels) - 1, level)


def standardised_risk(
    fit: Fit,
    frame: pd.DataFrame,
    exposure: str | None = None,
    values: Values = (0, 1),
    horizon: int | None = None,
    *,
    period: str = "period",
    cause: Any = None,
    weights: Weights = None,
    sampling: Literal["sampled", "fixed"] = "sampled",
) -> StandardisedRisk:
    r"""Risk if everybody had each of `values` of the exposure, differences and ratios against the first.

    The covariance is that of the influence functions: with :math:`J_a = \partial R(a)/\partial\beta` the part of the
    model is :math:`J V J'`, where V is the covariance of the fit as it stands (change it by ``fit.with_errors``). With
    ``sampling="sampled"`` the rows of `frame` are a sample too and add :math:`v_i (F_i(a) - R(a)) / \sum v`. Under
    clustered errors both parts of a cluster are summed before they are squared, so that their covariance counts; the
    cluster columns must then be in `frame`, with the same labels. Without clusters the two parts are independent if
    the model holds, and their variances are added. ``sampling="fixed"`` gives risks for exactly these rows.

    Parameters
    ----------
    fit : HazardFit, CompetingFit or LinearFit
        From `discrete_hazard`, `competing_hazards` or `linear_probability` without absorbed effects.
    frame : DataFrame
        One row per person to standardise over, with every column of the formula but the exposure and the period.
    exposure : str, optional
        Column that is set. May be left out if every value is a mapping.
    values : sequence or mapping of label to value
        A value is a number or code, a function of the exposure column (``lambda x: x + 1``), or a mapping of columns
        to such values where an exposure has several columns. At least two; the first is the reference.
    horizon : int, optional
        Periods 1 to `horizon` are cumulated; covariates stay as in the person's row. Left out for models with one row
        per person.
    period : str, default "period"
        Column that holds the period in the formula.
    cause : Any, optional
        Which cause of a fit with competing hazards; the risk is then its cumulative incidence
        :math:`\sum_t S_{i,t-1} h_{iat}`, other causes taking people away.
    weights : str or array of shape (rows,), optional
        Weights of the rows of `frame`.
    sampling : {"sampled", "fixed"}

    Returns
    -------
    StandardisedRisk

    Raises
    ------
    ModelError
        If the fit cannot predict, a value is missing in a used column, or a period was not in the fit.

    Notes
    -----
    For bootstrap errors give `bipstudy.models.bootstrap` a function that fits and standardises with the weights of
    the resample, both times: ``standardised_risk(discrete_hazard(frame, ..., weights=w), frame[first], ...,
    weights=w[first], sampling="fixed")``.

    References
    ----------
    Robins, J. (1986). A new approach to causal inference in mortality studies with a sustained exposure period.
    Mathematical Modelling 7, 1393-1512.

    Examples
    --------
    >>> import pandas as pd
    >>> from bipstudy import models
    >>> frame = pd.DataFrame({"y": [0, 1, 0, 0, 1, 0, 1, 1], "x": [0, 1, 0, 0, 0, 1, 1, 1]})
    >>> fit = models.discrete_hazard(frame, "y ~ x", link="logit")
    >>> standardised_risk(fit, frame, "x", [0, 1]).tidy()[["term", "estimate"]].round(4).values.tolist()
    [['risk[0]', 0.25], ['risk[1]', 0.75], ['difference[1 - 0]', 0.5], ['ratio[1 / 0]', 3.0]]
    """
    if sampling not in ("sampled", "fixed"):
        raise ModelError(f"sampling must be 'sampled' or 'fixed', got {sampling!r}")
    settings = exposure_settings(exposure, values)
    weight = row_weights(frame, weights)
    periods = None if horizon is None else list(range(1, horizon + 1))
    parts = [
        predict_risk(fit, set_exposure(frame, setting), periods, period, weight, cause)[-1]
        for setting in settings.values()
    ]
    risks = np.array([part.risk for part in parts])
    jacobian = np.vstack([part.gradient for part in parts])
    spread = np.column_stack([weight * (part.individual - part.risk) for part in parts])
    covariance = risk_covariance(fit, frame, jacobian, spread, sampling)
    labels = tuple(settings)
    transform, estimates = _contrasts(risks, bounded=isinstance(fit, HazardFit))
    return StandardisedRisk(
        terms=_names(labels),
        estimates=estimates,
        covariance=transform @ covariance @ transform.T,
        errors=Errors(
            fit.errors.cluster,
            fit.errors.small_sample,
            fit.errors.clusters,
            fit.errors.degrees,
            fit.errors.repaired,
            f"{fit.errors.text}; covariates {'sampled' if sampling == 'sampled' else 'held fixed'}",
        ),
        notes=fit.notes,
        labels=labels,
        horizon=horizon,
        rows=len(frame),
    )


@dataclass(frozen=True)
class RiskPrediction:
    """Risk under one setting: its mean, gradient (k,) and individual values (n,)."""

    risk: float
    gradient: FloatArray
    individual: FloatArray


def exposure_settings(exposure: str | None, values: Values) -> dict[str, Setting]:
    """Columns to set, by label."""
    labelled = dict(values) if isinstance(values, Mapping) else {str(value): value for value in values}
    if len(labelled) < 2:
        raise ModelError("give at least two different values of the exposure")
    settings: dict[str, Setting] = {}
    for label, value in labelled.items():
        if isinstance(value, Mapping):
            settings[str(label)] = value
        elif exposure is None:
            raise ModelError("name the exposure, or give each value as a mapping of columns")
        else:
            settings[str(label)] = {exposure: value}
    return settings


def set_exposure(frame: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Frame with the exposure set; None leaves a column as it is."""
    changed: dict[str, Any] = {}
    for column, value in setting.items():
        if value is None:
            continue
        changed[column] = value(frame[column]) if isinstance(value, Callable) else value  # type: ignore[arg-type]
    return frame.assign(**changed)


def row_weights(frame: pd.DataFrame, weights: Weights) -> FloatArray:
    """Weights of rows, summing to one."""
    if len(frame) == 0:
        raise ModelError("there is no row to standardise over")
    if weights is None:
        return np.full(len(frame), 1.0 / len(frame))
    given = frame[weights].to_numpy(dtype=np.float64) if isinstance(weights, str) else np.asarray(weights, np.float64)
    if given.shape != (len(frame),) or not np.all(given >= 0.0) or not given.sum() > 0.0:
        raise ModelError("weights must be one number per row, none negative or missing, and not all zero")
    return np.asarray(given / given.sum())


def predict_risk(
    fit: Fit,
    frame: pd.DataFrame,
    periods: list[int] | None,
    period: str,
    weight: FloatArray,
    cause: Any = None,
) -> list[RiskPrediction]:
    """Risk under one setting after each period (one element without periods), by the kind of model."""
    from bipstudy.models.competing import CompetingFit

    if isinstance(fit, LinearFit):
        if periods is not None:
            raise ModelError("a horizon needs a discrete hazard")
        if fit.design is None:
            raise ModelError("a model with absorbed effects predicts differences, not levels")
        matrix = fit.design.matrix(frame)
        individual = np.asarray(matrix @ fit.estimates)
        return [RiskPrediction(float(weight @ individual), weight @ matrix, individual)]
    if isinstance(fit, CompetingFit):
        return _competing_risk(fit, frame, periods, period, weight, cause)
    if not isinstance(fit, HazardFit):
        raise ModelError(f"cannot standardise over {type(fit).__name__}; give a hazard or a linear model")
    # Cumulated hazard -log(1 - h) and its derivative by each coefficient, summed over the periods.
    cumulated = np.zeros(len(frame))
    derivative = np.zeros((len(frame), len(fit.terms)))
    results = []
    for rows in _by_period(frame, periods, period):
        matrix = fit.design.matrix(rows)
        amount, slope = _cumulated_hazard(_eta(fit, matrix), fit)
        cumulated = cumulated + amount
        derivative += slope[:, None] * matrix
        individual = -np.expm1(-cumulated)
        gradient = (weight * np.exp(-cumulated)) @ derivative
        results.append(RiskPrediction(float(weight @ individual), gradient, individual))
    return results


def _by_period(frame: pd.DataFrame, periods: list[int] | None, period: str) -> Iterator[pd.DataFrame]:
    """Yield the frame as it is, or with each period in turn."""
    if periods is None:
        yield frame
        return
    for number in periods:
        yield frame.assign(**{period: number})


def _competing_risk(
    fit: CompetingFit,
    frame: pd.DataFrame,
    periods: list[int] | None,
    period: str,
    weight: FloatArray,
    cause: Any,
) -> list[RiskPrediction]:
    """Cumulative incidence of one cause after each period, with derivatives carried along."""
    if cause not in fit.causes:
        raise ModelError(f"name one of the causes {', '.join(repr(value) for value in fit.causes)}")
    own, causes = fit.causes.index(cause), len(fit.causes)
    survival, incidence = np.ones(len(frame)), np.zeros(len(frame))
    d_survival = np.zeros((len(frame), len(fit.terms)))
    d_incidence = np.zeros((len(frame), len(fit.terms)))
    bounded = np.array([term not in fit.unbounded for term in fit.terms])
    results = []
    for rows in _by_period(frame, periods, period):
        matrix = fit.design.matrix(rows)
        hazards = fit.hazards_of(matrix)
        left = 1.0 - hazards.sum(axis=1)
        k = matrix.shape[1]
        d_incidence += d_survival * hazards[:, own, None]
        d_survival *= left[:, None]
        for other in range(causes):
            block = slice(other * k, (other + 1) * k)
            by_own = hazards[:, own] * (float(other == own) - hazards[:, other])
            d_incidence[:, block] += (survival * by_own)[:, None] * matrix
            d_survival[:, block] -= (survival * hazards[:, other] * left)[:, None] * matrix
        incidence = incidence + survival * hazards[:, own]
        survival = survival * left
        results.append(RiskPrediction(float(weight @ incidence), bounded * (weight @ d_incidence), incidence))
    return results


def _eta(fit: HazardFit, matrix: FloatArray) -> FloatArray:
    """Linear predictor, infinite where the hazard is 0 or 1."""
    from bipstudy.models.separation import limit_eta

    return limit_eta(matrix, fit.estimates, fit.directions)


def _cumulated_hazard(eta: FloatArray, fit: HazardFit) -> tuple[FloatArray, FloatArray]:
    """Minus the log of the survival of one period, and its derivative by the linear predictor."""
    # Where the hazard is 1 nobody survives and the derivative is multiplied by zero; keep it finite.
    eta = np.minimum(eta, 30.0)
    if fit.link == "cloglog":
        amount = np.exp(eta)
        return amount, amount
    return np.logaddexp(0.0, eta), hazard(eta, "logit")


def _contrasts(risks: FloatArray, *, bounded: bool) -> tuple[FloatArray, FloatArray]:
    """Take derivatives of risks, differences and log ratios by the risks, and their values."""
    count = len(risks)
    possible = risks > 0.0
    # Where a risk is nought its own ratio has no value; those of the other values stand.
    usable = possible[1:] & possible[0]
    logs = np.log(np.where(possible, risks, 1.0))
    differences = np.hstack([-np.ones((count - 1, 1)), np.eye(count - 1)])
    ratios = np.where(usable[:, None], differences / np.where(possible, risks, 1.0), np.nan)
    # A risk of nought or one has no error by the delta method: it is not nought, as its derivative would have it.
    inside = possible & (risks < 1.0) if bounded else np.ones(count, dtype=bool)
    levels = np.where(inside[:, None], np.eye(count), np.nan)
    apart = np.where((inside[1:] & inside[0])[:, None], differences, np.nan)
    transform = np.vstack([levels, apart, ratios])
    return transform, np.concatenate([risks, differences @ risks, np.where(usable, differences @ logs, np.nan)])


def _names(labels: Sequence[str]) -> tuple[str, ...]:
    """Terms of the result."""
    first, others = labels[0], labels[1:]
    return (
        *(f"risk[{label}]" for label in labels),
        *(f"difference[{label} - {first}]" for label in others),
        *(f"ratio[{label} / {first}]" for label in others),
    )


def risk_covariance(
    fit: Fit, frame: pd.DataFrame, jacobian: FloatArray, spread: FloatArray, sampling: str
) -> FloatArray:
    """Covariance of the risks; `spread` has what each row of the frame adds by being sampled."""
    model = jacobian @ fit.covariance @ jacobian.T
    if sampling == "fixed":
        return np.asarray(model)
    if not fit.errors.cluster:
        return np.asarray(model + spread.T @ spread)
    absent = [name for name in fit.errors.cluster if name not in frame.columns]
    if absent:
        raise ModelError(f"the frame has no column {', '.join(absent)}; give sampling='fixed' or add it")
    lever = fit.bread.T @ jacobian.T
    if isinstance(fit.scores, ProductScores):
        model_part = (fit.scores.matrix @ lever) * fit.scores.factor[:, None]
    else:
        assert fit.scores is not None
        model_part = fit.scores.dense() @ lever
    influence = np.vstack([model_part, spread])
    codes = []
    for name in fit.errors.cluster:
        column = fit.source.frame[name]
        if fit.source.positions is not None:
            column = column.iloc[fit.source.positions]
        both = pd.concat([column, frame[name]], ignore_index=True)
        numbers, _ = pd.factorize(both)
        if numbers.min() < 0:
            raise ModelError(f"column {name!r} has missing values in the frame to standardise over")
        codes.append(np.asarray(numbers, dtype=np.int64))
    own = [code[: fit.source.used] for code in codes]
    result = clustered_covariance(
        bread=np.eye(len(jacobian)),
        scores=RowScores(influence),
        codes=codes,
        small_sample=fit.errors.small_sample,
        family=fit.family,
        parameters=fit._parameters_counted(own, fit.errors.small_sample),
        rows=fit.source.used,
    )
    return result.covariance
