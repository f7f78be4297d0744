"""Cumulative incidence if everybody had the same value of an exposure: g-computation after hazard regressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.cause_specific import CauseSpecificFit
from bipstudy.models.covariance import ModelError
from bipstudy.models.cox import CoxFit
from bipstudy.models.design import Weights
from bipstudy.models.fine_gray import FineGrayFit
from bipstudy.models.risk_sets import Floats, Integers
from bipstudy.models.tidy import critical_value

__all__ = ["adjusted_incidence"]

HazardRegression: TypeAlias = CoxFit | CauseSpecificFit | FineGrayFit


def adjusted_incidence(
    fit: HazardRegression,
    frame: pd.DataFrame,
    *,
    exposure: str,
    values: Sequence[Any],
    times: npt.ArrayLike,
    weights: Weights = None,
    cluster: str | None = None,
    replications: int = 0,
    seed: int = 0,
    n_jobs: int = 1,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Mean predicted incidence with an exposure set to each value, and differences and ratios against the first.

    .. math:: \bar F_h(t; a) = \sum_i w_i F_h(t \mid a, z_i) / \sum_i w_i

    The model's association, averaged over the covariates :math:`z_i` of the frame; nothing more unless the model's
    covariates are all that exposure and event have in common.

    Parameters
    ----------
    fit : CoxFit, CauseSpecificFit or FineGrayFit
        With covariates that stay as they are over time.
    frame : DataFrame
        One row per person whose covariates are averaged over.
    exposure : str
        Column to set.
    values : sequence
        The first is what the others are compared with.
    times : number or sequence of numbers
    weights : str or array, optional
        Of the rows of `frame`.
    cluster : str, optional
        Column of the frame the model was fitted to, whose values are drawn with replacement for standard errors; rows
        by default.
    replications : int, default 0
        How many refits the standard errors come from. The rows averaged over stay as they are.
    seed : int, default 0
    n_jobs : int, default 1
        Processes; the numbers are the same for any.
    level : float, default 0.95

    Returns
    -------
    DataFrame
        ``time, cause, value, contrast, estimate, std_error, conf_low, conf_high`` with contrast in risk, difference,
        ratio; the standard error of a ratio is on the log scale. Errors are NaN without replications.

    Raises
    ------
    ModelError
        If the frame has no such column or there are no values.

    Examples
    --------
    >>> import pandas as pd
    >>> from bipstudy import models
    >>> frame = pd.DataFrame({"days": [1, 2, 3, 4, 5, 6], "cause": [1, 2, 1, 0, 2, 1], "x": [1, 0, 0, 1, 1, 0]})
    >>> fit = models.cause_specific_cox(frame, "x", stop="days", cause="cause")
    >>> table = adjusted_incidence(fit, frame, exposure="x", values=[0, 1], times=3)
    >>> table["contrast"].tolist()
    ['risk', 'risk', 'difference', 'ratio', 'risk', 'risk', 'difference', 'ratio']
    """
    if exposure not in frame.columns:
        raise ModelError(f"the frame has no column {exposure!r}")
    if not len(values):
        raise ModelError("give at least one value of the exposure")
    moments = np.atleast_1d(np.asarray(times, dtype=np.float64))
    weight = _weights(frame, weights)
    settings = [frame.assign(**{exposure: _constant(frame[exposure], value)}) for value in values]

    estimate = _risks(fit, settings, moments, weight)
    draws = _replicate(fit, settings, moments, weight, _draw_codes(fit, cluster), replications, seed, n_jobs)
    pieces = []
    for c, cause in enumerate(_causes(fit)):
        for v, value in enumerate(values):
            for contrast in ("risk",) if v == 0 else ("risk", "difference", "ratio"):
                number = _contrast(estimate, v, contrast)[:, c]
                spread = _contrast(draws.swapaxes(0, 1), v, contrast)[..., c] if replications > 1 else None
                error = np.full(len(moments), np.nan) if spread is None else spread.std(axis=0, ddof=1)
                half = critical_value(level, np.inf) * error
                if contrast == "ratio":
                    number, low, high = np.exp(number), np.exp(number - half), np.exp(number + half)
                else:
                    low, high = number - half, number + half
                columns = (moments, cause, value, contrast, number, error, low, high)
                names = ("time", "cause", "value", "contrast", "estimate", "std_error", "conf_low", "conf_high")
                pieces.append(pd.DataFrame(dict(zip(names, columns, strict=True))))
    return pd.concat(pieces, ignore_index=True)


