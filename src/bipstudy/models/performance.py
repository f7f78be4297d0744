r"""How good a prediction of a binary outcome is, with cluster-aware intervals.

Every measure is a smooth function of means, so each row has an influence: what it adds to the measure. Sums of
influences within clusters give standard errors that allow for dependence, also for the difference of two predictions
of the same rows (DeLong, DeLong and Clarke-Pearson 1988; Obuchowski 1997 for clusters).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bipstudy.models.covariance import ModelError, RowScores, clustered_covariance, encode_groups
from bipstudy.models.estimates import Errors, Estimates
from bipstudy.models.tidy import critical_value, tidy_frame

__all__ = ["Performance", "calibration_curve", "decision_curve", "prediction_performance"]

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Performance(Estimates):
    """Measures of a prediction, or of the difference of two.

    Attributes
    ----------
    influence : array of shape (n, k)
        What each complete row adds to each measure; the sum of each column is zero.
    null : array of shape (k,)
        What each measure is tested against; NaN for nothing.
    rows, events : int
    """

    influence: FloatArray
    null: FloatArray
    rows: int
    events: int

    def tidy(self, level: float = 0.95, *, exponentiate: bool = False) -> pd.DataFrame:
        """Measures with intervals, tested against what a useless or a perfect prediction gives.

        An area of 0.5 and a slope of 1 are the nulls, zero for the rest and for every difference; the Brier score of
        one prediction is tested against nothing. The interval of an area is made on the logit scale, so that it stays
        between 0 and 1 (Pepe 2003, The Statistical Evaluation of Medical Tests, section 5.2); that of a difference of
        two areas is not.

        Parameters
        ----------
        level : float, default 0.95
        exponentiate : bool, default False
            Of no use here.

        Returns
        -------
        DataFrame
            Columns ``term, estimate, std_error, statistic, p_value, conf_low, conf_high``.
        """
        table = tidy_frame(
            self.terms, self.estimates, self.std_errors, np.inf, level, exponentiate=exponentiate, null=self.null
        )
        area, error = float(self.estimates[0]), float(self.std_errors[0])
        if self.null[0] == 0.5:
            half = float(critical_value(level, np.inf)) * error / (area * (1.0 - area)) if 0.0 < area < 1.0 else np.nan
            odds = area / (1.0 - area) * np.exp([-half, half]) if 0.0 < area < 1.0 else np.full(2, np.nan)
            table.loc[0, ["conf_low", "conf_high"]] = odds / (1.0 + odds)
        return table

    def glance(self) -> pd.DataFrame:
        """One row: rows, events, clusters, convention."""
        return pd.DataFrame(
            {
                "model": ["prediction performance"],
                "rows": [self.rows],
                "events": [self.events],
                "clusters": [self.errors.clusters[0] if self.errors.clusters else pd.NA],
                "convention": [self.errors.text],
            }
        )


def prediction_performance(
    outcome: npt.ArrayLike,
    prediction: npt.ArrayLike,
    compared_with: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    strata: npt.ArrayLike | None = None,
) -> Performance:
    r"""Discrimination and calibration of predicted probabilities.

    ``auc``: chance that a row with the event has the higher prediction, ties counting half. ``brier``: mean squared
    error. ``brier_skill``: one minus its ratio to that of the mean outcome. ``calibration_difference``: mean outcome
    minus mean prediction. ``calibration_intercept`` and ``calibration_slope``: of the logit of the prediction in a
    logit of the outcome; 0 and 1 if calibrated.

    Parameters
    ----------
    outcome : array of shape (n,)
        0 or 1; rows with a missing outcome or prediction are left out.
    prediction : array of shape (n,)
        Probabilities.
    compared_with : array of shape (n,), optional
        Another prediction of the same rows: the measures are then of `prediction` minus those of this one.
    cluster : array of shape (n,), optional
        Errors add influences within clusters, with factor G/(G-1); without, rows are independent.
    weights : array of shape (n,), optional
        Such as the inverse probability of being followed to the horizon (Uno and others 2007); taken as known.
    strata : array of shape (n,), optional
        The area compares only rows of the same stratum. Predictions of rows left out need it, with the folds: a fold
        with many events leaves few to the others, which then predict it low, so that across folds a useless prediction
        has an area below 0.5 (Airola and others 2011). Strata without one of the outcomes add nothing.

    Returns
    -------
    Performance

    Raises
    ------
    ModelError
        If only one outcome occurs or a prediction is no probability.

    References
    ----------
    DeLong, E. R., DeLong, D. M., Clarke-Pearson, D. L. (1988). Comparing the areas under two or more correlated
    receiver operating characteristic curves. Biometrics 44, 837-845. Obuchowski, N. A. (1997). Nonparametric analysis
    of clustered ROC curve data. Biometrics 53, 567-578. Van Calster, B. et al. (2019). Calibration: the Achilles heel
    of predictive analytics. BMC Medicine 17, 230. Uno, H., Cai, T., Tian, L., Wei, L. J. (2007). Evaluating prediction
    rules for t-year survivors with censored regression models. Journal of the American Statistical Association 102,
    527-537. Airola, A., Pahikkala, T., Waegeman, W., De Baets, B., Salakoski, T. (2011). An experimental comparison of
    cross-validation techniques for estimating the area under the ROC curve. Computational Statistics and Data Analysis
    55, 1828-1844.

    Examples
    --------
    >>> result = prediction_performance([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7])
    >>> round(float(result.coef["auc"]), 4)
    0.8889
    """
    parts = [np.asarray(outcome, dtype=np.float64), np.asarray(prediction, dtype=np.float64)]
    if compared_with is not None:
        parts.append(np.asarray(compared_with, dtype=np.float64))
    known = ~np.any([np.isnan(part) for part in parts], axis=0)
    weight, known = _weights(weights, known)
    y, predictions = parts[0][known], [part[known] for part in parts[1:]]
    if not np.all((y == 0.0) | (y == 1.0)) or y.size == 0 or y.min() == y.max():
        raise ModelError("the outcome must be 0 or 1, and both must occur")
    if any(np.any((guess < 0.0) | (guess > 1.0)) for guess in predictions):
        raise ModelError("predictions must lie between 0 and 1")
    place = np.zeros(len(y), dtype=np.intp) if strata is None else pd.factorize(np.asarray(strata)[known])[0]
    measures = [_measures(y, guess, weight, place) for guess in predictions]
    estimates, influence = measures[0]
    if len(measures) == 2:
        estimates, influence = estimates - measures[1][0], influence - measures[1][1]
    covariance, errors = _influence_covariance(influence, None if cluster is None else np.asarray(cluster)[known])
    return Performance(
        terms=("auc", "brier", "brier_skill", "calibration_difference", "calibration_intercept", "calibration_slope"),
        estimates=estimates,
        covariance=covariance,
        errors=errors,
        influence=influence,
        null=np.zeros(6) if len(measures) == 2 else np.array([0.5, np.nan, 0.0, 0.0, 0.0, 1.0]),
        rows=len(y),
        events=int(y.sum()),
    )


def _weights(weights: npt.ArrayLike | None, known: npt.NDArray[np.bool_]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Weights of the rows that count, and which these are."""
    if weights is None:
        return np.ones(int(known.sum())), known
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != known.shape or np.any(np.isnan(given[known])) or np.any(given[known] < 0.0):
        raise ModelError("weights must be one number per row, none negative or missing")
    known = known & (given > 0.0)
    return given[known], known


def _influence_covariance(influence: FloatArray, cluster: Any) -> tuple[FloatArray, Errors]:
    """Covariance from influences, within clusters or by row."""
    k = influence.shape[1]
    if cluster is None:
        rows = len(influence)
        return influence.T @ influence * rows / (rows - 1.0), Errors(text="independent rows assumed")
    codes, groups = encode_groups(cluster, "cluster")
    result = clustered_covariance(bread=np.eye(k), scores=RowScores(influence), codes=[codes])
    return result.covariance, Errors(("cluster",), "stata", (groups,), text=result.describe(["cluster"]))


def _measures(
    y: FloatArray, guess: FloatArray, weight: FloatArray, strata: npt.NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Measures and their influences, shapes (6,) and (n, 6)."""
    part = weight / weight.sum()
    auc, auc_influence = _auc(y, guess, weight, strata)
    error = (y - guess) ** 2
    brier, share = float(part @ error), float(part @ y)
    spread = share * (1.0 - share)
    brier_influence = part * (error - brier)
    # Derivative of 1 - brier / (share (1 - share)).
    skill_influence = -brier_influence / spread + brier * (1.0 - 2.0 * share) / spread**2 * part * (y - share)
    difference = y - guess
    mean = float(part @ difference)
    intercept, slope, logit_influence = _calibration(y, guess, weight)
    estimates = np.array([auc, brier, 1.0 - brier / spread, mean, intercept, slope])
    influence = np.column_stack(
        [auc_influence, brier_influence, skill_influence, part * (difference - mean), logit_influence]
    )
    return estimates, influence


def _auc(
    y: FloatArray, guess: FloatArray, weight: FloatArray, strata: npt.NDArray[np.intp]
) -> tuple[float, FloatArray]:
    """Area under the curve within strata, and influences: the weight of the other class that each row beats."""
    event, count = y > 0.0, int(strata.max()) + 1
    beaten, others = np.zeros(len(y)), np.zeros(len(y))
    for rows in np.split(np.argsort(strata, kind="stable"), np.cumsum(np.bincount(strata, minlength=count))[:-1]):
        beaten[rows], others[rows] = _beaten(event[rows], guess[rows], weight[rows])
    pairs = float(weight[event] @ others[event])
    if pairs <= 0.0:
        return np.nan, np.full(len(y), np.nan)
    auc = float(weight[event] @ beaten[event]) / pairs
    return auc, weight * (beaten - auc * others) / pairs


def _beaten(event: npt.NDArray[np.bool_], guess: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight of the other class that each row is on the right side of, ties counting half, and that of all of it."""
    _, level = np.unique(guess, return_inverse=True)
    ones = np.bincount(level, weights=weight * event)
    zeros = np.bincount(level, weights=weight * ~event)
    below, above = np.cumsum(zeros) - 0.5 * zeros, ones.sum() - (np.cumsum(ones) - 0.5 * ones)
    return np.where(event, below[level], above[level]), np.where(event, zeros.sum(), ones.sum())


def _calibration(y: FloatArray, guess: FloatArray, weight: FloatArray) -> tuple[float, float, FloatArray]:
    """Intercept and slope of the outcome on the logit of the prediction, and influences."""
    from bipstudy.models.binary import fit_binary
    from bipstudy.models.solving import inverse

    inside = np.clip(guess, 1e-12, 1.0 - 1e-12)
    score = np.log(inside) - np.log1p(-inside)
    if score.min() == score.max():
        return np.nan, np.nan, np.full((len(y), 2), np.nan)
    matrix = np.column_stack([np.ones(len(y)), score])
    fit = fit_binary(matrix=matrix, response=y, weights=weight, link="logit")
    if fit.direction is not None:
        return np.nan, np.inf, np.full((len(y), 2), np.nan)
    influence = (matrix * fit.slope[:, None]) @ inverse(fit.information)
    return float(fit.beta[0]), float(fit.beta[1]), influence


def calibration_curve(
    outcome: npt.ArrayLike,
    prediction: npt.ArrayLike,
    cluster: npt.ArrayLike | None = None,
    bins: int = 10,
    weights: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Observed share of events by groups of equal numbers of predictions.

    Parameters
    ----------
    outcome, prediction : arrays of shape (n,)
    cluster : array of shape (n,), optional
    bins : int, default 10
        Ties stay together, so there may be fewer.
    weights : array of shape (n,), optional
        As for `prediction_performance`; the groups hold equal numbers of rows.

    Returns
    -------
    DataFrame
        Columns ``bin, rows, events, predicted, observed, std_error, conf_low, conf_high``; intervals on the logit
        scale of the share, and exact by rows where it is 0 or 1 (Clopper and Pearson 1934).

    Raises
    ------
    ModelError
        If weights are negative or missing.

    Examples
    --------
    >>> curve = calibration_curve([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.5, 0.7, 0.9], bins=2)
    >>> curve[["rows", "events"]].values.tolist()
    [[3, 1], [3, 2]]
    """
    y, guess = np.asarray(outcome, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    weight, known = _weights(weights, ~(np.isnan(y) | np.isnan(guess)))
    y, guess = y[known], guess[known]
    codes, _ = pd.factorize(pd.qcut(pd.Series(guess), bins, duplicates="drop"), sort=True)
    counts = np.bincount(codes)
    member = codes[:, None] == np.arange(len(counts))
    held = member * weight[:, None]
    total = held.sum(axis=0)
    share = y @ held / total
    influence = held * (y[:, None] - share) / total
    covariance, _ = _influence_covariance(influence, None if cluster is None else np.asarray(cluster)[known])
    error = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.log(share / (1.0 - share))
        half = 1.959963984540054 * error / (share * (1.0 - share))
        low, high = (1.0 / (1.0 + np.exp(-(score + side * half))) for side in (-1.0, 1.0))
    # With no one or everyone nothing varies between clusters, and the rows say how far from it the share may be.
    events = (member * y[:, None]).sum(axis=0).astype(int)
    end = 0.025 ** (1.0 / counts)
    low = np.select([events == 0, events == counts], [0.0, end], low)
    high = np.select([events == 0, events == counts], [1.0 - end, 1.0], high)
    return pd.DataFrame(
        {
            "bin": np.arange(len(counts)),
            "rows": counts,
            "events": events,
            "predicted": guess @ held / total,
            "observed": share,
            "std_error": error,
            "conf_low": low,
            "conf_high": high,
        }
    )


def decision_curve(
    outcome: npt.ArrayLike,
    predictions: npt.ArrayLike,
    thresholds: Sequence[float],
    cluster: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    r"""Net benefit of acting on a prediction, beside acting on all and on none.

    At threshold t the net benefit is :math:`P(\hat p \ge t, y=1) - \frac{t}{1-t} P(\hat p \ge t, y=0)` (Vickers and
    Elkin 2006).

    Parameters
    ----------
    outcome, predictions : arrays of shape (n,)
    thresholds : sequence of float between 0 and 1
    cluster : array of shape (n,), optional
    weights : array of shape (n,), optional
        As for `prediction_performance`.

    Returns
    -------
    DataFrame
        Columns ``threshold, net_benefit, std_error, conf_low, conf_high, all, gain, gain_std_error``: ``all`` is the
        net benefit of acting on everybody, ``gain`` that of the prediction beyond the better of all and none.

    Raises
    ------
    ModelError
        If a threshold does not lie between 0 and 1, or weights are negative or missing.

    References
    ----------
    Vickers, A. J., Elkin, E. B. (2006). Decision curve analysis. Medical Decision Making 26, 565-574.

    Examples
    --------
    >>> curve = decision_curve([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.5, 0.7, 0.9], [0.25, 0.5])
    >>> curve[["net_benefit", "all"]].round(3).values.tolist()
    [[0.444, 0.333], [0.167, 0.0]]
    """
    y, guess = np.asarray(outcome, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    weight, known = _weights(weights, ~(np.isnan(y) | np.isnan(guess)))
    y, guess, part = y[known], guess[known], weight / weight.sum()
    groups = None if cluster is None else np.asarray(cluster)[known]
    rows = []
    for threshold in thresholds:
        if not 0.0 < threshold < 1.0:
            raise ModelError("thresholds must lie between 0 and 1")
        odds = threshold / (1.0 - threshold)
        worth = y - odds * (1.0 - y)
        acted = np.where(guess >= threshold, worth, 0.0)
        everybody = worth if part @ worth > 0.0 else np.zeros(len(y))
        values = np.column_stack([acted, acted - everybody])
        benefit, gain = (float(value) for value in part @ values)
        covariance, _ = _influence_covariance(part[:, None] * (values - [benefit, gain]), groups)
        error = np.sqrt(np.diag(covariance))
        rows.append(
            {
                "threshold": threshold,
                "net_benefit": benefit,
                "std_error": error[0],
                "conf_low": benefit - 1.959963984540054 * error[0],
                "conf_high": benefit + 1.959963984540054 * error[0],
                "all": float(part @ worth),
                "gain": gain,
                "gain_std_error": error[1],
            }
        )
    return pd.DataFrame(rows)