def _risks(fit: HazardRegression, settings: Sequence[pd.DataFrame], times: Floats, weight: Floats) -> Floats:
    """Mean incidence in each setting, shape (settings, times, causes)."""
    return np.array([np.average(_incidence(fit, setting, times), axis=0, weights=weight) for setting in settings])


def _draw_codes(fit: HazardRegression, cluster: str | None) -> Integers:
    """Cluster of each row the model used, numbered in the order of the labels."""
    source = fit.fits[0].source if isinstance(fit, CauseSpecificFit) else fit.source
    if cluster is None:
        return np.arange(source.used)
    codes, _ = source.codes(cluster)
    column = source.frame[cluster] if source.positions is None else source.frame[cluster].iloc[source.positions]
    # Codes follow first appearance; draws must not depend on the order of rows.
    first = np.unique(codes, return_index=True)[1]
    order = np.argsort(np.argsort(column.iloc[first].to_numpy(), kind="stable"), kind="stable")
    return np.asarray(order[codes], dtype=np.int64)


def _replicate(
    fit: HazardRegression, settings: Sequence[pd.DataFrame], times: Floats, weight: Floats, codes: Integers,
    replications: int, seed: int, n_jobs: int,
) -> Floats:  # fmt: skip
    """Mean incidences of refits to draws of clusters, shape (replications, settings, times, causes)."""
    from joblib import Parallel, delayed

    seeds = np.random.SeedSequence(seed).spawn(replications)
    jobs = (delayed(_one_draw)(fit, settings, times, weight, codes, one) for one in seeds)
    found = Parallel(n_jobs=n_jobs)(jobs)
    return np.array(found).reshape(replications, len(settings), len(times), len(_causes(fit)))


def _one_draw(
    fit: HazardRegression, settings: Sequence[pd.DataFrame], times: Floats, weight: Floats, codes: Integers,
    seed: np.random.SeedSequence,
) -> Floats:  # fmt: skip
    """Mean incidences of one refit."""
    groups = int(codes.max()) + 1
    counts = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1.0 / groups))
    return _risks(fit.reweighted(counts[codes]), settings, times, weight)


def _contrast(risks: Floats, place: int, contrast: str) -> Floats:
    """Risk, difference or log ratio against the first value; values on the first axis."""
    if contrast == "risk":
        return np.asarray(risks[place])
    if contrast == "difference":
        return np.asarray(risks[place] - risks[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(risks[place]) - np.log(risks[0]))


def _incidence(fit: HazardRegression, frame: pd.DataFrame, times: Floats) -> Floats:
    """Incidence by row, time and cause."""
    if isinstance(fit, CauseSpecificFit):
        return fit.incidence(frame, times)
    if isinstance(fit, FineGrayFit):
        return fit.incidence(frame, times)[:, :, None]
    return np.asarray(-np.expm1(-fit.predict_hazard(frame, times).cumulative_hazard))[:, :, None]


def _causes(fit: HazardRegression) -> tuple[Any, ...]:
    """Labels of the causes a fit is about."""
    if isinstance(fit, CauseSpecificFit):
        return fit.causes
    return (fit.of,) if isinstance(fit, FineGrayFit) else ("event",)


def _constant(column: pd.Series, value: Any) -> pd.Series:
    """Column of one value, with the categories of the old one if it has any."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Series(pd.Categorical([value] * len(column), dtype=column.dtype), index=column.index)
    return pd.Series([value] * len(column), index=column.index)


def _weights(frame: pd.DataFrame, weights: Weights) -> Floats:
    """Weights of the rows as floats."""
    if weights is None:
        return np.ones(len(frame))
    values = frame[weights].to_numpy(dtype=np.float64) if isinstance(weights, str) else np.asarray(weights, np.float64)
    if values.shape != (len(frame),) or not np.isfinite(values).all() or (values < 0).any():
        raise ModelError(f"weights must be one finite number per row of the frame ({len(frame)}), not negative")
    return np.asarray(values)
